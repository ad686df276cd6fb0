"""The page of the book's job: which table and picture stands where, and how to read it."""

import numpy as np
import polars as pl

from backtests import book_plots, plots
from backtests.book_plan import MAIN, NAMES, BookResult
from backtests.book_tables import (
    BASIS_POINTS,
    coverage_table,
    feature_table,
    margin_table,
    score_table,
    span,
    worst_losses,
)
from backtests.margin import realised_loss
from backtests.report import Section, write_report
from features.clock import NS_PER_S, format_utc
from serving.schedule import SIDES


def write_book_report(result: BookResult, trades: pl.DataFrame, origin: str) -> None:
    """Write the page of one run; ``origin`` says where the data come from."""
    first_ns, last_ns = (format_utc(t) for t in result.session)
    write_report(
        result.report,
        f"margincast: half an hour of one order book, {result.instrument}",
        f"{first_ns} to {last_ns}, every order of one venue: what the book showed, what was forecast from it, "
        "and the margin that follows. An example of the whole way, no evidence that one model is better.",
        _tiles(result),
        [*_seen(result, trades), *_forecast(result), *_margins(result), _features(result)],
        f"{origin} · feature spec {result.plan.spec.hash} · margin policy {result.plan.policy.hash} · "
        "numbers in book_scores.json, forecasts in book_forecasts.parquet, margins in book_margins.csv",
    )


def _seen(result: BookResult, trades: pl.DataFrame) -> list[Section]:
    plan = result.plan
    spread_bp, flow = (
        BASIS_POINTS * np.exp(result.panel.column(plan.spread_feature)),
        result.panel.column(plan.flow_feature),
    )
    test_ns = int(result.walked.origin_ns[result.walked.first])
    picture = book_plots.book_picture(result.depth, trades, result.panel.origin_ns, spread_bp, flow, test_ns)
    return [
        Section(
            "What the book showed",
            "Size resting at each price, rebuilt from single orders (bids blue, asks orange, darker by powers of "
            "ten), the mid, and trades by the side that took. Below: the spread, the order-flow imbalance of the five "
            "best levels over ten seconds in units of their depth, and what was bought and sold in each ten seconds.",
            [picture],
        )
    ]


def _forecast(result: BookResult) -> list[Section]:
    plan, walked = result.plan, result.walked
    tested = walked.forecasts[MAIN].rows(walked.first)
    came = np.stack([mid_at(result, tested.origin_ns + h * NS_PER_S) for h in plan.horizons_s], axis=1)
    lengths = " and ".join(span(h) for h in plan.horizons_s)
    apart = " and ".join(str(n) for n in dict.fromkeys(s.apart for s in result.scores))
    return [
        Section(
            f"Forecasts over {lengths}",
            f"Bands of the price that {NAMES[MAIN]} gave one horizon earlier, from every {span(plan.every_s)}, and the "
            f"price that came. The model is fitted anew every {span(plan.refit_s)}, on windows that had ended by then. "
            "Bands without a price at the right are forecasts whose window had not ended.",
            [book_plots.fans(tested, mid_at(result, tested.origin_ns), came)],
        ),
        Section(
            "Scores",
            f"The test part holds only {apart} windows of the two horizons that do not overlap (column apart): the "
            "order of the models in it is chance as far as anyone can tell, and no test of significance is made. No "
            "setting was searched for, but the rule for the tails was settled after a first look at this session. "
            "Smaller is better for QLIKE, pinball and CRPS (least in blue); RV/f is realised over forecast variance; "
            "in 90 % counts the windows between the 5 % and the 95 % quantile. Windows in which the mid never moved "
            "have no realised variance and are left out. Every model has the same online debiasing and the same tails.",
            [score_table(result)],
        ),
        Section(
            "Coverage, counted",
            "Windows at or below each quantile, and how many would be expected of a calibrated model. Windows overlap, "
            "so counts come in runs. The law of each forecast is a mixture of the standardised returns of the ended "
            f"windows, in both directions, and a Student law that weighs as much as {plan.prior_windows:g} windows "
            "that do not overlap: with few windows its wide tails count, with many the windows themselves. At a level "
            "that so few windows cannot tell, the law is nowhere narrower than Student's.",
            [coverage_table(result)],
        ),
    ]


def _margins(result: BookResult) -> list[Section]:
    plan, schedule = result.plan, result.schedules[MAIN]
    losses = {side: realised_loss(result.panel, schedule, plan.policy.mpor_s, side) for side in SIDES}
    cost_bp = BASIS_POINTS * schedule.sides["long"].cost_frac
    mpor, close_out = span(plan.policy.mpor_s), span(plan.policy.liquidation_s)
    parts = plots.margin_parts(schedule, "long", losses["long"]).update_layout(margin_b=64, legend_y=-0.18)
    calm, traded = 24 * plan.every_s, int(plan.cost_feature.split("_")[2])
    return [
        Section(
            f"Margin over {mpor}",
            f"Initial margin covers {mpor}, maintenance margin {close_out}, for a long and a short, in basis points of "
            f"notional, by the rules of the published margins: the larger of the {100 * plan.policy.es_level:g} % "
            f"expected shortfall and the {100 * plan.policy.var_level:g} % quantile, blended with stress, a floor, a "
            "buffer, and a limiter. Initial margin is never below maintenance margin: where the lines meet, the tails "
            "of the shorter time ask for more. A red area above a solid line would be a loss beyond the margin. A "
            "venue asks for hours, not minutes: this is what the book's forecasts alone ask for.",
            [book_plots.margins_and_losses(schedule, losses, plan.policy.mpor_s), margin_table(result)],
        ),
        Section(
            "What the initial margin is made of",
            f"Stress, floor and long run are those of the session so far, renewed every {span(plan.refit_s)}: half an "
            "hour knows no other days, and the most volatile fifth of its windows stands for the stressed ones. The "
            f"limiter counts origins, so its day is {span(calm)}: the rate falls by a tenth in that time at most. On "
            f"top comes the cost of closing, {cost_bp:.2f} bp: the dearest at which {traded:,} USD could be traded by "
            "walking the book before the test (not drawn).",
            [parts],
        ),
    ]


def _features(result: BookResult) -> Section:
    return Section(
        "What the models saw",
        f"One row a second of the mid, the {result.plan.spec.depth} best levels of each side and the trades. r is a "
        "one-second return of the mid m, h the look-back in hours, D a depth, q, s and p size, side and price of a "
        "trade. EWMA sees the first feature alone and begins at the longest log_rv, the log-HAR ridge sees the other "
        "log_rv, the third model all but the first.",
        [feature_table(result.plan.shown_features, result.panel)],
    )


def mid_at(result: BookResult, origin_ns: np.ndarray) -> np.ndarray:
    """The mid at instants, from the books of the picture; NaN where they have none."""
    depth = result.depth
    rows = np.minimum(np.searchsorted(depth.ts_ns, origin_ns), len(depth.ts_ns) - 1)
    return np.where(depth.ts_ns[rows] == origin_ns, depth.mid[rows], np.nan)


def _tiles(result: BookResult) -> list[tuple[str, str]]:
    """The page in a few figures."""
    mid = result.depth.mid
    moved_bp = BASIS_POINTS * float(np.nanmax(mid) / np.nanmin(mid) - 1)
    spread_bp = BASIS_POINTS * float(np.exp(np.nanmedian(result.panel.column(result.plan.spread_feature))))
    worst = worst_losses(result)
    highest = {side: float(result.schedules[MAIN].sides[side].initial_frac.mean()) for side in SIDES}
    return [
        ("order events", f"{result.counts['order_events']:,}".replace(",", " ")),
        ("trades", f"{result.counts['trades']:,}".replace(",", " ")),
        ("lowest to highest mid", f"{moved_bp:.1f} bp"),
        ("median spread", f"{spread_bp:.2f} bp"),
        (
            f"mean initial margin, long and short, over {span(result.plan.policy.mpor_s)}",
            " · ".join(f"{BASIS_POINTS * r:.0f}" for r in highest.values()) + " bp",
        ),
        (
            "worst loss in the test, long and short",
            " · ".join(f"{BASIS_POINTS * r:.0f}" for r in worst.values()) + " bp",
        ),
    ]
