"""Value of one instrument: Black-76, its greeks and implied volatility, coin-settled contracts, settlement averages."""
