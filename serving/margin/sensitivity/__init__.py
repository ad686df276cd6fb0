"""Sensitivity margin: delta, vega and curvature by buckets and correlations; the fast figure and the challenger."""
