"""Options one by one, and the most that the options of one expiry can lose together."""

from dataclasses import dataclass

import numpy as np

from serving.margin.charge import FloatArray
from serving.margin.rules.derive_portfolio.portfolio import Options
from serving.margin.rules.derive_standard.market import Market
from serving.margin.rules.derive_standard.parameters import Parameters


@dataclass(frozen=True, slots=True)
class OptionMargin:
    """Net margin of the options of a market, by option, shape (p,); value included, none above 0 in sum.

    ``isolated`` and ``bounded`` are what both readings give for each expiry, shape (e,).
    """

    net: FloatArray
    isolated: FloatArray
    bounded: FloatArray


def option_margin(market: Market, rule: Parameters, *, initial: bool) -> OptionMargin:
    """For each expiry the better of the sum of isolated margins and the greatest loss at expiry."""
    marks = market.marks
    alone = isolated(market, marks, rule, initial=initial)
    net = np.zeros(len(market.options))
    sums, bounds = np.zeros(len(market.expiries)), np.zeros(len(market.expiries))
    scale = rule.unpaired_initial if initial else rule.unpaired_maintenance
    for index, expiry in enumerate(market.expiries):
        here = market.options.expiry == index
        together = greatest_loss(market.options, here, scale * expiry.forward)
        sums[index], bounds[index] = float(np.add.reduce(alone[here])), float(np.add.reduce(together))
        net[here] = alone[here] if sums[index] >= bounds[index] else together
    return OptionMargin(net, sums, bounds)


def isolated(market: Market, marks: FloatArray, rule: Parameters, *, initial: bool) -> FloatArray:
    r"""Net margin of each option on its own, shape (p,): value and requirement of what is sold.

    .. math:: call: V + a S \cdot c \; (MM), \quad V + a S \max(least, most - otm) \; (IM)

    What is held counts for nothing; a < 0 is the amount, V < 0 its value, otm the distance
    out of the money over spot. A put's maintenance is at least a share of its value, its
    initial margin at least ``offset`` times its maintenance.
    """
    options, spot = market.options, market.spot
    sold = np.minimum(options.amount, 0.0) * spot
    call = marks + sold * rule.call_maintenance
    put = marks + np.minimum(sold * rule.put_maintenance, marks * rule.put_maintenance_mark)
    if initial:
        out = np.where(options.is_call, options.strike - spot, spot - options.strike) / spot
        share = np.maximum(rule.spot_least, rule.spot_most - np.maximum(out, 0.0))
        call = marks + sold * share
        put = np.minimum(call, put * rule.offset)
    return np.where(options.amount < 0, np.where(options.is_call, call, put), 0.0)


def greatest_loss(options: Options, here: FloatArray, unpaired: float) -> FloatArray:
    """Payoff by option at the settlement price that is worst for one expiry, shape of ``here``'s options.

    Looked for at 0 and at every strike; what calls sold beyond those bought may lose
    further up is ``unpaired`` for each, in the cash asset.
    """
    strike, amount, is_call = options.strike[here], options.amount[here], options.is_call[here]
    prices = np.concatenate([np.zeros(1), strike])
    moved = prices[:, None] - strike
    payoff = np.maximum(np.where(is_call, moved, -moved), 0.0) * amount
    totals = np.add.reduce(payoff, axis=1)
    worst = int(totals.argmin())
    loss = payoff[worst] if totals[worst] < 0 else np.zeros(len(amount))
    calls = np.where(is_call, amount, 0.0)
    if float(np.add.reduce(calls)) < 0:
        loss = loss + calls * unpaired
    return loss
