"""The door: every row of a series is checked here, in order, before the store may have it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import NS_PER_S, format_utc
from features.intake.batch import Rejected
from features.schema import BOOK_DELTAS, BREAK, RESET, Table

NAMES = {"seq": -1, "id": ""}
ABSENT = {"seq": -1, "local_ns": 0}
REORDER_NS = 5 * NS_PER_S
"""How far exchange times may step back where a running number or the recorder's clock tells the order."""
VOID: dict[str, float] = {"prev_seq": -1, "flags": BREAK, "side": 0, "price": float("nan"), "size": float("nan")}
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gap:
    """A break of the venue's numbering: the event at ``row`` builds on a number that never came."""

    row: int
    reached: int
    wanted: int

    def __str__(self) -> str:
        return f"row {self.row}: the event builds on number {self.wanted}, but the last one here is {self.reached}"


@dataclass(slots=True)
class Door:
    """Checks one series as its rows come, and remembers across batches what order they must keep.

    Rows stand in the venue's order. What tells the order is, as far as it is recorded: the running
    number, else the recorder's clock, else the exchange's; it may not go back, and in tables whose
    key is that number or time it must go on. A cleared book begins a new order.
    """

    table: Table
    gaps: int = 0
    unnumbered: int = 0
    jumbled: bool = False
    open_gap: Gap | None = None
    _highest: dict[str, int] = field(default_factory=dict)
    _reached: int = -1
    _last_row: int = 0
    _last: dict[str, int] = field(default_factory=dict)
    _names: dict[str, pl.Series] = field(default_factory=dict)

    def admit(self, frame: pl.DataFrame, cuts: Sequence[int] = ()) -> tuple[pl.DataFrame, list[Rejected]]:
        """Split rows into those that keep the rules and those that do not, with the reason.

        A level that cannot be believed leaves the book unknown: in its place stands a row that makes the
        book void until the next snapshot. Rows that only repeat what the numbering has passed are dropped.

        ``frame`` is as :meth:`Table.conform` gives it, with ``row``, and of one symbol. ``cuts`` are rows of
        the file so far that its reader could not read: a book may have missed a change there.
        """
        is_book = self.table is BOOK_DELTAS
        if is_book:
            frame = self._cut(frame, cuts)
        reasons = _Reasons(len(frame))
        reasons.add(self._broken_rule(frame), void=is_book)
        for column in (*self.table.order, "ts_ns"):
            reasons.add(self._out_of_order(reasons.good(frame), column), void=is_book and column != "seq")
        if {"seq", "id"} <= set(self.table.key):
            for column, absent in NAMES.items():
                good = reasons.good(frame)
                reasons.add(self._repeated(good, column, absent) if len(good) else None)
        frame, bad = self._split(frame, reasons)
        if "seq" in self.table.key:
            nameless = (pl.col("seq") < 0) & (pl.col("id") == "" if "id" in self.table.key else pl.lit(value=True))
            self.unnumbered += int(frame.select(nameless.sum()).item())
        if is_book and len(frame):
            self._follow_numbers(frame)
            self._last = {name: int(frame[name][-1]) for name in ("ts_ns", "local_ns", "seq")}
        return frame, bad

    def _cut(self, frame: pl.DataFrame, cuts: Sequence[int]) -> pl.DataFrame:
        """Put a row that voids the book before the first row after each row that could not be read."""
        rows = frame["row"].to_numpy()
        due = np.array([cut for cut in cuts if cut > self._last_row], dtype=np.int64)
        self._last_row = max(self._last_row, int(rows.max(initial=0)))
        after = np.searchsorted(np.sort(due), rows)
        first = np.flatnonzero(np.diff(np.concatenate(([0], after))) > 0)
        if not len(first):
            return frame
        void = frame[first].with_columns(**{name: pl.lit(v, dtype=frame[name].dtype) for name, v in VOID.items()})
        order = np.argsort(np.concatenate((first - 0.5, np.arange(len(frame)))), kind="stable")
        return pl.concat((void, frame))[order]

    def _broken_rule(self, frame: pl.DataFrame) -> pl.Series | None:
        """The first rule that each row breaks, in words; null where it keeps them all."""
        missing = [pl.col(name).is_null() for name in self.table.columns]
        broken = [rule.broken.fill_null(value=True) for rule in self.table.rules]
        if not frame.select(pl.any_horizontal(*missing, *broken).any()).item():
            return None
        tests = [
            pl.when(test).then(pl.lit(f"{name} is missing"))
            for name, test in zip(self.table.columns, missing, strict=True)
        ] + [
            pl.when(test).then(pl.format("{} is {}, but " + rule.demand, pl.lit(rule.column), pl.col(rule.column)))
            for rule, test in zip(self.table.rules, broken, strict=True)
        ]
        return frame.select(pl.coalesce(tests))[:, 0]

    def _out_of_order(self, frame: pl.DataFrame, column: str) -> pl.Series | None:
        """Say for each row whether it stands before one that came earlier, or repeats one that may not repeat.

        A row is held against the best witness that it carries, and its exchange time has some tolerance then.
        """
        if column not in frame.columns:
            return None
        mine, better = _carrying(frame, column, self.table.order)
        if not mine.any():
            return None
        rows = np.arange(len(frame)) if mine.all() else np.flatnonzero(mine)
        values = frame[column].to_numpy()[rows]
        before = self._highest_before(frame if mine.all() else frame[rows], column, values)
        allowed = np.where(better[rows], REORDER_NS, 0) if column == "ts_ns" else 0
        must_grow = self.table.key == ("ts_ns",) and not self.table.order
        wrong = (values + allowed < before) | (must_grow & (values == before))
        self._highest[column] = int(max(before[-1], values[-1]))
        if not wrong.any():
            return None
        reasons: list[str | None] = [None] * len(frame)
        for i in np.flatnonzero(wrong):
            reasons[rows[i]] = self._told(column, int(values[i]), int(before[i]))
        return pl.Series(reasons, dtype=pl.String)

    def _repeated(self, frame: pl.DataFrame, column: str, absent: object) -> pl.Series | None:
        """Say which rows carry a name that came before, in this batch or the last.

        Names that do not count up may come again much later: ``jumbled`` asks for a look at the whole.
        """
        names, last = frame[column], self._names.get(column)
        self._names[column] = names
        if column == "seq" and _grows(names, last):
            return None
        told = names != absent
        if not told.any():
            return None
        self.jumbled = True
        again = told & ~names.is_first_distinct()
        if last is not None:
            again |= told & names.is_in(last.implode())
        return frame.select(pl.when(again).then(pl.format("{} {} came before", pl.lit(column), pl.col(column))))[:, 0]

    def _highest_before(self, frame: pl.DataFrame, column: str, values: Ints) -> Ints:
        """The highest value that came before each row, since the book was cleared."""
        lowest = np.iinfo(np.int64).min
        start = self._highest.get(column, lowest)
        fresh = _has(frame, RESET | BREAK)
        if not fresh.any():
            return np.maximum.accumulate(np.concatenate(([start], values[:-1])))
        before = np.empty_like(values)
        edges = [0, *np.flatnonzero(fresh).tolist(), len(values)]
        for first, last in pairwise(edges):
            run = np.concatenate(([start], values[first : last - 1]))[: last - first]
            before[first:last] = np.maximum.accumulate(run)
            start = lowest
        return before

    def _told(self, column: str, value: int, before: int) -> str:
        shown = (str, format_utc)[column.endswith("_ns")]
        fault = "repeats a row" if value == before else "goes back; an earlier row has"
        return f"{column} {shown(value)} {fault}{'' if value == before else ' ' + shown(before)}"

    def _split(self, frame: pl.DataFrame, reasons: "_Reasons") -> tuple[pl.DataFrame, list[Rejected]]:
        if reasons.none:
            return frame, []
        bad = frame.filter(reasons.bad)
        texts = bad.select(pl.struct(list(self.table.columns)).struct.json_encode())[:, 0]
        told = zip(bad["row"], reasons.texts[reasons.bad], texts, strict=True)
        stays = ~reasons.bad | reasons.void
        kept = frame.filter(stays)
        if reasons.void.any():
            kept = self._voided(kept, pl.Series(reasons.void[stays]))
        return kept, [Rejected(row, why, text) for row, why, text in told]

    def _voided(self, frame: pl.DataFrame, bad: pl.Series) -> pl.DataFrame:
        """The same rows, but where they are bad the book is said to be unknown, at the time of the row before."""
        carried = [
            pl.when(bad)
            .then(None)
            .otherwise(pl.col(c))
            .forward_fill()
            .fill_null(pl.lit(self._last.get(c), dtype=pl.Int64))
            .alias(c)
            for c in ("ts_ns", "local_ns", "seq")
        ]
        void = [
            pl.when(bad).then(v).otherwise(pl.col(name)).cast(frame[name].dtype).alias(name) for name, v in VOID.items()
        ]
        return frame.with_columns(void + carried).drop_nulls(["ts_ns", "local_ns", "seq"])

    def _follow_numbers(self, frame: pl.DataFrame) -> None:
        """Note where a book message builds on a number that the book had not reached."""
        seq, wanted = frame["seq"].to_numpy(), frame["prev_seq"].to_numpy()
        reset = _has(frame, RESET | BREAK)
        reached = np.concatenate(([self._reached], seq[:-1]))
        gap = (wanted >= 0) & (reached >= 0) & (wanted > reached) & ~reset
        self.gaps += int(gap.sum())
        self._reached = int(seq[-1])
        last_gap = int(np.flatnonzero(gap)[-1]) if gap.any() else -1
        last_reset = int(np.flatnonzero(reset)[-1]) if reset.any() else -1
        if last_reset > last_gap:
            self.open_gap = None
        elif last_gap >= 0:
            self.open_gap = Gap(int(frame["row"][last_gap]), int(reached[last_gap]), int(wanted[last_gap]))


class _Reasons:
    """Why rows of a batch are bad, gathered check by check; a row is asked about until it is."""

    def __init__(self, rows: int) -> None:
        self.bad, self.void = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        self.texts: NDArray[np.object_] = np.empty(rows, dtype=object)

    @property
    def none(self) -> bool:
        """Whether every row is good."""
        return not self.bad.any()

    def good(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that no check has found bad."""
        return frame if self.none else frame.filter(~self.bad)

    def add(self, found: pl.Series | None, *, void: bool = False) -> None:
        """Take in what a check of the good rows found: a text, or null for a row that passes."""
        if found is None or found.null_count() == len(found):
            return
        rows = np.flatnonzero(~self.bad)[found.is_not_null().to_numpy()]
        self.texts[rows] = found.drop_nulls().to_list()
        self.bad[rows] = True
        self.void[rows] = void


def _carrying(frame: pl.DataFrame, column: str, order: tuple[str, ...]) -> tuple[Mask, Mask]:
    """Rows that a column orders, and rows that a better witness orders; every row has an exchange time."""
    better = np.zeros(len(frame), dtype=bool)
    for name in order:
        if name == column:
            break
        if name in frame.columns:
            better |= frame[name].to_numpy() != ABSENT[name]
    if column == "ts_ns":
        return np.ones(len(frame), dtype=bool), better
    return (frame[column].to_numpy() != ABSENT[column]) & ~better, better


def _grows(numbers: pl.Series, last: pl.Series | None) -> bool:
    """Whether numbers go on from the last batch without a repetition: the usual case, and quick to see."""
    values = numbers.to_numpy()
    start = last.max() if last is not None and len(last) else -1
    return bool(values[0] > start and (np.diff(values) > 0).all())


def _has(frame: pl.DataFrame, flags: int) -> Mask:
    """Rows that carry any of the flags; tables without flags have none."""
    if "flags" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    carried: Mask = (frame["flags"].to_numpy() & flags) != 0
    return carried
