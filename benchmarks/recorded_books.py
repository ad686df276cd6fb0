"""Are rebuilt books the books that were recorded? Level by level, on real captures.

Run:  python benchmarks/recorded_books.py [DATA]       (DATA: the folder with raw/ and books/, ../shared/data)

* USD-M: a depth socket with one REST snapshot, two files, against top-20 books recorded every 0.5 s.
* COIN-M: a depth socket without a snapshot; the recorded book before its first change stands in for one, so
  a level is known once the feed has told it, and compared from then on.
* Bitstamp L3: one day of order events against top-20 books recorded each second. The recording is of some
  instant within the second before its stamp, and orders that rested before the first event are unknown, so a
  second counts as equal if the book was so at any event of the last two seconds, and levels at prices where an
  older order shows up later are left out where said so.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from features.book import BookBuilder, rebuild
from features.importing import Request, import_file
from features.intake.batch import Options
from features.schema import ORDER_EVENTS, RESET, SNAPSHOT
from features.tape import Stream, Tape

DEPTH = 20
SECOND_NS = 1_000_000_000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Line = tuple[str, int, int, str]
TOUCH = ("side", "price", "local_ns")


def equal(left: Floats, right: Floats) -> NDArray[np.bool_]:
    """Cell by cell; recorded sizes are float32."""
    same: NDArray[np.bool_] = np.isclose(left, right, rtol=1e-6, atol=1e-6, equal_nan=True)
    return same


def recorded(frame: pl.DataFrame) -> tuple[Ints, Floats]:
    """Stamps and books of a recording, in the order of the table of snapshots."""
    levels = [f"{side}_{what}_{i}" for side in ("bid", "ask") for i in range(DEPTH) for what in ("px", "sz")]
    return frame["ts_ms"].to_numpy() * 1_000_000, frame.select(levels).to_numpy().astype(np.float64)


def window(data: Path, segment: str) -> tuple[Ints, Floats]:
    """One recorded window of Binance."""
    frame = pl.read_parquet(data / "books/binance_windows_book20_500ms.parquet")
    return recorded(frame.filter(pl.col("segment") == segment))


def changes(data: Path, store: Path, files: list[str], venue: str, symbol: str) -> list[pl.DataFrame]:
    """The book changes of captures, through the importer."""
    for file in files:
        import_file(data / "raw/hftbacktest_raw_ws" / file, store, Request("binance", venue=venue), lambda _: None)
    return list(Tape(store).scan(Stream(venue, symbol, "book_deltas")))


def books_at(chunks: list[pl.DataFrame], at_ns: Ints, builder: BookBuilder) -> Floats:
    """Rebuilt books at the instants."""
    frame = pl.concat(rebuild(chunks, builder, at_ns))
    return frame.drop("ts_ns", "local_ns", "seq").to_numpy()


def usdm(data: Path, store: Path) -> list[Line]:
    """Snapshot and changes over two files against the recording, on the recorder's clock."""
    files = ["usdm_btcusdt_20230404.gz", "usdm_btcusdt_20230405.gz"]
    at_ns, theirs = window(data, "usdm_btcusdt_20230404")
    chunks = changes(data, store, files, "binance-usdm", "BTCUSDT")
    ours = books_at(chunks, at_ns, BookBuilder(depth=DEPTH, clock="local_ns"))
    same = int(equal(ours, theirs).all(axis=1).sum())
    return [("USD-M BTCUSDT, 20 levels", same, len(at_ns), "all")]


def coinm(data: Path, store: Path) -> list[Line]:
    """Changes on top of the recorded book before them, compared where prices are known."""
    at_ns, theirs = window(data, "cm_ethusd_perp_20240808")
    chunks = changes(data, store, ["cm_ethusd_perp_20240809.gz"], "binance-coinm", "ETHUSD_PERP")
    first = int(np.searchsorted(at_ns, chunks[0]["local_ns"][0])) - 1
    start = as_snapshot(theirs[first], int(at_ns[first]))
    at_ns, theirs = at_ns[first + 1 :], theirs[first + 1 :]
    ours = books_at([start, *chunks], at_ns, BookBuilder(depth=200, clock="local_ns"))
    touched = pl.concat([start.select(TOUCH), *(chunk.select(TOUCH) for chunk in chunks)])
    told_ns = {row[:2]: row[2] for row in touched.group_by("side", "price").min().rows()}
    same, levels = 0, 0
    for instant, mine, other in zip(at_ns, ours.reshape(-1, 2, 200, 2), theirs.reshape(-1, 2, DEPTH, 2), strict=True):
        counts = [known_levels(1 - 2 * s, instant, mine[s], other[s], told_ns) for s in range(2)]
        same += None not in counts
        levels += sum(count or 0 for count in counts)
    return [("COIN-M ETHUSD_PERP, levels told", same, len(at_ns), f"{levels / len(at_ns):.1f} levels a book compared")]


def known_levels(
    side: int, instant: int, mine: Floats, other: Floats, told_ns: dict[tuple[int, float], int]
) -> int | None:
    """How many recorded levels of a side are equal, of those that the feed has told by then.

    ``None`` if one is not, or if the rebuilt side has a level in the recorded range that the recording has not.
    """
    found = {price: size for price, size in mine if price == price}
    told = {price: size for price, size in other if told_ns.get((side, price), instant + 1) <= instant}
    low, high = other[:, 0].min(), other[:, 0].max()
    extra = [price for price in found if low <= price <= high and price not in told]
    right = all(abs(found.get(price, -1.0) - size) <= 1e-6 * size for price, size in told.items())
    return len(told) if right and not extra else None


def as_snapshot(book: Floats, ts_ns: int) -> pl.DataFrame:
    """A recorded book as the rows of a snapshot without a number."""
    levels = book.reshape(2, DEPTH, 2)
    rows = [(1 - 2 * s, price, size) for s in range(2) for price, size in levels[s]]
    flags = [SNAPSHOT | RESET] + [SNAPSHOT] * (len(rows) - 1)
    frame = pl.DataFrame(rows, schema=["side", "price", "size"], orient="row")
    return frame.with_columns(
        ts_ns=ts_ns, local_ns=ts_ns, seq=-1, prev_seq=-1, flags=pl.Series(flags, dtype=pl.UInt8)
    ).cast({"side": pl.Int8})


def bitstamp(data: Path, store: Path) -> list[Line]:
    """Order events of a day against the recorded seconds."""
    file = data / "books/bitstamp_spot_btcusd_l3events_20150501.parquet"
    import_file(file, store, Request("table", venue="bitstamp", options=Options(symbol="BTCUSD")), lambda _: None)
    events = pl.concat(Tape(store).scan(Stream("bitstamp", "BTCUSD", ORDER_EVENTS.kind)))
    stamps, theirs = recorded(pl.read_parquet(data / "books/bitstamp_spot_btcusd_book20_1s_20150501.parquet"))
    moments = events["ts_ns"].unique().sort().to_numpy()
    ours = books_at([events], moments, BookBuilder(depth=40))
    wide = ours.reshape(-1, 2, 40, 2)
    lines = []
    last = np.searchsorted(moments, stamps, side="right") - 1
    first = np.searchsorted(moments, stamps - 2 * SECOND_NS, side="right") - 1
    for name, depth in (("touch", 1), ("5 levels", 5), ("20 levels", DEPTH)):
        mine = wide[:, :, :depth].reshape(len(wide), -1)
        other = theirs.reshape(-1, 2, DEPTH, 2)[:, :, :depth].reshape(len(theirs), -1)
        lines.append((f"Bitstamp L3, {name}", *within(mine, other, first, last), "as they are"))
    old = older_orders(events)
    same = 0
    for k in range(len(stamps)):
        hidden = old_prices(old, int(stamps[k]))
        same += any(
            alike(wide[i], theirs[k].reshape(2, DEPTH, 2), hidden) for i in range(max(first[k], 0), last[k] + 1)
        )
    lines.append(("Bitstamp L3, 20 levels", same, len(stamps), "but for prices of orders older than the recording"))
    return lines


def within(mine: Floats, other: Floats, first: Ints, last: Ints) -> tuple[int, int]:
    """How many recorded books equal the rebuilt one at any event between two indices."""
    same = 0
    for k in range(len(other)):
        same += bool(equal(mine[max(first[k], 0) : last[k] + 1], other[k]).all(axis=1).any())
    return same, len(other)


def older_orders(events: pl.DataFrame) -> pl.DataFrame:
    """Orders whose first event is not their creation: side, price and the time at which they first show up."""
    shown = events.group_by("order_id", maintain_order=True).first()
    return shown.filter(pl.col("action") != 1).select("side", "price", "ts_ns").sort("ts_ns")


def old_prices(old: pl.DataFrame, ts_ns: int) -> list[set[float]]:
    """Prices a side where an order older than the recording still rests at a time, as later events tell."""
    rest = old.filter(pl.col("ts_ns") > ts_ns)
    return [set(rest.filter(pl.col("side") == side)["price"]) for side in (1, -1)]


def alike(mine: Floats, other: Floats, hidden: list[set[float]]) -> bool:
    """Whether two books agree, the hidden prices left out of both, as deep as both reach then."""
    for s in range(2):
        left = [tuple(level) for level in mine[s] if level[0] not in hidden[s]]
        right = [tuple(level) for level in other[s] if level[0] not in hidden[s]]
        if not equal(np.array(left[: len(right)]).reshape(-1, 2), np.array(right[: len(left)]).reshape(-1, 2)).all():
            return False
    return True


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path, nargs="?", default=Path(__file__).parents[2] / "shared/data")
    data = parser.parse_args().data
    if not (data / "raw").is_dir():
        Console().print(f"{data}: no recordings here; nothing to compare")
        return
    table = Table(title="rebuilt books against recorded ones")
    for heading in ("recording", "equal", "of", "share", "compared"):
        table.add_column(heading, justify="left" if heading in ("recording", "compared") else "right")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        for name, same, total, what in (*usdm(data, store), *coinm(data, store), *bitstamp(data, store)):
            table.add_row(name, f"{same:,}", f"{total:,}", f"{same / total:.2%}", what)
    Console().print(table)


if __name__ == "__main__":
    main()
