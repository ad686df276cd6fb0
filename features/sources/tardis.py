"""Tardis CSV datasets: incremental_book_L2, book_snapshot_N, trades, liquidations, quotes, tickers, options_chain.

The header tells the dataset; trades and liquidations share one, and the file's name or ``kind`` tells them apart.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import polars as pl

from features.errors import SchemaError
from features.intake.batch import Batch, Item, Options, Rejected, split
from features.intake.csvfile import header_of, require_columns, typed_blocks
from features.intake.stream import first_lines
from features.intake.units import scale_ns, scaled
from features.schema import (
    BOOK_DELTAS,
    FUNDING,
    LIQUIDATIONS,
    OPEN_INTEREST,
    OPTION_QUOTES,
    RESET,
    SNAPSHOT,
    TRADES,
    book_snapshots,
)

Dtypes = dict[str, type[pl.DataType]]
BASE: Dtypes = {"exchange": pl.String, "symbol": pl.String, "timestamp": pl.Int64, "local_timestamp": pl.Int64}
PERCENT_VENUES = ("deribit",)
"""Venues whose implied volatilities the dataset gives in percent; the others give fractions."""


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read one dataset file; times are µs by the documentation, and found from their size.

    Raises
    ------
    SchemaError
        If the header is of no known dataset.
    """
    header = header_of(path)
    require_columns(path, header, list(BASE))
    dataset, parse = _dataset(path, header)
    if "id" in dataset and _numbers_its_trades(path, header):
        dataset = dataset | {"id": pl.Int64}
    parser = parse(path, header, options)
    scale = 0
    for item in typed_blocks(path, BASE | dataset):
        if isinstance(item, Rejected):
            yield item
            continue
        if not scale and item["timestamp"].null_count() < len(item):
            scale = scale_ns(f"{path}: timestamp", cast("float", item["timestamp"].median()), options.unit)
        if len(item):
            yield from parser(_stamped(item, scale or 1), scale or 1)


def _numbers_its_trades(path: Path, header: list[str]) -> bool:
    """Whether the first trade's id is a number, as then all are; numbers beyond 64 bits are names."""
    first = first_lines(path, 2)[1:]
    cells = first[0].decode(errors="replace").split(",") if first else []
    name = cells[header.index("id")] if len(cells) == len(header) else ""
    return name.isdigit() and int(name) < 2**63


def _stamped(frame: pl.DataFrame, scale: int) -> pl.DataFrame:
    ts_ns, local_ns = (scaled(frame[name], scale) for name in ("timestamp", "local_timestamp"))
    return frame.with_columns(ts_ns=ts_ns, local_ns=local_ns).rename({"exchange": "venue"})


Parser = Callable[[pl.DataFrame, int], Iterator[Item]]


def _side() -> pl.Expr:
    """+1 for bid and buy, -1 for ask and sell, 0 for unknown, null for any other word."""
    word = pl.col("side")
    up, down = word.is_in(["bid", "buy"]), word.is_in(["ask", "sell"])
    known = pl.when(up).then(1).when(down).then(-1).when(word == "unknown").then(0)
    return known.cast(pl.Int8).alias("side")


def _trades(path: Path, header: list[str], options: Options) -> Parser:
    del header
    table = LIQUIDATIONS if "liquidation" in path.name or options.kind == "liquidations" else TRADES

    def parse(frame: pl.DataFrame, scale: int) -> Iterator[Item]:
        del scale
        names = (
            {"seq": frame["id"].fill_null(-1)} if frame["id"].dtype == pl.Int64 else {"id": frame["id"].fill_null("")}
        )
        yield Batch(table, frame.drop("id").with_columns(_side(), size=pl.col("amount"), **names))

    return parse


def _deltas(path: Path, header: list[str], options: Options) -> Parser:
    """The first row of a run of snapshot rows clears the book."""
    del path, header, options
    inside: dict[str, bool] = {}

    def parse(frame: pl.DataFrame, scale: int) -> Iterator[Item]:
        del scale
        for (symbol,), rows in split(frame, ["symbol"]).items():
            snapshot = pl.col("is_snapshot")
            starts = snapshot & ~snapshot.shift(1, fill_value=inside.get(str(symbol), False))
            flags = snapshot.cast(pl.UInt8) * SNAPSHOT + starts.cast(pl.UInt8) * RESET
            named = rows.with_columns(_side(), symbol=pl.lit(symbol), flags=flags, size=pl.col("amount"))
            yield Batch(BOOK_DELTAS, named)
            inside[str(symbol)] = bool(rows["is_snapshot"][-1])

    return parse


def _snapshots(path: Path, header: list[str], options: Options) -> Parser:
    del path, options
    depth = sum(name.startswith("asks[") and name.endswith(".price") for name in header)
    names = {
        f"{side}s[{i}].{long}": f"{side}_{short}_{i}"
        for side in ("bid", "ask")
        for i in range(depth)
        for long, short in (("price", "px"), ("amount", "sz"))
    }
    nan = [pl.col(name).fill_null(float("nan")) for name in names]
    table = book_snapshots(depth)
    return lambda frame, _: iter([Batch(table, frame.with_columns(nan).rename(names))])


def _quotes(path: Path, header: list[str], options: Options) -> Parser:
    del path, header, options
    names = {"bid_price": "bid_px_0", "bid_amount": "bid_sz_0", "ask_price": "ask_px_0", "ask_amount": "ask_sz_0"}
    nan = [pl.col(name).fill_null(float("nan")) for name in names]
    return lambda frame, _: iter([Batch(book_snapshots(1), frame.with_columns(nan).rename(names))])


def _ticker(path: Path, header: list[str], options: Options) -> Parser:
    del path, header, options

    def parse(frame: pl.DataFrame, scale: int) -> Iterator[Item]:
        told = frame.drop_nulls("funding_rate")
        funding = told.with_columns(
            rate=pl.col("funding_rate"),
            predicted_rate=pl.col("predicted_funding_rate"),
            funding_ns=scaled(told["funding_timestamp"], scale).fill_null(0),
        )
        yield Batch(FUNDING, funding)
        yield Batch(OPEN_INTEREST, frame.drop_nulls("open_interest"))

    return parse


def _options(path: Path, header: list[str], options: Options) -> Parser:
    del path, header, options

    def parse(frame: pl.DataFrame, scale: int) -> Iterator[Item]:
        percent = pl.when(pl.col("venue").is_in(PERCENT_VENUES)).then(0.01).otherwise(1.0)
        yield Batch(
            OPTION_QUOTES,
            frame.with_columns(
                symbol=pl.col("symbol").str.split("-").list.first(),
                instrument=pl.col("symbol"),
                is_call=pl.col("type").replace_strict({"call": True, "put": False}, default=None),
                strike=pl.col("strike_price"),
                expiry_ns=scaled(frame["expiration"], scale),
                underlying=pl.col("underlying_index"),
                bid_size=pl.col("bid_amount"),
                ask_size=pl.col("ask_amount"),
                **{f"{side}_iv": pl.col(f"{side}_iv") * percent for side in ("bid", "ask", "mark")},
            ),
        )

    return parse


def _numbers(*names: str) -> Dtypes:
    return dict.fromkeys(names, pl.Float64)


DATASETS: dict[str, tuple[Dtypes, Callable[[Path, list[str], Options], Parser]]] = {
    "is_snapshot": ({"is_snapshot": pl.Boolean, "side": pl.String, **_numbers("price", "amount")}, _deltas),
    "strike_price": (
        {
            **dict.fromkeys(("type", "underlying_index"), pl.String),
            "expiration": pl.Int64,
            **_numbers("strike_price", "open_interest", "last_price", "mark_price", "mark_iv", "underlying_price"),
            **_numbers(*(f"{side}_{what}" for side in ("bid", "ask") for what in ("price", "amount", "iv"))),
            **_numbers("delta", "gamma", "vega", "theta", "rho"),
        },
        _options,
    ),
    "funding_rate": (
        {
            "funding_timestamp": pl.Int64,
            **_numbers("funding_rate", "predicted_funding_rate", "open_interest"),
            **_numbers("last_price", "index_price", "mark_price"),
        },
        _ticker,
    ),
    "ask_price": (_numbers("ask_amount", "ask_price", "bid_price", "bid_amount"), _quotes),
    "id": ({"id": pl.String, "side": pl.String, **_numbers("price", "amount")}, _trades),
}


def _dataset(path: Path, header: list[str]) -> tuple[Dtypes, Callable[[Path, list[str], Options], Parser]]:
    """Tell the dataset by a column that only it has."""
    if "asks[0].price" in header:
        return _numbers(*(name for name in header if name.startswith(("asks[", "bids[")))), _snapshots
    for column, dataset in DATASETS.items():
        if column in header:
            return dataset
    raise SchemaError(f"{path}: the columns {', '.join(header)} are of no dataset that is known")
