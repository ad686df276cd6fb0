"""Figures of a comparison by name, and which models a picture with room for few shows."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from features.clock import HOUR_S

ROOM = 5  # lines that a reader can tell apart in one picture, besides the baseline


@dataclass(frozen=True, slots=True)
class Board:
    """Scores by horizon (seconds, increasing), the models that have any, and the one they are held against."""

    by_horizon: Mapping[int, Mapping[str, Any]]
    models: tuple[str, ...]
    baseline: str | None

    def pooled(self, horizon_s: int) -> Mapping[str, Mapping[str, Any]]:
        """Figures by model, over all instruments."""
        found: Mapping[str, Mapping[str, Any]] = self.by_horizon[horizon_s]["pooled"]
        return found

    def row(self, horizon_s: int, model: str) -> dict[str, Any]:
        """All figures of one model at one horizon, its place in the confidence sets and its coverage among them."""
        found = self.by_horizon[horizon_s]
        sets = {loss: {"p": p.get(model)} for loss, p in found.get("mcs", {}).items()}
        coverage = found.get("coverage", {}).get(model, {})
        return {**found["pooled"][model], "mcs": sets, "coverage": min(coverage.values(), default=None)}

    def sorted_by(self, horizon_s: int, *path: str) -> list[str]:
        """Models from the smallest figure to the largest; those without one come last."""
        table = self.pooled(horizon_s)
        return sorted(table, key=lambda model: (_last(figure(table[model], *path)), model))

    def ranked(self, *path: str) -> list[str]:
        """Models by their mean rank over the horizons, best first; the figure is a loss."""
        ranks: dict[str, list[int]] = {model: [] for model in self.models}
        for horizon_s in self.by_horizon:
            for rank, model in enumerate(self.sorted_by(horizon_s, *path)):
                ranks[model].append(rank)
        return sorted(ranks, key=lambda model: (sum(ranks[model]) / len(ranks[model]), model))

    def leaders(self, *path: str, room: int = ROOM) -> list[str]:
        """The best few models and the baseline; of models that are one in this figure, the first by name."""
        chosen: list[str] = []
        base = [self.baseline] if self.baseline else []
        for model in self.ranked(*path):
            known = [*chosen, *base]
            if len(chosen) < room and self._figures(model, path) not in [self._figures(m, path) for m in known]:
                chosen.append(model)
        return [*chosen, *base]

    def _figures(self, model: str, path: tuple[str, ...]) -> list[float]:
        return [figure(self.pooled(h)[model], *path) for h in self.by_horizon]


def board_of(scores: Mapping[str, Any]) -> Board:
    """Horizons that have scores, in order; their keys may be numbers or, after JSON, text."""
    by_horizon = {int(h): found for h, found in scores["horizons"].items() if found.get("pooled")}
    models = sorted({model for found in by_horizon.values() for model in found["pooled"]})
    baseline = scores.get("baseline")
    return Board(dict(sorted(by_horizon.items())), tuple(models), baseline if baseline in models else None)


def figure(found: Mapping[str, Any], *path: str) -> float:
    """A number within nested tables; NaN where there is none, as for a comparison of the baseline with itself.

    Examples
    --------
    >>> figure({"vs": {"qlike": {"skill": 0.1}}}, "vs", "qlike", "skill"), figure({}, "vs")
    (0.1, nan)
    """
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return float("nan") if value is None or isinstance(value, str | Mapping) else float(value)


def _last(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def hours(horizon_s: int) -> str:
    """A horizon for a heading.

    Examples
    --------
    >>> hours(14_400), hours(900)
    ('4 h', '15 min')
    """
    return f"{horizon_s // HOUR_S} h" if horizon_s % HOUR_S == 0 else f"{horizon_s // 60} min"


def spoken(names: Iterable[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> spoken(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
