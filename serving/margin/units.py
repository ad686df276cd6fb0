"""Profit or loss of one contract of every instrument in every scenario: once for a market, for all accounts."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.policy import ScenarioPolicy
from serving.margin.priced_market import OptionTerms, PricedMarket
from serving.margin.pricing.black import revalue_options
from serving.margin.scenarios.scenario_set import ScenarioSet
from serving.margin.scenarios.vol import term_scale
from serving.margin.smile_shocks import shaped_vols

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WIDEST = 2.0  # standard deviations beyond which the smile's tilt and wings go on flat


def unit_pnl(market: PricedMarket, scenarios: ScenarioSet, policy: ScenarioPolicy) -> FloatArray:
    r"""Weighted profit (positive) or loss of one long contract, USD, shape (s, n).

    .. math:: w_s \left(V(F (1 + \theta m_s), \sigma_s) - V(F, \sigma)\right)

    for options (:math:`\theta`: share of the move that reaches the forward), and
    :math:`w_s \theta m_s F` for everything else.
    """
    rows = np.flatnonzero(market.options.is_option)
    rest = market.mark_usd * market.share * scenarios.move[:, market.underlying]
    if len(rows):
        rest[:, rows] = _option_pnl(market, scenarios, policy, rows)
    weighted: FloatArray = rest * scenarios.weight[:, market.underlying]
    return weighted


def _option_pnl(market: PricedMarket, scenarios: ScenarioSet, policy: ScenarioPolicy, rows: IntArray) -> FloatArray:
    """USD profit of one long option, shape (s, options)."""
    terms = _taken(market.options, rows)
    size = (scenarios.size, len(rows))
    factor, log_factor, vol = np.empty(size), np.empty(size), np.empty(size)
    deviation = np.maximum(terms.vol * np.sqrt(terms.years), np.finfo(float).tiny)
    spread = np.clip(np.log(terms.strike / terms.forward) / deviation, -WIDEST, WIDEST)
    floor = np.minimum(terms.vol, policy.vol_floor)
    _shock(
        scenarios.move, scenarios.vol, scenarios.tilt, scenarios.wing, market.underlying[rows], market.share[rows],
        terms.vol, term_scale(terms.years, policy), spread, floor, factor, log_factor, vol,
    )  # fmt: skip
    if scenarios.tilt.any() or scenarios.wing.any():
        vol = shaped_vols(market, rows, scenarios, vol)
    then = revalue_options(
        terms.forward, terms.strike, terms.years, terms.is_call, terms.discount, factor, log_factor, vol
    )
    pnl: FloatArray = (then - terms.value) * market.usd_per_point[rows]
    return pnl


def _taken(options: OptionTerms, rows: IntArray) -> OptionTerms:
    return OptionTerms(*(getattr(options, field)[rows] for field in OptionTerms.__slots__))


@compiled
def _shock(
    move: FloatArray, vol_move: FloatArray, tilt: FloatArray, wing: FloatArray, underlying: IntArray,
    share: FloatArray, base: FloatArray, term: FloatArray, spread: FloatArray, floor: FloatArray,
    factor: FloatArray, log_factor: FloatArray, vol: FloatArray,
) -> None:  # fmt: skip
    """Shocked forward factor, its logarithm and shocked volatility of every option in every scenario."""
    logs = np.empty(move.shape[1])
    for s in range(move.shape[0]):
        for u in range(move.shape[1]):
            logs[u] = math.log1p(move[s, u]) if move[s, u] > -1.0 else -np.inf
        for p in range(underlying.size):
            u = underlying[p]
            if share[p] == 1.0:
                factor[s, p], log_factor[s, p] = 1.0 + move[s, u], logs[u]
            else:
                factor[s, p] = 1.0 + share[p] * move[s, u]
                log_factor[s, p] = math.log(factor[s, p]) if factor[s, p] > 0.0 else -np.inf
            change = vol_move[s, u] * term[p] + tilt[s] * spread[p] + wing[s] * abs(spread[p])
            vol[s, p] = max(base[p] * (1.0 + change), floor[p])
