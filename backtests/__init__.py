"""Walk-forward comparison, on top of everything."""
