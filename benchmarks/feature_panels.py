"""How fast do stored bars become panels? Four symbols of real five-minute bars, with the packaged spec.

The panels hold every column and outcome of the spec ``five_minutes``. The peer is pandas: the first ten columns only,
at every bar, then every hour; the same ten are measured of ours too.

Run:  python benchmarks/feature_panels.py
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.captures import DATA
from benchmarks.events import Floats, on_one_core
from benchmarks.feature_table import keep_memory, ratio, show
from features.bars import to_bars
from features.families.variance import KERNEL_ROWS, VARIANCE_FLOOR
from features.measures.kernel import parzen
from features.panel import Panel
from features.pipeline import Frames, build_panels, compute_panels
from features.spec import FeatureSpec
from features.specs import find_spec
from features.store import Series, Store

VENUE, SYMBOLS, BAR_S = "binance-spot", ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"), 300
SOURCE = DATA / "bars_5m" / VENUE
SPEC = find_spec("five_minutes")
TEN = replace(SPEC, features=SPEC.features[:10])
KIND = f"bars_{BAR_S}s"
Bars = dict[str, pd.DataFrame]


def read(symbol: str) -> pd.DataFrame:
    """Canonical bars of one symbol, those off the grid left out."""
    frame = pl.read_parquet(SOURCE / f"{symbol}.parquet").filter(pl.col("ts_ms") % (BAR_S * 1_000) == 0)
    return to_bars(frame.to_pandas(), symbol)


def year(bars: pd.DataFrame, number: int) -> pd.DataFrame:
    """The bars that open in a year."""
    opens = pd.to_datetime(bars["ts_ns"])
    return bars[opens.dt.year == number].reset_index(drop=True)


def from_memory(bars: Bars, spec: FeatureSpec) -> dict[str, Panel]:
    """Ours: frames to panels."""
    frames: dict[str, Frames] = {symbol: {KIND: [pl.from_pandas(frame)]} for symbol, frame in bars.items()}
    return compute_panels(frames, SYMBOLS, spec)


def from_store(root: Path) -> dict[str, Panel]:
    """Ours: read from the store, hashes checked, panels written, sealed and mapped again."""
    return build_panels(root, VENUE, SYMBOLS, SPEC, Path(tempfile.mkdtemp(dir=root.parent)))


def by_pandas(frame: pd.DataFrame) -> Floats:
    """Peer: the first ten columns of one symbol at every full hour, from sums of rolling windows."""
    opens = pd.to_datetime(frame["ts_ns"])
    close = frame.set_axis(opens)["close"].asfreq(f"{BAR_S}s", method=None).ffill()
    r = pd.Series(np.log(close)).diff()
    square, size = r * r, r.abs()
    sizes = pd.concat([size, size.shift(1), size.shift(2)], axis=1).to_numpy()
    middle = pd.Series(np.median(sizes, axis=1), index=r.index) ** 2
    lagged = [r * r.shift(lag) for lag in range(KERNEL_ROWS + 1)]
    weights = [1.0, *(2 * parzen(np.arange(1, KERNEL_ROWS + 1) / (KERNEL_ROWS + 1)))]
    scale = np.pi / (6 - 4 * np.sqrt(3) + np.pi)

    def kernel(hours: int) -> pd.Series:
        parts = [w * x.rolling(12 * hours - lag).sum() for lag, (w, x) in enumerate(zip(weights, lagged, strict=True))]
        total: pd.Series = sum(parts[1:], parts[0])
        return total.clip(lower=0.0)

    variances = {f"rv{h}": (square.rolling(12 * h).sum(), h) for h in (1, 4, 24, 168, 720)}
    variances |= {f"bv{h}": (np.pi / 2 * lagged[1].abs().rolling(12 * h - 1).sum(), h) for h in (4, 24)}
    variances["med24"] = (scale * 288 / 286 * middle.rolling(286).sum(), 24)
    variances |= {f"kernel{h}": (kernel(h), h) for h in (4, 24)}
    columns = [np.log(np.maximum(variance / hours, VARIANCE_FLOOR)) for variance, hours in variances.values()]
    return np.stack(columns, axis=1)[pd.DatetimeIndex(r.index).minute == 55]


def check(bars: Bars) -> None:
    """The ten columns of both agree."""
    panels = from_memory(bars, TEN)
    for symbol, frame in bars.items():
        own = np.asarray(panels[symbol].values)
        np.testing.assert_allclose(by_pandas(frame)[-len(own) :], own, rtol=2e-6)


def works_of(bars: Bars, root: Path) -> dict[str, Callable[[], object]]:
    """What is measured of one span."""
    ours = f"{len(SPEC.features)} columns and {len(SPEC.horizons_s)} horizons"
    return {
        f"margincast, from memory: {ours}": lambda: from_memory(bars, SPEC),
        f"margincast, from a store to a sealed cache: {ours}": lambda: from_store(root),
        "margincast, from memory: first 10 columns": lambda: from_memory(bars, TEN),
        "pandas, from memory: first 10 columns": lambda: [by_pandas(frame) for frame in bars.values()],
    }


def took_s(work: Callable[[], object]) -> tuple[float, float]:
    """CPU time and wall time of one run."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def span(name: str, bars: Bars, repeats: int, folder: Path) -> None:
    """Check, store and measure one span; the check warms up."""
    check(bars)
    root = folder / "store"
    for symbol, frame in bars.items():
        Store(root).write(Series(VENUE, symbol, BAR_S), frame)
    works = works_of(bars, root)
    taken: dict[str, list[tuple[float, float]]] = {label: [] for label in works}
    for _ in range(repeats):
        for label, work in works.items():
            taken[label].append(took_s(work))
    medians = {label: np.median(times, axis=0) for label, times in taken.items()}
    peer = list(medians.values())[-1][0]
    rows = [(label, f"{cpu:.2f}", f"{wall:.2f}", ratio(peer, cpu)) for label, (cpu, wall) in medians.items()]
    count = sum(len(frame) for frame in bars.values())
    show(
        f"{name}: {count:,} bars of {len(bars)} symbols, runs: {repeats}",
        ("CPU s", "wall s", "times as fast as pandas"),
        rows,
    )


def main() -> None:
    """One year, then all."""
    if not SOURCE.exists():
        print(f"{SOURCE} is not there: no panels of real bars are measured")
        return
    bars = {symbol: read(symbol) for symbol in SYMBOLS}
    spans = {"2024": {symbol: year(frame, 2024) for symbol, frame in bars.items()}, "2017 to 2025": bars}
    for (name, given), repeats in zip(spans.items(), (5, 1), strict=True):
        with tempfile.TemporaryDirectory(prefix="margincast-bench-") as folder:
            span(name, given, repeats, Path(folder))


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
