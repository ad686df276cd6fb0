"""The compiled order book: price levels in sorted arrays, the best level last.

One side is a row of ``keys``: the price for bids, minus the price for asks, so that both sides
ascend to their best level and changes near the touch move few numbers. No tick size is needed
and any range of prices fits; the arrays grow when they are full. :mod:`features.book_twin` says
the same in plain Python.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled, inlined
from features.schema import BREAK, RESET

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# One int64 vector holds what the replay must remember between chunks, and what it counts.
REACHED, SYNCED, CLOCK, CROSSED_SINCE, ORDINAL, APPLIES, MESSAGE, STAMP = range(8)
EVENTS, MESSAGES, SNAPSHOTS, GAPS, VOID_ROWS, STALE_ROWS, DROPPED, UNKNOWN, CROSSED_NS, SYNCED_NS = range(8, 18)
STATE_SIZE = 18
NEVER = -1
NEAR = 32


def new_state(*, cold: bool) -> Ints:
    """State before the first event; ``cold`` trusts changes from an empty book without a snapshot."""
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    state[REACHED] = state[CLOCK] = state[CROSSED_SINCE] = NEVER
    state[MESSAGE] = np.iinfo(np.int64).min
    state[SYNCED] = cold
    return state


@compiled
def slot(keys: Floats, n: int, key: float) -> int:
    """Number of slots whose key is at most ``key``: near the touch by steps, deeper by halving without branches."""
    low = max(n - 4, 0)
    while n > low:
        if keys[n - 1] <= key:
            return n
        n -= 1
    first = 0
    while n > 0:
        half = (n + 1) >> 1
        first += half if keys[first + half - 1] <= key else 0
        n -= half
    return first


@inlined
def put(
    keys: Floats, sizes: Floats, ages: Ints, n: int, key: float, size: float, age: int, pace: Floats, s: int
) -> int:
    """Set the size of a level, insert it, or remove it at size 0; answers the new number of slots.

    A removed level leaves its slot with size 0, for it often comes back; only the best slot is never empty.
    An insertion beside an empty slot takes it over, and moves nothing. ``pace`` is the number of slots in a
    unit of price near the touch as last seen: it points at the slot, and nine times of ten it is there.
    """
    away = (keys[n - 1] - key) * pace[s] + 0.5 if n > 0 else -1.0
    i = n - int(away) if 0.0 <= away < n else 0
    if i == 0 or keys[i - 1] != key:
        i = slot(keys, n, key)
        if i < n and n - i < NEAR and i > 0 and keys[i - 1] == key:
            pace[s] = (n - i) / (keys[n - 1] - key)
    if i > 0 and keys[i - 1] == key:
        sizes[i - 1], ages[i - 1] = size, age
        while n > 0 and sizes[n - 1] <= 0.0:
            n -= 1
    elif size > 0.0:
        if i > 0 and sizes[i - 1] <= 0.0:
            i -= 1
        else:
            for j in range(n, i, -1):
                keys[j], sizes[j], ages[j] = keys[j - 1], sizes[j - 1], ages[j - 1]
            n += 1
        keys[i], sizes[i], ages[i] = key, size, age
    return n


def roomy(sizes: Floats, counts: Ints, *others: Any) -> list[Any]:  # noqa: ANN401 - arrays of floats and of ints
    """The same levels without the empty slots, in arrays with at least half their room free."""
    live = [np.flatnonzero(sizes[s, : counts[s]] > 0) for s in range(2)]
    room = sizes.shape[1] * (2 if max(map(len, live)) > sizes.shape[1] // 2 else 1)
    moved = []
    for values in (sizes, *others):
        wider = np.zeros((2, room), dtype=values.dtype)
        for s in range(2):
            wider[s, : len(live[s])] = values[s, live[s]]
        moved.append(wider)
    counts[:] = [len(found) for found in live]
    return moved


@compiled
def best(sizes: Floats, n: int) -> int:
    """Number of slots up to the best level that is there."""
    while n > 0 and sizes[n - 1] <= 0.0:
        n -= 1
    return n


@compiled
def uncrossed(keys: Floats, sizes: Floats, ages: Ints, bids: int, asks: int) -> tuple[int, int]:
    """Numbers of slots a side after the older of two crossed touches is left out, until they no longer cross."""
    while bids > 0 and asks > 0 and keys[0, bids - 1] >= -keys[1, asks - 1]:
        if ages[0, bids - 1] < ages[1, asks - 1]:
            bids = best(sizes[0], bids - 1)
        else:
            asks = best(sizes[1], asks - 1)
    return bids, asks


@compiled
def emit(row: Floats, depth: int, keys: Floats, sizes: Floats, ages: Ints, counts: Ints, synced: int) -> None:
    """Write the best ``depth`` levels a side: price, size, price, size, ..., bids first; NaN where there is none."""
    row[:] = np.nan
    if not synced:
        return
    slots = uncrossed(keys, sizes, ages, counts[0], counts[1])
    for s in range(2):
        k = 2 * depth * s
        for i in range(slots[s] - 1, -1, -1):
            if sizes[s, i] > 0.0:
                row[k], row[k + 1] = keys[s, i] if s == 0 else -keys[1, i], sizes[s, i]
                k += 2
                if k == 2 * depth * (s + 1):
                    break


@compiled
def drop_crossed(state: Ints, keys: Floats, sizes: Floats, ages: Ints, counts: Ints) -> None:
    """Drop the older of two crossed touches for good."""
    slots = uncrossed(keys, sizes, ages, counts[0], counts[1])
    for s in range(2):
        for i in range(slots[s], counts[s]):
            state[DROPPED] += sizes[s, i] > 0.0
        counts[s] = slots[s]


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


@inlined
def starts_message(ts_ns: int, seq: int, flags: int, message: int, stamp_ns: int) -> bool:
    """Whether a row begins a message: rows of one number, or without numbers of one time, belong together."""
    return bool(flags & (RESET | BREAK) or seq != message or (seq < 0 and ts_ns != stamp_ns))


@compiled
def shows_loss(state: Ints, seq: int, prev_seq: int, flags: int) -> bool:
    """Whether a message tells that events before it are missing: then the book was wrong since the last one."""
    if flags & BREAK or seq < 0 or state[REACHED] < 0:
        return bool(flags & BREAK)
    if flags & RESET:
        return bool(seq != state[REACHED])
    return bool(prev_seq > state[REACHED] and seq > state[REACHED])


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
    silence_ns: int,
    lost_ns: int,
    state: Ints,
    keys: Floats,
    sizes: Floats,
    ages: Ints,
    counts: Ints,
    out_ns: Ints,
    out: Floats,
    start: int,
    written: int,
) -> tuple[int, int]:
    """Apply a chunk of book rows from row ``start``; write books at ``at_ns`` or after each ``every``-th message.

    A book holds for ``silence_ns`` after the last event, and for ``lost_ns`` where the next one shows a loss.

    Answers the row to go on with, the chunk's length unless a side ran out of room, and the number of books
    written so far.
    """
    grid = written if every == 0 else 0
    ordinal = state[ORDINAL]
    applies = state[APPLIES] != 0
    message, stamp_ns = state[MESSAGE], state[STAMP]
    pace = np.zeros(2)
    room = keys.shape[1]
    row = start
    for i in range(start, len(ts_ns)):
        now = ts_ns[i]
        if starts_message(now, seq[i], flags[i], message, stamp_ns):
            if crossing_is_old(state, keys, counts, now, grace_ns):
                drop_crossed(state, keys, sizes, ages, counts)
            lost = shows_loss(state, seq[i], prev_seq[i], flags[i])
            while grid < len(at_ns) and at_ns[grid] < now:
                known = state[SYNCED] and at_ns[grid] - state[CLOCK] <= (lost_ns if lost else silence_ns)
                out_ns[written] = at_ns[grid]
                emit(out[written], depth, keys, sizes, ages, counts, known)
                written += 1
                grid += 1
            if every > 0 and state[MESSAGES] > 0 and state[MESSAGES] % every == 0:
                out_ns[written] = state[CLOCK]
                emit(out[written], depth, keys, sizes, ages, counts, state[SYNCED])
                written += 1
            if state[SYNCED] and state[CLOCK] >= 0:
                state[SYNCED_NS] += max(now - state[CLOCK], 0)
            applies = opens_message(state, counts, seq[i], prev_seq[i], flags[i])
            state[CLOCK] = max(state[CLOCK], now)
            message, stamp_ns = seq[i], now
        elif now > stamp_ns:  # a row of the same message, stamped later
            while grid < len(at_ns) and at_ns[grid] < now:
                known = state[SYNCED] and at_ns[grid] - state[CLOCK] <= silence_ns
                out_ns[written] = at_ns[grid]
                emit(out[written], depth, keys, sizes, ages, counts, known)
                written += 1
                grid += 1
            state[CLOCK] = max(state[CLOCK], now)
            stamp_ns = now
        if not applies:
            state[STALE_ROWS if state[SYNCED] else VOID_ROWS] += 1
        elif side[i] != 0:
            s = 0 if side[i] > 0 else 1
            ordinal += 1
            key = price[i] * side[i]
            counts[s] = put(keys[s], sizes[s], ages[s], counts[s], key, size[i], ordinal, pace, s)
            if counts[s] == room:
                row = i + 1
                break
        row = i + 1
    state[EVENTS] += row - start
    state[ORDINAL], state[APPLIES], state[STAMP] = ordinal, applies, stamp_ns
    return row, written
