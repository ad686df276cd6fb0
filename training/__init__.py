"""Fit, track, register."""
