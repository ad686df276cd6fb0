"""What the benchmarks of features share: medians taken in turn and a table of rates; it does nothing when run."""

import os
import time
from collections.abc import Callable, Iterable

import numpy as np
from rich.console import Console
from rich.table import Table

REPEATS = 3


def keep_memory() -> None:
    """Have this program, once it is started again, keep what is freed; ``MARGINCAST_BENCH_MEMORY=fresh`` prevents it.

    What comes out here is hundreds of megabytes. A new page from the kernel costs more than what is written to it,
    and polars' allocator keeps its pages while numpy's and pandas' gives them back: who pays would be chance.
    """
    if os.environ.get("MARGINCAST_BENCH_MEMORY") == "fresh":
        return
    kept = {
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "_RJEM_MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1",
    }
    os.environ.update(kept)


def medians_s(works: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """Median CPU time of each after one warm-up; all in every round, so that what disturbs disturbs all alike."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def ratio(own: float, peer: float) -> str:
    """How many times the peer's rate."""
    return f"{own / peer:.2f} x"


def show(title: str, headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table whose first column has no heading."""
    table = Table(title=f"{title}; one core, CPU time, medians", title_justify="left")
    for heading in ("", *headings):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)


def show_peers(title: str, unit: str, per_s: dict[str, float], ours: int = 1, scale: float = 1e6) -> None:
    """Print rates: the first ``ours`` are our own, the others are peers, which the very first stands against."""
    own = next(iter(per_s.values()))
    rows = [
        (name, f"{rate / scale:,.2f}", ratio(own, rate) if i >= ours else "")
        for i, (name, rate) in enumerate(per_s.items())
    ]
    show(title, (unit, "margincast / peer"), rows)
