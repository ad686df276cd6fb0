"""Bars of the hidden path: their closes keep the law, their extremes are a Brownian bridge's, their volume follows."""

import numpy as np
import pytest

from features.bars import COLUMNS
from features.errors import SettingError
from features.sources.synthetic import Crash, Factor, Instrument, Latent, MarketSpec, own_factor, simulate, to_bars

START = 1_704_067_200_000_000_000
DAY = 86_400.0


@pytest.fixture(scope="module")
def path() -> Latent:
    return simulate(MarketSpec(), START, 60 * DAY, 60.0, np.random.default_rng(3))


def test_bars_are_canonical_and_closes_are_the_path(path: Latent) -> None:
    bars = to_bars(path, "ETH-SYN", 900, np.random.default_rng(1))
    assert list(bars.columns) == list(COLUMNS)
    assert len(bars) == 60 * 96
    np.testing.assert_allclose(np.log(bars["close"]), path.log_price[1, 15::15], rtol=1e-12)
    np.testing.assert_array_equal(bars["open"][1:], bars["close"][:-1])
    assert (bars["buy_volume"] <= bars["volume"]).all()


def test_the_same_seed_gives_the_same_bars(path: Latent) -> None:
    first, again, other = (to_bars(path, "SOL-SYN", 300, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.equals(again)
    assert (first["volume"] != other["volume"]).all()


def test_extremes_are_those_of_a_brownian_motion_however_long_the_step() -> None:
    """Parkinson (1980): E[(log high/low)^2] = 4 log 2 sigma^2; extremes of the grid alone would fall far short."""
    flat = Factor((0.6,), (0.0,), ((0.0,),), dispersion=1e-3)
    spec = MarketSpec(flat, (Instrument(own=own_factor(1e-5, 0.0), crash=Crash(per_year=0.0)),))
    path = simulate(spec, START, 100 * DAY, 300.0, np.random.default_rng(4))
    bars = to_bars(path, "BTC-SYN", 900, np.random.default_rng(5))
    squared = np.log(bars["high"] / bars["low"]) ** 2 / (4 * np.log(2) * 0.36 * 900 / (365 * DAY))
    assert squared.mean() == pytest.approx(1.0, abs=4 * squared.std() / np.sqrt(len(squared)))
    ends = np.log(bars[["open", "close"]].max(axis=1) / bars[["open", "close"]].min(axis=1)) ** 2
    assert ends.mean() < 0.5 * (np.log(bars["high"] / bars["low"]) ** 2).mean()


def test_volume_rises_with_volatility_and_turns_with_the_move(path: Latent) -> None:
    bars = to_bars(path, "BTC-SYN", 900, np.random.default_rng(1))
    move = np.log(bars["close"] / bars["open"])
    share = bars["buy_volume"] / bars["volume"]
    spot = path.spot_variance("BTC-SYN")[:-1].reshape(-1, 15).mean(axis=1)
    assert np.corrcoef(np.log(bars["volume"]), np.log(spot))[0, 1] > 0.5
    assert np.corrcoef(share, move)[0, 1] > 0.3


def test_the_number_of_trades_has_the_mean_and_dispersion_of_the_flow() -> None:
    flat = Factor((0.6,), (0.0,), ((0.0,),), dispersion=1e-3)
    spec = MarketSpec(flat, (Instrument(own=own_factor(1e-5, 0.0), trades_per_s=2.0),))
    path = simulate(spec, START, 60 * DAY, 300.0, np.random.default_rng(4))
    trades = to_bars(path, "BTC-SYN", 900, np.random.default_rng(5))["trades"]
    assert trades.mean() == pytest.approx(1_800, rel=0.01)
    assert trades.var() / trades.mean() == pytest.approx((1 - 0.65) ** -2, rel=0.1)


def test_bars_begin_on_their_grid_and_a_rest_is_left_out() -> None:
    path = simulate(MarketSpec(), START + 120 * 10**9, 1_800.0, 60.0, np.random.default_rng(3))
    bars = to_bars(path, "BTC-SYN", 300, np.random.default_rng(1))
    assert bars["ts_ns"].iloc[0] == START + 300 * 10**9
    assert len(bars) == 5


def test_a_path_that_misses_the_edges_is_refused(path: Latent) -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(SettingError, match="no whole bar of 90 s"):
        to_bars(path, "BTC-SYN", 90, rng)
    shifted = simulate(MarketSpec(), START + 1, 600.0, 60.0, rng)
    with pytest.raises(SettingError, match="no whole bar of 300 s"):
        to_bars(shifted, "BTC-SYN", 300, rng)
    with pytest.raises(SettingError, match="no whole bar of 3600 s"):
        to_bars(simulate(MarketSpec(), START, 600.0, 60.0, rng), "BTC-SYN", 3_600, rng)
