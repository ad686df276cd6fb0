"""Trades to rows: prices, volumes, signed flow."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from features.clock import NS_PER_S
from features.engine import Bools, Channels, Ints, State
from features.fronts.tally import Numbers, Pending, Tally, running
from features.orderflow import trade_sign
from features.spec import MAX_CARRY_S
from features.terms import Floats

NEVER = 1 << 40
PRICE_CHANNELS = ("log_open", "log_high", "log_low", "log_close", "log_return", "missing")
FLOW_CHANNELS = ("volume", "quote_volume", "trades", "buy_volume", "signed_volume", "signed_quote", "paid_spread")


def carried(rows: Ints, values: Floats, n: int, before: float) -> Floats:
    """Values at some rows, ascending, each held until the next; ``before`` up to the first.

    Examples
    --------
    >>> carried(np.array([1, 3]), np.array([5.0, 6.0]), 5, 4.0)
    array([4., 5., 5., 6., 6.])
    """
    return np.repeat(np.append(before, values), np.diff(np.concatenate([[0], rows, [n]])))


@dataclass(slots=True)
class TradeFront:
    """Rows of trades. A row without a trade carries the last price, has volume 0 and is marked ``missing``.

    Before the first trade, and half an hour after the last, the volume is not known.

    A trade's aggressor is the one given, else that of the Lee-Ready rule against the mid at the row's beginning. Where
    nothing tells it, the row's signed channels are NaN. A trade stamped before one that came earlier counts at that
    one's time.
    """

    bar_s: int
    tally: Tally = field(default_factory=Tally)
    clock_ns: int = 0
    _closed_ns: int = 0
    _since: int = NEVER  # rows since the last trade
    _close: float = np.nan  # log of the last price, for the row that follows
    _pending: Pending = field(default_factory=lambda: Pending(3))
    _numbers: Numbers = field(default_factory=Numbers)
    _last: Floats = field(default_factory=lambda: np.full(2, np.nan))  # the last two different prices

    def take(self, frame: pl.DataFrame) -> Ints:
        """Take trades in; answers the times that they count at."""
        fresh = self._numbers.fresh(frame)
        ts_ns = frame["ts_ns"].to_numpy()[fresh]
        clock_ns = running(ts_ns, self.clock_ns)
        self.tally.events += len(frame)
        self.tally.duplicates += len(frame) - len(ts_ns)
        self.tally.reordered += int((ts_ns < clock_ns).sum())
        late = clock_ns < self._closed_ns
        self.tally.late += int(late.sum())
        if len(clock_ns):
            self.clock_ns = int(clock_ns[-1])
        values = np.column_stack(
            [frame[name].to_numpy()[fresh][~late].astype(np.float64) for name in ("price", "size", "side")]
        )
        self._pending.put(clock_ns[~late], values)
        return clock_ns[~late]

    def close(self, first: int, stop: int, mid: Floats) -> Channels:
        """Rows ``first`` to ``stop - 1``; ``mid`` (n,) stood before each."""
        step_ns = self.bar_s * NS_PER_S
        if first * step_ns != self._closed_ns:
            self._close, self._since = np.nan, NEVER  # a pause: nothing is carried over it
        self._closed_ns = stop * step_ns
        clock_ns, values = self._pending.pop(self._closed_ns)
        keep = clock_ns >= first * step_ns
        row = clock_ns[keep] // step_ns - first
        price, size, side = values[keep].T
        flow, prices = self._flow(row, price, size, side, mid), self._prices(row, np.log(price), stop - first)
        quiet = self._quiet(prices["missing"])
        return {name: np.where(quiet, np.nan, values) for name, values in flow.items()} | prices

    def _quiet(self, missing: Floats) -> Bools:
        """Rows before the first trade, and those too long after the last: the tape may be dead, its volume is not 0."""
        rows = np.arange(len(missing))
        last = np.maximum.accumulate(np.where(missing > 0, -self._since, rows + 1))
        since = rows + 1 - last
        self._since = int(since[-1])
        quiet: Bools = since > MAX_CARRY_S // self.bar_s
        return quiet

    def _flow(self, row: Ints, price: Floats, size: Floats, side: Floats, mid: Floats) -> Channels:
        n, before = len(mid), mid[row]
        sign = self._signs(price, before, side)
        signed = np.where(sign != 0, sign, np.nan) * size

        def total(weights: Floats) -> Floats:
            return np.bincount(row, weights, minlength=n).astype(np.float64)

        volume, flow = total(size), total(signed)
        return {
            "volume": volume,
            "quote_volume": total(size * price),
            "trades": np.bincount(row, minlength=n).astype(np.float64),
            "buy_volume": (volume + flow) / 2,
            "signed_volume": flow,
            "signed_quote": total(signed * price),
            "paid_spread": total(2 * signed * (price - before) / before),
        }

    def _signs(self, price: Floats, before: Floats, side: Floats) -> Floats:
        """Aggressors, with the last two different prices in front for the tick test."""
        front = np.full(2, np.nan)
        prices = np.concatenate([self._last, price])
        signs = trade_sign(prices, np.concatenate([front, before]), np.concatenate([[0, 0], side]).astype(np.int8))
        known = prices[~np.isnan(prices)]
        changed = known[np.concatenate([[True], np.diff(known) != 0])] if len(known) else known
        self._last = np.concatenate([front, changed])[-2:]
        return signs[2:].astype(np.float64)

    def _prices(self, row: Ints, log_price: Floats, n: int) -> Channels:
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        traded = row[starts]
        ends = np.append(starts[1:], len(row))[: len(starts)] - 1
        close = carried(traded, log_price[ends], n, self._close)
        open_, high, low = close.copy(), close.copy(), close.copy()
        if len(starts):
            open_[traded] = log_price[starts]
            high[traded] = np.maximum.reduceat(log_price, starts)
            low[traded] = np.minimum.reduceat(log_price, starts)
        log_return = np.diff(close, prepend=self._close)
        self._close = float(close[-1])
        missing = np.ones(n)
        missing[traded] = 0.0
        return dict(zip(PRICE_CHANNELS, (open_, high, low, close, log_return, missing), strict=True))

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        clocks = {
            "clocks": np.array([self.clock_ns, self._closed_ns]),
            "close": np.array(self._close),
            "since": np.array(self._since),
            "last": self._last,
            "numbers": self._numbers.recent,
        }
        return {**clocks, **self._pending.state(), **self.tally.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.clock_ns, self._closed_ns = (int(t) for t in state["clocks"])
        self._last, self._numbers.recent = state["last"], state["numbers"]
        self._close, self._since = float(state["close"]), int(state["since"])
        self._pending.restore(state)
        self.tally.restore(state)
