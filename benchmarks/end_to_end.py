"""How fast do files become features? Tape to books, trades to bars, csv.gz to tape, beside the usual tools.

All on one core.

Run:  python benchmarks/end_to_end.py [books] [bars] [import]
      python benchmarks/end_to_end.py memory [--gigabytes 5]

``memory`` imports one large plain CSV file in a process of its own and prints the most memory that it held; it takes
minutes and disk space, so it is not among what runs without arguments.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.events import (
    SYMBOL,
    VENUE,
    Floats,
    Ints,
    level_changes,
    median_s,
    on_one_core,
    peer_python,
    tardis_changes,
    tardis_trades,
    trades,
    write_csv_gz,
)
from features.aggregate import FIELDS, trade_bars
from features.book import BookBuilder, grid_ns, rebuild
from features.clock import NS_PER_S
from features.importing import Request, import_file
from features.intake.door import Door
from features.intake.parts import StreamWriter
from features.schema import BOOK_DELTAS
from features.tape import Stream, Tape

DEPTH, REPEATS, FEW = 25, 3, 1_000_000
BAR_S = 60
CHUNK = 2_000_000
STREAM = Stream(VENUE, SYMBOL, BOOK_DELTAS.kind)
WANTED = ("ts_ns", "seq", "prev_seq", "flags", "side", "price", "size")


def table_of(title: str, unit: str) -> Table:
    """An empty table of rates."""
    table = Table(title=f"{title}; one core, CPU time, median of {REPEATS}")
    for heading in ("", f"million {unit}/s", "margincast / peer"):
        table.add_column(heading, justify="right" if heading else "left")
    return table


def add_peer(table: Table, name: str, own: float, peer: float) -> None:
    """A line for a peer: its rate in units a second, and our ratio to it."""
    table.add_row(name, f"{peer / 1e6:.2f}", f"{own / peer:.2f} x")


def write_tape(root: Path, frame: pl.DataFrame) -> None:
    """Put rows on a tape as an import does."""
    writer = StreamWriter(root, STREAM, "0" * 64, Door(BOOK_DELTAS))
    for chunk in frame.iter_slices(1 << 17):
        writer.add(chunk)
    for part in writer.parts:
        part.close()
    writer.commit("made up")


def seconds_of(frame: pl.DataFrame) -> Ints:
    """Whole seconds strictly within the span of the rows."""
    return grid_ns(int(frame["ts_ns"][0]) + 1, int(frame["ts_ns"][-1]) - 1, NS_PER_S)


def books_to_parquet(root: Path, at_ns: Ints, target: Path) -> None:
    """Ours: the tape, row group by row group, to a Parquet file of books."""
    file = None
    for books in rebuild(Tape(root).scan(STREAM, WANTED), BookBuilder(depth=DEPTH), at_ns):
        rows = books.to_arrow(compat_level=pl.CompatLevel.oldest())
        if file is None:
            file = pq.ParquetWriter(target, rows.schema, compression="zstd")
        file.write_table(rows)
    if file is not None:
        file.close()


def books_by_hand(root: Path, at_ns: Ints, target: Path) -> None:
    """The usual way: read the Parquet parts with polars, keep a dict a side, sort it at each second."""
    frame = pl.read_parquet(str(root / STREAM.folder / "**" / "*.parquet"), columns=list(WANTED))
    columns = [frame[name].to_list() for name in ("ts_ns", "side", "price", "size")]
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    rows, due = [], iter([*at_ns.tolist(), np.iinfo(np.int64).max])
    instant = next(due)
    for ts_ns, side, price, size in zip(*columns, strict=True):
        while ts_ns > instant:
            best = sorted(bids.items(), reverse=True)[:DEPTH] + sorted(asks.items())[:DEPTH]
            rows.append([cell for level in best for cell in level])
            instant = next(due)
        book = bids if side > 0 else asks
        if size:
            book[price] = size
        else:
            book.pop(price, None)
    pl.DataFrame(np.array(rows), schema=[f"c{i}" for i in range(4 * DEPTH)]).write_parquet(target)


def books(folder: Path, events: int) -> None:
    """Tape to books of one second."""
    frame = level_changes(events)
    few = frame.head(FEW)
    for root, rows in ((folder / "all", frame), (folder / "few", few)):
        write_tape(root, rows)
    at_ns, at_few = seconds_of(frame), seconds_of(few)
    ours, theirs = folder / "ours.parquet", folder / "theirs.parquet"
    books_to_parquet(folder / "few", at_few, ours)
    books_by_hand(folder / "few", at_few, theirs)
    np.testing.assert_array_equal(
        pl.read_parquet(ours).drop("ts_ns", "local_ns", "seq").to_numpy(), pl.read_parquet(theirs).to_numpy()
    )
    rate = len(frame) / median_s(lambda: books_to_parquet(folder / "all", at_ns, ours), REPEATS)
    peer = len(few) / median_s(lambda: books_by_hand(folder / "few", at_few, theirs), 1)
    table = table_of(f"Parquet tape of {len(frame):,} changes to Parquet of {len(at_ns):,} books", "changes")
    table.add_row("margincast", f"{rate / 1e6:.2f}", "")
    add_peer(table, f"polars and dicts, first {len(few):,}", rate, peer)
    Console().print(table)


def bars_by_polars(frame: pl.DataFrame) -> pl.DataFrame:
    """The bars by one ``group_by`` on rows that are in order."""
    opens = pl.col("ts_ns") // (BAR_S * NS_PER_S) * (BAR_S * NS_PER_S)
    return frame.group_by(opens, maintain_order=True).agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        volume=pl.col("size").sum(),
        quote_volume=(pl.col("price") * pl.col("size")).sum(),
        trades=pl.len(),
        buy_volume=pl.col("size").filter(pl.col("side") > 0).sum(),
    )


def bars_by_windows(frame: pl.DataFrame) -> pl.DataFrame:
    """The bars by ``group_by_dynamic``, which uses that the rows are in order."""
    return (
        frame.set_sorted("ts_ns")
        .group_by_dynamic("ts_ns", every=f"{BAR_S * NS_PER_S}i")
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            quote_volume=(pl.col("price") * pl.col("size")).sum(),
            trades=pl.len(),
            buy_volume=pl.col("size").filter(pl.col("side") > 0).sum(),
        )
    )


def bars_by_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """The bars by ``resample``; quote and buy volume want columns of their own."""
    given = frame.assign(quote=frame["price"] * frame["size"], bought=frame["size"].where(frame["side"] > 0, 0.0))
    bins = given.resample(f"{BAR_S}s")
    prices = bins["price"].ohlc()
    sums = bins[["size", "quote"]].sum()
    return pd.concat([prices, sums, bins["price"].count(), bins["bought"].sum()], axis=1)


def bars(folder: Path, count: int) -> None:
    """Trades in memory to bars."""
    del folder
    frame = trades(count)
    columns = {name: frame[name].to_numpy() for name in ("price", "size", "side")}
    indexed = pd.DataFrame(columns, index=pd.DatetimeIndex(frame["ts_ns"].to_numpy()))
    own = pl.concat(trade_bars([frame], BAR_S)).select(FIELDS).to_numpy()
    works: dict[str, Callable[[], Floats]] = {
        "polars group_by_dynamic": lambda: bars_by_windows(frame).select(FIELDS).to_numpy(),
        "polars group_by": lambda: bars_by_polars(frame).select(FIELDS).to_numpy(),
        "pandas resample": lambda: bars_by_pandas(indexed).to_numpy(),
    }
    rate = count / median_s(lambda: list(trade_bars([frame], BAR_S)), REPEATS)
    table = table_of(f"{count:,} trades in memory to {len(own):,} bars of {BAR_S} s", "trades")
    table.add_row("margincast", f"{rate / 1e6:.1f}", "")
    for name, work in works.items():
        np.testing.assert_allclose(work(), own, rtol=1e-9)
        add_peer(table, name, rate, count / median_s(work, REPEATS))
    Console().print(table)


def imported(path: Path, store: Path) -> int:
    """Import a file into a store that is new each time; answers the rows."""
    shutil.rmtree(store, ignore_errors=True)
    return import_file(path, store, Request("tardis"), lambda _rows: None).rows


def by_polars(path: Path, target: Path) -> None:
    """CSV to Parquet as polars does it."""
    pl.read_csv(path).write_parquet(target)


def by_duckdb(path: Path, target: Path) -> float | None:
    """Median seconds of duckdb in its own environment; ``None`` if that cannot be had."""
    python = peer_python("duckdb", "duckdb")
    if python is None:
        return None
    script = Path(__file__).parent / "peers" / "duckdb_csv.py"
    command = [str(part) for part in (python, script, path, target, REPEATS)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(np.median([float(line) for line in told.split()]))


def imports(folder: Path, rows: int) -> None:
    """Vendor's csv.gz to the tape; the peers only turn it into Parquet, unchecked."""
    for name, frame in (
        ("trades", tardis_trades(trades(rows))),
        ("incremental_book_L2", tardis_changes(level_changes(rows))),
    ):
        path, target, store = folder / f"{name}.csv.gz", folder / "peer.parquet", folder / "store"
        write_csv_gz(frame, path)
        if imported(path, store) != rows:
            raise AssertionError("rows were lost")
        rate = rows / median_s(partial(imported, path, store), REPEATS)
        table = table_of(f"Tardis {name}.csv.gz of {rows:,} rows to Parquet", "rows")
        table.add_row("margincast, every row checked", f"{rate / 1e6:.2f}", "")
        took = median_s(partial(by_polars, path, target), REPEATS)
        add_peer(table, "polars", rate, rows / took)
        other = by_duckdb(path, target)
        if other is not None:
            add_peer(table, "duckdb", rate, rows / other)
        start = time.process_time()
        pd.read_csv(path).to_parquet(target)
        add_peer(table, "pandas, once", rate, rows / (time.process_time() - start))
        Console().print(table)
        path.unlink()


def write_large(path: Path, gigabytes: float) -> int:
    """Write a plain CSV of book changes, the same day over and over at later times; answers the rows."""
    frame = tardis_changes(level_changes(CHUNK))
    span = int(frame["timestamp"][-1] - frame["timestamp"][0]) + 1_000
    later = [pl.col(name) + span for name in ("timestamp", "local_timestamp")]
    rows = 0
    with path.open("wb") as file:
        while file.tell() < gigabytes * 1e9:
            frame.write_csv(file, include_header=rows == 0)
            rows += len(frame)
            frame = frame.with_columns(later)
    return rows


def memory(folder: Path, gigabytes: float) -> None:
    """Import a large file in a process of its own; print the most memory that it held."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < 1.5 * gigabytes:
        raise SystemExit(f"{folder}: {free:.0f} GB free, but {1.5 * gigabytes:.0f} GB needed; give fewer --gigabytes")
    path = folder / "incremental_book_L2.csv"
    rows = write_large(path, gigabytes)
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, __file__, "child", str(path), str(folder / "store")])
    _, status, used = os.wait4(child.pid, 0)
    took = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit("the import failed")
    table = Table(title=f"import of one CSV file of {path.stat().st_size / 1e9:.1f} GB, {rows:,} rows, one core")
    for heading in ("most memory held", "time", "million rows/s"):
        table.add_column(heading, justify="right")
    unit = 1 if sys.platform == "darwin" else 1024
    table.add_row(f"{used.ru_maxrss * unit / 1e6:,.0f} MB", f"{took:.0f} s", f"{rows / took / 1e6:.2f}")
    Console().print(table)


def main() -> None:
    """Run what is asked for."""
    if sys.argv[1:2] == ["child"]:
        imported(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", help="books, bars, import (all three if none is named) or memory")
    parser.add_argument("--gigabytes", type=float, default=5.0, help="size of the file for memory")
    parser.add_argument("--millions", type=float, help="rows, in millions (books 10, bars 20, import 4)")
    given = parser.parse_args()
    works: dict[str, tuple[Callable[[Path, int], None], float]] = {
        "books": (books, 10),
        "bars": (bars, 20),
        "import": (imports, 4),
    }
    for what in given.what or works:
        with tempfile.TemporaryDirectory(prefix="margincast-bench-") as name:
            if what == "memory":
                memory(Path(name), given.gigabytes)
            else:
                work, millions = works[what]
                work(Path(name), round((given.millions or millions) * 1e6))


if __name__ == "__main__":
    on_one_core()
    main()
