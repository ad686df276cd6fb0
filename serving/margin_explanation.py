"""Where a requirement comes from: ranges, worst scenarios, liquidation prices, the challenger's figure."""

from collections.abc import Iterable

import numpy as np
from rich.table import Table
from rich.text import Text

from serving.margin.holdings import book_of
from serving.margin.liquidation_prices import liquidation_prices
from serving.margin.prepared import Prepared, Stress
from serving.margin.quote import alone
from serving.margin.scan_charges import filled, profits
from serving.margin_job import MarginJob
from serving.margin_tables import table

WORST = 3


def explanation(job: MarginJob) -> Iterable[Table | Text]:
    """Blocks that follow the result itself; under a venue's rule the result says it all."""
    if job.rule is not None:
        return
    prepared = job.prepared
    yield _ranges(prepared)
    yield _scenarios(job, prepared.initial)
    yield _liquidations(job)
    sensitivity, revaluation, alarm = job.challenged()
    verdict = "they agree" if alarm is None else "they part: see the note"
    yield Text(f"challenger       {sensitivity:,.2f} by sensitivities, {revaluation:,.2f} by revaluation; {verdict}")


def _ranges(prepared: Prepared) -> Table:
    """How far each underlying is moved for both margins."""
    rows = []
    for i, name in enumerate(prepared.market.underlyings):
        pairs = [(stress.ranges.down[i], stress.ranges.up[i]) for stress in (prepared.initial, prepared.maintenance)]
        rows.append((name, *(f"{-100 * d:.2f} / {100 * u:+.2f}" for d, u in pairs)))
    hours = (stress.ranges.horizon_s / 3600 for stress in (prepared.initial, prepared.maintenance))
    initial, maintenance = (f"{h:g} h" for h in hours)
    return table("scan ranges, %", ("underlying", f"initial, {initial}", f"maintenance, {maintenance}"), rows)


def _scenarios(job: MarginJob, stress: Stress) -> Table:
    """The worst scenarios of each underlying."""
    cross = tuple(p for p in job.account.positions if p.mode == "cross")
    book = book_of(job.account, cross, job.prepared.market, job.policy)
    pnl = (filled(stress, book) or profits(stress, book)).grid
    rows = []
    for u, name in enumerate(job.prepared.market.underlyings):
        for s in np.argsort(pnl[:, u], kind="stable")[:WORST]:
            if pnl[s, u] < 0:
                scenarios = stress.scenarios
                weight = scenarios.weight[s, u]
                rows.append(
                    (
                        name,
                        scenarios.names[s],
                        f"{100 * scenarios.move[s, u]:+.1f}",
                        f"{weight:.2f}",
                        f"{-pnl[s, u]:,.2f}",
                    )
                )
    out = table("worst scenarios for initial margin", ("underlying", "scenario", "move %", "weight", "loss"), rows)
    out.columns[1].justify = "left"
    return out


def _liquidations(job: MarginJob) -> Table:
    """Prices at which the cross positions are liquidated."""
    found = liquidation_prices(job.account, job.market, job.policy, job.forecasts)
    for position in job.account.positions:
        if position.mode == "isolated":
            own = liquidation_prices(alone(job.account, position), job.market, job.policy, job.forecasts)
            found |= {f"{name} isolated": prices for name, prices in own.items()}
    rows = [
        (
            name,
            f"{job.market.underlyings[name.removesuffix(' isolated')].spot:,f}",
            *("none" if p is None else f"{p:,f}" for p in prices),
        )
        for name, prices in found.items()
    ]
    return table("liquidated at, all else as today", ("underlying", "today", "below", "above"), rows)
