"""The main job's page: which table and picture stands where, and how to read it."""

from pathlib import Path

import numpy as np

from backtests import plots
from backtests.demo_plan import BASELINE, NAMES, NETWORK, DemoPlan, DemoResult
from backtests.demo_tables import margin_table, score_table
from backtests.margin import realised_loss
from backtests.report import Section, write_report
from features.clock import HOUR_S, format_utc, parse_utc
from features.panel import Panel
from models.base import LEVELS, Forecast
from serving.schedule import SIDES, Schedule


def write_demo_report(
    path: Path,
    result: DemoResult,
    tested: dict[str, Forecast],
    schedule: Schedule,
    panel: Panel,
    price: np.ndarray,
    plan: DemoPlan,
) -> None:
    """Write the page of one run."""
    origins = tested[NETWORK].origin_ns
    first = panel.first_row_from(int(origins[0]))
    outcomes = panel.rows(first, first + len(origins)).targets.log_return
    losses = {side: realised_loss(panel, schedule, plan.policy.mpor_s, side) for side in SIDES}
    write_report(
        path,
        f"margincast: {result.instrument} forecasts and margins",
        f"{format_utc(int(origins[0]))} to {format_utc(int(origins[-1]))}, "
        f"{len(origins)} hourly origins, none of which the network was trained on.",
        _tiles(result),
        [*_forecast_sections(result, tested, outcomes, plan), *_margin_sections(result, schedule, price, losses, plan)],
        f"model {result.model_id} · margin policy {plan.policy.hash} · "
        "numbers in scores.json, forecasts in forecasts.parquet",
    )


def _forecast_sections(
    result: DemoResult, tested: dict[str, Forecast], outcomes: np.ndarray, plan: DemoPlan
) -> list[Section]:
    """Scoreboard, fan, hits and reliability."""
    network = tested[NETWORK]
    h, hours = network.horizon_index(plan.policy.mpor_s), plan.policy.mpor_s // HOUR_S
    return [
        Section(
            "Scoreboard",
            "Walk-forward forecasts from every full hour. Every model has the same online debiasing and the same "
            "year of residuals to shift its tails. Smaller is better for QLIKE, pinball, CRPS and FZ0 (best in blue); "
            "net of floor is QLIKE less that of a perfect forecast; t compares with log-HAR by Diebold-Mariano on "
            "daily means (below -2 is better beyond chance); hits should be 1.00 %, p is Kupiec's over "
            "non-overlapping windows.",
            [score_table(result)],
        ),
        Section(
            f"The network's {hours} h forecast and what came",
            "Bands are forecast quantiles at each hour; a red dot is a return outside the 1 % to 99 % band, "
            "of which there should be two in a hundred.",
            [plots.fan(network, outcomes[:, h], h)],
        ),
        Section(
            f"Hits over time, {hours} h",
            "A calibrated model stays around zero; a steep rise is a cluster of losses that it did not foresee, "
            "a long slope downwards is idle margin. Windows overlap, so hits come in groups.",
            [plots.cumulative_hits(tested, outcomes[:, h], h, NAMES)],
        ),
        Section(
            "Reliability",
            "Share of returns at or below each forecast quantile less its nominal level, in percentage points.",
            [plots.reliability(result.reliability, LEVELS, network.horizons_s, NAMES)],
        ),
    ]


def _margin_sections(
    result: DemoResult, schedule: Schedule, price: np.ndarray, losses: dict[str, np.ndarray], plan: DemoPlan
) -> list[Section]:
    """Margins through the falls that the test period holds, and what they are made of."""
    unit, hours = f"1 {result.instrument.removesuffix('USDT')}", plan.policy.mpor_s // HOUR_S
    spans = {name: (parse_utc(a), parse_utc(b)) for name, (a, b) in plan.falls.items()}
    first_ns, last_ns = schedule.origin_ns[[0, -1]]
    falls = {name: span for name, span in spans.items() if first_ns <= span[0] < last_ns}
    picture = [plots.crash_margins(falls, schedule, price, losses, hours, unit)] if falls else []
    return [
        Section(
            f"Margin of a {unit} perpetual{' through the falls' if falls else ''}",
            f"Published initial (IM, period of risk {hours} h) and maintenance margin (MM) of the network, and the "
            "loss that a position opened at each hour made over the period of risk. A red area above a solid line "
            "would be a loss beyond the margin.",
            [*picture, margin_table(result)],
        ),
        Section(
            "What the initial margin is made of",
            "Parts of the published rate: the forecast loss, what is held through gaps of the feed, the weight of "
            "stressed days, the floor, the buffer that is used up as the forecast rises, and the limiter that lets the "
            "rate fall by a tenth a day at most.",
            [plots.margin_parts(schedule, side, losses[side]) for side in SIDES],
        ),
    ]


def _tiles(result: DemoResult) -> list[tuple[str, str]]:
    """The page in five figures."""
    tiles = []
    by_key = {(s.model, s.horizon_s): s for s in result.scores}
    for horizon_s in dict.fromkeys(s.horizon_s for s in result.scores):
        gain = 1 - by_key[NETWORK, horizon_s].qlike / by_key[BASELINE, horizon_s].qlike
        tiles.append(
            (
                f"{horizon_s // HOUR_S} h QLIKE against log-HAR (less is better)",
                f"{-100 * gain:+.1f} %",
            )
        )
    breaches = sum(m.breaches for m in result.margins if m.model == NETWORK)
    return [*tiles, ("losses beyond the network's initial margin, both sides", str(breaches))]
