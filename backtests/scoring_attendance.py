"""Which model has a forecast for which window, and so which windows all models are compared on."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from backtests.forecast_file import NS_PER_MS, SHORTFALL_LEVELS
from backtests.forecast_rows import ForecastFiles, defects_of, usable
from backtests.outcomes import Outcomes
from backtests.scoring_losses import NUMBERS
from features.engine import Bools, Ints
from features.pipeline import Progress
from models.base import LEVELS

Market = Mapping[str, Mapping[int, Outcomes]]  # by instrument and horizon


@dataclass(slots=True)
class Attendance:
    """Where each model has a usable forecast.

    ``present``: by model, instrument and horizon, of the origins of the outcomes, shape (n,). ``defects``: by model,
    counts of rows that break a rule. ``not_scored``: models that cover too little, and by how much.
    """

    present: dict[tuple[str, str, int], Bools] = field(default_factory=dict)
    defects: dict[str, dict[str, int]] = field(default_factory=dict)
    not_scored: dict[str, dict[str, float]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)

    def share(self, model: str, instrument: str, outcomes: Outcomes) -> float:
        """Share of the scoreable origins at which a model has a forecast; 0 if none is scoreable."""
        present = self.present.get((model, instrument, outcomes.horizon_s))
        count = int(outcomes.scoreable.sum())
        return float((present & outcomes.scoreable).sum() / count) if count and present is not None else 0.0

    def common(self, instrument: str, outcomes: Outcomes) -> Bools:
        """Scoreable origins that every scored model has."""
        kept = outcomes.scoreable.copy()
        for model in self.models:
            kept &= self.present.get((model, instrument, outcomes.horizon_s), np.zeros(len(kept), dtype=bool))
        return kept


def take_attendance(files: ForecastFiles, market: Market, least_coverage: float, progress: Progress) -> Attendance:
    """Read every row once: count what is wrong, note who is there, and say who covers too little to be scored."""
    found, pairs = Attendance(), sorted(pair for pair in files.pairs if pair[1] in market)
    seen: set[str] = set()
    for done, (model, instrument) in enumerate(pairs):
        if _note(found, files, model, instrument, market[instrument]):
            seen.add(model)
        progress(done + 1, len(pairs))
    for instrument, by_horizon in market.items():
        for horizon_s, outcomes in by_horizon.items():
            for model in sorted(seen):
                share = found.share(model, instrument, outcomes)
                if outcomes.scoreable.any() and share < least_coverage:  # a constant price has nothing to score
                    found.not_scored.setdefault(model, {})[f"{instrument}/{horizon_s}"] = round(share, 4)
    found.models = sorted(seen - set(found.not_scored))
    return found


def _note(
    found: Attendance, files: ForecastFiles, model: str, instrument: str, by_horizon: Mapping[int, Outcomes]
) -> bool:
    """Note the rows of one pair; answers whether any can be used."""
    origin_ns = next(iter(by_horizon.values())).origin_ns
    parts = [part for part in files.by_file(model, instrument, *span_ms(origin_ns)) if len(part)]
    if not parts:
        return False
    for part in parts:
        counts = Counter(defects_of(part, tuple(by_horizon), LEVELS, SHORTFALL_LEVELS))
        counts.update(found.defects.get(model, {}))
        found.defects[model] = dict(counts)
    rows = usable(pl.concat(parts, how="diagonal"), NUMBERS)
    for horizon_s in by_horizon:
        present = np.zeros(len(origin_ns), dtype=bool)
        place = places(rows.filter(pl.col("horizon_s") == horizon_s), origin_ns)
        present[place[place >= 0]] = True
        found.present[model, instrument, horizon_s] = present
    return len(rows) > 0


def span_ms(origin_ns: Ints) -> tuple[int, int]:
    """First and last origin, ms."""
    return int(origin_ns[0]) // NS_PER_MS, int(origin_ns[-1]) // NS_PER_MS


def places(rows: pl.DataFrame, origin_ns: Ints) -> Ints:
    """Index of each row's origin among the (increasing) origins, -1 where it is none of them."""
    wanted = rows["origin_ms"].to_numpy() * NS_PER_MS
    index = np.minimum(np.searchsorted(origin_ns, wanted), len(origin_ns) - 1)
    return np.where(origin_ns[index] == wanted, index, -1)
