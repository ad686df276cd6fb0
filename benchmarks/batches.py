"""How fast do windows reach training? Ours against one window at a time through torch's DataLoader.

Run:  python benchmarks/batches.py
"""

import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from features.pipeline import compute_panel
from features.sources import sample
from features.spec import FeatureSpec
from training.data import WindowData

WINDOW, BATCH = 64, 256


class OneByOne(Dataset[torch.Tensor]):
    """The plain way: a window an item, collated by the loader."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = torch.from_numpy(np.array(values))

    def __len__(self) -> int:
        return len(self.values) - WINDOW + 1

    def __getitem__(self, index: int) -> torch.Tensor:
        """Slice one window."""
        return self.values[index : index + WINDOW]


def windows_a_second(batches: DataLoader[torch.Tensor], size: int) -> float:
    """Windows through one epoch, a second."""
    start = time.perf_counter()
    count = sum(size for _ in batches)
    return count / (time.perf_counter() - start)


def main() -> None:
    """Print both rates, three epochs each in turn, and the ratio of the medians."""
    panel = compute_panel(sample.read(), "BTCUSDT", FeatureSpec())
    data = WindowData(panel, np.zeros((len(panel), 4)), WINDOW, BATCH, validation_rows=0, seed=0)
    plain = DataLoader(OneByOne(panel.values), batch_size=BATCH, shuffle=True, drop_last=True)
    ours, peers = [], []
    for _ in range(3):
        ours.append(windows_a_second(data.train_dataloader(), BATCH))  # type: ignore[arg-type]
        peers.append(windows_a_second(plain, BATCH))
    table = Table(title=f"windows of {WINDOW} x {panel.values.shape[1]} a second, median of 3 epochs")
    for heading in ("margincast", "DataLoader, one by one", "ratio"):
        table.add_column(heading, justify="right")
    own, peer = float(np.median(ours)), float(np.median(peers))
    table.add_row(f"{own:,.0f}", f"{peer:,.0f}", f"{own / peer:.1f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
