"""How fast is a book replayed? L2 changes to books of 25 levels on one core, beside nautilus_trader and hftbacktest.

Run:  python benchmarks/book_replay.py [--events 10000000]

The peers get environments of their own, made at the first run (see ``peer_python``). hftbacktest replays the same
events to the same instants and its books are compared one by one; nautilus_trader and a plain Python dict get the
first events only, as many as their speed allows, and their last book is compared.
"""

import argparse
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.events import TICK, Floats, Ints, level_changes, median_s, on_one_core, peer_python
from features.book import BookBuilder, grid_ns
from features.clock import NS_PER_S

DEPTH, REPEATS, FEW = 25, 5, 300_000
PEERS = {"hftbacktest": "hftbacktest==2.4.4", "nautilus_trader": "nautilus_trader==1.221.0"}


def ours(frame: pl.DataFrame, at_ns: Ints) -> Floats:
    """The books at the instants."""
    return BookBuilder(depth=DEPTH).deltas(frame, at_ns)[1]


def first_messages(frame: pl.DataFrame, rows: int) -> tuple[pl.DataFrame, Floats]:
    """About the first rows, up to the end of a message, and the book after them."""
    last_ns = int(frame["ts_ns"][rows])
    few = frame.filter(pl.col("ts_ns") <= last_ns)
    return few, ours(frame.head(2 * rows), np.array([last_ns]))


def peers(name: str, frame: pl.DataFrame, at_ns: Ints) -> tuple[Floats, Floats] | None:
    """Median time of each way and books of a peer, replayed in its own environment; ``None`` if it cannot be had."""
    python = peer_python(name, PEERS[name])
    if python is None:
        return None
    script = Path(__file__).parent / "peers" / f"{name.removesuffix('_trader')}_book.py"
    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in ("ts_ns", "side", "price", "size")}
    columns |= {"at_ns": at_ns, "tick": TICK, "depth": DEPTH, "repeats": REPEATS}
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "events.npz", Path(folder) / "result.npz"
        np.savez(given, **columns)
        subprocess.run([python, script, given, result], check=True)
        with np.load(result) as found:
            return np.median(np.atleast_2d(found["times"]), axis=1), found["books"]


def dicts(frame: pl.DataFrame) -> tuple[float, Floats]:
    """Time and last book of the plain way: a dict a side, no book read in between."""
    columns = [frame[name].to_list() for name in ("side", "price", "size")]
    start = time.process_time()
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for side, price, size in zip(*columns, strict=True):
        book = bids if side > 0 else asks
        if size:
            book[price] = size
        else:
            book.pop(price, None)
    took = time.process_time() - start
    levels = sorted(bids.items(), reverse=True)[:DEPTH] + sorted(asks.items())[:DEPTH]
    return took, np.array(levels).reshape(1, -1)


def main() -> None:
    """Print the rates and their ratios, and check that the books agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    frame = level_changes(parser.parse_args().events)
    few, last = first_messages(frame, min(FEW, len(frame) // 2))
    table = Table(title=f"book replay, {DEPTH} levels, {len(frame):,} changes; one core, CPU time, median of {REPEATS}")
    for heading in ("", "books", "million changes/s", "margincast / peer"):
        table.add_column(heading, justify="right" if heading else "left")
    rates: list[float] = []
    for step, step_ns in (("1 s", NS_PER_S), ("100 ms", NS_PER_S // 10)):
        at_ns = grid_ns(int(frame["ts_ns"][0]) + 1, int(frame["ts_ns"][-1]) - 1, step_ns)
        books = ours(frame, at_ns)
        rate = len(frame) / median_s(partial(ours, frame, at_ns), REPEATS)
        rates.append(rate)
        table.add_row("margincast", f"{len(at_ns):,}, {step}", f"{rate / 1e6:.2f}", "")
        peer = peers("hftbacktest", frame, at_ns)
        if peer is not None:
            np.testing.assert_allclose(peer[1], books, rtol=1e-12)
            table.add_row("hftbacktest", f"{len(at_ns):,}, {step}", *beside(rate, len(frame) / float(peer[0][0])))
    rows = f"0, first {len(few):,}"
    peer = peers("nautilus_trader", few, at_ns[:0])
    if peer is not None:
        np.testing.assert_allclose(peer[1], last, rtol=1e-12)
        for way, seconds in zip(("from arrays", "apply_delta", "apply_deltas"), peer[0].tolist(), strict=True):
            table.add_row(f"nautilus_trader {way}", rows, *beside(rates[0], len(few) / seconds))
    took, book = dicts(few)
    np.testing.assert_array_equal(book, last)
    table.add_row("Python dict", rows, *beside(rates[0], len(few) / took))
    Console().print(table)


def beside(own: float, peer: float) -> tuple[str, str]:
    """A peer's rate and our ratio to it."""
    return f"{peer / 1e6:.2f}", f"{own / peer:.2f} x"


if __name__ == "__main__":
    on_one_core()
    main()
