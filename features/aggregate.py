"""Trades to bars, in one compiled pass over chunks of any size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.compiled import compiled
from features.errors import SettingError
from features.ladder import Floats, Ints
from features.schema import bars

OPEN, HIGH, LOW, CLOSE, VOLUME, QUOTE, COUNT, BOUGHT = range(8)
FIELDS = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "buy_volume")


@compiled
def fold(
    ts_ns: Ints, price: Floats, size: Floats, side: NDArray[np.int8], bar_ns: int, end_ns: int, bar: Floats,
    out_ns: Ints, out: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Fold trades into the open bar that ends at ``end_ns``; write each bar when a trade after its end comes.

    Answers the number of bars written and the end of the bar that stays open. The clock never goes
    back: a trade stamped before the open bar counts in it.
    """
    written = 0
    for i in range(len(ts_ns)):
        p, q = price[i], size[i]
        if ts_ns[i] >= end_ns:
            if bar[COUNT] > 0:
                out_ns[written] = end_ns - bar_ns
                out[written] = bar
                written += 1
            end_ns = ts_ns[i] - ts_ns[i] % bar_ns + bar_ns
            bar[OPEN] = bar[HIGH] = bar[LOW] = p
            bar[VOLUME] = bar[QUOTE] = bar[COUNT] = bar[BOUGHT] = 0.0
        bar[HIGH] = max(bar[HIGH], p)
        bar[LOW] = min(bar[LOW], p)
        bar[CLOSE] = p
        bar[VOLUME] += q
        bar[QUOTE] += p * q
        bar[COUNT] += 1.0
        if side[i] > 0:
            bar[BOUGHT] += q
        elif side[i] == 0:
            bar[BOUGHT] = np.nan
    return written, end_ns


@dataclass(slots=True)
class BarBuilder:
    """Bars of ``bar_s`` seconds out of trades that come in chunks; a bar without a trade does not exist.

    ``quote_volume`` is price times size: the quote amount where sizes are in base units. ``buy_volume`` is
    NaN in a bar with a trade whose aggressor is unknown.
    """

    bar_s: int
    _end_ns: int = field(init=False, default=np.iinfo(np.int64).min)
    _bar: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Start without a bar."""
        if self.bar_s < 1:
            raise SettingError(f"bars of {self.bar_s} s; give a whole number of seconds, at least 1")
        self._bar = np.zeros(len(FIELDS))

    def add(self, frame: pl.DataFrame) -> tuple[Ints, Floats]:
        """Take rows of the table ``trades`` in; answers the bars that closed: opens (n,) and fields (n, 8)."""
        ts_ns = frame["ts_ns"].to_numpy()
        bar_ns = self.bar_s * NS_PER_S
        room = 2 + (int(ts_ns.max() - ts_ns.min()) // bar_ns if len(ts_ns) else 0)
        room = min(room, len(ts_ns) + 1)
        out_ns, out = np.empty(room, dtype=np.int64), np.empty((room, len(FIELDS)))
        price, size, side = (frame[name].to_numpy() for name in ("price", "size", "side"))
        written, self._end_ns = fold(ts_ns, price, size, side, bar_ns, self._end_ns, self._bar, out_ns, out)
        return out_ns[:written], out[:written]

    def finish(self) -> tuple[Ints, Floats]:
        """The bar that is still open; it may yet have grown."""
        count = int(self._bar[COUNT] > 0)
        return np.full(count, self._end_ns - self.bar_s * NS_PER_S), self._bar[None, :].repeat(count, axis=0)


def trade_bars(chunks: Iterable[pl.DataFrame], bar_s: int) -> Iterator[pl.DataFrame]:
    """Bars from chunks of trades, as frames of the table ``bars``; the last one holds the bar that was still open."""
    builder = BarBuilder(bar_s)
    for chunk in chunks:
        done_ns, values = builder.add(chunk)
        if len(done_ns):
            yield to_frame(done_ns, values, bar_s)
    done_ns, values = builder.finish()
    if len(done_ns):
        yield to_frame(done_ns, values, bar_s)


def to_frame(ts_ns: Ints, values: Floats, bar_s: int) -> pl.DataFrame:
    """Bars as rows of ``bars_<bar_s>s``."""
    columns = {name: values[:, i] for i, name in enumerate(FIELDS)}
    return bars(bar_s).conform(pl.DataFrame({"ts_ns": ts_ns, **columns}))
