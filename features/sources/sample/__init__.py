"""The packaged real sample: Binance spot BTCUSDT, 15-minute bars, 2020-01-01 to 2022-11-09.

Its licence and origin are in LICENSE, NOTICE and DATA_CARD.md beside this file.
"""

from pathlib import Path

import pandas as pd

from features.bars import to_bars
from features.store import Series

PATH = Path(__file__).parent / "btcusdt_15m_2020_2022.parquet"
SERIES = Series(venue="binance-spot", symbol="BTCUSDT", bar_s=900)


def read(path: Path = PATH) -> pd.DataFrame:
    """Read the sample as canonical bars, shape (100002, 9)."""
    return to_bars(pd.read_parquet(path), path.name)
