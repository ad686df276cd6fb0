"""What pooled trees read of a panel: features beside a line's forecast, the same for every instrument."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Feature, parse
from features.clock import HOUR_S, NS_PER_S
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.spec import FeatureSpec
from models.classical.boosted_clock import recent_clock
from models.classical.ridge import Line, fit_line

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]
VARIANCE_FAMILIES = ("log_rv", "log_bv", "log_medrv", "log_kernel", "log_range", "log_garman_klass")
OUTAGE = 6.0  # log units below the longest look-back: an exchange that stood still, not a calm market
PRIOR_SHARE = 0.7  # of log variance that the features together explain: near what they do for crypto, 1 h to 1 d
WEEKEND_DAYS = (2, 3)  # of the week that begins on Thursday, 1 January 1970


@dataclass(frozen=True, slots=True)
class Design:
    """One panel as pooled models read it.

    ``values`` (n, f): features, unknown ones NaN; logs of variance not below ``OUTAGE`` of the longest look-back, and
    that look-back where a leader's is unknown. ``variance`` (f,): which of them are logs of variance.
    ``clock`` (n, h, c): see :func:`models.classical.boosted_clock.recent_clock`.
    ``hours`` (n, d): hour of day, on weekdays and at weekends, and day of week, 0 or 1.
    """

    values: FloatArray
    variance: NDArray[np.bool_]
    clock: FloatArray
    hours: FloatArray

    @classmethod
    def of(cls, panel: Panel) -> "Design":
        """Read a panel.

        Raises
        ------
        SettingError
            If its spec has no ``log_rv`` of the instrument itself.
        """
        features = [parse(name, panel.spec.bar_s) for name in panel.spec.features]
        level = panel.column(_longest(features, panel.spec).name)
        variance = np.array([_is_variance(feature.name) for feature in features])
        values = panel.values.astype(np.float64)
        logs = np.maximum(values, level[:, None] - OUTAGE)
        values = np.where(variance, np.where(np.isfinite(logs), logs, level[:, None]), values)
        clock = np.zeros((len(panel), len(panel.spec.horizons_s), 0))
        step = [f for f in _own_log_rv(features) if f.look.seconds == panel.spec.every_s]
        if step and len(panel):
            clock = recent_clock(panel, panel.column(step[0].name), level)
        return cls(values, variance, clock, _hours(panel.origin_ns))

    def linear(self, h: int) -> FloatArray:
        """Regressors of the line of one horizon, shape (n, k): also squares and hinges of volatility's slope."""
        logs = self.values[:, self.variance]
        bends = logs - logs.mean(axis=1, keepdims=True)
        return np.concatenate([self.values, self.clock[:, h], self.hours, bends**2], axis=1)

    def beside(self, h: int, log_base: FloatArray, rows: NDArray[np.bool_] | slice = slice(None)) -> FloatArray:
        """What the trees of one horizon read: logs of variance measured from the line's forecast, and that forecast."""
        base = log_base[:, None]
        values = np.where(self.variance, self.values[rows] - base, self.values[rows])
        return np.concatenate([values, self.clock[rows, h], base], axis=1)


@dataclass(frozen=True, slots=True)
class Lines:
    """Ridge lines of log variance, one of each horizon, from which trees start."""

    lines: tuple[Line, ...]

    @classmethod
    def fit(cls, designs: Sequence[Design], panels: Sequence[Panel]) -> "Lines":
        """Fit each horizon on every known window of all panels."""
        return cls(tuple(_fit_one(designs, panels, h) for h in range(len(panels[0].spec.horizons_s))))

    def at(self, design: Design, h: int) -> FloatArray:
        """Log variance of one horizon, smeared, shape (n,)."""
        return self.lines[h].at(design.linear(h))


def check_pool(panels: Sequence[Panel], model: str, least: int) -> None:
    """Refuse a pool that nothing can be fitted on.

    Parameters
    ----------
    model : name for the message.
    least : ended windows, of all panels together, that each horizon needs.

    Raises
    ------
    ShortHistoryError, SettingError
        If there is no panel, or too few of their windows had ended; if their specs differ.
    """
    if not panels:
        raise ShortHistoryError(f"{model} got no panel to fit on; give at least one")
    other = next((panel for panel in panels if panel.spec != panels[0].spec), None)
    if other is not None:
        raise SettingError(
            f"{model} pools panels of one feature spec; {other.instrument} has another than {panels[0].instrument}: "
            "build them from one spec"
        )
    for h, horizon_s in enumerate(panels[0].spec.horizons_s):
        ended = sum(int(known_windows(panel, h).sum()) for panel in panels)
        if ended < least:
            raise ShortHistoryError(
                f"{model} needs {least} ended windows of {horizon_s} s, {_names(panels)} have {ended}; "
                "give a longer history or more instruments"
            )


def known_windows(panel: Panel, h: int) -> NDArray[np.bool_]:
    """Whether the window of each origin had ended and can be scored, shape (n,)."""
    known: NDArray[np.bool_] = np.isfinite(panel.targets.realised_variance[:, h])
    return known & np.isfinite(panel.targets.log_return[:, h])


def _fit_one(designs: Sequence[Design], panels: Sequence[Panel], h: int) -> Line:
    known = [known_windows(panel, h) for panel in panels]
    x = np.concatenate([design.linear(h)[rows] for design, rows in zip(designs, known, strict=True)])
    realised = np.concatenate([p.targets.realised_variance[rows, h] for p, rows in zip(panels, known, strict=True)])
    spec = panels[0].spec
    return fit_line(x, np.log(realised), min(1.0, spec.every_s / spec.horizons_s[h]), PRIOR_SHARE)


def _is_variance(name: str) -> bool:
    return name.rpartition(".")[2].rpartition("_")[0] in VARIANCE_FAMILIES


def _own_log_rv(features: Sequence[Feature]) -> list[Feature]:
    return [f for f in features if not f.leader and f.name.rpartition("_")[0] == "log_rv"]


def _longest(features: Sequence[Feature], spec: FeatureSpec) -> Feature:
    own = _own_log_rv(features)
    if not own:
        raise SettingError("trees need a log_rv of the instrument itself; add log_rv_24h to the feature spec's features")
    return max(own, key=lambda feature: feature.look.seconds)


def _hours(origin_ns: Ints) -> FloatArray:
    """Hour of day of weekdays and of weekends, and day of week, as columns of 0 and 1, shape (n, 55)."""
    hour = origin_ns // (HOUR_S * NS_PER_S)
    day = hour // 24 % 7
    late = np.isin(day, WEEKEND_DAYS)
    columns = [*((hour % 24 == k) & (late == weekend) for weekend in (False, True) for k in range(24))]
    return np.stack([*columns, *(day == k for k in range(7))], axis=1).astype(np.float64)


def _names(panels: Sequence[Panel]) -> str:
    return ", ".join(panel.instrument for panel in panels)
