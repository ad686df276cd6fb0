"""How fast is a HAR refitted at every hour? Ours by update against numpy's lstsq on each window, in the same run.

Run:  python benchmarks/har_rolling.py
"""

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from models.classical.moments import rolling_least_squares

HOURS, WINDOW, PURGE, LOOKBACKS, REPEATS, PEER_REFITS = 40_000, 26_280, 24, 5, 5, 40


def main() -> None:
    """Print the time of a refit of both and their ratio, and check that they agree."""
    rng = np.random.default_rng(1)
    level = np.cumsum(rng.normal(0, 0.05, HOURS))[:, None]
    design = -11 + level + rng.normal(0, 0.5, (HOURS, LOOKBACKS))
    target = design @ np.full(LOOKBACKS, 0.18) + rng.normal(0, 0.7, HOURS)
    refits = np.arange(WINDOW + PURGE, HOURS)
    rolling_least_squares(design, target, refits[:2], window_rows=WINDOW, purge_rows=PURGE)  # compile
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        ours = rolling_least_squares(design, target, refits, window_rows=WINDOW, purge_rows=PURGE)
        times.append((time.perf_counter() - start) / len(refits))
    own, peers, off = float(np.median(times)), [], 0.0
    full = np.column_stack([np.ones(HOURS), design])
    for j in range(0, len(refits), len(refits) // PEER_REFITS):
        rows = slice(refits[j] - PURGE - WINDOW + 1, refits[j] - PURGE + 1)
        start = time.perf_counter()
        expected = np.linalg.lstsq(full[rows], target[rows], rcond=None)[0]
        peers.append(time.perf_counter() - start)
        off = max(off, float(np.abs(ours[j] - expected).max() / np.abs(expected).max()))
    peer = float(np.median(peers))
    table = Table(title=f"a refit each hour, window of {WINDOW} hours, {LOOKBACKS} look-backs; agree to {off:.0e}")
    for heading in ("margincast", "numpy lstsq", "ratio"):
        table.add_column(heading, justify="right")
    table.add_row(f"{1e6 * own:.1f} us", f"{1e3 * peer:.2f} ms", f"{peer / own:,.0f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
