"""Contracts against cash flows made by hand and the venues' own worked figures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from features.errors import PriceError
from serving.margin.pricing import contracts
from serving.margin.pricing.black import black_value


def test_inverse_profit_is_that_of_buying_coin_and_owing_usd() -> None:
    """A long of q m USD at P0: hold q m / P0 coins, owe the q m USD that the coins cost."""
    quantity, before, after = np.array([500.0, -300.0, 40.0]), 48_000.0, np.array([52_000.0, 40_000.0, 90_000.0])
    coins, debt = quantity * 10 / before, quantity * 10
    usd = coins * after - debt
    assert_allclose(contracts.inverse_pnl_usd(quantity, 10.0, before, after), usd, rtol=1e-12)
    assert_allclose(contracts.inverse_pnl_coin(quantity, 10.0, before, after) * after, usd, rtol=1e-12)


def test_inverse_profit_at_another_price_of_the_coin() -> None:
    future, coin = 51_000.0, 50_000.0
    coins = contracts.inverse_pnl_coin(100, 10.0, 40_000.0, future)
    assert_allclose(contracts.inverse_pnl_usd(100, 10.0, 40_000.0, future, coin / future), coins * coin, rtol=1e-14)


def test_bitmex_example_of_an_inverse_perpetual() -> None:
    """Its guide: 50,000 contracts bought at 10,000 earn 0.4545 XBT at 11,000 and lose 0.5556 at 9,000."""
    earned = contracts.inverse_pnl_coin(50_000, 1.0, 10_000.0, [11_000.0, 9_000.0])
    np.testing.assert_array_equal(earned.round(4), [0.4545, -0.5556])


def test_linear_profit_adds_up_over_a_path() -> None:
    path = np.array([100.0, 97.0, 130.0, 5.0])
    steps = contracts.linear_pnl(-7, 0.01, path[:-1], path[1:])
    assert_allclose(steps.sum(), contracts.linear_pnl(-7, 0.01, path[0], path[-1]), rtol=1e-13)


def test_a_coin_option_pays_its_payoff_over_the_price() -> None:
    """At expiry: max(S - K, 0)/S coin; an account with a coin balance gains by the balance and by the USD value."""
    spot, strike, balance = np.array([40_000.0, 55_000.0, 80_000.0]), 50_000.0, 0.3
    start, value = 50_000.0, 2_000.0
    after = black_value(spot, strike, 0.6, 0.0, is_call=True)
    coins = contracts.option_pnl_coin(1, 1.0, value, after, start, spot)
    assert_allclose(coins, np.maximum(spot - strike, 0) / spot - value / start, rtol=1e-14)
    equity = (balance + value / start + coins) * spot - (balance + value / start) * start
    assert_allclose(equity, balance * (spot - start) + contracts.linear_pnl(1, 1.0, value, after), rtol=1e-10)


def test_funding_of_a_day_is_three_periods_and_zero_sum() -> None:
    day = contracts.funding_pnl([2.0, -2.0], 0.5, 30_000.0, 0.0003, 86_400)
    assert_allclose(day, [-3 * 0.0003 * 30_000, 3 * 0.0003 * 30_000], rtol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_prices_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(PriceError, match="after is"):
        contracts.linear_pnl(1, 1.0, 100.0, bad)
    with pytest.raises(PriceError, match="before is"):
        contracts.inverse_pnl_usd(1, 1.0, bad, 100.0)
    with pytest.raises(PriceError, match="horizon_s is"):
        contracts.funding_pnl(1, 1.0, 100.0, 0.0, bad)
    with pytest.raises(PriceError, match=r"after is 0\.0; give a price above 0"):
        contracts.inverse_pnl_coin(1, 1.0, 100.0, 0.0)
