"""A market, a policy and forecasts, prepared once: every account is then margined from the same arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.closing import Closing, closing_of
from serving.margin.closing_time import wider_scenarios
from serving.margin.contingent import Contingent, contingent_of
from serving.margin.expired import unexpired
from serving.margin.objects import ForecastSet, MarketSnapshot
from serving.margin.paths import JointPaths, joint_paths
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket, price_market, strike_moves
from serving.margin.ranges import Ranges, is_fresh, ranges_of
from serving.margin.scenarios import scenarios_of
from serving.margin.scenarios.fine import fine
from serving.margin.scenarios.scenario_set import ScenarioSet, joined
from serving.margin.units import unit_pnl

FloatArray = NDArray[np.float64]


NO_PATHS: Final = (
    "no joint paths: residuals are missing or fewer than the policy's least_paths; "
    "no credit between underlyings, and a share of the scan stands for their shortfall"
)
OLD_PATHS: Final = "the residuals' forecast has expired: their joint paths hold the requirement up and give no credit"


@dataclass(frozen=True, slots=True)
class Stress:
    """Scenarios over one period of risk and what one contract of everything loses in them.

    Profits lie in memory instrument by instrument: an account sums a few columns of many.
    ``unit``, shape (s, n): USD profit of one contract; ``wider``, shape (growths * s, n): where the
    range has grown while an account is closed. ``path_unit``, shape (paths, n): the same on
    the joint paths, each underlying on its own rows; None without paths. ``hole``, shape (u,): share of the scan
    that is charged where a range rests on a fallback, else 0.
    """

    ranges: Ranges
    scenarios: ScenarioSet
    unit: FloatArray
    wider: FloatArray
    paths: JointPaths | None
    path_unit: FloatArray | None
    hole: FloatArray


@dataclass(frozen=True, slots=True)
class Prepared:
    """What all accounts of one instant share.

    ``before``: the same as if the forecast that expired last had not, below which nothing falls; None where none has.
    """

    market: PricedMarket
    policy: MarginPolicy
    forecasts: tuple[ForecastSet, ...]
    initial: Stress
    maintenance: Stress
    closing: Closing
    contingent: Contingent
    before: "Prepared | None" = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Every fallback that the ranges rest on."""
        found = self.initial.paths
        paths = (NO_PATHS,) if found is None else () if found.fresh else (OLD_PATHS,)
        return tuple(dict.fromkeys((*self.initial.ranges.notes, *self.maintenance.ranges.notes, *paths)))


def prepare(market: MarketSnapshot, policy: MarginPolicy, forecasts: Sequence[ForecastSet] = ()) -> Prepared:
    """Price the market, turn forecasts into ranges and value every contract in every scenario.

    Parameters
    ----------
    forecasts : in order of preference: the model's, then what stands in for it.
    """
    return _prepared(price_market(market), policy, tuple(forecasts))


def _prepared(priced: PricedMarket, policy: MarginPolicy, forecasts: tuple[ForecastSet, ...]) -> Prepared:
    maintenance = _stress(priced, policy, forecasts, policy.scan.liquidation_s)
    initial = _wider(_stress(priced, policy, forecasts, policy.scan.mpor_s), maintenance)
    closing = closing_of(priced, initial.ranges, forecasts, policy)
    contingent = contingent_of(priced, closing.greeks, initial.ranges, policy)
    renewed = unexpired(forecasts, priced.snapshot.as_of_ns, policy)
    before = None if renewed is None else _prepared(priced, policy, renewed)
    return Prepared(priced, policy, forecasts, initial, maintenance, closing, contingent, before)


def _wider(initial: Stress, maintenance: Stress) -> Stress:
    """Scenarios of initial margin with those of maintenance.

    A grid is a sample: the narrower one may meet a strike that the wider one steps over.
    """
    names = tuple(f"maintenance: {name}" for name in maintenance.scenarios.names)
    every = joined([initial.scenarios, replace(maintenance.scenarios, names=names)])
    unit = np.asfortranarray(np.concatenate([initial.unit, maintenance.unit]))
    return replace(initial, scenarios=every, unit=unit, hole=np.maximum(initial.hole, maintenance.hole))


def _stress(priced: PricedMarket, policy: MarginPolicy, forecasts: Sequence[ForecastSet], horizon_s: int) -> Stress:
    as_of_ns = priced.snapshot.as_of_ns
    ranges = ranges_of(priced.underlyings, forecasts, as_of_ns, policy, horizon_s)
    more = fine(ranges, strike_moves(priced), policy.scenarios) if ranges.holed else []
    scenarios = joined([scenarios_of(ranges, policy.scenarios), *more])
    every = joined([scenarios, wider_scenarios(ranges, policy.scenarios)])
    unit, wider = map(np.asfortranarray, np.split(unit_pnl(priced, every, policy.scenarios), [scenarios.size]))
    given = sorted((f for f in forecasts if f.residuals), key=lambda f: not is_fresh(f, as_of_ns, policy))
    fresh = bool(given) and is_fresh(given[0], as_of_ns, policy)
    paths = joint_paths(ranges, given[0].residuals if given else None, policy.paths, fresh=fresh)
    path_unit = None if paths is None else np.asfortranarray(unit_pnl(priced, paths.scenarios, policy.scenarios))
    hole = np.array([policy.static.hole_frac * (name in ranges.holed) for name in ranges.underlyings])
    return Stress(ranges, scenarios, unit, wider, paths, path_unit, hole)
