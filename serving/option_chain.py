"""A venue's option chain as it was recorded, read into quotes of each expiry."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from features.errors import FormatError, MissingFileError, SchemaError, UnknownInstrumentError
from serving.margin.surface.quotes import SmileQuotes

COLUMNS = ("ts_ms_utc", "Expiry_Date", "Strike_Price", "Coin_Price", "bid_iv", "ask_iv", "mark_iv")
EXPIRY_HOUR = 8  # UTC, on Deribit
SECONDS_A_YEAR = 365 * 86_400


@dataclass(frozen=True, slots=True)
class ChainExpiry:
    """One expiry of a chain at one instant: quotes against the expiry's own forward."""

    name: str
    expiry_ns: int
    years: float
    forward: float
    quotes: SmileQuotes


def _table(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise MissingFileError(f"no option chain at {path}; give a parquet file of a chain")
    try:
        missing = set(COLUMNS) - set(pl.read_parquet_schema(path))
        if missing:
            raise SchemaError(f"{path}: columns {', '.join(sorted(missing))} are missing; a Deribit chain has them")
        return pl.read_parquet(path, columns=list(COLUMNS))
    except pl.exceptions.PolarsError as error:
        raise FormatError(f"{path}: not a Parquet file of a chain ({error}); is it the right file?") from error


def snapshots(path: Path) -> list[int]:
    """The instants of a recorded chain, milliseconds UTC, rising."""
    return [int(ts) for ts in _table(path)["ts_ms_utc"].unique().sort()]


def read_chain(path: Path, snapshot: int = -1) -> tuple[int, list[ChainExpiry]]:
    """One snapshot of a chain: its instant in nanoseconds and its expiries, the nearest first.

    Volatilities are recorded in per cent and given as fractions. Time to expiry runs to 08:00 UTC of the expiry's day;
    the file's own whole days are not used, they do not reproduce its marks. Each quote's moneyness is against the
    underlying price recorded with it, for the rows of a snapshot were polled one after another. Expired rows
    are left out.

    Parameters
    ----------
    path : parquet file.
    snapshot : position in ``snapshots(path)``, from the end if negative.

    Raises
    ------
    MissingFileError, SchemaError
        If the file is not there or is not a chain.
    UnknownInstrumentError
        If there is no such snapshot.
    """
    table = _table(path)
    instants = table["ts_ms_utc"].unique().sort()
    if not -len(instants) <= snapshot < len(instants):
        raise UnknownInstrumentError(f"{path}: no snapshot {snapshot}; it has 0 to {len(instants) - 1}")
    now_ms = int(instants[snapshot])
    rows = table.filter(pl.col("ts_ms_utc") == now_ms).sort("Expiry_Date", "Strike_Price")
    groups = rows.partition_by("Expiry_Date", maintain_order=True)
    return now_ms * 1_000_000, [e for e in (_expiry(g, now_ms) for g in groups) if e.years > 0]


def _expiry(rows: pl.DataFrame, now_ms: int) -> ChainExpiry:
    name = str(rows["Expiry_Date"][0])
    expires = datetime.strptime(name, "%Y-%m-%d").replace(hour=EXPIRY_HOUR, tzinfo=UTC)
    seconds = expires.timestamp() - now_ms / 1000
    strike, forward = rows["Strike_Price"].to_numpy(), rows["Coin_Price"].to_numpy()
    bid, ask, mark = (rows[column].to_numpy() / 100 for column in ("bid_iv", "ask_iv", "mark_iv"))
    quotes = SmileQuotes(np.log(strike / forward), bid, ask, mark)
    expiry_ns = int(expires.timestamp()) * 1_000_000_000
    return ChainExpiry(name, expiry_ns, seconds / SECONDS_A_YEAR, float(np.median(forward)), quotes)
