"""Online calibration, the same for every model: debiased variance, historically shifted tails.

Everything here is causal: the value at row i uses windows that had ended by
the origin of row i. Rows are consecutive origins, one step apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS
from features.panel import Panel
from models.base import Forecast, outward

FloatArray = NDArray[np.float64]

# A one-day window ends, midnight comes, the windows before it end; and a week that a model may look back.
SETTLING_ROWS = 72 + 168


@dataclass(frozen=True, slots=True)
class Calibration:
    """How much of the past the online calibration remembers.

    ``bias_rows``: windows in the debiasing mean. ``prior_rows``: weight of "no
    bias" in it. ``bias_bound``: largest factor either way. ``tail_rows``: ended
    windows from which tails are shifted. ``least_rows``: fewer than these leave
    the model's own tails. The memory is finite, so that a backtest and an
    endpoint that start at different times give the same numbers.
    """

    bias_rows: int = 24 * 180
    prior_rows: int = 24 * 10
    bias_bound: float = 2.0
    tail_rows: int = 24 * 365
    least_rows: int = 24 * 60

    @property
    def warm_up_rows(self) -> int:
        """Rows before the first forecast of interest that the calibration should be given."""
        return self.tail_rows + self.bias_rows + SETTLING_ROWS


def calibrate(raw: Forecast, panel: Panel, settings: Calibration, first_row: int = 0) -> Forecast:
    """Debias the variance, then shift the tails by what the last year's residuals say.

    Parameters
    ----------
    raw : forecasts from every origin of the panel.
    panel : their past; its targets are used only once their windows had ended.
    settings : memory of the calibration.
    first_row : rows before it are used but not answered.

    Returns
    -------
    Forecast
        From row ``first_row`` on.
    """
    variance = np.empty_like(raw.variance)
    quantiles, shortfall = np.empty_like(raw.quantiles), np.empty_like(raw.shortfall)
    for h, ahead in enumerate(panel.spec.horizon_rows):
        bias = online_bias(raw.variance[:, h], panel.targets.realised_variance[:, h], ahead, settings)
        variance[:, h] = raw.variance[:, h] * bias
        scale = np.sqrt(variance[:, h])[:, None]
        standard = np.sqrt(raw.variance[:, h])[:, None]
        shape, beyond = raw.quantiles[:, h] / standard, raw.shortfall[:, h] / standard
        z = panel.targets.log_return[:, h] / scale[:, 0]
        shape, beyond = historical_shift(z, shape, beyond, raw.levels, panel.origin_ns, ahead, settings, first_row)
        quantiles[:, h], shortfall[:, h] = shape * scale, beyond * scale
    return Forecast(raw.origin_ns, raw.horizons_s, variance, raw.levels, quantiles, shortfall).rows(first_row)


def online_bias(variance: FloatArray, realised: FloatArray, ahead_rows: int, settings: Calibration) -> FloatArray:
    r"""Factor by which realised variance exceeded its forecasts of late, shape (n,).

    .. math:: b_t = \frac{m + \sum_s RV_s / f_s}{m + \#s}, \qquad t - K < s + h \le t

    clipped to ``[1/bias_bound, bias_bound]``; m is ``prior_rows``, K is
    ``bias_rows``. QLIKE is least when E[RV/f] = 1: the mean ratio is its own debiasing.

    Parameters
    ----------
    variance, realised : arrays of shape (n,); NaN in ``realised`` is left out.
    ahead_rows : horizon in rows.
    """
    ratio = np.full(len(variance), np.nan)
    ratio[ahead_rows:] = (realised / variance)[: max(0, len(ratio) - ahead_rows)]
    known = np.isfinite(ratio)
    total = _rolling_sum(np.where(known, ratio, 0.0), settings.bias_rows)
    count = _rolling_sum(known.astype(np.float64), settings.bias_rows)
    bias: FloatArray = (settings.prior_rows + total) / (settings.prior_rows + count)
    return np.clip(bias, 1 / settings.bias_bound, settings.bias_bound)


def _rolling_sum(value: FloatArray, rows: int) -> FloatArray:
    """Sum of the last ``rows`` values up to each, fewer at the start, shape (n,).

    Examples
    --------
    >>> _rolling_sum(np.array([1.0, 2.0, 4.0, 8.0]), 2)
    array([ 1.,  3.,  6., 12.])
    """
    sums = np.cumsum(value)
    sums[rows:] -= sums[:-rows].copy()
    return sums


def historical_shift(
    z: FloatArray,
    shape: FloatArray,
    beyond: FloatArray,
    levels: tuple[float, ...],
    origin_ns: NDArray[np.int64],
    ahead_rows: int,
    settings: Calibration,
    first_row: int = 0,
) -> tuple[FloatArray, FloatArray]:
    r"""Shift standardised quantiles and shortfalls to where the ended windows had them.

    .. math:: q'_{p,t} = q_{p,t} + Q_p\{z_s - q_{p,s}\}, \qquad
              e'_{p,t} = q'_{p,t} + (e_{p,t} - q_{p,t})
              \frac{\sum_{hits} (z_s - q'_{p,s})}{\sum_{hits} (e_{p,s} - q_{p,s})}

    with hits the windows s beyond their moved quantile, over the ``tail_rows``
    windows s that had ended by the last midnight UTC. For a shape that never
    changes this *is* filtered historical simulation; for a conditional shape it
    corrects what is left.

    Parameters
    ----------
    z : array of shape (n,), standardised returns, NaN where unknown.
    shape, beyond : arrays of shape (n, q), standardised quantiles and shortfalls.
    levels : q probabilities.
    origin_ns : array of shape (n,).
    ahead_rows : horizon in rows.
    settings : memory.
    first_row : rows before it are not shifted.

    Returns
    -------
    shape, beyond : arrays of shape (n, q), not crossing, shortfall outside its quantile.

    References
    ----------
    Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for
    portfolios of derivative securities", J. Futures Markets 19(5).
    """
    shape, beyond = shape.copy(), beyond.copy()
    base_shape, base_beyond = shape.copy(), beyond.copy()  # residuals are of the model's own shape
    midnights = np.flatnonzero(origin_ns % DAY_NS == 0)
    starts = np.union1d(midnights[midnights > first_row], [first_row])
    for start, stop in zip(starts, [*starts[1:], len(z)], strict=True):
        # A block belongs to its midnight, also where the panel begins after it.
        midnight_row = start - int(origin_ns[start] % DAY_NS // (DAY_NS // 24))
        ended = midnight_row - ahead_rows + 1
        used = slice(max(0, ended - settings.tail_rows), max(0, ended))
        move = _shift(z[used], base_shape[used], base_beyond[used], levels)
        if np.isfinite(z[used]).sum() >= settings.least_rows and move is not None:
            excess = beyond[start:stop] - shape[start:stop]
            shape[start:stop] = np.maximum.accumulate(shape[start:stop] + move[0], axis=1)
            beyond[start:stop] = shape[start:stop] + excess * move[1]
    return shape, beyond


def _shift(
    z: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...]
) -> tuple[FloatArray, FloatArray] | None:
    """Move of each quantile and factor of each excess over it, shape (q,) each; None without a residual."""
    known = np.isfinite(z)
    if not known.any():
        return None
    residual = z[known, None] - shape[known]
    excess = (beyond - shape)[known]
    move, factor = np.empty(len(levels)), np.empty(len(levels))
    for k, (level, side) in enumerate(zip(levels, outward(levels), strict=True)):
        move[k] = np.quantile(residual[:, k], level)
        hit = side * residual[:, k] >= side * move[k]
        factor[k] = (residual[hit, k] - move[k]).sum() / excess[hit, k].sum()
    return move, factor
