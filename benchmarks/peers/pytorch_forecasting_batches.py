"""Gather windows with pytorch-forecasting's loader; run by batches.py in the peer's own environment.

Run:  python pytorch_forecasting_batches.py TABLE.npy SERIES ROWS WINDOW BATCH BATCHES
"""

import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import torch
from pytorch_forecasting import TimeSeriesDataSet  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Print the CPU seconds of three runs over the same number of batches."""
    source, series, rows, window, batch, batches = sys.argv[1], *map(int, sys.argv[2:])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    values = np.load(source)
    names = [f"x{i}" for i in range(values.shape[1])]
    frame = pd.DataFrame(values, columns=names)
    frame["series"] = np.repeat([f"s{i}" for i in range(series)], rows)
    frame["row"] = np.tile(np.arange(rows), series)
    data = TimeSeriesDataSet(
        frame,
        time_idx="row",
        target="x0",
        group_ids=["series"],
        max_encoder_length=window,
        max_prediction_length=1,
        time_varying_unknown_reals=names,
        target_normalizer=None,
        scalers=dict.fromkeys(names[1:]),
    )
    loader = data.to_dataloader(train=True, batch_size=batch, num_workers=0)
    for _ in range(3):
        start = time.process_time()
        for i, _found in enumerate(loader):
            if i + 1 == batches:
                break
        print(time.process_time() - start)


if __name__ == "__main__":
    main()
