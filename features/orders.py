"""The compiled order-by-order book: every resting order in a hash table, the levels in a ladder.

:mod:`features.book_twin` says the same in plain Python.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.ladder import (
    CLOCK,
    DROPPED,
    EVENTS,
    MESSAGES,
    ORDINAL,
    STAMP,
    SYNCED_NS,
    UNKNOWN,
    Floats,
    Ints,
    crossing_is_old,
    emit,
    slot,
    uncrossed,
)
from features.schema import DELETE, FILL, REDUCE, SET

EMPTY = np.iinfo(np.int64).min
DUST = 1e-12  # what is left of a size after subtracting its parts in floating point
SIDE, PRICE, SIZE = range(3)


def new_orders(room: int = 1 << 16) -> tuple[Ints, Floats]:
    """An empty order table: ids (``EMPTY``: free slot) and side, price, rest of each."""
    return np.full(room, EMPTY, dtype=np.int64), np.zeros((room, 3))


@compiled
def home(order_id: int, room: int) -> int:
    """The slot where an order would like to be (``room`` is a power of two)."""
    mixed = order_id * -7046029254386353131  # 2^64 / golden ratio, as a signed number
    return (mixed ^ (mixed >> 29)) & (room - 1)


@compiled
def find(ids: Ints, order_id: int) -> int:
    """The slot of an order, or of the free place where it belongs."""
    room = len(ids)
    i = home(order_id, room)
    while ids[i] != EMPTY and ids[i] != order_id:
        i = (i + 1) & (room - 1)
    return i


@compiled
def remove(ids: Ints, orders: Floats, i: int) -> None:
    """Free a slot and move back what stood behind it only because it was taken."""
    room = len(ids)
    ids[i] = EMPTY
    j = i
    while True:
        j = (j + 1) & (room - 1)
        if ids[j] == EMPTY:
            return
        wanted = home(ids[j], room)
        if ((j - wanted) & (room - 1)) >= ((j - i) & (room - 1)):
            ids[i], orders[i] = ids[j], orders[j]
            ids[j] = EMPTY
            i = j


@compiled
def rehashed(ids: Ints, orders: Floats) -> tuple[Ints, Floats]:
    """The same orders with twice the room."""
    wider, moved = np.full(2 * len(ids), EMPTY, dtype=np.int64), np.zeros((2 * len(ids), 3))
    for i in range(len(ids)):
        if ids[i] != EMPTY:
            j = find(wider, ids[i])
            wider[j], moved[j] = ids[i], orders[i]
    return wider, moved


@compiled
def wider(values: Any) -> Any:  # noqa: ANN401 - arrays of floats and of ints
    """The same levels with twice the room."""
    more = np.empty((values.shape[0], 2 * values.shape[1]), dtype=values.dtype)
    more[:, : values.shape[1]] = values
    return more


@compiled
def move(
    keys: Floats, sizes: Floats, ages: Ints, members: Ints, n: int, key: float, by: float, heads: int, age: int
) -> int:
    """Change a level's size and its number of orders; a level without orders goes. Answers the number of levels."""
    i = slot(keys, n, key)
    if i > 0 and keys[i - 1] == key:
        i -= 1
        sizes[i], members[i], ages[i] = sizes[i] + by, members[i] + heads, age
        if members[i] > 0:
            return n
        for j in range(i + 1, n):
            keys[j - 1], sizes[j - 1], ages[j - 1], members[j - 1] = keys[j], sizes[j], ages[j], members[j]
        return n - 1
    for j in range(n, i, -1):
        keys[j], sizes[j], ages[j], members[j] = keys[j - 1], sizes[j - 1], ages[j - 1], members[j - 1]
    keys[i], sizes[i], ages[i], members[i] = key, by, age, heads
    return n + 1


@compiled
def drop_level(ids: Ints, orders: Floats, side: float, price: float) -> None:
    """Forget every order of a level; rare, so it may look at them all."""
    i = 0
    while i < len(ids):
        if ids[i] != EMPTY and orders[i, SIDE] == side and orders[i, PRICE] == price:
            remove(ids, orders, i)  # another may have moved here: look again
        else:
            i += 1


@compiled
def repair(
    state: Ints, keys: Floats, sizes: Floats, ages: Ints, counts: Ints, ids: Ints, orders: Floats, alive: int
) -> int:
    """Drop the older of two crossed touches with its orders; answers the number of orders left."""
    bids, asks = uncrossed(keys, sizes, ages, counts[0], counts[1])
    for s, left in ((0, bids), (1, asks)):
        for k in range(left, counts[s]):
            drop_level(ids, orders, 1.0 if s == 0 else -1.0, keys[0, k] if s == 0 else -keys[1, k])
            state[DROPPED] += 1
        counts[s] = left
    alive = 0
    for i in range(len(ids)):
        alive += ids[i] != EMPTY
    return alive


@compiled
def replay_l3(  # noqa: C901 - one loop, read top to bottom
    ts_ns: Ints,
    order_id: Ints,
    action: NDArray[np.int8],
    side: NDArray[np.int8],
    price: Floats,
    size: Floats,
    at_ns: Ints,
    every: int,
    depth: int,
    grace_ns: int,
    silence_ns: int,
    state: Ints,
    keys: Floats,
    sizes: Floats,
    ages: Ints,
    members: Ints,
    counts: Ints,
    ids: Ints,
    orders: Floats,
    alive: int,
    out_ns: Ints,
    out: Floats,
) -> tuple[int, Floats, Floats, Ints, Ints, Ints, Floats, int]:
    """Apply a chunk of order events; write books as :func:`features.ladder.replay_l2` does.

    Answers the number of books written, the arrays, which may have grown, and the number of orders.
    """
    written = 0
    grid = 0
    for i in range(len(ts_ns)):
        now = ts_ns[i]
        if now != state[STAMP] or every > 0:
            if crossing_is_old(state, keys, counts, now, grace_ns):
                alive = repair(state, keys, sizes, ages, counts, ids, orders, alive)
            while grid < len(at_ns) and at_ns[grid] < now:
                out_ns[written] = at_ns[grid]
                emit(out[written], depth, keys, sizes, ages, counts, at_ns[grid] - state[CLOCK] <= silence_ns)
                written += 1
                grid += 1
            if every > 0 and state[MESSAGES] > 0 and state[MESSAGES] % every == 0:
                out_ns[written] = state[CLOCK]
                emit(out[written], depth, keys, sizes, ages, counts, 1)
                written += 1
            if state[CLOCK] >= 0:
                state[SYNCED_NS] += max(now - state[CLOCK], 0)
            state[CLOCK] = max(state[CLOCK], now)
            state[STAMP] = now
        state[EVENTS] += 1
        state[MESSAGES] += 1
        what = action[i]
        if what > FILL:
            continue
        if 2 * alive >= len(ids):
            ids, orders = rehashed(ids, orders)
        if max(counts[0], counts[1]) + 1 >= keys.shape[1]:
            keys, sizes, ages, members = wider(keys), wider(sizes), wider(ages), wider(members)
        at = find(ids, order_id[i])
        known = ids[at] != EMPTY
        state[ORDINAL] += 1
        if known:
            s = 0 if orders[at, SIDE] > 0 else 1
            key = orders[at, PRICE] if s == 0 else -orders[at, PRICE]
            rest = size[i] if what <= SET else orders[at, SIZE] - size[i]
            if what == DELETE or rest <= DUST:
                rest = 0.0
            same = price[i] == orders[at, PRICE] and side[i] == orders[at, SIDE]
            stays = rest > 0.0 and (what > SET or same)
            counts[s] = move(
                keys[s], sizes[s], ages[s], members[s], counts[s], key, (rest if stays else 0.0) - orders[at, SIZE],
                0 if stays else -1, state[ORDINAL],
            )  # fmt: skip
            if stays:
                orders[at, SIZE] = rest
                continue
            remove(ids, orders, at)
            alive -= 1
            if rest == 0.0:
                continue
            at = find(ids, order_id[i])
        elif what >= REDUCE or size[i] <= 0.0:
            state[UNKNOWN] += 1
            continue
        s = 0 if side[i] > 0 else 1
        key = price[i] if s == 0 else -price[i]
        ids[at] = order_id[i]
        orders[at, SIDE], orders[at, PRICE], orders[at, SIZE] = side[i], price[i], size[i]
        alive += 1
        counts[s] = move(keys[s], sizes[s], ages[s], members[s], counts[s], key, size[i], 1, state[ORDINAL])
    return written, keys, sizes, ages, members, ids, orders, alive
