"""Where a requirement comes from: ranges, worst scenarios, liquidation prices, the challenger's figure."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np

from serving.margin.holdings import book_of
from serving.margin.liquidation_prices import Surplus, liquidation_prices, policy_surplus, rule_surplus
from serving.margin.objects import Account, MarginResult
from serving.margin.prepared import Prepared
from serving.margin.quote import alone
from serving.margin.scan_charges import filled, profits
from serving.margin_job import MarginJob

WORST = 3


class ScanRange(msgspec.Struct, frozen=True):
    """How far an underlying is moved for one margin; relative, positive."""

    underlying: str
    margin: str
    horizon_s: int
    down_frac: float
    up_frac: float


class WorstScenario(msgspec.Struct, frozen=True):
    """One of the scenarios in which an underlying's positions and orders lose most, for initial margin."""

    underlying: str
    scenario: str
    move_frac: float
    weight: float
    loss_usd: float


class Liquidation(msgspec.Struct, frozen=True):
    """Prices of an underlying at which the account, or its isolated position, is liquidated; None: at none near."""

    account_id: str
    underlying: str
    today: Decimal
    below: Decimal | None = None
    above: Decimal | None = None


class Challenge(msgspec.Struct, frozen=True):
    """Scan by sensitivities and by full revaluation, USD, and what is said where they part."""

    sensitivity_usd: float
    revaluation_usd: float
    alarm: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """A result and what it comes from; under a venue's rule the result and the liquidation prices alone."""

    result: MarginResult
    ranges: tuple[ScanRange, ...]
    worst_scenarios: tuple[WorstScenario, ...]
    liquidations: tuple[Liquidation, ...]
    challenger: Challenge | None = None


def explained(job: MarginJob) -> Explanation:
    """Answer a question with everything that the answer follows from."""
    if job.rule is not None:
        surplus = rule_surplus(job.rule, job.parameters, job.policy, job.forecasts)
        return Explanation(job.result(), (), (), tuple(_liquidations(job, surplus)), None)
    sensitivity, revaluation, alarm = job.challenged()
    return Explanation(
        job.result(),
        tuple(_ranges(job.prepared)),
        tuple(_scenarios(job)),
        tuple(_liquidations(job, policy_surplus(job.policy, job.forecasts))),
        Challenge(sensitivity, revaluation, None if alarm is None else alarm.message),
    )


def _ranges(prepared: Prepared) -> Iterator[ScanRange]:
    for i, name in enumerate(prepared.market.underlyings):
        for margin in ("initial", "maintenance"):
            ranges = getattr(prepared, margin).ranges
            yield ScanRange(name, margin, ranges.horizon_s, float(ranges.down[i]), float(ranges.up[i]))


def _scenarios(job: MarginJob) -> Iterator[WorstScenario]:
    stress = job.prepared.initial
    cross = tuple(p for p in job.account.positions if p.mode == "cross")
    book = book_of(job.account, cross, job.prepared.market, job.policy)
    pnl = (filled(stress, book) or profits(stress, book)).grid
    scenarios = stress.scenarios
    for u, name in enumerate(job.prepared.market.underlyings):
        for s in np.argsort(pnl[:, u], kind="stable")[:WORST]:
            if pnl[s, u] < 0:
                move, weight = float(scenarios.move[s, u]), float(scenarios.weight[s, u])
                yield WorstScenario(name, scenarios.names[s], move, weight, float(-pnl[s, u]))


def _liquidations(job: MarginJob, surplus: Surplus) -> Iterator[Liquidation]:
    """Of the cross positions, then of every isolated one."""
    yield from _liquidated(job.account, job, surplus)
    for position in job.account.positions:
        if position.mode == "isolated":
            yield from _liquidated(alone(job.account, position), job, surplus)


def _liquidated(account: Account, job: MarginJob, surplus: Surplus) -> Iterator[Liquidation]:
    for name, (below, above) in liquidation_prices(account, job.market, surplus).items():
        yield Liquidation(account.account_id, name, job.market.underlyings[name].spot, below, above)
