"""Real recordings of books and trades as canonical tables; it does nothing when run."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.schema import ADD, DELETE, ORDER_EVENTS, SET, TRADES, book_snapshots

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
NS_PER_MS, NS_PER_US = 1_000_000, 1_000
ACTIONS = {"created": ADD, "changed": SET, "deleted": DELETE}


@dataclass(frozen=True, slots=True)
class Capture:
    """One recording: its tables by kind."""

    name: str
    frames: dict[str, pl.DataFrame]


def bitstamp() -> Capture:
    """A day of BTC/USD: orders one by one, and trades without a side."""
    books = DATA / "books"
    orders = pl.read_parquet(books / "bitstamp_spot_btcusd_l3events_20150501.parquet")
    trades = pl.read_parquet(books / "bitstamp_spot_btcusd_trades_20150501.parquet")
    local_ns = (pl.col("local_ts_ms") * NS_PER_MS).alias("ts_ns")
    events = orders.select(
        local_ns, "order_id", "price", "size",
        pl.col("action").replace_strict(ACTIONS, return_dtype=pl.Int8),
        (1 - 2 * pl.col("is_ask")).cast(pl.Int8).alias("side"),
    )  # fmt: skip
    limited = ~pl.col("price").is_in([0.0, 999_999_999.0])
    prints = trades.select(local_ns, pl.col("trade_id").alias("seq"), "price", "size")
    return Capture(
        "bitstamp", {"order_events": ORDER_EVENTS.conform(events.filter(limited)), "trades": TRADES.conform(prints)}
    )


def gemini() -> Capture:
    """Two days of ETH/USD: the touch every second, and trades."""
    books = DATA / "books"
    touch = pl.read_parquet(books / "gemini_spot_ethusd_bbo_1s_20210701_02.parquet")
    trades = pl.read_parquet(books / "gemini_spot_ethusd_trades_20210701_02.parquet")
    ts_ns = (pl.col("ts_ms") * NS_PER_MS).alias("ts_ns")
    return Capture(
        "gemini",
        {
            "book_snapshots_1": book_snapshots(1).conform(touch.with_columns(ts_ns)),
            "trades": TRADES.conform(trades.select(ts_ns, "price", "size", _side())),
        },
    )


def binance_windows() -> list[Capture]:
    """Nine windows of some minutes: twenty levels every half second, and trades."""
    books = pl.read_parquet(DATA / "books" / "binance_windows_book20_500ms.parquet")
    trades = pl.read_parquet(DATA / "books" / "binance_windows_trades.parquet")
    captures = []
    for segment in books["segment"].unique(maintain_order=True):
        book = books.filter(pl.col("segment") == segment).with_columns((pl.col("ts_ms") * NS_PER_MS).alias("ts_ns"))
        local_ns = (pl.col("local_ts_us") * NS_PER_US).alias("ts_ns")
        numbered = pl.col("trade_id").alias("seq")
        prints = trades.filter(pl.col("segment") == segment).select(local_ns, numbered, "price", "size", _side())
        tables = {"book_snapshots_20": book_snapshots(20).conform(book), "trades": TRADES.conform(prints)}
        captures.append(Capture(str(segment), tables))
    return captures


def captures() -> list[Capture]:
    """All of them."""
    return [bitstamp(), gemini(), *binance_windows()]


def _side() -> pl.Expr:
    """The aggressor: the maker's opposite."""
    return (1 - 2 * pl.col("buyer_is_maker").cast(pl.Int8)).cast(pl.Int8).alias("side")
