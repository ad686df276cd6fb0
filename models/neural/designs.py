"""Columns of an origin's own row, before scaling; one function and one line of a table each."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from models.classical import rich_features
from models.classical.boosted_clock import CYCLES
from models.classical.boosted_design import Design

FloatArray = NDArray[np.float64]
Columns = tuple[tuple[str, ...], NDArray[np.float32]]


def spec(panel: Panel, _log_anchor: FloatArray) -> Columns:
    """The spec's features as they are."""
    return panel.spec.features, np.asarray(panel.values)


def rich(panel: Panel, _log_anchor: FloatArray) -> Columns:
    """The regressors of :mod:`models.classical.rich_features`."""
    return rich_features.columns(panel)


def beside(panel: Panel, log_anchor: FloatArray) -> Columns:
    """What pooled trees read: distances from the anchor, other features as they are, and the clock of late.

    Logs of variance stand as distances from what the anchor expects at the first horizon: that one look-back is
    high for what is expected needs no product of inputs then.
    """
    design = Design.of(panel)
    values = design.values - np.where(design.variance, log_anchor[:, :1], 0.0)
    clock = design.clock.reshape(len(panel), -1)
    n_cycles = design.clock.shape[2]
    hours = [f"clock {horizon_s} s" for horizon_s in panel.spec.horizons_s]
    cycles = [f"{turns} x {period_s} s" for period_s, turns in CYCLES[len(CYCLES) - n_cycles :]]
    names = tuple(f"{hour}, {cycle}" for hour in hours for cycle in cycles)
    return (*panel.spec.features, *names), np.concatenate([values, clock], axis=1).astype(np.float32)


DESIGNS: dict[str, Callable[[Panel, FloatArray], Columns]] = {"spec": spec, "rich": rich, "beside": beside}
