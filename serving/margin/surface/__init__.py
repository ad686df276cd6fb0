"""Implied volatility by strike and expiry: SVI slices, checks for arbitrage, fits and shocks."""
