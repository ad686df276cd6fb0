"""What the benchmarks of books and trades share: made-up streams, one core, medians, peers' environments."""

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.schema import RESET, SNAPSHOT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

START_NS = 1_700_000_000_000_000_000
TICK = 0.1
MIDDLE, REACH = 300_000, 20_000  # ticks: around 30,000.0, and how far from there a price may ever be
LEVELS = 700  # a side, in the snapshot
VENUE, SYMBOL = "binance-futures", "BTCUSDT"


def on_one_core() -> None:
    """Start this program again, pinned to one CPU and with one thread in polars and numba, unless it is so already."""
    wanted = dict.fromkeys(("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(subprocess.run([sys.executable, *sys.argv], env=os.environ | wanted, check=False).returncode)


def median_s(work: Callable[[], object], repeats: int = 5) -> float:
    """Median CPU time of some repeats after one warm-up: on one core what other programs do then counts little."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def peer_python(name: str, *packages: str) -> Path | None:
    """The Python of a virtual environment that holds a peer, made at the first call; ``None`` if it cannot be made.

    The environments stay in ``$MARGINCAST_BENCH_ENVS``, or else in ``~/.cache/margincast-benchmarks``.
    """
    root = Path(os.environ.get("MARGINCAST_BENCH_ENVS", Path.home() / ".cache" / "margincast-benchmarks"))
    folder = root / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    print(f"installing {', '.join(packages)} into {folder} (once)")
    steps = (["-m", "venv", str(folder)], ["-m", "pip", "install", "-q", "--disable-pip-version-check", *packages])
    for program, step in zip((sys.executable, str(python)), steps, strict=True):
        done = subprocess.run([program, *step], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"{', '.join(packages)} cannot be installed, so there is no comparison with it: {reason}")
            return None
    ready.touch()
    return python


@njit(cache=True)
def _level_changes(  # noqa: C901 - one loop, read top to bottom
    n: int, levels: int, middle: int, reach: int, random: np.random.Generator
) -> tuple[Ints, NDArray[np.int8], Ints, Floats, int]:
    """Gaps in time (µs; 0 within a message), sides, prices in ticks, sizes; the first rows are a snapshot.

    Three in four changes are within about ten ticks of the touch, one in five within about a hundred, the rest
    deeper. Bids stay below the fair price and asks above it; where it moves on, what it passes is deleted.
    """
    gaps, sides = np.zeros(n, dtype=np.int64), np.empty(n, dtype=np.int8)
    ticks, sizes = np.empty(n, dtype=np.int64), np.empty(n)
    alive = np.zeros((2, 2 * reach + 1), dtype=np.uint8)
    count = np.zeros(2, dtype=np.int64)
    fair, i = reach, 0
    base = middle - reach
    for s in range(2):
        away, step = 0, 0
        while count[s] < levels:
            away += 1 + int(random.exponential(0.2 + step / 200))
            step += 1
            at = fair - away if s == 0 else fair + away
            alive[s, at] = 1
            count[s] += 1
            sides[i], ticks[i] = 1 - 2 * s, base + at
            sizes[i] = (1 + int(1000 * random.lognormal(0.0, 1.0))) / 1000
            i += 1
    snapshot = i
    rest = 0
    while i < n:
        if rest == 0:
            rest = int(random.geometric(0.15))
            gaps[i] = 1 + int(random.exponential(650.0))
            move = 0
            if random.random() < 0.25:
                move = 1 if random.random() < 0.5 else -1
            if abs(fair + move - reach) < reach // 2:
                fair += move
            passed = 0 if move < 0 else 1
            if move != 0 and alive[passed, fair]:
                alive[passed, fair] = 0
                count[passed] -= 1
                sides[i], ticks[i], sizes[i] = 1 - 2 * passed, base + fair, 0.0
                i += 1
                rest -= 1
                continue
        rest -= 1
        s = int(random.random() < 0.5)
        u = random.random()
        away = 1 + int(random.exponential(4.0 if u < 0.75 else 60.0 if u < 0.95 else 700.0))
        away = min(away, reach // 2 - 1)
        step = 2 * s - 1
        at = fair + step * away
        full = count[s] > levels
        if full and u >= 0.75:
            while 0 < at < 2 * reach and not alive[s, at]:
                at += step
        sides[i], ticks[i] = -step, base + at
        if alive[s, at] and random.random() < (0.25 if not full else 0.4 if u < 0.75 else 1.0):
            alive[s, at] = 0
            count[s] -= 1
            sizes[i] = 0.0
        else:
            count[s] += 1 - alive[s, at]
            alive[s, at] = 1
            sizes[i] = (1 + int(1000 * random.lognormal(0.0, 1.0))) / 1000
        i += 1
    return gaps, sides, ticks, sizes, snapshot


def level_changes(n: int, seed: int = 7) -> pl.DataFrame:
    """``n`` rows of the table ``book_deltas``: a snapshot, then about 10,000 changes a second that never cross."""
    gaps, side, ticks, size, snapshot = _level_changes(n, LEVELS, MIDDLE, REACH, np.random.default_rng(seed))
    flags = np.zeros(n, dtype=np.uint8)
    flags[:snapshot] = SNAPSHOT
    flags[0] |= RESET
    ts_ns = START_NS + 1_000 * np.cumsum(gaps)
    minus = np.full(n, -1, dtype=np.int64)
    return pl.DataFrame(
        {
            "ts_ns": ts_ns,
            "local_ns": ts_ns + 2_000_000,
            "seq": minus,
            "prev_seq": minus,
            "flags": flags,
            "side": side,
            "price": np.round(ticks * TICK, 1),
            "size": size,
        }
    )


def trades(n: int, seed: int = 7, per_s: float = 250.0) -> pl.DataFrame:
    """``n`` rows of the table ``trades``, about ``per_s`` a second, numbered."""
    random = np.random.default_rng(seed)
    ts_ns = START_NS + 1_000 * np.cumsum(random.exponential(1e6 / per_s, n).astype(np.int64))
    ticks = MIDDLE + np.cumsum(random.integers(-1, 2, n))
    return pl.DataFrame(
        {
            "ts_ns": ts_ns,
            "local_ns": ts_ns + 2_000_000,
            "seq": np.arange(1, n + 1),
            "id": pl.repeat("", n, eager=True),
            "side": random.choice(np.array([-1, 1], dtype=np.int8), n),
            "price": np.round(ticks * TICK, 1),
            "size": (1 + (1000 * random.lognormal(-2.0, 1.5, n)).astype(np.int64)) / 1000,
        }
    )


def tardis_changes(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``book_deltas`` in the columns of a Tardis file incremental_book_L2."""
    return frame.select(
        *_tardis_names(),
        is_snapshot=(pl.col("flags") & SNAPSHOT) > 0,
        side=pl.when(pl.col("side") > 0).then(pl.lit("bid")).otherwise(pl.lit("ask")),
        price="price",
        amount="size",
    )


def tardis_trades(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``trades`` in the columns of a Tardis file trades."""
    return frame.select(
        *_tardis_names(),
        id="seq",
        side=pl.when(pl.col("side") > 0).then(pl.lit("buy")).otherwise(pl.lit("sell")),
        price="price",
        amount="size",
    )


def _tardis_names() -> Iterator[pl.Expr]:
    yield pl.lit(VENUE).alias("exchange")
    yield pl.lit(SYMBOL).alias("symbol")
    yield (pl.col("ts_ns") // 1_000).alias("timestamp")
    yield (pl.col("local_ns") // 1_000).alias("local_timestamp")


def write_csv_gz(frame: pl.DataFrame, path: Path) -> None:
    """Write gzipped CSV as vendors do; level 6, the usual one."""
    with gzip.open(path, "wb", compresslevel=6) as file:
        for i, rows in enumerate(frame.iter_slices(1 << 17)):
            file.write(rows.write_csv(include_header=i == 0).encode())
