"""How fast are windows gathered? Batches of random windows from one matrix, against one window at a time.

Run:  python benchmarks/feature_windows.py
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Subset

from benchmarks.events import on_one_core
from benchmarks.feature_table import keep_memory, medians_s, show_peers
from features.windows import windows

Singles = NDArray[np.float32]
ROWS, LENGTH, COLUMNS, BATCH, BATCHES = 200_000, 256, 32, 256, 40


class OneByOne(Dataset[torch.Tensor]):
    """The plain way: a window an item, collated by the loader."""

    def __init__(self, values: Singles) -> None:
        self.values = torch.from_numpy(values)

    def __len__(self) -> int:
        return len(self.values) - LENGTH + 1

    def __getitem__(self, index: int) -> torch.Tensor:
        """Slice one window."""
        return self.values[index : index + LENGTH]


def check(values: Singles, rows: NDArray[np.int64]) -> None:
    """Windows are views of the matrix, a batch is a contiguous copy, and every way gives the same."""
    views = windows(values, LENGTH)
    if not np.shares_memory(views, values) or views.base is None:
        raise AssertionError("windows were copied")
    batch = views[rows]
    if not batch.flags.c_contiguous or np.shares_memory(batch, values):
        raise AssertionError("a batch is no contiguous copy")
    np.testing.assert_array_equal(batch, stacked(values, rows))
    np.testing.assert_array_equal(batch, next(iter(DataLoader(Subset(OneByOne(values), rows.tolist()), BATCH))).numpy())
    size_gb = views.size * views.itemsize / 1e9
    print(f"{len(views):,} windows of {size_gb:,.0f} GB are a view of {values.nbytes / 1e6:.0f} MB; nothing is copied")


def stacked(values: Singles, rows: NDArray[np.int64]) -> Singles:
    """Slices, stacked."""
    return np.stack([values[row : row + LENGTH] for row in rows])


def main() -> None:
    """Rates of all four."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
    batches = rng.integers(0, ROWS - LENGTH + 1, (BATCHES, BATCH))
    check(values, batches[0])
    views = windows(values, LENGTH)
    loader = DataLoader(Subset(OneByOne(values), batches.ravel().tolist()), BATCH)
    works: dict[str, Callable[[], object]] = {
        "margincast": lambda: [len(views[rows]) for rows in batches],
        "np.stack of slices": lambda: [len(stacked(values, rows)) for rows in batches],
        "torch DataLoader, one by one": lambda: [len(batch) for batch in loader],
    }
    rates = {name: batches.size / seconds for name, seconds in medians_s(works, 9).items()}
    show_peers(f"batches of {BATCH} x {LENGTH} x {COLUMNS} float32", "thousand windows/s", rates, scale=1e3)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
