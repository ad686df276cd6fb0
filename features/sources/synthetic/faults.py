"""Faults of a feed on demand: the frame as a recorder would have got it, and a record of what was done to it.

The frame that goes in is left as it is, so that what a reader makes of the fault can be held against the truth.
A message is a row of trades, or the rows of a book that share a number; snapshots are spared.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import SettingError, lookup
from features.schema import RESET, SNAPSHOT
from features.sources.synthetic.walks import Ints

FURTHEST = 20
"""Messages by which a late one is overtaken, at most."""
LONGEST_GAP = 3
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Messages:
    """A frame by messages: the message of each row, from 0, and those that may be touched."""

    frame: pl.DataFrame
    message: Ints
    candidates: Ints

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Messages":
        """Number the messages; the first is never touched, for a book begins with it."""
        if "flags" not in frame.columns:
            return cls(frame, np.arange(len(frame)), np.arange(1, len(frame)))
        seq, flags = frame["seq"].to_numpy(), frame["flags"].to_numpy()
        starts = np.concatenate(([False], np.diff(seq) != 0)) | (flags & RESET != 0)
        starts[:1] = False
        message = np.cumsum(starts)
        return cls(frame, message, np.setdiff1d(message[flags & SNAPSHOT == 0], [0]))


def _gaps(sent: Messages, chosen: Ints, rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """Lose messages, up to three in a row: the numbering jumps."""
    runs = chosen[:, None] + np.arange(LONGEST_GAP)
    runs = runs[np.arange(LONGEST_GAP) < rng.integers(1, LONGEST_GAP + 1, (len(chosen), 1))]
    lost = np.intersect1d(runs, sent.candidates)
    return sent.frame.filter(~np.isin(sent.message, lost)), lost


def _duplicates(sent: Messages, chosen: Ints, _rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """Send messages twice."""
    again = np.flatnonzero(np.isin(sent.message, chosen))
    keys = np.concatenate((sent.message.astype(np.float64), sent.message[again] + 0.5))
    rows = np.concatenate((np.arange(len(sent.message)), again))
    return sent.frame[rows[np.argsort(keys, kind="stable")]], chosen


def _late(sent: Messages, chosen: Ints, rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """Deliver messages after later ones, with the later time of receipt: the exchange's clock and number go back."""
    chosen = chosen[chosen < sent.message[-1]]
    last = np.minimum(chosen + rng.integers(1, FURTHEST + 1, len(chosen)), sent.message[-1])
    arrival = sent.frame["local_ns"].to_numpy().copy()
    ends = np.flatnonzero(np.diff(sent.message, append=sent.message[-1] + 1))
    moved = np.isin(sent.message, chosen)
    overtaken_by = last[np.searchsorted(chosen, sent.message[moved])]
    keys = sent.message.astype(np.float64)
    keys[moved] = overtaken_by + 0.5
    arrival[moved] = np.maximum(arrival[moved], sent.frame["local_ns"].to_numpy()[ends[overtaken_by]])
    frame = sent.frame.with_columns(local_ns=pl.Series(arrival, dtype=pl.Int64))
    return frame[np.argsort(keys, kind="stable")], chosen


def _reordered(sent: Messages, chosen: Ints, _rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """Swap messages with the next one in the file; every time stays with its message."""
    chosen = chosen[(np.diff(chosen, prepend=-2) > 1) & (chosen < sent.message[-1])]
    keys = sent.message + 1.5 * np.isin(sent.message, chosen)
    return sent.frame[np.argsort(keys, kind="stable")], chosen


def _crossed(sent: Messages, chosen: Ints, _rng: np.random.Generator) -> tuple[pl.DataFrame, Ints]:
    """Lose the removals of levels that the other side has passed, and nothing else: the book stays crossed."""
    lost = _passed(sent) & np.isin(sent.message, chosen)
    return sent.frame.filter(~lost), np.unique(sent.message[lost])


def _passed(sent: Messages) -> Mask:
    """Rows that remove a level at or beyond the best price that their message sets on the other side."""
    key = pl.col("price") * pl.col("side")
    own = pl.DataFrame({"message": sent.message, "key": sent.frame.select(key).to_series()})
    frame = own.with_columns(sent.frame.select("side", "size", "flags"))
    live = (pl.col("size") > 0) & (pl.col("flags") == 0)
    other = pl.when(live & (pl.col("side") == 1)).then(pl.col("key")).max().over("message")
    other_ask = pl.when(live & (pl.col("side") == -1)).then(pl.col("key")).max().over("message")
    opposite = pl.when(pl.col("side") == 1).then(-other_ask).otherwise(-other)
    gone = (pl.col("size") == 0) & (pl.col("flags") == 0) & (pl.col("key") >= opposite)
    return frame.select(gone.fill_null(value=False)).to_series().to_numpy()


Inflict = Callable[[Messages, Ints, np.random.Generator], tuple[pl.DataFrame, Ints]]
FAULTS: dict[str, Inflict] = {
    "gaps": _gaps,
    "duplicates": _duplicates,
    "crossed": _crossed,
    "late": _late,
    "reordered": _reordered,
}


def inflict(
    frame: pl.DataFrame, fault: str, rng: np.random.Generator, share: float = 0.001
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Inflict one kind of fault on a share of a frame's messages, at least one; several kinds one after another.

    Parameters
    ----------
    frame : rows of ``trades`` or ``book_deltas`` of one instrument.
    fault : ``gaps``, ``duplicates``, ``crossed`` (books only, trades stay as they are), ``late`` or ``reordered``.

    Returns
    -------
    The frame with faults, and a record with ``fault`` and the ``seq`` and ``ts_ns`` of each message hit.

    Raises
    ------
    SettingError
        If there is no such fault, the share is not within (0, 1], or there is no message that it could hit.

    Examples
    --------
    >>> trades = pl.DataFrame({"ts_ns": range(9), "local_ns": range(9), "seq": range(9)})
    >>> twice, record = inflict(trades, "duplicates", np.random.default_rng(1))
    >>> len(twice), record["seq"].to_list()
    (10, [4])
    """
    act = lookup(FAULTS, fault, "fault")
    if not 0 < share <= 1:
        raise SettingError(f"a share of {share:g} of the messages; give one above 0 and at most 1")
    sent = Messages.of(frame)
    possible = sent.candidates
    if fault == "crossed":
        possible = np.unique(sent.message[_passed(sent)]) if "flags" in frame.columns else possible[:0]
    if not len(possible):
        if "flags" not in frame.columns and fault == "crossed":
            return frame, _record(sent, fault, possible)
        raise SettingError(f"no message that {fault} could hit; give a longer stretch")
    count = max(1, round(share * len(possible)))
    chosen = np.sort(rng.choice(possible, min(count, len(possible)), replace=False))
    changed, hit = act(sent, chosen, rng)
    return changed, _record(sent, fault, hit)


def _record(sent: Messages, fault: str, hit: Ints) -> pl.DataFrame:
    first = np.searchsorted(sent.message, hit)
    return sent.frame[first].select(pl.lit(fault).alias("fault"), "seq", "ts_ns")
