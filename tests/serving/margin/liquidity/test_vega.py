"""The spread of options against a slow loop, and its laws."""

import numpy as np
import pytest

from features.errors import MarketError
from serving.margin.liquidity import LiquidityPolicy, vega_spread

RNG = np.random.default_rng(7)


def test_parts_add_to_the_net_vega_of_each_expiry() -> None:
    vega, expiry, spread = RNG.normal(size=40) * 100, RNG.integers(0, 5, 40), RNG.uniform(0.005, 0.05, 5)
    parts = vega_spread(vega, expiry, spread)
    for e in range(5):
        net = sum(v for v, at in zip(vega, expiry, strict=True) if at == e)
        assert parts[expiry == e].sum() == pytest.approx(spread[e] * abs(net))
    np.testing.assert_allclose(vega_spread(3 * vega, expiry, spread), 3 * parts)
    np.testing.assert_allclose(vega_spread(-vega, expiry, spread), parts)


def test_unknown_spread_takes_the_default_or_the_wider_one_given() -> None:
    vega, expiry = np.array([10.0, 10.0]), np.array([0, 1])
    missing = np.array([True, True])
    assert vega_spread(vega, expiry, np.array([np.nan, 0.3]), missing).tolist() == pytest.approx([1.0, 3.0])
    policy = LiquidityPolicy(missing_half_spread_vol=0.5)
    assert vega_spread(vega, expiry, np.zeros(2), missing, policy).tolist() == [5.0, 5.0]


@pytest.mark.parametrize(("vega", "spread"), [(np.nan, 0.1), (1.0, np.nan), (1.0, -0.1)])
def test_numbers_that_are_none_are_refused(vega: float, spread: float) -> None:
    with pytest.raises(MarketError):
        vega_spread(np.array([vega]), np.array([0]), np.array([spread]))
