"""How fast do windows reach the training step? Ours against pytorch-forecasting's loader and a plain DataLoader.

Run:  python benchmarks/batches.py

The same table of four series, windows of the same length and width, the same number of batches, one core, CPU time.
Ours are the batches that a training step takes: windows, the origin's own row, outcomes and weights.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.events import on_one_core, peer_python
from benchmarks.feature_table import keep_memory, medians_s, show_peers
from models.neural.clocks import Clock
from models.neural.inputs import Inputs
from training.data import Table, WindowData

SERIES, ROWS, COLUMNS, WINDOW, BATCH, BATCHES, HORIZONS = 4, 10_000, 32, 64, 256, 40, 4
PEER = ("pytorch-forecasting==1.8.0", "torch==2.13.0")


class OneByOne(Dataset[Tensor]):
    """The plain way: a window an item, collated by the loader."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values) - WINDOW + 1

    def __getitem__(self, index: int) -> Tensor:
        """Slice one window."""
        return self.values[index : index + WINDOW]


def ours(values: Tensor) -> WindowData:
    """The table as training holds it."""
    n = len(values)
    ones, log_ratio = torch.ones(n, HORIZONS), torch.zeros(n, HORIZONS)
    starts = torch.arange(n) // ROWS * ROWS
    inputs = Inputs(values, values, torch.zeros(n, HORIZONS), starts, torch.zeros(n, dtype=torch.int64))
    table = Table(inputs, ones, log_ratio, ones, ones, ones, np.arange(n), tuple(f"s{i}" for i in range(SERIES)))
    rows = torch.arange(n)
    return WindowData(table, (rows, rows[:0]), (Clock(1, WINDOW),), BATCH, seed=0)


def some(batches: Iterable[object]) -> int:
    """Take as many batches as are counted."""
    return sum(1 for _ in islice(batches, BATCHES))


def peer_seconds(values: Tensor) -> float | None:
    """Median CPU time of pytorch-forecasting, in its own environment."""
    python = peer_python("pytorch-forecasting", *PEER)
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        np.save(path, values.numpy())
        script = Path(__file__).parent / "peers" / "pytorch_forecasting_batches.py"
        sizes = map(str, (SERIES, ROWS, WINDOW, BATCH, BATCHES))
        done = subprocess.run([python, script, path, *sizes], check=True, capture_output=True, text=True)
    return float(np.median([float(line) for line in done.stdout.split()]))


def main() -> None:
    """Rates of all three."""
    torch.set_num_threads(1)
    values = torch.from_numpy(np.random.default_rng(5).standard_normal((SERIES * ROWS, COLUMNS), dtype=np.float32))
    data, plain = ours(values), DataLoader(OneByOne(values), batch_size=BATCH, shuffle=True, drop_last=True)
    works: dict[str, Callable[[], object]] = {
        "margincast": lambda: some(data.train_dataloader()),
        "torch DataLoader, one by one": lambda: some(plain),
    }
    rates = {name: BATCH * BATCHES / seconds for name, seconds in medians_s(works, 5).items()}
    peer = peer_seconds(values)
    if peer is not None:
        rates["pytorch-forecasting 1.8.0"] = BATCH * BATCHES / peer
    show_peers(f"batches of {BATCH} x {WINDOW} x {COLUMNS} float32", "thousand windows/s", rates, scale=1e3)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
