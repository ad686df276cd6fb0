"""The models of the book's job and their tails: against other libraries, closed forms, slow loops and known truths."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.linear_model import Ridge

from backtests.book_models import StepEwma
from backtests.book_scores import apart
from backtests.book_tails import few_window_tails, mixture_tails
from features.clock import NS_PER_S
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets
from models.base import LEVELS
from models.classical.ridge import BEYOND, LogRidge, fit_line
from models.tails import student_t_quantiles, student_t_shortfall

FEATURES = ("log_rv_5s", "log_rv_60s", "imbalance_5_10s")
SPEC = FeatureSpec(bar_s=1, every_s=5, horizons_s=(20, 60), features=FEATURES, price="mid")


def panel_of(values: np.ndarray, log_variance: np.ndarray) -> Panel:
    """A panel with these features and log variances of both horizons; the price is of no matter."""
    n = len(values)
    realised = np.exp(log_variance)[:, None] * np.array([1.0, 3.0])
    targets = Targets(realised, realised, np.zeros((n, 2)), np.zeros((n, 2)), np.zeros((n, 2)))
    origin_ns = (1_700_000_000 + 5 * np.arange(n)) * NS_PER_S
    return Panel("X", SPEC, origin_ns, values.astype(np.float32), targets, np.zeros(n, dtype=bool))


def made_up(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1.0, 2.0, 0.3] + [-12.0, -11.0, 0.1]
    return x, -16 + 0.5 * (x[:, 0] + 12) - 0.2 * (x[:, 1] + 11) + 0.3 * rng.normal(size=n)


def test_the_ridge_is_that_of_another_library() -> None:
    x, y = made_up(200)
    line = fit_line(x, y, weight=0.25, prior_share=0.4)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = Ridge(alpha=3 * 0.6 / 0.4 / 0.25).fit(z, y)
    np.testing.assert_allclose(line.slope, theirs.coef_, rtol=1e-9)
    fitted = theirs.predict(z)
    np.testing.assert_allclose(line.at(x), fitted + np.log(np.exp(y - fitted).mean()), rtol=1e-9)


def test_the_penalty_is_what_normal_slopes_ask_for() -> None:
    """Slopes drawn from the prior: no other penalty gives a smaller mean error of them."""
    rng = np.random.default_rng(7)
    n, k, share, trials = 15, 6, 0.4, 600
    errors = dict.fromkeys((0.05, 0.4, 0.9), 0.0)
    for _ in range(trials):
        x = rng.normal(size=(n, k))
        truth = rng.normal(size=k) * np.sqrt(share / k)
        y = x @ truth + rng.normal(size=n) * np.sqrt(1 - share)
        for tried in errors:
            line = fit_line(x, y, 1.0, tried)
            errors[tried] += float(np.square(line.slope / line.scale - truth).sum()) / trials
    assert errors[0.4] < min(errors[0.05], errors[0.9])


def test_a_long_history_gives_the_slopes_of_the_truth() -> None:
    x, y = made_up(20_000)
    model = LogRidge().fit(panel_of(x, y))  # every log_rv: the first two
    np.testing.assert_allclose(model.lines[0].slope / model.lines[0].scale, [0.5, -0.2], atol=0.02)
    forecast = model.forecast(panel_of(x, y))
    ratio = np.exp(y)[:, None] * [1.0, 3.0] / forecast.variance
    np.testing.assert_allclose(ratio.mean(axis=0), 1.0, atol=1e-6)  # smeared: unbiased where it was fitted


def test_what_is_unknown_or_constant_or_far_out_moves_no_forecast() -> None:
    x, y = made_up(300)
    x[:, 2] = 0.7
    model = LogRidge(FEATURES).fit(panel_of(x, y))
    assert model.lines[0].slope[2] == 0
    centre, scale = model.lines[0].centre, model.lines[0].scale
    rows = np.tile(centre, (4, 1))
    rows[1, [0, 2]] = np.nan
    rows[2:, 0] += np.array([50, model.lines[0].reach[0]]) * scale[0]
    forecast = model.forecast(panel_of(rows, np.zeros(4)))
    assert forecast.variance[0, 0] == pytest.approx(forecast.variance[1, 0], rel=1e-5)
    assert forecast.variance[2, 0] == pytest.approx(forecast.variance[3, 0], rel=1e-5)


def test_little_history_and_wrong_settings_are_told() -> None:
    x, y = made_up(40)
    y[9:] = np.nan
    with pytest.raises(ShortHistoryError, match="needs 10 ended windows of 20 s, the panel has 9"):
        LogRidge().fit(panel_of(x, y))
    for share in (0.0, 1.0):
        with pytest.raises(SettingError, match="choose one between 0 and 1"):
            LogRidge(prior_share=share)
    other = replace(panel_of(x, y), spec=replace(SPEC, features=("imbalance_5_10s", "ofi_5_10s", "signed_60s")))
    with pytest.raises(SettingError, match="has no log_rv"):
        LogRidge().fit(other)


def test_the_average_is_the_slow_loop() -> None:
    x, y = made_up(60)
    panel = panel_of(x, y)
    model = replace(StepEwma("log_rv_5s", "log_rv_60s"), chosen_s=(15.0, 60.0))
    forecast = model.forecast(panel)
    for h, (half_life_s, horizon_s) in enumerate(((15.0, 20), (60.0, 60))):
        decay, rate = 0.5 ** (5 / half_life_s), np.exp(panel.column("log_rv_60s")[0])
        for row in range(60):
            rate = decay * rate + (1 - decay) * np.exp(panel.column("log_rv_5s")[row])
            assert forecast.variance[row, h] == pytest.approx(rate * horizon_s / 3600, rel=1e-9)


def test_the_average_finds_the_half_life_that_made_the_variance() -> None:
    rng = np.random.default_rng(2)
    x, _ = made_up(3_000)
    decay, rate, truth = 0.5 ** (5 / 60.0), np.exp(x[0, 1]), np.empty(3_000)
    for row in range(3_000):
        rate = decay * rate + (1 - decay) * np.exp(x[row, 0])
        truth[row] = np.log(rate) + 0.1 * rng.normal()
    assert StepEwma("log_rv_5s", "log_rv_60s").fit(panel_of(x, truth)).chosen_s == (60.0, 60.0)
    with pytest.raises(ShortHistoryError, match="needs an ended window"):
        StepEwma("log_rv_5s", "log_rv_60s").fit(panel_of(x, np.full(3_000, np.nan)))


def test_without_windows_the_tails_are_students() -> None:
    quantiles, shortfall = few_window_tails(np.empty(0), 0.2, LEVELS, 4.0, 4.0)
    np.testing.assert_allclose(quantiles, student_t_quantiles(LEVELS, 4.0), atol=1e-12)
    expected = student_t_shortfall(LEVELS, 4.0)
    np.testing.assert_allclose(shortfall, expected, atol=1e-9)


def test_with_many_windows_the_tails_are_theirs() -> None:
    z = np.random.default_rng(4).standard_t(6, 200_000)
    quantiles, shortfall = few_window_tails(z, 1.0, LEVELS, 4.0, 4.0)
    both = np.concatenate([z, -z])
    np.testing.assert_allclose(quantiles, np.quantile(both, LEVELS), atol=2e-3)
    for level, quantile, mean in zip(LEVELS, quantiles, shortfall, strict=True):
        beyond = both[both <= quantile] if level <= 0.5 else both[both >= quantile]
        assert mean == pytest.approx(beyond.mean(), abs=5e-3)


@pytest.mark.parametrize("weight", [1.0, 1 / 12])
def test_the_tails_are_those_of_the_mixture(weight: float) -> None:
    """Its distribution function, written plainly, reaches each level at its quantile; shortfalls are integrals."""
    z = np.array([0.2, -3.1, 0.7, 0.7, 1.9, -0.4, 6.5, 0.0])
    prior, degrees, unit = 4.0, 4.0, np.sqrt(0.5)
    total = prior + weight * len(z)

    def reached(x: float, *, with_equal: bool) -> float:
        both = np.concatenate([z, -z])
        hits = (both <= x if with_equal else both < x).sum()
        return float((prior * stats.t.cdf(x / unit, degrees) + weight * hits / 2) / total)

    quantiles, shortfall = mixture_tails(z, weight, LEVELS, prior, degrees)
    for level, quantile, mean in zip(LEVELS, quantiles, shortfall, strict=True):
        assert reached(quantile - 1e-9, with_equal=False) <= level + 1e-9
        assert reached(quantile + 1e-9, with_equal=True) >= level - 1e-9
        p = min(level, 1 - level)
        below = integrate.quad(lambda u: mixture_tails(z, weight, (u,), prior, degrees)[0][0], 0, p, limit=200)[0] / p
        assert -abs(mean) == pytest.approx(below, rel=2e-3)
        assert abs(mean) >= abs(quantile)
    np.testing.assert_allclose(quantiles, -quantiles[::-1], atol=1e-12)


@pytest.mark.parametrize(("windows", "weight"), [(10, 1.0), (30, 1.0)])
def test_few_windows_of_the_law_itself_keep_the_levels(windows: int, weight: float) -> None:
    """If the prior's law is the truth, returns lie beyond the quantiles about as often as those say, not oftener."""
    rng = np.random.default_rng(11)
    levels = np.array([0.01, 0.05, 0.25])
    draws = rng.standard_t(4, (2_000, windows + 1)) * np.sqrt(0.5)
    tails = [few_window_tails(z[:-1], weight, tuple(levels), 4.0, 4.0)[0] for z in draws]
    rates = (draws[:, -1:] <= np.array(tails)).mean(axis=0)
    noise = np.sqrt(levels * (1 - levels) / 2_000)
    assert (rates <= levels + 3 * noise + 0.1 * levels).all()
    assert (rates >= 0.6 * levels).all()


def test_a_law_without_variance_or_prior_is_refused() -> None:
    for prior, degrees in ((4.0, 2.0), (0.0, 4.0)):
        with pytest.raises(ValueError, match="need degrees > 2 and a prior > 0"):
            few_window_tails(np.zeros(3), 1.0, LEVELS, prior, degrees)


def test_windows_apart_are_as_many_as_a_search_finds() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        at_s = np.sort(rng.choice(200, 12, replace=False))
        best = np.ones(12, dtype=int)
        for i in range(12):
            best[i] = 1 + max((best[j] for j in range(i) if at_s[i] - at_s[j] >= 30), default=0)
        assert apart(at_s * NS_PER_S, 30) == best.max()


def test_a_crash_is_read_as_far_as_three_deviations_beyond_the_past() -> None:
    x, y = made_up(200)
    line = fit_line(x, y, weight=1.0, prior_share=0.4)
    furthest = np.abs((x - x.mean(axis=0)) / x.std(axis=0)).max(axis=0)
    sign = np.sign(line.slope)
    out = [line.at(x.mean(axis=0) + sign * reach * x.std(axis=0))[()] for reach in (furthest + BEYOND, furthest + 9.0)]
    assert out[0] == pytest.approx(out[1])
    assert out[0] == pytest.approx(line.intercept + (np.abs(line.slope) * (furthest + BEYOND)).sum())
