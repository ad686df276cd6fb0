"""The hidden path: seeds, long-run laws of its parts, and what makes no path."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from features.errors import SettingError
from features.sources.synthetic import Crash, Factor, Instrument, MarketSpec, State, draw_state, own_factor, simulate
from features.sources.synthetic.factors import YEAR_S

DAY = 86_400.0


def test_the_seed_is_the_path() -> None:
    first, again, other = (simulate(MarketSpec(), 0, DAY, 60.0, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.log_price, again.log_price)
    np.testing.assert_array_equal(first.market_variance, again.market_variance)
    assert (first.log_price[:, 1:] != other.log_price[:, 1:]).all()


def test_a_path_goes_on_from_a_state() -> None:
    path = simulate(MarketSpec(), 0, DAY, 60.0, np.random.default_rng(1))
    on = simulate(MarketSpec(), 0, 3_600.0, 60.0, np.random.default_rng(2), path.state(700))
    assert on.market_variance[0] == path.market_variance[700]
    np.testing.assert_array_equal(on.own_variance[:, 0], path.own_variance[:, 700])
    np.testing.assert_array_equal(on.log_price[:, 0], np.log([30_000, 2_000, 80]) + path.crash[:, 700])


def test_regimes_last_as_long_as_their_rates_say() -> None:
    """A Markov chain of rates 200 and 400 a year: shares 2/3 and 1/3, exponential stays."""
    market = Factor(switches_per_year=((0.0, 200.0), (400.0, 0.0)))
    path = simulate(MarketSpec(market), 0, 3 * 365 * DAY, 300.0, np.random.default_rng(4))
    assert path.regime.mean() == pytest.approx(1 / 3, abs=4 * np.sqrt(2 * 2 / 9 / (600 * 3)))
    edges = np.flatnonzero(np.diff(path.regime))
    stays = np.diff(edges)[path.regime[edges[:-1] + 1] == 0] * 300 / YEAR_S
    assert stays.mean() == pytest.approx(1 / 200, rel=4 / np.sqrt(len(stays)))
    assert stats.kstest(stays, "expon", args=(0, 1 / 200)).pvalue > 1e-3


def test_three_regimes_are_entered_by_their_rates() -> None:
    rates = ((0.0, 300.0, 100.0), (500.0, 0.0, 500.0), (0.0, 900.0, 0.0))
    market = Factor((0.4, 0.8, 1.2), (0.0, 0.0, 0.0), rates)
    path = simulate(MarketSpec(market), 0, 3 * 365 * DAY, 300.0, np.random.default_rng(4))
    share = np.bincount(path.regime, minlength=3) / len(path.regime)
    np.testing.assert_allclose(share, market.stationary, atol=0.03)
    left = path.regime[np.flatnonzero(np.diff(path.regime))]
    entered = path.regime[np.flatnonzero(np.diff(path.regime)) + 1]
    assert (entered[left == 0] == 1).mean() == pytest.approx(0.75, abs=0.05)


def test_the_variance_is_gamma_in_the_long_run_and_returns_at_its_half_life() -> None:
    own = own_factor(0.5)
    spec = MarketSpec(Factor(), (Instrument(own=own),))
    v = simulate(spec, 0, 2 * 365 * DAY, 300.0, np.random.default_rng(6)).own_variance[0]
    shape = 1 / own.dispersion**2
    assert stats.kstest(v[:: 12 * 48], "gamma", args=(shape, 0, 0.25 / shape)).pvalue > 1e-3
    assert np.corrcoef(v[72:], v[:-72])[0, 1] == pytest.approx(0.5, abs=0.04)


def test_leverage_is_the_correlation_of_price_and_variance() -> None:
    market = Factor((0.6,), (0.0,), ((0.0,),), leverage=-0.7)
    path = simulate(MarketSpec(market), 0, 20 * DAY, 60.0, np.random.default_rng(7))
    scale = path.market_variance[:-1]
    moves, turns = np.diff(path.market) / np.sqrt(scale), np.diff(path.market_variance) / np.sqrt(scale)
    assert np.corrcoef(moves, turns)[0, 1] == pytest.approx(-0.7, abs=0.02)


def test_jumps_come_as_often_as_they_should_and_are_compensated() -> None:
    market = Factor((1e-3,), (2_000.0,), ((0.0,),), jump_mean=0.02, jump_std=0.01)
    path = simulate(MarketSpec(market), 0, 365 * DAY, 60.0, np.random.default_rng(8))
    moves = np.diff(path.market) + 2_000 * 0.02 * 60 / YEAR_S
    jumps = moves[np.abs(moves) > 1e-3]
    assert len(jumps) == pytest.approx(2_000, abs=4 * np.sqrt(2_000))
    assert abs(path.market[-1]) < 4 * np.sqrt(2_000 * (0.02**2 + 0.01**2))


def test_a_crash_falls_at_once_and_recovers_at_its_half_life() -> None:
    crash = Crash(per_year=50.0, mean_drop=0.05, half_life_s=600.0)
    path = simulate(MarketSpec(Factor(), (Instrument(crash=crash),)), 0, 365 * DAY, 60.0, np.random.default_rng(9))
    fall = -np.diff(path.crash[0])
    drops = fall[fall > 0]
    assert len(drops) == pytest.approx(50, abs=4 * np.sqrt(50))
    assert drops.mean() == pytest.approx(0.05, rel=4 / np.sqrt(50))
    assert (path.crash <= 0).all()
    lowest = int(path.crash[0].argmin())
    assert path.crash[0, lowest + 10] == pytest.approx(0.5 * path.crash[0, lowest], rel=1e-9)


def test_the_law_does_not_depend_on_the_step() -> None:
    """Daily returns of ten-minute steps and of one-minute steps: Kolmogorov and Smirnov see no difference."""
    spec = MarketSpec()
    daily = [
        simulate(spec, 0, 1_000 * DAY, step_s, np.random.default_rng(seed)).log_price[0, :: int(DAY / step_s)]
        for seed, step_s in ((1, 60.0), (2, 1_200.0))
    ]
    assert stats.ks_2samp(np.diff(daily[0]), np.diff(daily[1])).pvalue > 1e-3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"vols_annual": (0.5,)}, "1 regimes need as many"),
        ({"vols_annual": (0.5, 0.0)}, "vols_annual must be finite and above 0"),
        ({"jumps_per_year": (1.0, -1.0)}, "at least 0"),
        ({"half_life_s": 0.0}, "half_life_s"),
        ({"leverage": 1.0}, "leverage lies between"),
        ({"jump_std": float("nan")}, "jump_std must be finite"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        replace(Factor(), **change)  # type: ignore[arg-type]


def test_a_market_that_cannot_be_is_refused() -> None:
    for instruments in ((), (Instrument(), Instrument())):
        with pytest.raises(SettingError, match="each with a symbol of its own"):
            MarketSpec(instruments=instruments)
    with pytest.raises(SettingError, match="own factor has one regime"):
        Instrument(own=Factor())
    with pytest.raises(SettingError, match="must be finite and above 0"):
        Instrument(tick=0.0)
    with pytest.raises(SettingError, match="crashes"):
        Crash(mean_drop=-0.01)
    with pytest.raises(SettingError, match="choose fewer"):
        MarketSpec().first(4)


def test_a_path_that_cannot_be_is_refused() -> None:
    spec, rng = MarketSpec(), np.random.default_rng(1)
    for duration_s, step_s in ((90.0, 60.0), (0.0, 60.0), (60.0, 0.0), (1.0, 1 / 3)):
        with pytest.raises(SettingError, match="no whole number of steps"):
            simulate(spec, 0, duration_s, step_s, rng)
    state = draw_state(spec, rng)
    with pytest.raises(SettingError, match="of 3 instruments"):
        simulate(spec, 0, 60.0, 60.0, rng, State(0, 0.2, np.zeros(2), np.zeros(2)))
    for odd in (replace(state, regime=2), replace(state, market_variance=-1.0), replace(state, crash=np.ones(3))):
        with pytest.raises(SettingError, match="a state has variances"):
            simulate(spec, 0, 60.0, 60.0, rng, odd)
    path = simulate(spec, 0, 3_600.0, 60.0, rng)
    with pytest.raises(SettingError, match="a horizon of 90 s"):
        path.log_return("BTC-SYN", np.array([0]), 90)
    assert np.isnan(path.log_return("BTC-SYN", np.array([0, 1]), 3_600)).tolist() == [False, True]


def test_a_market_is_read_from_toml() -> None:
    text = """
    [market]
    vols_annual = [0.5]
    jumps_per_year = [10]
    switches_per_year = [[0]]
    [[instruments]]
    symbol = "A"
    own = {vols_annual = [0.7], leverage = 0.1}
    crash = {per_year = 3}
    """
    spec = MarketSpec.from_toml(text)
    assert spec.market.levels.tolist() == [0.25]
    assert spec.instruments[0].own == replace(own_factor(0.7), leverage=0.1)
    assert spec.instruments[0].crash == Crash(per_year=3)
    assert MarketSpec.from_toml("") == MarketSpec()


@pytest.mark.parametrize(
    "text", ["a = ", "[market]\nx = 1", "[[instruments]]\nown = {y = 1}", "market = 3", "[x]\ny=1"]
)
def test_a_toml_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"cannot be read|has no table"):
        MarketSpec.from_toml(text)
