"""What the rich regression reads off a panel: levels as distances, activity, the others, two clocks."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from features.catalogue import parse
from features.clock import DAY_S, HOUR_NS, HOUR_S
from features.errors import SettingError
from features.panel import Panel

FloatArray = NDArray[np.float64]
Column = tuple[str, FloatArray | NDArray[np.bool_]]

RELATIVE = ("log_bv", "log_medrv", "log_minrv", "log_range", "log_garman_klass", "log_rogers_satchell")
PLAIN = ("downside", "rq_ratio", "jump_share", "log_volume", "week_volume")
SIGNED = ("move", "log_return")
WEEK_S = 7 * DAY_S
CALM, WILD = -5.0, 6.0  # a frozen tape is no calmer than e^-5 of the week's rate
FAR = 4.0
SEASON_DAYS = 7  # a week of rows: what the calibration's settling allows for


def columns(panel: Panel) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Regressors of one panel, whatever its spec has of them.

    Parameters
    ----------
    panel : its spec has a ``log_rv`` at least.

    Returns
    -------
    names : k names.
    x : array of shape (n, k); NaN where unknown. Row i uses rows up to i, 167 back at most.

    Raises
    ------
    SettingError
        If the spec has no ``log_rv``.
    """
    parts = [*_variance(panel), *_shape(panel), *_others(panel), *_yesterday(panel), *_clocks(panel)]
    return tuple(name for name, _ in parts), np.stack([value.astype(np.float32) for _, value in parts], axis=1)


def looks(panel: Panel, stem: str, leader: str = "") -> dict[int, str]:
    """Look-backs in seconds, increasing, and names of one family of a spec."""
    head = f"{leader}.{stem}_" if leader else f"{stem}_"
    names = [n for n in panel.spec.features if n.startswith(head) and n[len(head) :][:1].isdigit()]
    return dict(sorted((parse(n, panel.spec.bar_s).look.rows * panel.spec.bar_s, n) for n in names))


def anchor(panel: Panel) -> int:
    """Look-back of the ``log_rv`` that the shorter ones are distances from: the longest up to a week."""
    known = looks(panel, "log_rv")
    if not known:
        raise SettingError("the rich regression needs log_rv; add log_rv_1h, log_rv_24h, log_rv_168h to the features")
    return max((s for s in known if s <= WEEK_S), default=min(known))


def _variance(panel: Panel) -> Iterator[Column]:
    """The longest average as the level, the others as distances and their squares."""
    known, week = looks(panel, "log_rv"), anchor(panel)
    level, middle = panel.column(known[max(known)]), panel.column(known[week])
    yield "level", level
    for seconds, name in known.items():
        if seconds != max(known):
            gap = panel.column(name) - (middle if seconds < week else level)
            gap = np.clip(gap, CALM, WILD)
            yield name, gap
            yield f"{name} squared", gap**2


def _shape(panel: Panel) -> Iterator[Column]:
    """Other measures of variance beside the sum of squares, shares, volumes, moves and their size."""
    variance, week = looks(panel, "log_rv"), anchor(panel)
    for stem in RELATIVE:
        for seconds, name in looks(panel, stem).items():
            beside = variance.get(seconds, variance[week])
            yield name, np.clip(panel.column(name) - panel.column(beside), -FAR, FAR)
    for stem in PLAIN:
        for name in looks(panel, stem).values():
            yield name, np.clip(panel.column(name), -FAR, FAR)
    usual = np.exp(panel.column(variance[week]) / 2)
    for stem in SIGNED:
        for seconds, name in looks(panel, stem).items():
            scale = usual * np.sqrt(seconds / HOUR_S) if stem == "log_return" else 1.0
            move = np.clip(panel.column(name) / scale, -2 * FAR, 2 * FAR)
            yield name, move
            yield f"{name} size", np.abs(move)


def _others(panel: Panel) -> Iterator[Column]:
    """How excited the other instruments are: mean and greatest distance from their own longest average of up to a day.

    An average over those that are known needs no order among them, and none of them to have started.
    """
    leaders = sorted({n.partition(".")[0] for n in panel.spec.features if "." in n} - {panel.instrument})
    excited: dict[int, list[FloatArray]] = {}
    for leader in leaders:
        known = {s: n for s, n in looks(panel, "log_rv", leader).items() if s <= DAY_S}
        for seconds, name in list(known.items())[:-1]:
            gap = panel.column(name) - panel.column(known[max(known)])
            excited.setdefault(seconds, []).append(np.clip(gap, CALM, WILD))
        for name in looks(panel, "move", leader).values():
            yield f"{name} size", np.abs(panel.column(name))
        for name in looks(panel, "log_volume", leader).values():
            yield name, np.clip(panel.column(name), -FAR, FAR)
    for seconds, gaps in excited.items():
        yield f"others {seconds} s", _mean(gaps)
        yield f"wildest {seconds} s", np.fmax.reduce(gaps)


def _yesterday(panel: Panel) -> Iterator[Column]:
    """Variance of the hours ahead one, two, seven days ago and its mean over the week, as distances."""
    variance, week = looks(panel, "log_rv"), anchor(panel)
    for seconds in (HOUR_S, 4 * HOUR_S):
        if seconds in variance and panel.spec.every_s == HOUR_S and week > seconds:
            gap = np.clip(panel.column(variance[seconds]) - panel.column(variance[week]), CALM, WILD)
            days = [_earlier(panel, gap, 24 * day - seconds // HOUR_S) for day in range(1, SEASON_DAYS + 1)]
            for day in (1, 2, 7):
                yield f"{seconds} s ahead {day} d ago", days[day - 1]
            yield f"{seconds} s ahead, week", _mean(days)


def _clocks(panel: Panel) -> Iterator[Column]:
    """Hours of the day of UTC and of New York, days, hours of New York's week: 0 or 1 each."""
    if panel.spec.every_s % HOUR_S:
        return
    utc = panel.origin_ns // HOUR_NS
    local = utc - np.where(summer_time(panel.origin_ns), 4, 5)
    day = (local // 24 + 3) % 7  # Monday is 0
    sets = {"utc": (utc % 24, 24), "day": ((utc // 24 + 3) % 7, 7), "ny": (local % 24, 24)}
    sets["ny of week"] = (day * 24 + local % 24, 168)
    sets["ny at weekends"] = (np.where(day >= 5, local % 24, -1), 24)
    for name, (group, count) in sets.items():
        for k in range(count):
            yield f"{name} {k}", group == k


def summer_time(origin_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether New York keeps daylight saving time: second Sunday of March to first Sunday of November, 02:00 local.

    Examples
    --------
    >>> summer_time(np.array(["2024-03-10T06", "2024-03-10T07", "2024-11-03T05", "2024-11-03T06"], "M8[ns]").view("i8"))
    array([False,  True,  True, False])
    """
    year = origin_ns.view("M8[ns]").astype("M8[Y]").astype(np.int64) + 1970
    edges = {int(y): _summer(int(y)) for y in np.unique(year)}
    inside = np.zeros(len(origin_ns), dtype=bool)
    for y, (start, stop) in edges.items():
        inside |= (year == y) & (origin_ns >= start) & (origin_ns < stop)
    return inside


@cache
def _summer(year: int) -> tuple[int, int]:
    """First and last instant of a year's summer time, ns UTC."""
    march, november = (np.datetime64(f"{year}-{month}-01") for month in ("03", "11"))
    start = np.busday_offset(march, 1, roll="forward", weekmask="Sun").astype("M8[h]") + 7
    stop = np.busday_offset(november, 0, roll="forward", weekmask="Sun").astype("M8[h]") + 6
    return int(start.astype("M8[ns]").astype(np.int64)), int(stop.astype("M8[ns]").astype(np.int64))


def _earlier(panel: Panel, value: FloatArray, rows: int) -> FloatArray:
    """The value ``rows`` rows before each, NaN where there is none or a hole lies between."""
    moved = np.full(len(value), np.nan)
    moved[rows:] = value[: max(0, len(value) - rows)]
    return np.where(panel.unbroken(rows + 1), moved, np.nan) if len(value) > rows else np.full(len(value), np.nan)


def _mean(parts: list[FloatArray]) -> FloatArray:
    """Mean of those that are known, NaN where none is."""
    known = np.sum([np.isfinite(p) for p in parts], axis=0)
    total: FloatArray = np.sum([np.nan_to_num(p, nan=0.0) for p in parts], axis=0)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)
