"""What closing an account costs beyond its scan: liquidity, spread of options, time, concentration.

Each charge is of one underlying and is given to its rows: liquidity by the size of their deltas,
the spread of options by net vega, time and concentration by their parts of the scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.aggregate import Holding
from serving.margin.charge import Charge
from serving.margin.closing import Closing
from serving.margin.closing_time import added_by_time
from serving.margin.concentration import concentration
from serving.margin.liquidity import liquidation_cost, period_s, vega_spread
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket
from serving.margin.scan_charges import Scanned
from serving.margin.scan_loss import ScanLoss

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Units of each underlying that closing an account trades, shape (u,) each.

    ``sells``, ``buys``: over expiries, what is net long and net short of each: a leg in one expiry is not closed by
    one in another. ``gross``: the larger of all long and all short deltas. An order counts on its own side.
    """

    sells: FloatArray
    buys: FloatArray
    gross: FloatArray


def sizes(closing: Closing, rows: Holding, held: int, width: int) -> Sizes:
    """Sizes of positions and orders; ``held``: number of positions."""
    delta = closing.greeks.delta[rows.instrument] * rows.quantity
    out = np.zeros((3, width))
    _add_sizes(rows.underlying, closing.expiry[rows.instrument], delta, held, len(closing.half_spread_vol), out)
    return Sizes(out[0], out[1], out[2])


@compiled
def _add_sizes(
    underlying: IntArray, expiry: IntArray, delta: FloatArray, held: int, expiries: int, out: FloatArray
) -> None:
    """Net deltas by expiry with the orders on either side, then sums by underlying."""
    nets, owner, sides = np.zeros((3, expiries)), np.zeros(expiries, np.int64), np.zeros((2, out.shape[1]))
    for i in range(delta.size):
        row = 0 if i < held else (1 if delta[i] > 0.0 else 2)
        nets[row, expiry[i]] += delta[i]
        owner[expiry[i]] = underlying[i]
        sides[0 if delta[i] > 0.0 else 1, underlying[i]] += abs(delta[i])
    for e in range(expiries):
        out[0, owner[e]] += max(nets[0, e] + nets[1, e], 0.0)
        out[1, owner[e]] += max(-nets[0, e] - nets[2, e], 0.0)
    for u in range(out.shape[1]):
        out[2, u] = max(sides[0, u], sides[1, u])


@dataclass(frozen=True, slots=True)
class ClosingCost:
    """What closing one size of one underlying costs.

    ``liquidity``: USD. ``growth``: range over the time that closing takes relative to that over the period of
    risk of initial and of maintenance margin, at least 1. ``multiplier`` of the loss for its share of the market.
    """

    liquidity: float
    growth: tuple[float, float]
    multiplier: float
    notes: tuple[str, ...]


def closing_cost(closing: Closing, market: PricedMarket, u: int, size: Sizes, policy: MarginPolicy) -> ClosingCost:
    """Cost of closing one underlying: liquidity of both sides, growth of the range, share of the market."""
    gross = float(size.gross[u])
    if gross == 0.0:
        return NOTHING
    selling, buying = closing.sides[u]
    sells, buys = liquidation_cost(selling, float(size.sells[u])), liquidation_cost(buying, float(size.buys[u]))
    initial, maintenance = (_growth(closing, u, gross, base) for base in (closing.mpor_s, float(closing.horizons_s[0])))
    multiplier, notes = _concentration(market, u, gross, policy)
    told = (*sells.notes, *buys.notes, *notes)
    return ClosingCost(sells.total + buys.total, (initial, maintenance), multiplier, told)


NOTHING: Final = ClosingCost(0.0, (1.0, 1.0), 1.0, ())


def added_by_size(costs: Sequence[ClosingCost], loss: ScanLoss, margin: int) -> tuple[FloatArray, FloatArray]:
    """What the time that closing takes and the share of the market add to each underlying's loss, shape (u,) each.

    Parameters
    ----------
    margin : 0 for initial, 1 for maintenance.
    """
    longer = added_by_time(loss.losses, loss.wider, np.array([c.growth[margin] for c in costs]))
    return longer, (loss.losses + longer) * (np.array([c.multiplier for c in costs]) - 1.0)


def closing_charges(
    closing: Closing,
    market: PricedMarket,
    rows: Holding,
    held: int,
    scans: tuple[Scanned, Scanned],
    policy: MarginPolicy,
) -> tuple[list[Charge], list[str]]:
    """Charges of one account beyond its scan, by row, and what had to be assumed.

    Parameters
    ----------
    rows : positions, then orders.
    held : number of positions.
    scans : for initial and maintenance margin.
    """
    width = len(market.underlyings)
    size = sizes(closing, rows, held, width)
    costs = [closing_cost(closing, market, u, size, policy) for u in range(width)]
    longer, larger = zip(*(_by_row(closing, costs, scans[m], m, rows) for m in (0, 1)), strict=True)
    liquidity = _given_out(closing, np.array([c.liquidity for c in costs]), rows)
    vega = vega_charge(closing, rows, held, policy)
    charges = [
        Charge("liquidity", liquidity, liquidity),
        Charge("spread of options", vega, vega),
        Charge("time to close", *longer),
        Charge("concentration", *larger),
    ]
    notes = dict.fromkeys(note for cost in costs for note in cost.notes)
    return [c for c in charges if not c.is_nothing], list(notes)


def _by_row(
    closing: Closing, costs: Sequence[ClosingCost], scanned: Scanned, margin: int, rows: Holding
) -> tuple[FloatArray, FloatArray]:
    """Time and concentration by the parts of the scan; where that loses nothing yet, by the size of deltas."""
    losses, parts = scanned.loss.losses, scanned.parts["scan"]
    found = []
    for added in added_by_size(costs, scanned.loss, margin):
        share = np.divide(added, losses, out=np.zeros(len(added)), where=losses > 0)
        by_scan = parts * share[rows.underlying]
        rest = np.where(losses > 0, 0.0, added)
        found.append(by_scan + _given_out(closing, rest, rows) if rest.any() else by_scan)
    return found[0], found[1]


def _given_out(closing: Closing, cost: FloatArray, rows: Holding) -> FloatArray:
    """Each underlying's cost by the size of its rows' deltas."""
    size = np.abs(closing.greeks.delta[rows.instrument] * rows.quantity)
    whole = np.bincount(rows.underlying, weights=size, minlength=len(cost))
    parts: FloatArray = size * (cost / np.maximum(whole, np.finfo(float).tiny))[rows.underlying]
    return parts


def _growth(closing: Closing, u: int, size: float, base_s: float) -> float:
    r"""Range over the time that closing takes, relative to that over the period of risk; at least 1.

    .. math:: h_{eff} = h_0 + \frac{|Q|}{\pi V}

    Where a forecast has a hole at :math:`h_0`, what stands for it may be wider than what is forecast over the longer
    time, and the range grows by the root of time at least.

    Parameters
    ----------
    base_s : :math:`h_0`, that of initial or of maintenance margin.
    """
    wanted = period_s(base_s, size, closing.sides[u][0])
    grown = _grown(closing.widths, u, closing.horizons_s, wanted, float(base_s))
    return max(grown, sqrt(wanted / base_s)) if closing.holed[u] else grown


@compiled
def _grown(widths: FloatArray, u: int, horizons_s: FloatArray, wanted_s: float, base_s: float) -> float:
    """Range of an underlying over a time relative to that over another, of the side where that is more."""
    return max(
        _width(widths[0, u], horizons_s, wanted_s) / _width(widths[0, u], horizons_s, base_s),
        _width(widths[1, u], horizons_s, wanted_s) / _width(widths[1, u], horizons_s, base_s),
    )


@compiled
def _width(widths: FloatArray, horizons_s: FloatArray, horizon_s: float) -> float:
    """Range over a time: between forecast horizons log-linear in it, beyond the last by its root."""
    for i in range(1, widths.size):
        if horizon_s <= horizons_s[i]:
            share = log(horizon_s / horizons_s[i - 1]) / log(horizons_s[i] / horizons_s[i - 1])
            return float(widths[i - 1] ** (1 - share) * widths[i] ** share)
    return float(widths[-1] * sqrt(horizon_s / horizons_s[-1]))


def _concentration(market: PricedMarket, u: int, size: float, policy: MarginPolicy) -> tuple[float, tuple[str, ...]]:
    terms = market.snapshot.underlyings[market.underlyings[u]]
    interest, cap = (None if x is None else float(x) for x in (terms.open_interest_usd, terms.market_cap_usd))
    found = concentration(size * float(market.spot[u]), interest, cap, policy.concentration)
    return found.multiplier, tuple(f"{market.underlyings[u]}: {note}" for note in found.notes)


def vega_charge(closing: Closing, rows: Holding, held: int, policy: MarginPolicy) -> FloatArray:
    """Half the spread of options on the net vega of every expiry, by row; orders fill where that makes it larger."""
    vega = closing.greeks.vega_usd[rows.instrument] * rows.quantity
    if not vega.any():
        return np.zeros(len(vega))
    expiry, half = closing.expiry[rows.instrument], closing.half_spread_vol
    if held < len(vega):
        vega = _filled_vega(vega, expiry, held, len(half))
    return vega_spread(vega, expiry, half, np.isnan(half), policy.liquidity)


def _filled_vega(vega: FloatArray, expiry: IntArray, held: int, count: int) -> FloatArray:
    """Vega of the rows with those orders of each expiry that make its net vega largest, 0 for the others."""
    signs = np.where(np.arange(len(vega)) < held, 0.0, np.sign(vega))
    nets = [
        np.bincount(expiry, weights=np.where((signs == 0) | (signs == side), vega, 0.0), minlength=count)
        for side in (1.0, -1.0)
    ]
    chosen = np.where(np.abs(nets[0]) >= np.abs(nets[1]), 1.0, -1.0)[expiry]
    return np.where((signs == 0) | (signs == chosen), vega, 0.0)
