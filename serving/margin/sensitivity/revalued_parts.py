"""Full revaluation of one part of an account at a time: its price over the range, its volatility over its moves."""

import numpy as np
from numpy.typing import NDArray

from serving.margin.objects import Account
from serving.margin.scenarios.grid import grid
from serving.margin.scenarios.scenario_set import ScenarioSet, scenario_set
from serving.margin.scenarios.vol import directions
from serving.margin.sensitivity.account import SensitivityMarket, product_of, sensitivity_margin
from serving.margin.sensitivity.band import USUAL_BAND, Band
from serving.margin.sensitivity.challenger import Alarm, Part, challenge, part_figures
from serving.margin.units import unit_pnl

FloatArray = NDArray[np.float64]
TURNS = directions()


def revalued_parts(account: Account, market: SensitivityMarket) -> dict[Part, float]:
    r"""Worst loss of each underlying from its price alone and from its volatility alone, USD, at least 0.

    .. math:: price = \max_{v, m} \left( P(0, v) - P(m, v) \right), \qquad
              volatility = \max_{m, v} \left( P(m, 0) - P(m, v) \right)

    over the price moves :math:`m` of the grid and volatility :math:`v` unmoved or up (price), down or up
    (volatility); P is the profit. Each is taken wherever the other may be, as the sensitivities are.
    Isolated positions offset nothing: their losses are added.

    Raises
    ------
    DataError
        If an instrument is unknown, expired or cannot be priced.
    """
    policy = market.calibration.policy
    pnl = unit_pnl(market.market, _scenarios(market), policy)
    sums: dict[tuple[str, str], FloatArray] = {}
    for position in account.positions:
        row = market.market.row(position.instrument)
        name = market.market.snapshot.instruments[row].underlying
        own = sums.setdefault((name, product_of(position)), np.zeros(len(pnl)))
        own += float(position.quantity) * pnl[:, row]
    found: dict[Part, float] = {}
    for (name, _), own in sums.items():
        table = own.reshape(2 * policy.steps + 1, len(TURNS))  # (move, volatility: down, same, up)
        price = float((table[policy.steps] - table)[:, 1:].max())
        volatility = float((table[:, 1:2] - table).max())
        found[name, "price"] = found.get((name, "price"), 0.0) + price
        found[name, "volatility"] = found.get((name, "volatility"), 0.0) + volatility
    return found


def _scenarios(market: SensitivityMarket) -> ScenarioSet:
    """The grid, of the market's underlyings in their order: price moves, each with three volatilities."""
    calibration, names = market.calibration, market.market.underlyings
    whole = grid(calibration.ranges, calibration.policy)
    at = [calibration.ranges.underlyings.index(name) for name in names]
    return scenario_set(whole.names, whole.move[:, at], whole.vol[:, at])


def challenge_account(
    account: Account,
    market: SensitivityMarket,
    revaluation_usd: float,
    band: Band = USUAL_BAND,
) -> Alarm | None:
    """Challenge the scenario part of an account's requirement, in all and by part.

    Parameters
    ----------
    account : positions.
    market : priced and calibrated over the same ranges as the requirement.
    revaluation_usd : worst scenario loss by full revaluation, without add-ons.
    band : what is still agreement.
    """
    return challenge(
        account.account_id,
        sensitivity_margin(account, market).amount,
        revaluation_usd,
        part_figures(account, market),
        revalued_parts(account, market),
        band,
    )
