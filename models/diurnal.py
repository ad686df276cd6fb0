"""The market's clock: variance by hour of day and day of week, shared by all models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import HOUR_NS
from features.errors import ShortHistoryError
from features.panel import Panel

FloatArray = NDArray[np.float64]
WEEK_HOURS = 168
RECENT_WEEKS = 52  # the clock moves: markets change hands, daylight saving comes and goes
PRIOR_WEEKS = 30.0  # weeks that "an hour is the same every day" counts beside those seen


@dataclass(frozen=True, slots=True)
class Diurnal:
    r"""Relative variance of each hour of the week, mean 1, shape (168,); hour 0 is Thursday 00:00 UTC.

    .. math:: w_k = c \, e^{a_{hour(k)} + b_{day(k)} + i_k}

    with a and b the mean logs of the hour's realised variance over the week's before it. The last term, what one hour
    of one day has beyond its hour and its day, is 0 or the mean m of its n past values, shrunk: i = m n / (n + 30).
    """

    weight: FloatArray

    @classmethod
    def flat(cls) -> "Diurnal":
        """The clock of a market that has none."""
        return cls(np.ones(WEEK_HOURS))

    @classmethod
    def fit(cls, panel: Panel, *, whole_week: bool = False) -> "Diurnal":
        """Estimate from the panel's past hours (features ``log_rv_1h`` and ``log_rv_168h``).

        Parameters
        ----------
        whole_week : also the last term, and the last year only; else an hour is the same every day but for the day's
            factor, over the whole panel.

        Raises
        ------
        ShortHistoryError
            If the panel has no hour in which the price moved.
        """
        if whole_week:
            panel = panel.rows(max(0, len(panel) - RECENT_WEEKS * WEEK_HOURS), len(panel))
        # The feature at an origin describes the hour that ended there.
        hour = (panel.origin_ns // HOUR_NS - 1) % WEEK_HOURS
        # A frozen tape says nothing of the clock: hours near the floor are left out.
        level = panel.column("log_rv_168h")
        excess = panel.column("log_rv_1h") - level
        used = excess > -6.0
        if not used.any():
            raise ShortHistoryError(
                f"{panel.instrument}: the price moved in no hour of the panel; give a longer history"
            )
        hour, excess = hour[used], excess[used]
        by_hour = _means(hour % 24, excess, 24)
        by_day = _means(hour // 24, excess - by_hour[hour % 24], 7)
        by_both = np.tile(by_hour, 7) + np.repeat(by_day, 24)
        if whole_week:
            own = _means(hour, excess - by_both[hour], WEEK_HOURS)
            count = np.bincount(hour, minlength=WEEK_HOURS)
            by_both += own * count / (count + PRIOR_WEEKS)
        weight = np.exp(by_both)
        return cls(weight / weight.mean())

    def ahead(self, origin_ns: NDArray[np.int64], hours: int) -> FloatArray:
        """Mean weight of the ``hours`` hours after each origin, shape (n,)."""
        return self._mean_over(origin_ns // HOUR_NS, hours)

    def behind(self, origin_ns: NDArray[np.int64], hours: int) -> FloatArray:
        """Mean weight of the ``hours`` hours before each origin, shape (n,)."""
        return self._mean_over(origin_ns // HOUR_NS - hours, hours)

    def _mean_over(self, first_hour: NDArray[np.int64], hours: int) -> FloatArray:
        sums = np.concatenate([[0.0], np.cumsum(np.resize(self.weight, WEEK_HOURS + hours % WEEK_HOURS))])
        start = first_hour % WEEK_HOURS
        part = sums[start + hours % WEEK_HOURS] - sums[start]
        whole: FloatArray = (part + hours // WEEK_HOURS * self.weight.sum()) / hours
        return whole


def _means(group: NDArray[np.int64], value: FloatArray, n_groups: int) -> FloatArray:
    """Mean of each group less the mean of all; 0 for an empty group."""
    count = np.bincount(group, minlength=n_groups)
    total = np.bincount(group, value - value.mean(), minlength=n_groups)
    mean: FloatArray = total / np.maximum(count, 1)
    return mean
