"""Does a challenger beat its opponent on the same windows, beyond chance, without harm to tails or coverage?"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from backtests.compare import LEAST_DAYS, DieboldMariano, by_day, dm_test
from backtests.coverage import tail_probability
from backtests.forecast_file import SHORTFALL_LEVELS
from features.clock import HOUR_S

FloatArray = NDArray[np.float64]
SIZE = 0.05  # of every test, and of a family of them together
QLIKE, FZ0 = "qlike", "fz_tail"
HITS = tuple(f"hit_{level:g}" for level in SHORTFALL_LEVELS)
NEEDED = (QLIKE, FZ0, *HITS)
ALL_HORIZONS = 0


@dataclass(frozen=True)
class Contest:
    """Losses of two models over the same n windows of each of h horizons.

    ``day`` (n,): day number of each origin, those of several instruments one after the other. ``challenger``,
    ``opponent``: arrays of shape (n, h) by the names of :data:`NEEDED`, NaN where a window does not count.
    ``missing``: scoreable windows that the challenger did not forecast, and an example.
    """

    day: NDArray[np.int64]
    horizons_s: tuple[int, ...]
    challenger: Mapping[str, FloatArray]
    opponent: Mapping[str, FloatArray]
    missing: int = 0
    example: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: mean losses, their difference (negative: the challenger is better) with 95 %, one-sided p-values.

    ``horizon_s`` 0: mean over the horizons. ``p_better`` is small where the challenger is better beyond chance,
    ``p_worse`` where it is worse; NaN on fewer than 20 days.
    """

    loss: str
    horizon_s: int
    challenger: float
    opponent: float
    difference: float
    low: float
    high: float
    p_better: float
    p_worse: float

    @property
    def named(self) -> str:
        """What is compared, in words."""
        return f"{self.loss} {f'at {self.horizon_s / HOUR_S:g} h' if self.horizon_s else 'over all horizons'}"


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger wins, why not, and every figure."""

    lines: tuple[Line, ...]
    reasons: tuple[str, ...]
    windows: int
    days: int
    sides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wins(self) -> bool:
        """No reason speaks against it."""
        return not self.reasons

    def line(self, loss: str, horizon_s: int = ALL_HORIZONS) -> Line:
        """One comparison."""
        return next(line for line in self.lines if (line.loss, line.horizon_s) == (loss, horizon_s))

    def to_json(self) -> dict[str, Any]:
        """Plain values; None for what is not finite."""
        lines = [{k: _plain(v) for k, v in asdict(line).items()} for line in self.lines]
        told = {"wins": self.wins, "reasons": list(self.reasons), "windows": self.windows, "days": self.days}
        return told | {"lines": lines} | dict(self.sides)


def judge(contest: Contest) -> Verdict:
    r"""Hold a challenger against its opponent; it wins unless a reason speaks against it.

    With d the daily mean difference of a loss and Diebold & Mariano's t by :func:`~backtests.compare.dm_test`, all
    at 5 %: QLIKE averaged over the horizons must be lower beyond chance (one-sided); FZ0 averaged over the horizons
    must not be higher beyond chance; neither may be at any horizon, nor may a tail's rate of hits be further from its
    level than the opponent's, each family of h horizons, or h times 4 levels, held to 5 % together (Bonferroni).
    A comparison that cannot be made, on fewer than 20 days, speaks against the challenger, too.
    The distance of the rate k from the level p is compared by the daily means of

    .. math:: s_1 (I^1 - p) - s_0 (I^0 - p), \qquad s_j = \mathrm{sign}(\bar I^j - p)

    whose mean is the difference of the distances. A challenger that left out a scoreable window does not win.

    Parameters
    ----------
    contest : losses of both.

    References
    ----------
    Diebold & Mariano (1995), "Comparing predictive accuracy", J. Business & Economic Statistics 13(3).
    """
    lines = [*_losses(contest), *_distances(contest)]
    used = np.isfinite(contest.challenger[QLIKE] - contest.opponent[QLIKE])
    days = len(np.unique(contest.day[used.any(axis=1)]))
    reasons = [*_left_out(contest), *_too_few(lines, contest, used), *_no_win(lines), *_harm(lines)]
    return Verdict(tuple(lines), tuple(reasons), int(used.sum()), days)


def _losses(contest: Contest) -> Iterator[Line]:
    """QLIKE and FZ0, averaged over the horizons and at each of them."""
    for name in (QLIKE, FZ0):
        ours, theirs = contest.challenger[name], contest.opponent[name]
        # a mean over horizons is one of windows that begin together: where one does not count, none does
        yield _line(name, ALL_HORIZONS, ours.mean(axis=1), theirs.mean(axis=1), contest.day, max(contest.horizons_s))
        for h, horizon_s in enumerate(contest.horizons_s):
            yield _line(name, horizon_s, ours[:, h], theirs[:, h], contest.day, horizon_s)


def _distances(contest: Contest) -> Iterator[Line]:
    """How far each tail's rate of hits is from its level."""
    for name, level in zip(HITS, SHORTFALL_LEVELS, strict=True):
        for h, horizon_s in enumerate(contest.horizons_s):
            ours, theirs = contest.challenger[name][:, h], contest.opponent[name][:, h]
            both = np.isfinite(ours - theirs)
            ours, theirs = (_outward(np.where(both, x, np.nan), tail_probability(level)) for x in (ours, theirs))
            yield _line(name, horizon_s, ours, theirs, contest.day, horizon_s)


def _outward(hits: FloatArray, rate: float) -> FloatArray:
    """Hits less their rate, turned so that their mean is not negative."""
    excess = hits - rate
    return -excess if np.isfinite(excess).any() and np.nanmean(excess) < 0 else excess


def _line(
    name: str, horizon_s: int, ours: FloatArray, theirs: FloatArray, day: NDArray[np.int64], reach_s: int
) -> Line:
    both = np.isfinite(ours - theirs)
    if not both.any():
        return Line(name, horizon_s, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
    daily = [by_day(values[both], day[both]) for values in (ours, theirs)]
    test = dm_test(ours[both], theirs[both], day[both], reach_s)
    low, high = _interval(test, len(daily[0]))
    p_better = test.p / 2 if test.t < 0 else 1 - test.p / 2
    means = [float(values.mean()) for values in daily]
    return Line(name, horizon_s, means[0], means[1], test.difference, low, high, p_better, 1 - p_better)


def _interval(test: DieboldMariano, n_days: int) -> tuple[float, float]:
    """95 % about the difference, by the same t."""
    if not np.isfinite(test.t):
        return np.nan, np.nan
    half = abs(test.difference / test.t) * float(student.ppf(0.975, n_days - 1)) if test.t else 0.0
    return test.difference - half, test.difference + half


def _left_out(contest: Contest) -> Iterator[str]:
    if contest.missing:
        yield f"the challenger left out {contest.missing} scoreable windows, the first {contest.example}"


def _too_few(lines: list[Line], contest: Contest, used: NDArray[np.bool_]) -> Iterator[str]:
    """One sentence where any comparison has no p-value: of what there is too little, and how much there is."""
    untold = [line for line in lines if not np.isfinite(line.p_worse)]
    if not untold:
        return
    columns = {horizon_s: used[:, [h]] for h, horizon_s in enumerate(contest.horizons_s)} | {ALL_HORIZONS: used}
    whole = {horizon_s: rows.all(axis=1) for horizon_s, rows in columns.items()}
    days = {horizon_s: len(np.unique(contest.day[rows])) for horizon_s, rows in whole.items()}
    least = min(untold, key=lambda line: days[line.horizon_s])
    windows, n_days = int(whole[least.horizon_s].sum()), days[least.horizon_s]
    counted = f"{least.named} has {_count(windows, 'window')} on {_count(n_days, 'day')}"
    yield (
        f"too few to tell: {len(untold)} of {len(lines)} comparisons cannot be made; {counted}, "
        f"{LEAST_DAYS} days are needed: take a longer period"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _no_win(lines: list[Line]) -> Iterator[str]:
    line = next(line for line in lines if line.loss == QLIKE and line.horizon_s == ALL_HORIZONS)
    if line.p_better >= SIZE:
        yield f"no win: {line.named} {_told(line)}, p {line.p_better:.3f}, which is not below {SIZE:g}"


def _harm(lines: list[Line]) -> Iterator[str]:
    """Losses or distances that are larger beyond chance; see :func:`_too_few` for what cannot be tested."""
    families: dict[tuple[str, bool], list[Line]] = {}
    for line in lines:
        if (line.loss, line.horizon_s) != (QLIKE, ALL_HORIZONS):
            family = "hit" if line.loss in HITS else line.loss
            families.setdefault((family, line.horizon_s == ALL_HORIZONS), []).append(line)
    for members in families.values():
        for line in members:
            if line.p_worse < SIZE / len(members):
                yield f"worse: {line.named} {_told(line)}, p {line.p_worse:.4f} of {len(members)} tests"


def _told(line: Line) -> str:
    return f"{line.difference:+.5f} ({line.low:+.5f} to {line.high:+.5f})"


def _plain(value: float | str) -> float | str | None:
    return None if isinstance(value, float) and not np.isfinite(value) else value
