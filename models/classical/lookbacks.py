"""What every autoregression here reads: past variance over an hour to a month without its clock, outages left out."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_S
from features.errors import SettingError, ShortHistoryError
from features.families.variance import VARIANCE_FLOOR
from features.panel import Panel
from models.diurnal import Diurnal

FloatArray = NDArray[np.float64]
LOOKBACKS_H = (1, 4, 24, 168, 720)
AT_FLOOR = np.log(VARIANCE_FLOOR) + 1e-3  # a look-back in which no price moved
FROZEN = 8.0  # log units below the week's variance: the tape stood still. True calm stays within about six


def check_spec(panel: Panel, model: str, features: Iterable[str] = ()) -> None:
    """Refuse a panel that a model of hourly origins cannot read.

    Parameters
    ----------
    model : name for the message.
    features : what it needs beside the ``log_rv`` of each look-back.

    Raises
    ------
    SettingError
        If origins are not an hour apart; if features are missing: the message names all of them.
    """
    if panel.spec.every_s != HOUR_S:
        raise SettingError(
            f"{model} reads an origin each hour, the feature spec has one every {panel.spec.every_s} s; "
            f"set every_s = {HOUR_S}"
        )
    needed = [*(f"log_rv_{k}h" for k in LOOKBACKS_H), *features]
    missing = [name for name in needed if name not in panel.spec.features]
    if missing:
        raise SettingError(f"{model} needs {', '.join(missing)}; add to the feature spec's features")


def available(panel: Panel, family: str, model: str, longest_h: int = LOOKBACKS_H[-1]) -> tuple[int, ...]:
    """Look-backs in hours, up to the longest asked for, that the spec has of a family.

    Raises
    ------
    SettingError
        If it has none.
    """
    asked = [k for k in LOOKBACKS_H if k <= longest_h]
    found = tuple(k for k in asked if f"{family}_{k}h" in panel.spec.features)
    if not found:
        names = ", ".join(f"{family}_{k}h" for k in asked)
        raise SettingError(f"{model} needs at least one of {names}; add it to the feature spec's features")
    return found


def log_rates(panel: Panel, diurnal: Diurnal) -> FloatArray:
    r"""Log of past variance per hour over each look-back without its clock, shape (n, k).

    .. math:: x_{k,t} = \ln \frac{RV^{(k)}_t}{k \, W^{(k)}_t}

    An outage of the exchange leaves a look-back at the floor of its feature. That is no calm: a look-back more than
    ``FROZEN`` below the week's (the week's, below the month's) is read as the next longer one.
    """
    columns = [panel.column(f"log_rv_{k}h") for k in LOOKBACKS_H]
    month, week = columns[-1], columns[-2]
    for k in range(len(columns) - 2, -1, -1):
        reference = month if k == len(columns) - 2 else week
        frozen = (columns[k] < reference - FROZEN) | (columns[k] <= AT_FLOOR)
        columns[k] = np.where(frozen, columns[k + 1], columns[k])
    clocks = [np.log(diurnal.behind(panel.origin_ns, k)) for k in LOOKBACKS_H]
    return np.stack([column - clock for column, clock in zip(columns, clocks, strict=True)], axis=1)


def frozen_hours(panel: Panel) -> NDArray[np.bool_]:
    """Hours in which the tape stood still, and the first after each, which carries the whole move; shape (n,)."""
    hour = panel.column("log_rv_1h")
    frozen: NDArray[np.bool_] = (hour < panel.column("log_rv_168h") - FROZEN) | (hour <= AT_FLOOR)
    frozen[1:] |= frozen[:-1].copy()
    return frozen


def usual_hours(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Hours of each horizon, each counted by its weight, shape (n, h)."""
    hours = [horizon_s // HOUR_S for horizon_s in panel.spec.horizons_s]
    return np.stack([k * diurnal.ahead(panel.origin_ns, k) for k in hours], axis=1)


def outcome_rates(panel: Panel, diurnal: Diurnal) -> FloatArray:
    """Realised variance per usual hour of each horizon, shape (n, h); NaN where its window had not ended."""
    return panel.targets.realised_variance / usual_hours(panel, diurnal)


def known_rows(x: FloatArray, target: FloatArray, panel: Panel, model: str) -> NDArray[np.bool_]:
    """Rows with every feature and an outcome, shape (n, k), (n,) -> (n,).

    Raises
    ------
    ShortHistoryError
        If they are not more than ten for each regressor.
    """
    known: NDArray[np.bool_] = np.isfinite(target) & np.isfinite(x).all(axis=1)
    if known.sum() <= 10 * x.shape[1]:
        raise ShortHistoryError(
            f"{panel.instrument}: {model} needs more than {10 * x.shape[1]} ended windows, "
            f"the panel has {known.sum()}; give a longer history"
        )
    return known
