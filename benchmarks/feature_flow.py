"""How fast do books and trades of every second become features? Every family of books and of trades, levels 1 to 25.

The rows go the way of stored and of live data: books and trades in, rows closed, swept, rolled, finished, and told
blind or not. ``log_volume`` and ``week_volume`` are left out: they look back a month, 2.6 M rows of a second.
The peer has a few of the columns, one at a time: NumPy over the whole matrix, then a rolling mean of pandas.

Run:  python benchmarks/feature_flow.py [--thousands 200]
"""

import argparse
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.events import START_NS, SYMBOL, Floats, on_one_core
from benchmarks.feature_table import keep_memory, medians_s, ratio, show
from features.clock import NS_PER_S
from features.engine import Ints
from features.feed import CHUNK_ROWS
from features.market import Market
from features.orderflow import (
    ASK,
    BID,
    book_columns,
    depth,
    imbalance,
    microprice_frac,
    mid,
    order_flow_imbalance,
    spread_frac,
    sweep,
    trade_cost,
)
from features.schema import TRADES
from features.spec import FeatureSpec

DEPTH, REPEATS, TRADES_PER_S = 25, 3, 3
LEVELS, NOTIONALS = (1, 5, 10, 25), (10_000, 100_000)
BOOKS, PRINTS = f"book_snapshots_{DEPTH}", "trades"
START = START_NS // NS_PER_S
OF_BOOKS = (
    *(f"{family}_60s" for family in ("log_spread", "microprice", "log_slope", "slope_skew")),
    *(f"{family}_{k}_60s" for family in ("imbalance", "ofi", "log_depth", "resilience") for k in LEVELS),
    *(f"{family}_{notional}_60s" for family in ("log_cost", "cost_skew") for notional in NOTIONALS),
)
OF_TRADES = tuple(
    f"{family}_60s"
    for family in ("log_quote", "log_intensity", "signed", "amihud", "kyle", "effective_spread", "realised_spread")
)
OF_WINDOWS = ("vpin_60s",)
FEW = ("log_spread_60s", "microprice_60s", "imbalance_5_60s", "imbalance_25_60s", "ofi_5_60s", "ofi_25_60s",
       "log_depth_25_60s", "log_cost_100000_60s")  # fmt: skip


def made_up_books(n: int) -> tuple[Ints, Floats]:
    """A book each second, around a mid that moves by ticks."""
    rng = np.random.default_rng(2)
    middle = np.round(np.cumsum(rng.normal(0.0, 0.5, n)) + 30_000, 1)
    books, k = np.empty((n, 4 * DEPTH)), np.arange(DEPTH)
    books[:, 0 : 2 * DEPTH : 2] = middle[:, None] - 0.1 * (k + 1)
    books[:, 2 * DEPTH :: 2] = middle[:, None] + 0.1 * (k + 1)
    books[:, 1::2] = rng.gamma(2.0, 1.0, (n, 2 * DEPTH))
    return (START + np.arange(n)) * NS_PER_S + NS_PER_S // 2, books


def made_up_trades(books: Floats) -> pl.DataFrame:
    """Trades at the touch of those books."""
    n = TRADES_PER_S * len(books)
    rng = np.random.default_rng(4)
    ts_ns = START_NS + np.sort(rng.integers(0, len(books), n)) * NS_PER_S + NS_PER_S // 4
    side = rng.choice(np.array([-1, 1], dtype=np.int8), n)
    best = books[(ts_ns - START_NS) // NS_PER_S][:, [0, 2 * DEPTH]]
    price = np.where(side > 0, best[:, 1], best[:, 0])
    return TRADES.conform(
        pl.DataFrame(
            {"ts_ns": ts_ns, "seq": np.arange(n), "side": side, "price": price, "size": rng.gamma(1.0, 1.0, n)}
        )
    )


def cut(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Trades of every chunk of rows."""
    slots = (frame["ts_ns"].to_numpy() - START_NS) // NS_PER_S
    edges = np.searchsorted(slots, np.arange(0, slots[-1] + CHUNK_ROWS + 1, CHUNK_ROWS))
    return [frame[int(a) : int(b)] for a, b in pairwise(edges)]


def rows_of(names: tuple[str, ...], ts_ns: Ints, books: Floats, prints: list[pl.DataFrame] | None) -> Floats:
    """Ours: 4,096 seconds of books, and of trades, at a time."""
    spec = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=names, price="mid", depth=DEPTH)
    market = Market(spec, {SYMBOL: (BOOKS,) if prints is None else (BOOKS, PRINTS)}, (SYMBOL,))
    out = np.empty((len(ts_ns), len(names)))
    done = 0
    for i, at in enumerate(range(0, len(ts_ns), CHUNK_ROWS)):
        part = slice(at, at + CHUNK_ROWS)
        market.feeds[SYMBOL].take_books(ts_ns[part], books[part])
        if prints is not None:
            market.take(SYMBOL, PRINTS, prints[i])
        for rows in market.close(START + min(at + CHUNK_ROWS, len(ts_ns))):
            count = len(rows.origin_ns)
            out[done : done + count] = rows.values  # noqa: PD011 - Rows, no pandas
            done += count
    return out[:done]


def swept(books: Floats) -> None:
    """The sweep alone: the columns of every second, nothing rolled."""
    names = book_columns(LEVELS, NOTIONALS)
    out, before = np.empty((len(names), CHUNK_ROWS)), np.full(4 * DEPTH, np.nan)
    for at in range(0, len(books), CHUNK_ROWS):
        part = books[at : at + CHUNK_ROWS]
        sweep(part, before, LEVELS, NOTIONALS, np.ascontiguousarray(out[:, : len(part)]))
        before = part[-1]


def _mean(values: Floats) -> pd.Series:
    return pd.Series(values).rolling(60).mean()


def by_pandas(books: Floats) -> Floats:
    """Peer: the columns of ``FEW``."""

    def flow(levels: int) -> pd.Series:
        held = depth(books, BID, levels) + depth(books, ASK, levels)
        return 60 * _mean(order_flow_imbalance(books, levels)) / _mean(held)

    worth = (depth(books, BID, 25) + depth(books, ASK, 25)) * mid(books)
    cost = (trade_cost(books, BID, 100_000.0) + trade_cost(books, ASK, 100_000.0)) / 2
    columns = [
        np.log(_mean(spread_frac(books))), 1e4 * _mean(microprice_frac(books)), _mean(imbalance(books, 5)),
        _mean(imbalance(books, 25)), flow(5), flow(25), np.log(_mean(worth)), np.log(_mean(cost)),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def main() -> None:
    """Rates of rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--thousands", type=float, default=200.0, help="rows of a second, in thousands")
    n = round(1e3 * parser.parse_args().thousands)
    ts_ns, books = made_up_books(n)
    prints = cut(made_up_trades(books))
    own = rows_of(FEW, ts_ns, books, None)
    np.testing.assert_allclose(by_pandas(books)[-len(own) :], own, rtol=1e-6, atol=1e-9)
    everything = rows_of((*OF_BOOKS, *OF_TRADES, *OF_WINDOWS), ts_ns, books, prints)
    if not np.isfinite(everything).all():
        raise AssertionError("a feature is not known")
    works: dict[str, Callable[[], object]] = {
        f"books, {len(OF_BOOKS)} columns": lambda: rows_of(OF_BOOKS, ts_ns, books, None),
        f"books and trades, {len(OF_BOOKS) + len(OF_TRADES)} columns": lambda: rows_of(
            (*OF_BOOKS, *OF_TRADES), ts_ns, books, prints
        ),
        "the same and vpin": lambda: rows_of((*OF_BOOKS, *OF_TRADES, *OF_WINDOWS), ts_ns, books, prints),
        f"sweep alone, {len(book_columns(LEVELS, NOTIONALS))} columns": lambda: swept(books),
        f"books, the peer's {len(FEW)} columns": lambda: rows_of(FEW, ts_ns, books, None),
        f"NumPy and pandas, {len(FEW)} columns": lambda: by_pandas(books),
    }
    rates = {name: n / seconds for name, seconds in medians_s(works, REPEATS).items()}
    peer = list(rates.values())[-1]
    last = list(rates)[-2]
    rows = [(name, f"{rate / 1e6:.3f}", ratio(rate, peer) if name == last else "") for name, rate in rates.items()]
    title = f"{n:,} seconds of books of {DEPTH} levels, {TRADES_PER_S} trades a second"
    show(title, ("million rows/s", "margincast / peer"), rows)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
