"""Freqtrade's data folder: candles, mark and index candles, funding rates and trades.

The file's name tells the pair, the length and what it is: ``BTC_USDT-5m.feather`` (spot),
``BTC_USDT_USDT-1h-futures.feather``, ``-mark``, ``-index``, ``-funding_rate`` and
``BTC_USDT-trades.feather``; feather, Parquet, and JSON lists of lists, plain or compressed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import polars as pl

from features.clock import NS_PER_S
from features.errors import FormatError, SchemaError
from features.intake.batch import BATCH_ROWS, Batch, Item, Note, Options
from features.intake.stream import opened, require_file
from features.intake.units import unit_ns
from features.schema import BAR_PRICES, FUNDING, TRADES, bars

NAME = re.compile(
    r"(?P<pair>.+?)-(?:(?P<length>\d+[smhdw])(?:-(?P<kind>\w+))?|(?P<trades>trades))(?P<ending>(?:\.\w+)+)"
)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
SUFFIX = {"": "", "spot": "", "futures": "", "mark": ".mark", "index": ".index"}
KINDS = (*SUFFIX, "funding_rate", "trades")
CANDLE = ["date", *BAR_PRICES, "volume"]
TRADE = ["timestamp", "id", "type", "side", "price", "amount", "cost"]
SIDES = {"buy": 1, "sell": -1}
WHOLE_ID = r"^\d{1,18}$"
PRICES_ONLY = ("mark", "index")


@dataclass(frozen=True, slots=True)
class _Name:
    """What a file's name tells; a length of 0 is none."""

    pair: str
    kind: str
    length_s: int
    ending: str


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read one file; ``row`` counts its records from 1.

    Mark and index candles become bars of their own symbols, ``BTC_USDT_USDT.mark``. They have no
    volume: where the file says NaN, 0 is put. A candle of trades with a volume of NaN is refused.

    Raises
    ------
    FormatError
        If the name is not one of freqtrade's or the content is not what its ending says.
    SchemaError
        If a column is missing.
    """
    del options
    require_file(path)
    name = _name(path)
    wanted = TRADE if name.kind == "trades" else CANDLE
    frame = _load(path, name.ending, wanted)
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise SchemaError(f"{path}: no column {', '.join(missing)}; found {', '.join(frame.columns)}")
    symbol = name.pair + SUFFIX.get(name.kind, "")
    rows = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row")
    frame = frame.select(rows, pl.lit(symbol).alias("symbol"), _ns(path, frame[wanted[0]]), pl.exclude("row"))
    return _batches(frame, name)


def _name(path: Path) -> _Name:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise FormatError(
            f"{path}: is not named as freqtrade names its files (BTC_USDT_USDT-1m-futures.feather): "
            "pair and length of the candles cannot be told; rename it"
        )
    length = match["length"] or ""
    kind = "trades" if match["trades"] else match["kind"] or ""
    if kind not in KINDS:
        raise FormatError(f"{path}: {kind} is not read; read are candles, {', '.join(k for k in KINDS if k)}")
    return _Name(match["pair"], kind, int(length[:-1]) * SECONDS[length[-1]] if length else 0, match["ending"])


def _load(path: Path, ending: str, columns: list[str]) -> pl.DataFrame:
    load = next((load for suffix, load in LOADERS.items() if ending.startswith(suffix)), None)
    if load is None:
        raise FormatError(f"{path}: is none of {', '.join(LOADERS)}; convert it with freqtrade convert-data")
    try:
        return load(path, columns)
    except (pl.exceptions.PolarsError, msgspec.MsgspecError, OSError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        reason = str(error).splitlines()[0]
        raise FormatError(f"{path}: cannot be read as {ending} ({reason}); download or convert it again") from error


def _feather(path: Path, columns: list[str]) -> pl.DataFrame:
    del columns
    return pl.read_ipc(path)


def _parquet(path: Path, columns: list[str]) -> pl.DataFrame:
    del columns
    return pl.read_parquet(path)


def _json(path: Path, columns: list[str]) -> pl.DataFrame:
    """Read a list of lists; the first column is in ms."""
    with opened(path) as stream:
        records = msgspec.json.decode(stream.read(), type=list[list[float | int | str | None]])
    texts = {"id": pl.String, "type": pl.String, "side": pl.String}
    cells = zip(*records, strict=True) if records else [()] * len(columns)
    pairs = zip(columns, cells, strict=True)
    return pl.DataFrame(
        {
            name: pl.Series(name, values, texts.get(name, pl.Float64 if i else pl.Int64), strict=False)
            for i, (name, values) in enumerate(pairs)
        }
    )


LOADERS: dict[str, Callable[[Path, list[str]], pl.DataFrame]] = {
    ".feather": _feather,
    ".arrow": _feather,
    ".parquet": _parquet,
    ".json": _json,
}


def _ns(path: Path, stamps: pl.Series) -> pl.Series:
    """Nanoseconds of a column of dates, or of whole numbers in s, ms, us or ns."""
    if isinstance(stamps.dtype, pl.Datetime):
        return stamps.dt.epoch("ns").alias("ts_ns")
    if not stamps.dtype.is_integer():
        raise SchemaError(f"{path}: column {stamps.name} is {stamps.dtype}; dates or whole milliseconds are wanted")
    known = stamps.drop_nulls()
    if known.is_empty():
        return stamps.cast(pl.Int64).alias("ts_ns")
    try:
        scale = unit_ns(known[0])
    except ValueError as error:
        raise FormatError(f"{path}: column {stamps.name}: {error}") from error
    return (stamps.cast(pl.Int64) * scale).alias("ts_ns")


def _batches(frame: pl.DataFrame, name: _Name) -> Iterator[Item]:
    shape = {"funding_rate": _funding, "trades": _trades}.get(name.kind, _bars)
    if name.kind == "funding_rate" and _step_s(frame) not in (None, name.length_s):
        told = f"{name.length_s} s by the file's name, commonly {_step_s(frame)} s by its rows"
        yield Note(f"the time between settlements is {told}; it is stored as unknown")
        name = replace(name, length_s=0)
    batch = shape(frame, name)
    for start in range(0, len(frame), BATCH_ROWS):
        yield Batch(batch.table, batch.frame.slice(start, BATCH_ROWS))


def _step_s(frame: pl.DataFrame) -> int | None:
    """Seconds that most often lie between two rows; ``None`` if there are too few to tell."""
    steps = (frame["ts_ns"] // NS_PER_S).diff().drop_nulls()
    return int(steps.mode().max()) if len(steps) > 1 else None  # type: ignore[arg-type]  # of integers


def _bars(frame: pl.DataFrame, name: _Name) -> Batch:
    volume = pl.col("volume").cast(pl.Float64)
    if name.kind in PRICES_ONLY:
        volume = volume.fill_null(0).fill_nan(0)
    return Batch(bars(name.length_s), frame.select("row", "symbol", "ts_ns", *BAR_PRICES, volume))


def _funding(frame: pl.DataFrame, name: _Name) -> Batch:
    """The rate stands in ``open``; venues stamp it some ms after the settlement, which is on a whole second."""
    settled = (pl.col("ts_ns") // NS_PER_S * NS_PER_S).alias("funding_ns")
    interval = pl.lit(name.length_s, dtype=pl.Int64).alias("interval_s")
    return Batch(FUNDING, frame.select("row", "symbol", "ts_ns", settled, pl.col("open").alias("rate"), interval))


def _trades(frame: pl.DataFrame, name: _Name) -> Batch:
    """Trades; ``side`` is that of the aggressor."""
    del name
    number = pl.col("id").cast(pl.String).fill_null("")
    counts = number.str.contains(WHOLE_ID)
    return Batch(
        TRADES,
        frame.select(
            "row",
            "symbol",
            "ts_ns",
            pl.when(counts).then(number).otherwise(pl.lit("-1")).cast(pl.Int64).alias("seq"),
            pl.when(counts).then(pl.lit("")).otherwise(number).alias("id"),
            pl.col("side").replace_strict(SIDES, default=0, return_dtype=pl.Int8),
            "price",
            pl.col("amount").alias("size"),
        ),
    )
