"""The oracle against limits that textbooks know, against simulated paths, and against any other forecast."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from features.errors import ForecastError, SettingError
from features.sources.synthetic import (
    LEVELS,
    Crash,
    Factor,
    Instrument,
    Latent,
    MarketSpec,
    Oracle,
    State,
    own_factor,
    simulate,
)
from features.sources.synthetic.factors import YEAR_S
from models.base import Forecast

HOUR, DAY = 3_600, 86_400
QUIET = Factor((1e-6,), (0.0,), ((0.0,),))
NO_CRASH = Crash(per_year=0.0)
P = np.array(LEVELS)


def one_state(spec: MarketSpec, regime: int, v: float, own: float, crash: float = 0.0) -> Latent:
    """A path of one step from a chosen state, to ask the oracle about row 0."""
    state = State(regime, v, np.full(len(spec.symbols), own), np.full(len(spec.symbols), crash))
    return simulate(spec, 0, 60.0, 60.0, np.random.default_rng(0), state)


def constant(vol: float, jumps: float = 0.0, mean: float = 0.0, std: float = 0.0) -> MarketSpec:
    """A market whose variance hardly moves."""
    market = Factor((vol,), (jumps,), ((0.0,),), dispersion=1e-4, leverage=0.0, jump_mean=mean, jump_std=std)
    return MarketSpec(market, (Instrument(own=QUIET, crash=NO_CRASH),))


def test_constant_variance_is_the_normal_law() -> None:
    """Published: VaR and ES of N(0, 1) at 1 % are -2.326348 and -2.665214, at 2.5 % -1.959964 and -2.337803."""
    spec = constant(0.8)
    horizons = (60, HOUR, DAY)
    truth = Oracle(spec).forecast(one_state(spec, 0, 0.64, 1e-12), "BTC-SYN", np.array([0]), horizons)
    sd = 0.8 * np.sqrt(np.array(horizons) / YEAR_S)
    assert_allclose(truth.variance[0], sd**2, rtol=1e-9)
    assert_allclose(truth.quadratic_variation, truth.variance, rtol=1e-14)
    assert_allclose(truth.quantiles[0] / sd[:, None], np.tile(stats.norm.ppf(P), (3, 1)), atol=1e-6)
    upper = stats.norm.pdf(stats.norm.ppf(P)) / np.where(P > 0.5, 1 - P, -P)
    assert_allclose(truth.shortfall[0] / sd[:, None], np.tile(upper, (3, 1)), atol=1e-6)
    assert_allclose(truth.shortfall[0, :, 1] / sd, -2.665214, atol=2e-6)
    assert_allclose(truth.shortfall[0, :, 2] / sd, -2.337803, atol=2e-6)


@pytest.mark.parametrize("horizon_s", [300, DAY, 30 * DAY])
@pytest.mark.parametrize("vol", [0.5, 0.05])
def test_constant_variance_and_jumps_are_mertons_mixture(horizon_s: int, vol: float) -> None:
    rate, mean, std = 900.0, -0.01, 0.02
    spec, years = constant(vol, rate, mean, std), horizon_s / YEAR_S
    truth = Oracle(spec).forecast(one_state(spec, 0, vol**2, 1e-12), "BTC-SYN", np.array([0]), (horizon_s,))
    n = np.arange(200)
    weight = stats.poisson.pmf(n, rate * years)
    center, sd = n * mean - rate * mean * years, np.sqrt(vol**2 * years + n * std**2)
    q, es = truth.quantiles[0, 0], truth.shortfall[0, 0]
    z = (q[:, None] - center) / sd
    assert_allclose((weight * stats.norm.cdf(z)).sum(axis=1), P, atol=1e-8)
    below = (weight * (center * stats.norm.cdf(z) - sd * stats.norm.pdf(z))).sum(axis=1)
    assert_allclose(es, np.where(P > 0.5, -below / (1 - P), below / P), rtol=1e-6)
    assert truth.variance[0, 0] == pytest.approx(vol**2 * years + rate * years * (mean**2 + std**2), rel=1e-9)


PATHS = {60: (60.0, 4_000), HOUR: (60.0, 3_000), 4 * HOUR: (300.0, 3_000), DAY: (300.0, 2_000)}
STATES = [(0, 0.2, 0.06, 0.0), (1, 0.9, 0.2, 0.0), (0, 0.03, 0.01, 0.0), (1, 0.4, 0.06, -0.08)]


@pytest.mark.parametrize("horizon_s", PATHS)
@pytest.mark.parametrize(("regime", "v", "own", "crash"), STATES, ids=["usual", "wild", "calm", "crashed"])
def test_paths_from_a_state_follow_the_oracle(regime: int, v: float, own: float, crash: float, horizon_s: int) -> None:
    """Mean, variance, quantiles, tail means and squared steps within four standard errors."""
    market = replace(Factor(), jumps_per_year=(8_000.0, 20_000.0))  # so many that a sample has its share of them
    spec = MarketSpec(market, (Instrument(beta=1.3, crash=Crash(per_year=20_000.0, mean_drop=0.01)),))
    rng, state = (
        np.random.default_rng(horizon_s + round(1_000 * v)),
        State(regime, v, np.array([own]), np.array([crash])),
    )
    step_s, many = PATHS[horizon_s]
    prices = np.array([simulate(spec, 0, float(horizon_s), step_s, rng, state).log_price[0] for _ in range(many)])
    truth = Oracle(spec).forecast(one_state(spec, regime, v, own, crash), "BTC-SYN", np.array([0]), (horizon_s,))
    came = prices[:, -1] - prices[:, 0]
    squares = (came - truth.mean[0, 0]) ** 2
    assert abs(came.mean() - truth.mean[0, 0]) < 4 * came.std() / np.sqrt(many)
    assert abs(squares.mean() - truth.variance[0, 0]) < 4 * squares.std() / np.sqrt(many)
    gap = came[:, None] - truth.quantiles[0, 0]
    assert (np.abs((gap <= 0).mean(axis=0) - P) < 4 * np.sqrt(P * (1 - P) / many)).all()
    upper = P > 0.5
    tail = np.where(upper, np.maximum(gap, 0) / (1 - P), np.maximum(-gap, 0) / P)
    beyond = np.abs(truth.shortfall[0, 0] - truth.quantiles[0, 0])
    exponential = beyond * np.sqrt(
        2 / np.where(upper, 1 - P, P)
    )  # a sample that missed its tail has too small a spread
    spread = np.maximum(tail.std(axis=0), exponential)
    assert (np.abs(tail.mean(axis=0) - beyond) < 4 * spread / np.sqrt(many)).all()


def test_realised_variance_estimates_the_quadratic_variation_and_not_the_variance() -> None:
    """Squares of ten-second steps over an hour; crashes that recover within it count only in the variation."""
    crash = Crash(per_year=5_000.0, mean_drop=0.01, half_life_s=300.0)
    spec = MarketSpec(Factor(), (Instrument(crash=crash),))
    rng, state = np.random.default_rng(3), State(0, 0.2, np.array([0.06]), np.array([0.0]))
    paths = [simulate(spec, 0, float(HOUR), 10.0, rng, state).log_price[0] for _ in range(3_000)]
    realised = np.square(np.diff(paths, axis=1)).sum(axis=1)
    truth = Oracle(spec).forecast(one_state(spec, 0, 0.2, 0.06), "BTC-SYN", np.array([0]), (HOUR,))
    error = realised.std() / np.sqrt(len(realised))
    assert abs(realised.mean() - truth.quadratic_variation[0, 0]) < 4 * error
    assert realised.mean() - truth.variance[0, 0] > 10 * error


@pytest.fixture(scope="module")
def year() -> Latent:
    return simulate(MarketSpec(), 0, 300.0 * DAY, 60.0, np.random.default_rng(20_240_101))


@pytest.mark.parametrize("symbol", MarketSpec().symbols)
@pytest.mark.parametrize("horizon_s", [60, HOUR, 4 * HOUR])
def test_what_comes_is_uniform_under_the_oracle(year: Latent, symbol: str, horizon_s: int) -> None:
    """Probability integral transforms of returns that do not overlap: uniform, and independent of each other."""
    rows = np.arange(0, len(year.ts_ns) - horizon_s // 60, max(horizon_s // 60, 120))
    came = year.log_return(symbol, rows, horizon_s)
    pit = Oracle(year.spec).distribution(year, symbol, rows, horizon_s, came)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    for level in (0.01, 0.05, 0.95, 0.99):
        assert abs((pit < level).mean() - level) < 4 * np.sqrt(level * (1 - level) / len(pit))
    size = np.abs(pit - 0.5)
    assert abs(np.corrcoef(size[1:], size[:-1])[0, 1]) < 4 / np.sqrt(len(pit))


def test_no_rescaled_forecast_scores_better(year: Latent) -> None:
    """Strictly consistent scores are least at the truth: QLIKE for the variance, FZ0 for quantile and shortfall."""
    rows = np.arange(0, len(year.ts_ns) - 60, 60)
    rows = rows[year.crash[1, rows] > -0.001]  # FZ0 wants a negative shortfall, and a recovery may leave none
    truth = Oracle(year.spec).forecast(year, "ETH-SYN", rows, (HOUR,), (0.025, 0.975))
    came = year.log_return("ETH-SYN", rows, HOUR)
    squares = (came - truth.mean[:, 0]) ** 2
    q, es = truth.quantiles[:, 0, 0], truth.shortfall[:, 0, 0]

    def qlike(scale: float) -> np.ndarray:
        return squares / (scale * truth.variance[:, 0]) + np.log(scale * truth.variance[:, 0])

    def fz0(scale: float) -> np.ndarray:
        low, tail = scale * q, scale * es
        return (came <= low) * (low - came) / (-0.025 * tail) + low / tail + np.log(-tail) - 1

    for score in (qlike, fz0):
        for scale in (0.8, 1.25):
            worse = score(scale) - score(1.0)
            assert worse.mean() > 2 * worse.std() / np.sqrt(len(worse))
    flat = squares / squares.mean() + np.log(squares.mean())
    assert qlike(1.0).mean() < flat.mean()  # the state is worth knowing


def test_the_oracle_answers_what_a_model_answers(year: Latent) -> None:
    rows = np.arange(0, 400_000, 4_001)
    truth = Oracle(year.spec).forecast(year, "SOL-SYN", rows)
    forecast = Forecast(
        truth.origin_ns, truth.horizons_s, truth.variance, truth.levels, truth.quantiles, truth.shortfall
    )
    assert forecast.quantiles.shape == (100, 4, 11)
    assert (truth.quadratic_variation > truth.variance).all()
    assert (np.diff(truth.variance, axis=1) > 0).all()


def test_an_origin_has_the_same_law_alone_and_among_others(year: Latent) -> None:
    rows = np.arange(0, 400_000, 4_001)
    truth = Oracle(year.spec).forecast(year, "BTC-SYN", rows, (HOUR,))
    for i in (0, 17, 63):
        alone = Oracle(year.spec).forecast(year, "BTC-SYN", rows[[i]], (HOUR,))
        assert_allclose(alone.quantiles[0], truth.quantiles[i], rtol=1e-6, atol=1e-10)
        assert_allclose(alone.shortfall[0], truth.shortfall[i], rtol=1e-6)


def test_quantile_and_distribution_are_inverse(year: Latent) -> None:
    rows = np.arange(0, 400_000, 40_001)
    truth = Oracle(year.spec).forecast(year, "BTC-SYN", rows, (HOUR,))
    for k, level in enumerate(LEVELS):
        back = Oracle(year.spec).distribution(year, "BTC-SYN", rows, HOUR, truth.quantiles[:, 0, k])
        assert_allclose(back, level, atol=1e-9)
    unknown = Oracle(year.spec).distribution(year, "BTC-SYN", rows[:2], HOUR, np.array([np.nan, 0.0]))
    assert np.isnan(unknown[0])
    assert 0 < unknown[1] < 1


def test_correlation_is_that_of_the_betas() -> None:
    """Without crashes the covariance per time is beta_i beta_k times the market's variance."""
    items = tuple(replace(item, own=own_factor(0.3, 0.0), crash=NO_CRASH) for item in MarketSpec().instruments[:2])
    market = Factor((0.6,), (0.0,), ((0.0,),))
    path = simulate(MarketSpec(market, items), 0, 60.0 * DAY, 300.0, np.random.default_rng(5))
    first, second = np.diff(path.log_price, axis=1)
    shared, own = 0.36, 0.09
    expected = 1.0 * 1.2 * shared / np.sqrt((shared + own) * (1.44 * shared + own))
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(expected, abs=0.03)


def test_a_question_without_sense_is_refused(year: Latent) -> None:
    oracle, rows = Oracle(year.spec), np.array([0])
    with pytest.raises(SettingError, match="no instrument 'X'"):
        oracle.forecast(year, "X", rows)
    with pytest.raises(SettingError, match="levels lie"):
        oracle.forecast(year, "BTC-SYN", rows, levels=(0.0,))
    with pytest.raises(SettingError, match="horizons"):
        oracle.forecast(year, "BTC-SYN", rows, horizons_s=(0,))
    assert oracle.forecast(year, "BTC-SYN", np.empty(0, dtype=np.int64)).quantiles.shape == (0, 4, 11)


def test_a_law_too_rough_for_its_series_is_refused() -> None:
    """A variance that starts at nothing and is let out of it slowly: the density has a needle."""
    market = Factor((1e-4,), (0.0,), ((0.0,),), dispersion=60.0)
    spec = MarketSpec(market, (Instrument(own=QUIET),))
    with pytest.raises(ForecastError, match="too rough"):
        Oracle(spec).forecast(one_state(spec, 0, 0.0, 0.0), "BTC-SYN", np.array([0]), (60,))
