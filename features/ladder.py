"""The compiled order book: price levels in sorted arrays, the best level last.

One side is a row of ``keys``: the price for bids, minus the price for asks, so that both sides
ascend to their best level and changes near the touch move few numbers. No tick size is needed
and any range of prices fits; the arrays grow when they are full. :mod:`features.book_twin` says
the same in plain Python.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.schema import BREAK, RESET

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# One int64 vector holds what the replay must remember between chunks, and what it counts.
REACHED, SYNCED, CLOCK, CROSSED_SINCE, ORDINAL, APPLIES, MESSAGE, STAMP = range(8)
EVENTS, MESSAGES, SNAPSHOTS, GAPS, VOID_ROWS, STALE_ROWS, DROPPED, UNKNOWN, CROSSED_NS, SYNCED_NS = range(8, 18)
STATE_SIZE = 18
NEVER = -1


def new_state(*, cold: bool) -> Ints:
    """State before the first event; ``cold`` trusts changes from an empty book without a snapshot."""
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    state[REACHED] = state[CLOCK] = state[CROSSED_SINCE] = NEVER
    state[MESSAGE] = np.iinfo(np.int64).min
    state[SYNCED] = cold
    return state


@compiled
def slot(keys: Floats, n: int, key: float) -> int:
    """Number of levels whose key is at most ``key``: near the touch by steps, deeper by halving."""
    low = max(n - 8, 0)
    while n > low:
        if keys[n - 1] <= key:
            return n
        n -= 1
    low = 0
    while low < n:
        middle = (low + n) >> 1
        if keys[middle] <= key:
            low = middle + 1
        else:
            n = middle
    return low


@compiled
def put(keys: Floats, sizes: Floats, ages: Ints, n: int, key: float, size: float, age: int) -> int:
    """Set the size of a level, insert it, or remove it at size 0; answers the new number of levels."""
    i = slot(keys, n, key)
    if i > 0 and keys[i - 1] == key:
        if size > 0.0:
            sizes[i - 1], ages[i - 1] = size, age
            return n
        for j in range(i, n):
            keys[j - 1], sizes[j - 1], ages[j - 1] = keys[j], sizes[j], ages[j]
        return n - 1
    if size <= 0.0:
        return n
    for j in range(n, i, -1):
        keys[j], sizes[j], ages[j] = keys[j - 1], sizes[j - 1], ages[j - 1]
    keys[i], sizes[i], ages[i] = key, size, age
    return n + 1


@compiled
def grown(values: Any) -> Any:  # noqa: ANN401 - arrays of floats and of ints
    """Twice the room."""
    wider = np.empty((values.shape[0], 2 * values.shape[1]), dtype=values.dtype)
    wider[:, : values.shape[1]] = values
    return wider


@compiled
def uncrossed(keys: Floats, ages: Ints, bids: int, asks: int) -> tuple[int, int]:
    """Numbers of levels a side after the older of two crossed touches is dropped, until they no longer cross."""
    while bids > 0 and asks > 0 and keys[0, bids - 1] >= -keys[1, asks - 1]:
        if ages[0, bids - 1] < ages[1, asks - 1]:
            bids -= 1
        else:
            asks -= 1
    return bids, asks


@compiled
def emit(row: Floats, depth: int, keys: Floats, sizes: Floats, ages: Ints, counts: Ints, synced: int) -> None:
    """Write the best ``depth`` levels a side: price, size, price, size, ..., bids first; NaN where there is none."""
    row[:] = np.nan
    if not synced:
        return
    bids, asks = uncrossed(keys, ages, counts[0], counts[1])
    for i in range(min(depth, bids)):
        row[2 * i], row[2 * i + 1] = keys[0, bids - 1 - i], sizes[0, bids - 1 - i]
    for i in range(min(depth, asks)):
        row[2 * (depth + i)], row[2 * (depth + i) + 1] = -keys[1, asks - 1 - i], sizes[1, asks - 1 - i]


@compiled
def crossing_is_old(state: Ints, keys: Floats, counts: Ints, ts_ns: int, grace_ns: int) -> bool:
    """Follow how long the book has been crossed, between messages; true when that exceeds the grace time."""
    crossed = counts[0] > 0 and counts[1] > 0 and keys[0, counts[0] - 1] >= -keys[1, counts[1] - 1]
    if not crossed:
        state[CROSSED_SINCE] = NEVER
        return False
    if state[CROSSED_SINCE] == NEVER:
        state[CROSSED_SINCE] = state[CLOCK]
    state[CROSSED_NS] += max(ts_ns - state[CLOCK], 0)
    return bool(ts_ns - state[CROSSED_SINCE] > grace_ns)


@compiled
def starts_message(state: Ints, ts_ns: int, seq: int, flags: int) -> bool:
    """Whether a row begins a message: rows of one number, or without numbers of one time, belong together."""
    if flags & (RESET | BREAK) or seq != state[MESSAGE]:
        return True
    return seq < 0 and ts_ns != state[STAMP]


@compiled
def opens_message(state: Ints, counts: Ints, seq: int, prev_seq: int, flags: int) -> bool:
    """Decide at a message's first row whether the book may take it: the venue's numbering must go on."""
    state[MESSAGES] += 1
    state[MESSAGE] = seq
    if flags & BREAK:
        counts[:] = 0
        state[SYNCED], state[REACHED] = 0, NEVER
        return False
    if flags & RESET:
        counts[:] = 0
        state[SYNCED], state[REACHED] = 1, seq
        state[SNAPSHOTS] += 1
        return True
    if not state[SYNCED] or seq < 0:
        return bool(state[SYNCED])
    if state[REACHED] >= 0:
        if seq <= state[REACHED]:
            return False
        if prev_seq > state[REACHED]:
            counts[:] = 0
            state[SYNCED], state[REACHED] = 0, NEVER
            state[GAPS] += 1
            return False
    state[REACHED] = seq
    return True


@compiled
def replay_l2(  # noqa: C901 - one loop, read top to bottom
    ts_ns: Ints,
    seq: Ints,
    prev_seq: Ints,
    flags: NDArray[np.uint8],
    side: NDArray[np.int8],
    price: Floats,
    size: Floats,
    at_ns: Ints,
    every: int,
    depth: int,
    grace_ns: int,
    state: Ints,
    keys: Floats,
    sizes: Floats,
    ages: Ints,
    counts: Ints,
    out_ns: Ints,
    out: Floats,
) -> tuple[int, Floats, Floats, Ints]:
    """Apply a chunk of book rows; write the book at each instant of ``at_ns`` or after every ``every``-th message.

    Answers the number of books written and the arrays, which may have grown.
    """
    written = 0
    grid = 0
    for i in range(len(ts_ns)):
        now = ts_ns[i]
        if starts_message(state, now, seq[i], flags[i]):
            if crossing_is_old(state, keys, counts, now, grace_ns):
                bids, asks = uncrossed(keys, ages, counts[0], counts[1])
                state[DROPPED] += counts[0] + counts[1] - bids - asks
                counts[0], counts[1] = bids, asks
            while grid < len(at_ns) and at_ns[grid] < now:
                out_ns[written] = at_ns[grid]
                emit(out[written], depth, keys, sizes, ages, counts, state[SYNCED])
                written += 1
                grid += 1
            if every > 0 and state[MESSAGES] > 0 and state[MESSAGES] % every == 0:
                out_ns[written] = state[CLOCK]
                emit(out[written], depth, keys, sizes, ages, counts, state[SYNCED])
                written += 1
            if state[SYNCED] and state[CLOCK] >= 0:
                state[SYNCED_NS] += max(now - state[CLOCK], 0)
            state[APPLIES] = opens_message(state, counts, seq[i], prev_seq[i], flags[i])
            state[CLOCK] = max(state[CLOCK], now)
            state[STAMP] = now
        state[EVENTS] += 1
        if not state[APPLIES]:
            if state[SYNCED]:
                state[STALE_ROWS] += 1
            else:
                state[VOID_ROWS] += 1
            continue
        if side[i] == 0:
            continue
        s = 0 if side[i] > 0 else 1
        if counts[s] == keys.shape[1]:
            keys, sizes, ages = grown(keys), grown(sizes), grown(ages)
        state[ORDINAL] += 1
        key = price[i] if s == 0 else -price[i]
        counts[s] = put(keys[s], sizes[s], ages[s], counts[s], key, size[i], state[ORDINAL])
    return written, keys, sizes, ages
