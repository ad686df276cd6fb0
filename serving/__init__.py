"""Forecasts to margin, as a library and as an endpoint."""
