"""Estimates of the GARCH family against published figures, the library arch, finite differences and a slow twin."""

import warnings
from itertools import product
from typing import Literal

import numpy as np
import pytest
from arch import arch_model
from arch.data import sp500
from arch.univariate.base import ARCHModel
from scipy.stats import norm, t

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.panel import Panel
from models.classical.garch import (
    Fits,
    GarchParameters,
    estimate,
    estimate_batch,
    next_variance,
    standard_errors,
    variance_ahead,
    variances,
)
from models.classical.garch.estimate import FAMILY_CODES, LAW_CODES, Family, Law
from models.classical.garch.forecaster import returns_percent, shown
from models.classical.garch.laws import SKEWED, constants, density, digamma
from models.classical.garch.recursion import log_likelihood, scores
from models.classical.garch.search import to_model, to_point
from models.diurnal import Diurnal
from tests.models.garch_twin import egarch_variances, gjr_variances

# arch.data.sp500, 100 x percentage change of Adj Close, GARCH(1,1)-normal: published figures.
MU, OMEGA, ALPHA, BETA, LOG_LIKELIHOOD = 0.056353, 0.017507, 0.102150, 0.885206, -6936.7185
FIVE_STEPS = [3.59647, 3.56850, 3.54089, 3.51362, 3.48670]
FAMILIES: tuple[Family, ...] = ("garch", "gjr", "egarch")
LAWS: tuple[Law, ...] = ("normal", "student_t", "skew_t")
ARCH_LAWS: dict[str, Literal["normal", "t", "skewt"]] = {"normal": "normal", "student_t": "t", "skew_t": "skewt"}
MODELS = {
    "garch": [0.03, 0.02, 0.10, 0.0, 0.88, 6.0, -0.1],
    "gjr": [0.03, 0.02, 0.06, 0.09, 0.88, 6.0, -0.1],
    "egarch": [0.03, 0.01, 0.15, -0.1, 0.97, 6.0, -0.1],
}


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    prices = sp500.load()["Adj Close"]
    values: np.ndarray = 100 * prices.pct_change().dropna().to_numpy()
    assert len(values) == 5030
    return values


def model(family: str, law: str) -> np.ndarray:
    p = np.array(MODELS[family])
    p[5:] = {"normal": (np.inf, 0.0), "student_t": (6.0, 0.0), "skew_t": (6.0, -0.1)}[law]
    return p


def by_arch(returns: np.ndarray, family: str, law: str, mean: Literal["Constant", "Zero"] = "Constant") -> ARCHModel:
    vol: Literal["GARCH", "EGARCH"] = "EGARCH" if family == "egarch" else "GARCH"
    return arch_model(
        returns, mean=mean, vol=vol, p=1, o=int(family != "garch"), q=1, dist=ARCH_LAWS[law], rescale=False
    )


def test_the_published_sp500_figures(returns: np.ndarray) -> None:
    p = estimate(returns, "garch", "normal", with_mean=True)
    assert [p.mean, p.omega, p.alpha, p.beta] == pytest.approx([MU, OMEGA, ALPHA, BETA], rel=2e-5)
    assert p.log_likelihood == pytest.approx(LOG_LIKELIHOOD, abs=1e-4)
    assert (p.gamma, p.degrees) == (0.0, np.inf)
    assert variance_ahead(next_variance(returns, p), p, 5)[-1] == pytest.approx(FIVE_STEPS, rel=5e-6)


@pytest.mark.parametrize(
    ("family", "law", "published"),
    [("gjr", "normal", -6822.8828), ("gjr", "student_t", -6744.4314), ("egarch", "student_t", -6729.2131)],
)
def test_the_published_likelihoods(returns: np.ndarray, family: Family, law: Law, published: float) -> None:
    assert estimate(returns, family, law, with_mean=True).log_likelihood == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(("family", "law"), list(product(FAMILIES, LAWS)))
def test_the_optimum_is_archs(returns: np.ndarray, family: Family, law: Law) -> None:
    """The same likelihood, parameters and standard errors of both kinds; arch's Hessian is a numerical one."""
    p = estimate(returns, family, law, with_mean=True)
    result = by_arch(returns, family, law).fit(disp="off")
    assert p.log_likelihood >= result.loglikelihood - 1e-8 * abs(result.loglikelihood)
    names = ["mu", "omega", "alpha[1]", "gamma[1]", "beta[1]", "nu" if law == "student_t" else "eta", "lambda"]
    used = [i for i, name in enumerate(names) if name in result.params]
    assert len(used) == len(result.params)
    np.testing.assert_allclose(p.vector()[used], result.params[[names[i] for i in used]], rtol=2e-3, atol=5e-5)
    if p.alpha > 1e-6:  # else arch's steps would leave its own bounds
        ours = standard_errors(returns, p, family, law, with_mean=True)
        smooth = [i for i in used if family != "egarch" or i > 1]  # |z| has a kink in the mean: no curvature there
        np.testing.assert_allclose(ours[smooth], result.std_err[[names[i] for i in smooth]], rtol=0.03)
        assert np.isnan(np.delete(ours, used)).all()


def test_the_plain_standard_errors_are_archs(returns: np.ndarray) -> None:
    p = estimate(returns, "garch", "student_t", with_mean=True)
    result = by_arch(returns, "garch", "student_t").fit(disp="off", cov_type="classic")
    plain = standard_errors(returns, p, "garch", "student_t", with_mean=True, robust=False)
    np.testing.assert_allclose(plain[[0, 1, 2, 4, 5]], result.std_err, rtol=0.02)
    robust = standard_errors(returns, p, "garch", "student_t", with_mean=True)
    assert (np.abs(robust / plain - 1)[[1, 2, 4]] > 0.05).all()  # they are two things


@pytest.mark.parametrize(("family", "law", "square_mean"), list(product(FAMILIES, LAWS, (False, True))))
def test_the_gradient_is_the_slope(returns: np.ndarray, family: str, law: str, square_mean: bool) -> None:
    codes, p, y = (FAMILY_CODES[family], LAW_CODES[law]), model(family, law), returns[:1_500]
    room, slope, spare = np.empty((5, len(y))), np.empty(7), np.empty(7)

    def value(q: np.ndarray, out: np.ndarray) -> float:
        return log_likelihood(*codes, q, y, 1.3, square_mean, room, out)

    value(p, slope)
    each = np.empty((len(y), 7))
    scores(*codes, p, y, 1.3, square_mean, False, each)
    np.testing.assert_allclose(each.sum(axis=0), slope, rtol=1e-8, atol=1e-8)
    for i in range({"normal": 5, "student_t": 6, "skew_t": 7}[law]):
        step = np.zeros(7)
        step[i] = 1e-5 * max(abs(p[i]), 0.1)
        numerical = (value(p + step, spare) - value(p - step, spare)) / (2 * step[i])
        assert slope[i] == pytest.approx(numerical, rel=2e-6, abs=1e-3)


@pytest.mark.parametrize(("family", "law"), list(product(FAMILIES, LAWS)))
def test_the_likelihood_is_archs(returns: np.ndarray, family: str, law: str) -> None:
    """At one and the same model, the backcast included."""
    p = model(family, law)
    given = p[[i for i in range(7) if not (i == 3 and family == "garch") and np.isfinite(p[i]) and p[i] != 0]]
    fixed = by_arch(returns, family, law).fix(given)
    squares = np.square(returns[:75] - returns.mean())
    backcast = float(np.average(squares, weights=0.94 ** np.arange(75)))
    room, slope = np.empty((5, len(returns))), np.empty(7)
    value = log_likelihood(FAMILY_CODES[family], LAW_CODES[law], p, returns, backcast, False, room, slope)
    assert value == pytest.approx(fixed.loglikelihood, rel=1e-10)


def test_the_skewed_law_is_a_law_and_students_without_skew() -> None:
    z = np.linspace(-60, 60, 240_001)
    k = constants(SKEWED, 5.0, -0.3)
    mass = np.exp([density(SKEWED, float(v), 5.0, -0.3, k)[0] for v in z])
    moments = [float(np.trapezoid(mass * z**power, z)) for power in range(3)]
    assert moments == pytest.approx([1.0, 0.0, 1.0], abs=2e-3)
    plain = density(SKEWED, 1.7, 5.0, 0.0, constants(SKEWED, 5.0, 0.0))[0]
    assert plain == pytest.approx(t.logpdf(1.7 * np.sqrt(5 / 3), 5.0) + 0.5 * np.log(5 / 3))
    assert digamma(0.3) == pytest.approx(-3.50252422221, abs=1e-10)  # Abramowitz & Stegun, by recurrence


@pytest.mark.parametrize("family", FAMILIES)
def test_the_variances_equal_the_slow_twins(returns: np.ndarray, family: str) -> None:
    mean, omega, alpha, gamma, beta, *_ = model(family, "normal")
    p = GarchParameters(mean, omega, alpha, beta, np.inf, 1.3, 0.0, gamma=gamma)
    slow = egarch_variances if family == "egarch" else gjr_variances
    np.testing.assert_allclose(variances(returns, p, egarch=family == "egarch"), slow(returns, p), rtol=1e-12)


def test_the_mean_square_backcast_is_archs_where_it_is_the_same(returns: np.ndarray) -> None:
    p = estimate(returns, "garch", "normal", backcast="mean_square")
    square = float(np.mean(returns**2))
    result = by_arch(returns, "garch", "normal", mean="Zero").fit(disp="off", backcast=square)
    assert p.backcast == pytest.approx(square)
    assert p.log_likelihood == pytest.approx(result.loglikelihood, abs=1e-4)
    assert abs(p.log_likelihood - estimate(returns, "garch", "normal").log_likelihood) > 0.1


def simulated(rng: np.random.Generator, n: int, p: GarchParameters) -> np.ndarray:
    z = rng.standard_t(p.degrees, n) * np.sqrt((p.degrees - 2) / p.degrees)
    out, variance = np.empty(n), 1.0
    for i in range(n):
        out[i] = np.sqrt(variance) * z[i]
        variance = p.omega + (p.alpha + p.gamma * (out[i] < 0)) * out[i] ** 2 + p.beta * variance
    return out


def test_the_truth_lies_within_its_standard_errors() -> None:
    truth = GarchParameters(0.0, 0.02, 0.04, 0.88, 6.0, 1.0, 0.0, gamma=0.10)
    rng = np.random.default_rng(11)
    returns = np.concatenate([simulated(rng, 4_000, truth) for _ in range(12)])
    windows = 4_000 * np.stack([np.arange(12), np.arange(1, 13)], axis=1)
    fits = estimate_batch(returns, windows, "gjr")
    used = [1, 2, 3, 4, 5]
    scores_of = []
    for w, (first, stop) in enumerate(windows):
        errors = standard_errors(returns[first:stop], fits.parameters(w), "gjr")
        scores_of.append(((fits.models[w] - truth.vector()) / errors)[used])
    size = np.sqrt(np.mean(np.square(scores_of), axis=0))
    assert ((size > 0.5) & (size < 1.6)).all()


def test_a_batch_is_its_windows_one_by_one_however_they_begin(returns: np.ndarray) -> None:
    windows = np.array([[0, 2_000], [500, 2_500], [3_000, 5_030]])
    cold = estimate_batch(returns, windows, "gjr")
    for w, (first, stop) in enumerate(windows):
        alone = estimate(returns[first:stop], "gjr")
        np.testing.assert_allclose(cold.models[w], alone.vector(), rtol=1e-9)
    far = estimate_batch(returns, windows, "gjr", start=np.array([0.0, 1.0, 0.3, 0.0, 0.3, 30.0, 0.0]))
    chained = estimate_batch(returns, windows, "gjr", chained=True)
    for other in (far, chained):
        assert other.converged.all()
        np.testing.assert_allclose(other.log_likelihood, cold.log_likelihood, rtol=1e-9)
    assert chained.evaluations[1:].sum() < cold.evaluations[1:].sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unit_of_the_returns_does_not_matter(returns: np.ndarray, family: Family) -> None:
    percent, raw = (estimate(returns * factor, family) for factor in (1.0, 0.01))
    assert raw.log_likelihood == pytest.approx(percent.log_likelihood + len(returns) * np.log(100), rel=1e-10)
    assert [raw.alpha, raw.beta, raw.degrees] == pytest.approx([percent.alpha, percent.beta, percent.degrees], rel=1e-3)


def test_the_points_of_the_search_are_models() -> None:
    for family, law in product(FAMILIES, LAWS):
        p, codes = model(family, law), (FAMILY_CODES[family], LAW_CODES[law])
        np.testing.assert_allclose(to_model(*codes, to_point(*codes, p)), p, rtol=1e-12)


def test_hourly_returns_that_want_to_explode_end_at_a_persistence_of_one() -> None:
    """Where arch stops a hair beyond the side of its box, or short of it."""
    rng = np.random.default_rng(2)
    returns = simulated(rng, 8_000, GarchParameters(0.0, 0.002, 0.08, 0.93, 3.2, 1.0, 0.0))
    p = estimate(returns)
    assert p.persistence == pytest.approx(1.0, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = by_arch(returns, "garch", "student_t", mean="Zero").fit(disp="off")
    assert p.log_likelihood >= result.loglikelihood - 1e-6 * abs(result.loglikelihood)


def test_what_did_not_converge_is_not_used() -> None:
    fits = Fits(
        "garch", "normal", np.ones((1, 7)), np.zeros(1), np.ones(1), np.array([False]), np.array([200], dtype=np.int64)
    )
    with pytest.raises(ConvergenceError, match="no optimum in window 0 after 200 evaluations"):
        fits.parameters(0)


def test_nonsense_is_refused_by_name(returns: np.ndarray) -> None:
    whole = np.array([[0, len(returns)]])
    with pytest.raises(SettingError, match="'arch' is unknown to GARCH; choose one of garch, gjr, egarch"):
        estimate_batch(returns, whole, "arch")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="windows of shape"):
        estimate_batch(returns, np.array([0, 100]))
    with pytest.raises(SettingError, match="beyond the 5030 returns"):
        estimate_batch(returns, np.array([[0, 6_000]]))
    with pytest.raises(SettingError, match="return 7 is not finite"):
        estimate_batch(np.where(np.arange(len(returns)) == 7, np.nan, returns), whole)
    with pytest.raises(SettingError, match="window 0 never move"):
        estimate_batch(np.zeros(100), np.array([[0, 100]]))
    with pytest.raises(ShortHistoryError, match="needs 50 returns, a window has 49"):
        estimate_batch(returns, np.array([[0, 100], [0, 49]]))
    flat = GarchParameters(0.0, 1.0, 0.0, 0.0, np.inf, 1.0, 0.0)
    with pytest.raises(ConvergenceError, match="not curved downwards"):
        standard_errors(norm.rvs(size=200, random_state=1), flat, "egarch", "normal")


@pytest.mark.parametrize("family", ["garch", "gjr", "egarch"])
def test_on_hourly_coins_the_optimum_is_not_below_archs(family: Family, panel: Panel) -> None:
    """The COVID crash and the calm after it, hours without their clock; the packaged bars."""
    hourly = returns_percent(panel, Diurnal.fit(panel))[shown(panel)]
    half = len(hourly) // 2
    windows = np.array([[0, len(hourly)], [0, half], [half, len(hourly)]])
    fits = estimate_batch(hourly, windows, family, "student_t", with_mean=False)
    assert fits.converged.all()
    for (first, stop), value in zip(windows, fits.log_likelihood, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where arch does not converge its likelihood tells
            peer = by_arch(hourly[first:stop], family, "student_t", "Zero").fit(disp="off").loglikelihood
        assert value >= peer - 1e-6 * abs(peer)
