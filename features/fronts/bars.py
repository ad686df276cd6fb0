"""Bars to rows of their own length."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from features.clock import NS_PER_S
from features.engine import Channels, Ints, State
from features.fronts.tally import Pending, Tally
from features.fronts.trades import carried
from features.terms import Floats

PRICES = ("open", "high", "low", "close")
VOLUMES = ("volume", "quote_volume", "trades", "buy_volume")


@dataclass(slots=True)
class BarFront:
    """Rows of bars. A bar that is absent or has no volume is missing: the price is carried over it, the volume is 0.

    The next bar's return is the whole move. Channel ``missing`` marks such rows.
    """

    bar_s: int
    tally: Tally = field(default_factory=Tally)
    clock_ns: int = 0
    _next: int = 0
    _close: float = np.nan
    _pending: Pending = field(default_factory=lambda: Pending(8))

    def take(self, frame: pl.DataFrame) -> Ints:
        """Take closed bars in; answers their closes, less a nanosecond: a bar is known when it has closed."""
        step_ns = self.bar_s * NS_PER_S
        ts_ns = frame["ts_ns"].to_numpy()
        values = np.column_stack([frame[name].to_numpy().astype(np.float64) for name in (*PRICES, *VOLUMES)])
        newest = np.maximum.accumulate(np.concatenate([[max(self.clock_ns - step_ns, -1)], ts_ns]))
        late, twice = ts_ns < self._next * step_ns, ts_ns <= newest[:-1]
        self.tally.events += len(frame)
        self.tally.late += int(late.sum())
        self.tally.duplicates += int((~late & twice).sum())
        keep = ~late & ~twice
        self._pending.put(ts_ns[keep], values[keep])
        closes_ns = ts_ns[keep] + (step_ns - 1)
        self.clock_ns = int(closes_ns.max()) + 1 if len(closes_ns) else self.clock_ns
        return closes_ns

    def close(self, first: int, stop: int) -> Channels:
        """Rows ``first`` to ``stop - 1``."""
        step_ns, n = self.bar_s * NS_PER_S, stop - first
        ts_ns, values = self._pending.pop(stop * step_ns)
        self._next = stop
        slot = ts_ns // step_ns - first
        inside = slot >= 0
        slot, values = slot[inside], values[inside]
        live = (values[:, 4] > 0) | ((slot == 0) & np.isnan(self._close))  # nothing lies before the first price
        slot, values = slot[live], values[live]
        channels = self._prices(slot, np.log(values[:, :4]), n)
        channels |= _volumes(slot, values[:, 4:], n)
        channels["missing"] = np.ones(n)
        channels["missing"][slot] = 0.0
        return channels

    def _prices(self, slot: Ints, logs: Floats, n: int) -> Channels:
        close = carried(slot, logs[:, 3], n, self._close)
        channels = {"log_close": close, "log_return": np.diff(close, prepend=self._close)}
        for j, name in enumerate(("log_open", "log_high", "log_low")):
            channels[name] = close.copy()
            channels[name][slot] = logs[:, j]
        self._close = float(close[-1])
        return channels

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        clocks = {"clocks": np.array([self.clock_ns, self._next]), "close": np.array(self._close)}
        return {**clocks, **self._pending.state(), **self.tally.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.clock_ns, self._next = (int(t) for t in state["clocks"])
        self._close = float(state["close"])
        self._pending.restore(state)
        self.tally.restore(state)


def _volumes(slot: Ints, values: Floats, n: int) -> Channels:
    """Volumes, 0 in missing rows; what a bar does not tell is NaN. Signed volume counts at the bar's mean price."""
    spread = np.zeros((4, n))
    spread[:, slot] = values.T
    volume, quote, trades, bought = spread
    signed = 2 * bought - volume
    price = np.divide(quote, volume, out=np.zeros(n), where=volume != 0)
    return {
        "volume": volume, "quote_volume": quote, "trades": trades, "buy_volume": bought,
        "signed_volume": signed, "signed_quote": signed * price,
    }  # fmt: skip
