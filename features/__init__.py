"""Market data to tensors; knows no model."""
