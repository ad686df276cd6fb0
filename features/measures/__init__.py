"""Realised measures: arrays in, arrays out; each in ``MEASURES`` under the name that a spec uses."""

from features.measures.table import MEASURES, Measure

__all__ = ["MEASURES", "Measure"]
