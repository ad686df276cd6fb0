"""Canonical tables: names, dtypes, meaning, and the rules that every row keeps.

A reader ends in one of these tables and every later room starts from one. Rows stand in
the order in which the venue sent them. Times are int64 nanoseconds since 1970 UTC:
``ts_ns`` is the exchange's clock, ``local_ns`` the recorder's (0: not recorded). ``seq`` is
the venue's own running number (-1: it has none). Sides are +1 for bid and buy, -1 for ask
and sell, 0 for unknown. Prices and sizes are float64 in the venue's units; a number that
the vendor does not give is NaN.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import polars as pl

from features.clock import NS_PER_S
from features.errors import lookup

FIRST_NS, LAST_NS = 631_152_000 * NS_PER_S, 7_258_118_400 * NS_PER_S  # 1990 and 2200
BID, ASK = 1, -1
BUY, SELL = 1, -1
SNAPSHOT, RESET, BREAK = 1, 2, 4
"""Flags of a book row: part of a snapshot; the book is cleared before it; the feed was cut, the book is void."""
ADD, SET, REDUCE, DELETE, FILL, HIDDEN, HALT = 1, 2, 3, 4, 5, 6, 7
"""Actions of an order row: ``size`` is the order's, its new rest, the part taken off (REDUCE, FILL), or void."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: dtype, meaning, and what stands where the vendor says nothing (``None``: it must be given)."""

    dtype: type[pl.DataType]
    meaning: str
    absent: Any = None

    def taken_from(self, frame: pl.DataFrame, name: str) -> pl.Expr:
        """The column as the table wants it; an empty cell of a number or text says nothing, of a count it is wrong."""
        if name not in frame.columns and self.absent is not None:
            return pl.lit(self.absent, dtype=self.dtype).alias(name)
        cells = pl.col(name).cast(self.dtype)
        return cells.fill_null(self.absent) if isinstance(self.absent, float | str) else cells


@dataclass(frozen=True, slots=True)
class Rule:
    """What a row must keep: rows where ``broken`` is true are refused, with the column and the remedy named."""

    column: str
    broken: pl.Expr
    demand: str


@dataclass(frozen=True, slots=True)
class Table:
    """One canonical table.

    ``key`` names the columns that tell two rows apart: a row whose key the store already holds
    is not stored twice. Where the key is absent (``seq`` of -1, no ``id``) rows are told apart
    by their file only. ``order`` names what tells the order of rows, the best witness first; without
    any it is the exchange's clock.
    """

    kind: str
    columns: dict[str, Column]
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    partition: Literal["day", "month"] = "day"
    order: tuple[str, ...] = ("seq", "local_ns")

    @property
    def dtypes(self) -> dict[str, type[pl.DataType]]:
        """Column names with their polars dtypes, in order."""
        return {name: column.dtype for name, column in self.columns.items()}

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Cast and complete a frame's columns; ``symbol``, ``venue`` and ``row`` pass through.

        Raises
        ------
        polars.exceptions.ColumnNotFoundError, polars.exceptions.InvalidOperationError
            If a column is missing or cannot be cast: the reader's fault, not the file's.
        """
        chosen = [column.taken_from(frame, name) for name, column in self.columns.items()]
        return frame.select([pl.col(c) for c in ("venue", "symbol", "row") if c in frame.columns] + chosen)


NAN = float("nan")
TS = {
    "ts_ns": Column(pl.Int64, "exchange time of the event"),
    "local_ns": Column(pl.Int64, "time of receipt at the recorder; 0 where it was not recorded", 0),
}
SEQ = Column(pl.Int64, "the venue's running number of the event or trade; -1 where it has none", -1)


def _number(meaning: str) -> Column:
    return Column(pl.Float64, meaning, NAN)


def _positive(*names: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(name, ~(pl.col(name).is_finite() & (pl.col(name) > 0)), f"{name} is finite and positive") for name in names
    )


def _at_least_zero(*names: str, or_absent: bool = False) -> tuple[Rule, ...]:
    demand = "is finite and not negative" + (" (NaN: not given)" if or_absent else "")
    return tuple(
        Rule(
            name,
            ~(pl.col(name).is_finite() & (pl.col(name) >= 0)) & ~(pl.col(name).is_nan() & or_absent),
            f"{name} {demand}",
        )
        for name in names
    )


def _one_of(name: str, *values: int) -> Rule:
    return Rule(name, ~pl.col(name).is_in(values), f"{name} is one of {', '.join(map(str, values))}")


IN_TIME = (
    Rule("ts_ns", ~pl.col("ts_ns").is_between(FIRST_NS, LAST_NS), "ts_ns lies between 1990 and 2200"),
    Rule(
        "local_ns",
        (pl.col("local_ns") != 0) & ~pl.col("local_ns").is_between(FIRST_NS, LAST_NS),
        "local_ns is 0 or lies between 1990 and 2200",
    ),
)

NUMBERED = Rule("seq", pl.col("seq") < -1, "seq is a running number, or -1")

TRADES = Table(
    kind="trades",
    columns={
        **TS,
        "seq": SEQ,
        "id": Column(pl.String, "the venue's name of the trade where that is no number", ""),
        "side": Column(pl.Int8, "the aggressor: +1 bought, -1 sold, 0 unknown", 0),
        "price": Column(pl.Float64, "price"),
        "size": Column(pl.Float64, "base amount or contracts, as the venue counts"),
    },
    key=("seq", "id"),
    rules=(*IN_TIME, NUMBERED, *_positive("price", "size"), _one_of("side", -1, 0, 1)),
    order=("local_ns", "seq"),
)

AGG_TRADES = replace(TRADES, kind="agg_trades")
"""Trades of one order at one price made one, numbered for themselves: apart from trades, or volume counts twice."""

_IS_LEVEL = (pl.col("flags").cast(pl.Int16) & BREAK == 0) & (pl.col("side") != 0)
BOOK_DELTAS = Table(
    kind="book_deltas",
    columns={
        **TS,
        "seq": SEQ,
        "prev_seq": Column(pl.Int64, "the number that the book must have reached before this event; -1: not told", -1),
        "flags": Column(pl.UInt8, "1 part of a snapshot, 2 clears the book first, 4 feed cut: book void", 0),
        "side": Column(pl.Int8, "+1 bid, -1 ask; 0 in a row that only carries flags"),
        "price": Column(pl.Float64, "price of the level"),
        "size": Column(pl.Float64, "new total size of the level; 0 removes it"),
    },
    key=("seq", "ts_ns", "flags", "side", "price"),
    rules=(
        *IN_TIME,
        NUMBERED,
        _one_of("side", -1, 0, 1),
        Rule(
            "price", _IS_LEVEL & ~(pl.col("price").is_finite() & (pl.col("price") > 0)), "price is finite and positive"
        ),
        Rule(
            "size", _IS_LEVEL & ~(pl.col("size").is_finite() & (pl.col("size") >= 0)), "size is finite and not negative"
        ),
        Rule("prev_seq", (pl.col("seq") >= 0) & (pl.col("prev_seq") > pl.col("seq")), "prev_seq is not after seq"),
    ),
)

_HAS_PRICE = ~pl.col("action").is_in([DELETE, HALT])
ORDER_EVENTS = Table(
    kind="order_events",
    columns={
        **TS,
        "seq": SEQ,
        "order_id": Column(pl.Int64, "the venue's number of the order"),
        "action": Column(
            pl.Int8, "1 add, 2 set the rest, 3 take off, 4 delete, 5 fill, 6 hidden fill (no change), 7 halt or resume"
        ),
        "side": Column(pl.Int8, "+1 bid, -1 ask"),
        "price": Column(pl.Float64, "price of the order"),
        "size": Column(pl.Float64, "size of the order (1), its new rest (2), the part taken off (3, 5, 6)"),
    },
    key=(),
    rules=(
        *IN_TIME,
        NUMBERED,
        _one_of("action", *range(1, 8)),
        _one_of("side", -1, 0, 1),
        Rule(
            "price", _HAS_PRICE & ~(pl.col("price").is_finite() & (pl.col("price") > 0)), "price is finite and positive"
        ),
        Rule(
            "size",
            _HAS_PRICE & ~(pl.col("size").is_finite() & (pl.col("size") >= 0)),
            "size is finite and not negative",
        ),
    ),
)


@cache
def book_snapshots(depth: int) -> Table:
    """The table of top-``depth`` books: ``bid_px_0`` is the best bid, NaN where the book is shallower or unknown."""
    sides = {"bid": "bid", "ask": "ask"}
    levels = {
        f"{side}_{what}_{i}": _number(
            f"{'price' if what == 'px' else 'size'} of level {i} of the {side}s, 0 is the best"
        )
        for side in sides
        for i in range(depth)
        for what in ("px", "sz")
    }
    spread = Rule(
        "bid_px_0",
        pl.col("bid_px_0").fill_nan(0) >= 1.5 * pl.col("ask_px_0"),
        "the best bid is not far above the best ask",
    )
    return Table(
        kind=f"book_snapshots_{depth}",
        columns={**TS, "seq": SEQ, **levels},
        key=("seq", "ts_ns"),
        rules=(
            *IN_TIME,
            NUMBERED,
            spread,
            *(
                Rule(name, pl.col(name).is_infinite() | (pl.col(name) < 0), f"{name} is not negative")
                for name in levels
            ),
        ),
    )


BAR_PRICES = ("open", "high", "low", "close")
BARS = Table(
    kind="bars",
    columns={
        "ts_ns": Column(pl.Int64, "time of the bar's open; the bar is known at its close"),
        **{name: Column(pl.Float64, f"{name} price") for name in BAR_PRICES},
        "volume": Column(pl.Float64, "base volume"),
        "quote_volume": _number("quote volume"),
        "trades": _number("number of trades"),
        "buy_volume": _number("base volume bought by aggressors"),
    },
    key=("ts_ns",),
    rules=(
        IN_TIME[0],
        *_positive(*BAR_PRICES),
        *_at_least_zero("volume"),
        *_at_least_zero("quote_volume", "trades", "buy_volume", or_absent=True),
        Rule("high", pl.col("high") < pl.max_horizontal("open", "close"), "high is at least open and close"),
        Rule("low", pl.col("low") > pl.min_horizontal("open", "close"), "low is at most open and close"),
    ),
    partition="month",
    order=(),
)


def bars(bar_s: int) -> Table:
    """The table of bars of ``bar_s`` seconds."""
    return replace(BARS, kind=f"bars_{bar_s}s")


FUNDING = Table(
    kind="funding",
    columns={
        **TS,
        "funding_ns": Column(pl.Int64, "the settlement that the rate is paid at; 0 unknown", 0),
        "rate": Column(
            pl.Float64, "paid by longs to shorts at the settlement, a fraction of notional, as known at ts_ns"
        ),
        "predicted_rate": _number("the venue's forecast of the next rate"),
        "interval_s": Column(pl.Int64, "time between settlements; 0 unknown", 0),
        "mark_price": _number("mark price"),
        "index_price": _number("index price"),
        "last_price": _number("price of the last trade"),
    },
    key=("ts_ns", "funding_ns"),
    rules=(
        *IN_TIME,
        Rule("rate", ~(pl.col("rate").abs() < 1), "rate is a fraction of notional, below 1"),
        Rule("interval_s", pl.col("interval_s") < 0, "interval_s is a number of seconds, or 0"),
        *_at_least_zero("mark_price", "index_price", "last_price", or_absent=True),
    ),
    partition="month",
)

OPEN_INTEREST = Table(
    kind="open_interest",
    columns={
        **TS,
        "open_interest": Column(pl.Float64, "contracts or base amount, as the venue counts"),
        "value": _number("the same in quote currency"),
        "top_accounts_ratio": _number("long / short accounts of the top traders"),
        "top_positions_ratio": _number("long / short positions of the top traders"),
        "accounts_ratio": _number("long / short accounts of all"),
        "taker_ratio": _number("volume bought / sold by aggressors"),
    },
    key=("ts_ns",),
    rules=(*IN_TIME, *_at_least_zero("open_interest"), *_at_least_zero("value", or_absent=True)),
    partition="month",
)

LIQUIDATIONS = Table(
    kind="liquidations",
    columns={
        **TS,
        "seq": SEQ,
        "id": Column(pl.String, "the venue's name of the liquidation where that is no number", ""),
        "side": Column(pl.Int8, "the order that liquidates: -1 sells a long out, +1 buys a short in"),
        "price": Column(pl.Float64, "price"),
        "size": Column(pl.Float64, "base amount or contracts, as the venue counts"),
    },
    key=("seq", "id"),
    rules=(*IN_TIME, NUMBERED, *_positive("price", "size"), _one_of("side", -1, 0, 1)),
    order=("local_ns", "seq"),
)

OPTION_QUOTES = Table(
    kind="option_quotes",
    columns={
        **TS,
        "instrument": Column(pl.String, "the venue's name of the option; the series is named by its underlying"),
        "is_call": Column(pl.Boolean, "call or put"),
        "strike": Column(pl.Float64, "strike price"),
        "expiry_ns": Column(pl.Int64, "time of expiry"),
        **{
            f"{side}_{what}": _number(f"best {side}: {what}")
            for side in ("bid", "ask")
            for what in ("price", "size", "iv")
        },
        "mark_price": _number("mark price"),
        "mark_iv": _number("implied volatility of the mark, a fraction per year"),
        "last_price": _number("price of the last trade"),
        "underlying": Column(pl.String, "the venue's name of the underlying future or index", ""),
        "underlying_price": _number("its price"),
        "open_interest": _number("open interest"),
        **{greek: _number(f"{greek} as the venue reports it") for greek in ("delta", "gamma", "vega", "theta", "rho")},
    },
    key=("ts_ns", "instrument", "local_ns"),
    rules=(
        *IN_TIME,
        *_positive("strike"),
        Rule("expiry_ns", ~pl.col("expiry_ns").is_between(FIRST_NS, LAST_NS), "expiry_ns lies between 1990 and 2200"),
        *(
            Rule(
                f"{side}_iv",
                (pl.col(f"{side}_iv") < 0) | (pl.col(f"{side}_iv").fill_nan(0) > 50),
                f"{side}_iv is a fraction per year, at most 50",
            )
            for side in ("bid", "ask", "mark")
        ),
    ),
)

BOOK_BANDS = Table(
    kind="book_bands",
    columns={
        **TS,
        "percentage": Column(pl.Float64, "edge of the band around mid, in %; negative: bids"),
        "depth": Column(pl.Float64, "total size between mid and the edge"),
        "notional": Column(pl.Float64, "the same in quote currency"),
    },
    key=("ts_ns", "percentage"),
    rules=(*IN_TIME, *_at_least_zero("depth", "notional")),
)

EVENT_TABLES: dict[str, Table] = {
    t.kind: t
    for t in (
        TRADES,
        AGG_TRADES,
        BOOK_DELTAS,
        ORDER_EVENTS,
        BOOK_BANDS,
        FUNDING,
        OPEN_INTEREST,
        LIQUIDATIONS,
        OPTION_QUOTES,
    )
}


def table_of(kind: str) -> Table:
    """The table of a kind as the store names it: ``trades``, ``bars_900s``, ``book_snapshots_25``.

    Raises
    ------
    SettingError
        If there is no such kind.

    Examples
    --------
    >>> len(table_of("book_snapshots_5").columns), table_of("bars_60s").kind
    (23, 'bars_60s')
    """
    name, _, parameter = kind.rpartition("_")
    if name == "book_snapshots" and parameter.isdigit():
        return book_snapshots(int(parameter))
    if name == "bars" and parameter.removesuffix("s").isdigit():
        return bars(int(parameter.removesuffix("s")))
    return lookup(EVENT_TABLES, kind, "kind of table")
