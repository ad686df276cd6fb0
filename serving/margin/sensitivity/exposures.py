"""Greeks of one contract of every instrument, in the units that the calibration's weights are stated for."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError
from serving.margin.priced_market import PricedMarket
from serving.margin.pricing.greeks import black_greeks
from serving.margin.scenarios.vol import DAYS_PER_YEAR, term_scale
from serving.margin.sensitivity.crypto import CryptoCalibration
from serving.margin.sensitivity.crypto_correlations import LABELS, VERTEX_DAYS

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exposures:
    """Of one long contract of each of n instruments, USD, shape (n,) each.

    ``delta``: gain per relative move of spot. ``vega``: gain per relative move of
    volatility. ``bend``: loss (positive, of what is short gamma) per squared relative
    move. ``days``: to expiry, 0 for what has none.
    """

    delta: FloatArray
    vega: FloatArray
    bend: FloatArray
    days: FloatArray


def exposures(market: PricedMarket, calibration: CryptoCalibration) -> Exposures:
    r"""Delta, vega and curvature of one contract of every instrument, in the state that margin is held for.

    A move of the size of a scan range is far beyond where today's greeks of a short option hold. All three are
    therefore those of the option's mean value over the period of risk: of normal moves with the deviation
    :math:`h` (share of the range) at the raised volatility :math:`\sigma' = \sigma (1 + rise)`, which is Black's
    value at

    .. math:: s = \sqrt{\sigma'^2 T + h^2}, \qquad \Delta = \theta\Phi(\theta d_1), \quad
              \Gamma = \frac{\varphi(d_1)}{F s}, \quad
              \frac{\partial V}{\partial \sigma'} = F \varphi(d_1) \frac{\sigma' T}{s}

    They also exist at expiry, where the option's own gamma is infinite, and see far wings that its own do not.

    Parameters
    ----------
    market : priced instruments; what has a fault has no exposure here and is refused where it is held.
    calibration : deviation and rise of volatility of each underlying.

    Raises
    ------
    ForecastError
        If an underlying of the market has no range in the calibration.
    """
    delta = market.mark_usd * market.share
    vega, bend = np.zeros(len(delta)), np.zeros(len(delta))
    rows = np.flatnonzero(market.options.is_option)
    deviation, rise = (_by_underlying(market, table)[market.underlying[rows]] for table in _tables(calibration))
    if len(rows):
        raised = 1.0 + rise * term_scale(market.options.years[rows], calibration.policy)
        delta[rows], vega[rows], bend[rows] = _of_options(market, rows, deviation, raised)
    return Exposures(delta, vega, bend, market.options.years * DAYS_PER_YEAR)


def _of_options(
    market: PricedMarket, rows: NDArray[np.int64], deviation: FloatArray, raised: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per relative move of spot, per relative move of volatility, per squared relative move of spot."""
    options, share = market.options, market.share[rows]
    forward, strike, years, vol = (getattr(options, f)[rows] for f in ("forward", "strike", "years", "vol"))
    usd, moved = market.usd_per_point[rows] * options.discount[rows], forward * share
    spread = np.sqrt((vol * raised) ** 2 * years + (share * deviation) ** 2)
    mean = black_greeks(forward, strike, spread, 1.0, options.is_call[rows])
    vega = mean.vega * (vol * raised) * years / spread * vol
    return usd * mean.delta * moved, usd * vega, -0.5 * usd * mean.gamma * moved**2


def _tables(calibration: CryptoCalibration) -> tuple[Mapping[str, float], Mapping[str, float]]:
    return calibration.deviation, calibration.rise


def _by_underlying(market: PricedMarket, table: Mapping[str, float]) -> FloatArray:
    missing = [name for name in market.underlyings if name not in table]
    if missing:
        raise ForecastError(f"no scan range of {', '.join(missing)}; calibrate over all underlyings of the market")
    return np.array([table[name] for name in market.underlyings])


def at_vertices(days: float) -> list[tuple[str, float]]:
    """Shares of an expiry at the two vertices beside it, linear in time; whole beyond the last and before the first.

    Examples
    --------
    >>> at_vertices(45.0), at_vertices(1000.0), at_vertices(0.2)
    ([('30d', 0.5), ('60d', 0.5)], [('730d', 1.0)], [('1d', 1.0)])
    """
    if days <= VERTEX_DAYS[0] or days >= VERTEX_DAYS[-1]:
        return [(LABELS[0] if days <= VERTEX_DAYS[0] else LABELS[-1], 1.0)]
    after = bisect_left(VERTEX_DAYS, days)
    share = (days - VERTEX_DAYS[after - 1]) / (VERTEX_DAYS[after] - VERTEX_DAYS[after - 1])
    pair = [(LABELS[after - 1], 1.0 - share), (LABELS[after], share)]
    return [(label, part) for label, part in pair if part > 0.0]
