"""Files of Binance's public archive.

Spot files have no header, futures files have; times are in ms, since 2025 on spot in µs.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import polars as pl

from features.errors import SchemaError
from features.intake.batch import Batch, Item, Options, Rejected
from features.intake.csvfile import header_of, typed_blocks
from features.intake.units import scale_ns, scaled, texts_ns
from features.schema import (
    AGG_TRADES,
    BARS,
    BOOK_BANDS,
    FUNDING,
    LIQUIDATIONS,
    OPEN_INTEREST,
    TRADES,
    Table,
    bars,
    book_snapshots,
)

FILE_NAME = re.compile(r"^([A-Z0-9]+(?:_[A-Z0-9]+)?)-")
INTERVAL = re.compile(r"-(\d+)(s|m|h|d|w|mo)-")
INTERVALS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
COIN_M = re.compile(r"USD_(PERP|\d{6})")
FILLED = ("average_price", "accumulated_fill_quantity")
Dtypes = dict[str, type[pl.DataType]]
MARK_KINDS = {"markPriceKlines": ".mark", "indexPriceKlines": ".index"}

ALIASES = {
    "agg_trade_id": "agg_id",
    "qty": "size",
    "quantity": "size",
    "transact_time": "time",
    "transaction_time": "time",
    "create_time": "time",
    "calc_time": "time",
    "open_time": "time",
    "timestamp": "time",
    "count": "trades",
    "taker_buy_volume": "buy_volume",
    "taker_buy_base_volume": "buy_volume",
    "quote_asset_volume": "quote_volume",
    "number_of_trades": "trades",
    "taker_buy_base_asset_volume": "buy_volume",
}
TRADE_COLUMNS = ("id", "price", "size", "quote_qty", "time", "is_buyer_maker", "is_best_match")
AGG_COLUMNS = ("agg_id", "price", "size", "first_trade_id", "last_trade_id", "time", "is_buyer_maker", "is_best_match")
KLINE_COLUMNS = (
    *("time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades", "buy_volume"),
    *("taker_buy_quote_volume", "ignore"),
)
QUOTE_COLUMNS = ("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "time", "event_time")


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read one file of the archive, zipped or not; its name or ``options.symbol`` names the instrument.

    Raises
    ------
    SchemaError
        If the columns are of no known file, or the instrument is not named.
    """
    first = header_of(path)
    headed = first[0].strip().lower().replace("_", "").isalpha()
    names = [ALIASES.get(n.strip(), n.strip()) for n in first] if headed else list(_names_of(path, first))
    dtypes, table, parse = _layout(path, names)
    symbol = _symbol_of(path, options)
    if table is BARS:
        table = _bars_of(path)
    clock = _Clock(path, options.unit)
    wanted = {name: dtype for name, dtype in dtypes.items() if name in names}
    for item in typed_blocks(path, wanted, names=names):
        if isinstance(item, Rejected):
            if not (headed and item.row == 1):
                yield item
            continue
        stamped = item.with_columns(ts_ns=clock.ns(item["time"]))
        if len(stamped):
            yield Batch(table, parse(stamped.with_columns(symbol=pl.lit(symbol))))


class _Clock:
    """Times of a column in nanoseconds: its first stamp tells the unit of the whole file."""

    def __init__(self, path: Path, unit: str | None) -> None:
        self.where, self.unit, self.scale = f"{path}: the time column", unit, 0

    def ns(self, column: pl.Series) -> pl.Series:
        if column.dtype == pl.String:
            return texts_ns(column)
        if not self.scale and column.null_count() < len(column):
            self.scale = scale_ns(self.where, cast("float", column.median()), self.unit)
        return scaled(column, self.scale or 1)


def _bars_of(path: Path) -> Table:
    """Bars of the length that the file's name tells, else of the commonest step."""
    told = INTERVAL.search(path.name)
    if told is None:
        return BARS
    if told[2] == "mo":
        raise SchemaError(f"{path}: calendar months are no bars of one length; take days")
    return bars(int(told[1]) * INTERVALS_S[told[2]])


def _symbol_of(path: Path, options: Options) -> str:
    """The instrument as asked for or as the file's name begins; bars of its mark or index price carry a suffix."""
    if "premiumIndexKlines" in path.parts:
        raise SchemaError(
            f"{path}: bars of the premium index are fractions around zero, not prices; they have no table"
        )
    match = FILE_NAME.match(path.name)
    if match is None and options.symbol is None:
        raise SchemaError(f"{path}: neither rows nor file name tell the symbol; add --symbol")
    name = options.symbol or (match[1] if match else "")
    return name + next((suffix for kind, suffix in MARK_KINDS.items() if kind in path.parts), "")


def _names_of(path: Path, cells: list[str]) -> tuple[str, ...]:
    """The columns of a file without a header, by their number and by where its booleans stand."""
    flags = [i for i, cell in enumerate(cells) if cell.lower() in ("true", "false")]
    if len(cells) in (6, 7) and flags[:1] == [5]:
        return TRADE_COLUMNS[: len(cells)]
    if len(cells) in (7, 8) and flags[:1] == [6]:
        return AGG_COLUMNS[: len(cells)]
    if len(cells) == len(KLINE_COLUMNS):
        return KLINE_COLUMNS
    if len(cells) == len(QUOTE_COLUMNS) and not flags:
        return QUOTE_COLUMNS
    raise SchemaError(f"{path}: {len(cells)} columns without a header are of no file of the archive: {','.join(cells)}")


def _numbers(*names: str) -> Dtypes:
    return dict.fromkeys(names, pl.Float64)


def _aggressor() -> pl.Expr:
    """Who waited in the book was the maker: if that was the buyer, the aggressor sold."""
    return 1 - 2 * pl.col("is_buyer_maker").cast(pl.Int8)


def _trades(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(side=_aggressor(), seq=pl.col("agg_id" if "agg_id" in frame.columns else "id")).drop(
        "id", strict=False
    )


def _bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Bars of COIN-M tell base units where others tell quote units; mark and index bars have zeros for not told."""
    untold = ["quote_volume"] if COIN_M.search(str(frame["symbol"][0])) else []
    if str(frame["symbol"][0]).endswith(tuple(MARK_KINDS.values())):
        untold = ["quote_volume", "trades", "buy_volume"]
    return frame.with_columns(pl.lit(float("nan")).alias(name) for name in untold)


def _quotes(frame: pl.DataFrame) -> pl.DataFrame:
    names = {"best_bid_price": "bid_px_0", "best_bid_qty": "bid_sz_0", "best_ask_price": "ask_px_0"}
    return frame.rename(names | {"best_ask_qty": "ask_sz_0", "update_id": "seq"})


def _metrics(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename(
        {
            "sum_open_interest": "open_interest",
            "sum_open_interest_value": "value",
            "count_toptrader_long_short_ratio": "top_accounts_ratio",
            "sum_toptrader_long_short_ratio": "top_positions_ratio",
            "count_long_short_ratio": "accounts_ratio",
            "sum_taker_long_short_vol_ratio": "taker_ratio",
        }
    )


def _funding(frame: pl.DataFrame) -> pl.DataFrame:
    hours = pl.col("funding_interval_hours").cast(pl.Int64)
    return frame.with_columns(rate=pl.col("last_funding_rate"), interval_s=hours * 3_600, funding_ns=pl.col("ts_ns"))


def _liquidations(frame: pl.DataFrame) -> pl.DataFrame:
    """An order that is filled step by step comes again with what was filled so far: only its end counts."""
    side = pl.col("side").replace_strict({"BUY": 1, "SELL": -1}, default=None, return_dtype=pl.Int8)
    ended = frame.filter(pl.col("order_status") == "FILLED")
    return ended.with_columns(side, price=pl.col("average_price"), size=pl.col("accumulated_fill_quantity"))


Layout = tuple[Dtypes, Table, Callable[[pl.DataFrame], pl.DataFrame]]
TIME: Dtypes = {"time": pl.Int64}
LAYOUTS: dict[str, Layout] = {
    "agg_id": (
        {"agg_id": pl.Int64, **_numbers("price", "size"), **TIME, "is_buyer_maker": pl.Boolean},
        AGG_TRADES,
        _trades,
    ),
    "is_buyer_maker": (
        {"id": pl.Int64, **_numbers("price", "size"), **TIME, "is_buyer_maker": pl.Boolean},
        TRADES,
        _trades,
    ),
    "best_bid_price": (
        {"update_id": pl.Int64, **_numbers(*QUOTE_COLUMNS[1:5]), **TIME},
        book_snapshots(1),
        _quotes,
    ),
    "percentage": ({"time": pl.String, **_numbers("percentage", "depth", "notional")}, BOOK_BANDS, lambda frame: frame),
    "sum_open_interest": (
        {
            "time": pl.String,
            **_numbers(
                "sum_open_interest",
                "sum_open_interest_value",
                "count_toptrader_long_short_ratio",
                "sum_toptrader_long_short_ratio",
                "count_long_short_ratio",
                "sum_taker_long_short_vol_ratio",
            ),
        },
        OPEN_INTEREST,
        _metrics,
    ),
    "last_funding_rate": ({**TIME, **_numbers("funding_interval_hours", "last_funding_rate")}, FUNDING, _funding),
    "accumulated_fill_quantity": (
        {**TIME, **dict.fromkeys(("side", "order_status"), pl.String), **_numbers(*FILLED)},
        LIQUIDATIONS,
        _liquidations,
    ),
    "open": (
        {**TIME, **_numbers("open", "high", "low", "close", "volume", "quote_volume", "trades", "buy_volume")},
        BARS,
        _bars,
    ),
}


def _layout(path: Path, names: list[str]) -> Layout:
    """Tell the file by a column that only it has."""
    for column, layout in LAYOUTS.items():
        if column in names:
            missing = [name for name in layout[0] if name not in names]
            if missing:
                raise SchemaError(f"{path}: no column {', '.join(missing)}; found {', '.join(names)}")
            return layout
    raise SchemaError(f"{path}: the columns {', '.join(names)} are of no file of the archive that is known")
