"""The readable twin of the compiled books: dictionaries and plain loops, one event at a time.

It says what :mod:`features.ladder` and :mod:`features.orders` compute, is some hundred times slower,
and the tests hold the two equal on random events.
"""

from dataclasses import dataclass, field

from features.schema import ADD, BREAK, DELETE, FILL, RESET, SET

DUST = 1e-12


@dataclass
class Side:
    """The levels of one side: price to size, and the event at which each last changed."""

    sign: int
    sizes: dict[float, float] = field(default_factory=dict)
    ages: dict[float, int] = field(default_factory=dict)

    def put(self, price: float, size: float, age: int) -> None:
        """Set a level, or remove it at size 0."""
        if size > 0:
            self.sizes[price], self.ages[price] = size, age
        else:
            self.drop(price)

    def drop(self, price: float) -> None:
        """Remove a level if it is there."""
        self.sizes.pop(price, None)
        self.ages.pop(price, None)

    def clear(self) -> None:
        """Remove everything."""
        self.sizes.clear()
        self.ages.clear()

    def best_first(self) -> list[float]:
        """Prices from the best to the worst."""
        return sorted(self.sizes, key=lambda price: -self.sign * price)


@dataclass
class TwinBook:
    """A book of levels that knows whether it can be trusted."""

    grace_ns: int
    synced: bool
    bids: Side = field(default_factory=lambda: Side(+1))
    asks: Side = field(default_factory=lambda: Side(-1))
    reached: int = -1
    clock_ns: int = -1
    crossed_since_ns: int | None = None
    age: int = 0
    gaps: int = 0
    dropped: int = 0
    _message: tuple[int, int] | None = None
    _applies: bool = False

    def levels(self, depth: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The best ``depth`` levels a side, without those that a crossing hides; empty while the book is void."""
        if not self.synced:
            return [], []
        bids, asks = self._uncrossed()
        return [(p, self.bids.sizes[p]) for p in bids[:depth]], [(p, self.asks.sizes[p]) for p in asks[:depth]]

    def before(self, ts_ns: int) -> None:
        """What time does before the next message: a book that has been crossed for too long loses its older side."""
        bids, asks = self.bids.best_first(), self.asks.best_first()
        if not (bids and asks and bids[0] >= asks[0]):
            self.crossed_since_ns = None
            return
        if self.crossed_since_ns is None:
            self.crossed_since_ns = self.clock_ns
        if ts_ns - self.crossed_since_ns > self.grace_ns:
            left_bids, left_asks = self._uncrossed()
            for side, prices, left in ((self.bids, bids, left_bids), (self.asks, asks, left_asks)):
                for price in set(prices) - set(left):
                    self.drop_level(side, price)
                    self.dropped += 1

    def drop_level(self, side: Side, price: float) -> None:
        """Remove a level that is believed to be a leftover."""
        side.drop(price)

    def starts_message(self, ts_ns: int, seq: int, flags: int) -> bool:
        """Rows of one number, or without numbers of one time, are one message."""
        if flags & (RESET | BREAK) or self._message is None or seq != self._message[0]:
            return True
        return seq < 0 and ts_ns != self._message[1]

    def known_at(self, at_ns: int, lost: bool, silence_ns: int) -> bool:
        """Whether the book held at an instant before the next message, which may tell that events are missing."""
        return self.synced and at_ns - self.clock_ns <= (0 if lost else silence_ns)

    def shows_loss(self, seq: int, prev_seq: int, flags: int) -> bool:
        """Whether a message tells that events before it are missing."""
        if flags & BREAK or seq < 0 or self.reached < 0:
            return bool(flags & BREAK)
        if flags & RESET:
            return seq != self.reached  # a snapshot ahead of the changes: those in between never came
        return prev_seq > self.reached and seq > self.reached

    def open_message(self, ts_ns: int, seq: int, prev_seq: int, flags: int) -> None:
        """Decide whether the book may take a message, and follow the numbering."""
        self._message, self.clock_ns = (seq, ts_ns), max(self.clock_ns, ts_ns)
        self._applies = self._may_take(seq, prev_seq, flags)

    def _may_take(self, seq: int, prev_seq: int, flags: int) -> bool:
        if flags & (BREAK | RESET):
            self._void()
            if flags & BREAK:
                return False
            self.synced, self.reached = True, seq
            return True
        if not self.synced:
            return False
        if seq < 0:
            return True
        if self.reached >= 0 and seq <= self.reached:
            return False
        if self.reached >= 0 and prev_seq > self.reached:
            self._void()
            self.gaps += 1
            return False
        self.reached = seq
        return True

    def change(self, side: int, price: float, size: float) -> None:
        """Apply one level of the message that is open."""
        if self._applies and side != 0:
            self.age += 1
            (self.bids if side > 0 else self.asks).put(price, size, self.age)

    def _void(self) -> None:
        self.bids.clear()
        self.asks.clear()
        self.synced, self.reached = False, -1

    def _uncrossed(self) -> tuple[list[float], list[float]]:
        """Prices a side, best first, after the older of two crossed touches is left out until none cross."""
        bids, asks = self.bids.best_first(), self.asks.best_first()
        while bids and asks and bids[0] >= asks[0]:
            if self.bids.ages[bids[0]] < self.asks.ages[asks[0]]:
                bids = bids[1:]
            else:
                asks = asks[1:]
        return bids, asks


@dataclass
class TwinOrders(TwinBook):
    """A book of single orders: a level is the sum of its orders."""

    orders: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    unknown: int = 0

    def drop_level(self, side: Side, price: float) -> None:
        """Remove a level with its orders."""
        side.drop(price)
        self.orders = {i: o for i, o in self.orders.items() if (o[0], o[1]) != (side.sign, price)}

    def event(self, order_id: int, action: int, side: int, price: float, size: float) -> None:
        """Apply one order event."""
        if action > FILL:
            return
        self.age += 1
        old = self.orders.get(order_id)
        if old is None and (action not in (ADD, SET) or size <= 0):
            self.unknown += 1
            return
        new = (side, price, size)
        if old is not None:
            rest = size if action in (ADD, SET) else old[2] - size
            rest = 0.0 if action == DELETE or rest <= DUST else rest
            new = (*((side, price) if action in (ADD, SET) else old[:2]), rest)
            del self.orders[order_id]
            self._refresh(*old[:2])
        if new[2] > 0:
            self.orders[order_id] = new
            self._refresh(*new[:2])

    def _refresh(self, side: int, price: float) -> None:
        """Sum a level's orders anew."""
        sizes = [o[2] for o in self.orders.values() if (o[0], o[1]) == (side, price)]
        (self.bids if side > 0 else self.asks).put(price, sum(sizes), self.age)
