"""The margin period of risk by hand, and its laws."""

from decimal import Decimal

import numpy as np
import pytest

from features.errors import AccountError
from serving.margin.liquidity import LiquidityPolicy, StressedSide, period_s, stressed_side

NONE = np.empty((0, 2))


def side(volume_usd: float | None) -> StressedSide:
    return stressed_side("sell", NONE, NONE, 50.0, 0.03, volume_usd, 1.0, LiquidityPolicy())


def test_period_grows_with_the_size_by_hand() -> None:
    # 1 000 000 USD a day at 50 USD are 20 000 units; a tenth of them a day takes 500 units in a quarter of a day.
    day_share = Decimal(500) / (Decimal("0.1") * Decimal(1_000_000) / 50)
    expected = 28_800 + float(day_share * 86_400)
    assert [period_s(28_800.0, q, side(1e6)) for q in (500.0, -500.0, 0.0)] == [expected, expected, 28_800.0]


def test_unknown_volume_takes_the_default_and_nan_is_refused() -> None:
    assert period_s(10.0, 3.0, side(None)) == period_s(10.0, 3.0, side(1e5)) > period_s(10.0, 3.0, side(1e6))
    with pytest.raises(AccountError):
        period_s(10.0, float("nan"), side(1e6))
