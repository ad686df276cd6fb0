"""Margin mathematics: arrays and frozen dataclasses in, results out; no clock, no I/O, no pandas, no torch."""
