"""Books of a synthetic market, with the variance that who knows its hidden state expects."""

from dataclasses import replace

import numpy as np
import polars as pl

from backtests.ablation_plan import AblationPlan, FloatArray, Group, Recording
from backtests.ablation_recordings import recordings_of
from features.clock import HOUR_S, NS_PER_S
from features.panel import Panel
from features.pipeline import Progress, compute_panels, no_progress
from features.sources.synthetic import Feed, Instrument, Latent, MarketSpec, draw_events, simulate
from features.sources.synthetic.conditional import Rows, moments_of
from features.sources.synthetic.factors import YEAR_S, Factor
from features.specs import find_spec

START_NS = 1_704_067_200_000_000_000  # 2024-01-01
FEED = Feed(message_s=1.0)


def market_spec(plan: AblationPlan) -> MarketSpec:
    """The packaged market with a brisk variance, without jumps and crashes.

    In a day jumps are too few to learn their law from, and one of them would rule all figures.
    """

    def brisk(factor: Factor) -> Factor:
        return replace(factor, half_life_s=plan.half_life_s, jumps_per_year=(0.0,) * len(factor.vols_annual))

    def calm(item: Instrument) -> Instrument:
        return replace(item, own=brisk(item.own), crash=replace(item.crash, per_year=0.0))

    spec = MarketSpec()
    return MarketSpec(brisk(spec.market), tuple(calm(item) for item in spec.instruments))


def group_of_market(plan: AblationPlan, progress: Progress = no_progress) -> Group:
    """Draw the market, compute the panel of each instrument, and put the truth beside it."""
    spec = find_spec(plan.specs[0])
    path_rng, *others = np.random.default_rng(plan.seed).spawn(1 + len(market_spec(plan).symbols))
    path = simulate(market_spec(plan), START_NS, float(plan.market_hours * HOUR_S), FEED.message_s, path_rng)
    recordings: list[Recording] = []
    for i, (symbol, rng) in enumerate(zip(path.spec.symbols, others, strict=True)):
        drawn = draw_events(path, symbol, rng, FEED)
        tables: dict[str, list[pl.DataFrame]] = {"trades": [drawn.trades], "book_deltas": [drawn.book_deltas]}
        panel = compute_panels({symbol: {**tables}}, (symbol,), spec)[symbol]
        recordings += recordings_of(replace(panel, instrument=f"synthetic/{symbol}"), plan, truth(path, symbol, panel))
        progress(i + 1, len(others))
    return Group("synthetic market", tuple(recordings))


def truth(path: Latent, symbol: str, panel: Panel) -> FloatArray:
    """Expected sum of squared returns over each horizon, given the hidden state at each origin, shape (n, h)."""
    i = path.spec.index(symbol)
    states = Rows(path.regime, path.market_variance, path.own_variance[i], path.crash[i])
    rows = np.round((panel.origin_ns - path.ts_ns[0]) / (path.step_s * NS_PER_S)).astype(np.int64)
    known = states.take(rows)
    columns = [
        moments_of(path.spec.market, path.spec.instruments[i], known, horizon_s / YEAR_S).quadratic_variation
        for horizon_s in panel.spec.horizons_s
    ]
    return np.stack(columns, axis=1)
