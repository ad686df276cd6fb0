"""Online conformal methods against slow loops, and their guarantees against sequences made to break them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.base import LEVELS
from models.calibration.conformal import (
    CONFORMAL,
    Aci,
    Conditional,
    Conformal,
    Integrator,
    Scale,
    Series,
    Tracker,
    Weighted,
)
from models.calibration.conformal.levels import EDGE, place_at, place_of_level, places_of, quantile_at
from models.calibration.standard import tracked
from models.tails import normal_quantiles, student_t_quantiles

FloatArray = NDArray[np.float64]
P = np.array(LEVELS)
METHODS: dict[str, Conformal] = {**CONFORMAL, "weighted": Weighted(1_000, 2_000, 50.0)}


def alone(
    z: FloatArray,
    shape: FloatArray,
    ts_ns: NDArray[np.int64] | None = None,
    horizon_ns: int = 1,
    log_sd: FloatArray | None = None,
) -> Series:
    """One instrument."""
    instants = np.arange(len(z)) if ts_ns is None else ts_ns
    level = np.random.default_rng(0).normal(0, 0.5, (len(z), 1)) if log_sd is None else log_sd[:, None]
    return Series(instants, horizon_ns, z[:, None], shape[:, None], np.ones((len(z), 1), dtype=bool), level)


def told_by(method: Conformal, series: Series, levels: tuple[float, ...] = LEVELS, pool: float = 0.0) -> FloatArray:
    return tracked(method, series, levels, 1, pool)


def holed(seed: int = 4) -> tuple[Series, FloatArray, FloatArray]:
    """Normal laws of changing width, 400 of 600 instants, ten returns unknown, windows of three."""
    rng = np.random.default_rng(seed)
    ts_ns = np.sort(rng.choice(600, 400, replace=False))
    z = rng.standard_t(4, 400)
    z[50:60] = np.nan
    shape = normal_quantiles(LEVELS) * rng.uniform(0.5, 1.0, (400, 1))
    return alone(z, shape, ts_ns, 3), z, shape


def slow(series: Series, z: FloatArray, step: Callable[[FloatArray, int], FloatArray]) -> FloatArray:
    """The definition: at each instant, all windows that have ended, in ``step(told, t)``."""
    told = np.empty((len(z), len(LEVELS)))
    for t in range(len(z)):
        told[t] = np.maximum.accumulate(step(told, t))
    return told


def ended(series: Series, z: FloatArray, t: int) -> list[int]:
    ends = series.ts_ns + series.horizon_ns
    return [s for s in range(t) if ends[s] <= series.ts_ns[t] and np.isfinite(z[s])]


def misses(z: FloatArray, told: FloatArray, rows: list[int]) -> FloatArray:
    """Sum of level less hit over windows."""
    total: FloatArray = np.sum([P - (z[s] <= told[s]) for s in rows] + [np.zeros(len(P))], axis=0)
    return total


def test_the_tracker_equals_its_definition() -> None:
    series, z, shape = holed()
    expected = slow(series, z, lambda told, t: shape[t] + 0.5 / 3 * misses(z, told, ended(series, z, t)))
    found = told_by(Tracker(0.5), series)[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (np.diff(found, axis=1) >= 0).all()


def test_the_integrator_equals_its_definition() -> None:
    series, z, shape = holed()

    def step(told: FloatArray, t: int) -> FloatArray:
        rows = ended(series, z, t)
        excess = misses(z, told, rows) / 3
        return np.asarray(
            shape[t] + 0.1 * excess + 0.05 * np.sinh(excess / np.sqrt((len(rows) / 3 + 20) * P * (1 - P)))
        )

    found = told_by(Integrator(0.1, 0.05, 20.0), series)[:, 0]
    np.testing.assert_allclose(found, slow(series, z, step), atol=1e-9)


def test_aci_equals_its_definition() -> None:
    """With NumPy's interpolation inside the levels; the levels never leave them here but the outermost."""
    series, z, shape = holed()
    places = logit(P)

    def step(told: FloatArray, t: int) -> FloatArray:
        level: FloatArray = P + 0.1 / 3 * np.minimum(P, 1 - P) * misses(z, told, ended(series, z, t))
        inside = np.interp(logit(level), places, shape[t])
        low = shape[t, 0] + (logit(level) - places[0]) * (shape[t, 1] - shape[t, 0]) / (places[1] - places[0])
        high = shape[t, -1] + (logit(level) - places[-1]) * (shape[t, -1] - shape[t, -2]) / (places[-1] - places[-2])
        return np.asarray(np.where(level < P[0], low, np.where(level > P[-1], high, inside)))

    np.testing.assert_allclose(told_by(Aci(0.1), series)[:, 0], slow(series, z, step), atol=1e-9)


def test_the_weighted_quantile_is_the_root_of_its_mixture() -> None:
    """The share of weight at or below the answered place, the prior's logistic law included, is the level."""
    rng = np.random.default_rng(3)
    law = normal_quantiles(LEVELS)
    z = rng.standard_t(4, 300)
    found = told_by(Weighted(40, 10_000, 15.0), alone(z, np.tile(law, (300, 1))))[-1, 0]
    places = places_of(LEVELS)
    scores = np.array([place_at(law, places, value) for value in z[:299]])
    weight = 0.5 ** (np.arange(299)[::-1] / 40)
    for k, level in enumerate(LEVELS):
        place = place_at(law, places, found[k])
        share = [
            (15 * expit(u) + weight[scores <= u].sum()) / (15 + weight.sum()) for u in (place - 1e-9, place + 1e-9)
        ]
        assert share[0] <= level <= share[1]


def test_the_weighted_quantile_without_prior_or_decay_is_the_order_statistic() -> None:
    """NumPy's inverted distribution function; only the last 51 are remembered."""
    z = np.random.default_rng(5).standard_t(4, 200)
    law = np.tile(normal_quantiles(LEVELS), (200, 1))
    found = told_by(Weighted(10**9, 51, 0.0), alone(z, law))[:, 0]
    np.testing.assert_allclose(found[0], law[0])
    for t in (3, 43, 199):
        past = z[max(0, t - 51) : t]
        np.testing.assert_allclose(found[t], np.quantile(past, LEVELS, method="inverted_cdf"), rtol=1e-9)


def test_places_invert_quantiles_and_reach_every_number() -> None:
    places = places_of(LEVELS)
    np.testing.assert_allclose(places, logit(P))
    flat = np.sort(np.random.default_rng(1).standard_normal(11))
    flat[1] = flat[0]  # a law without a slope at its end still ends somewhere
    for z in np.linspace(-9, 9, 91):
        assert quantile_at(flat, places, place_at(flat, places, z)) == pytest.approx(z, abs=1e-9)
    levels = [-0.5, 0.0, EDGE, 0.3, 1 - EDGE, 1.0, 1.5]
    assert (np.diff([place_of_level(p) for p in levels]) > 0).all()
    assert quantile_at(flat, places, place_of_level(-0.5)) < -100


def adversaries(n: int) -> dict[str, Callable[[int, FloatArray], float]]:
    """Outcomes within 6 standard deviations, some of them chosen after the answer was seen."""
    rng = np.random.default_rng(6)
    noise = rng.standard_normal(n)
    return {
        "a break in scale": lambda t, _: float(np.clip(noise[t] * (3.0 if t > n // 2 else 1.0), -6, 6)),
        "a drift": lambda t, _: float(np.clip(noise[t] + 5 * t / n, -6, 6)),
        "always just below the lowest": lambda _, answer: float(max(answer[0] - 1e-6, -6.0)),
        "below it, then above all, in long runs": lambda t, _: 6.0 if (t // 400) % 2 else -6.0,
        "one crash": lambda t, _: -6.0 if n // 3 < t < n // 3 + 500 else float(np.clip(noise[t], -6, 6)),
    }


BOUND_LEVELS = (0.05, 0.5, 0.95)


def share_bound(method: Conformal, level: float, n: int, delay: int, law: FloatArray, k: int) -> float:
    """What the docstring of each method promises, outcomes within 6."""
    if isinstance(method, Tracker):
        return float((6 + abs(law[k]) + 2 * method.step) * delay / (method.step * n))
    if isinstance(method, Integrator):
        far, m = 6 + abs(law[k]), n / delay
        other = np.sqrt((m + method.patience) * level * (1 - level)) * np.arcsinh(far / method.height)
        return float((2 + min(far / method.step, other)) / m)
    assert isinstance(method, Aci)
    places = places_of(BOUND_LEVELS)
    grid = np.linspace(0, 0.5, 5_001)  # how far out a level must go to reach 6
    reach = max(
        min(a for a in grid if quantile_at(law, places, place_of_level(-a)) <= -6),
        min(a for a in grid if quantile_at(law, places, place_of_level(1 + a)) >= 6),
    )
    return float((1 + reach + 2 * method.step) * delay / (method.step * min(level, 1 - level) * n))


@pytest.mark.parametrize(
    "method", [Tracker(0.05), Integrator(0.02, 0.1, 100.0), Aci(0.1)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("name", list(adversaries(1)))
@pytest.mark.parametrize("delay", [1, 7])
def test_no_sequence_breaks_the_bound(method: Conformal, name: str, delay: int) -> None:
    """Level by level, so that none crosses; the adversary sees each answer."""
    n, outcome = 2_500, adversaries(2_500)[name]
    law = np.array(student_t_quantiles(BOUND_LEVELS, 5.0))
    for k, level in enumerate(BOUND_LEVELS):
        scale = Scale.of((level,), delay, 1) if not isinstance(method, Aci) else Scale.of(BOUND_LEVELS, delay, 1)
        own = law[k : k + 1] if len(scale.levels) == 1 else law
        column = 0 if len(scale.levels) == 1 else k
        memory, told, z = method.begin(1, scale), np.empty((n, len(own))), np.empty(n)
        for t in range(n):
            if t >= delay:
                method.learn(memory, 0, z[t - delay], own, told[t - delay], 0.0, scale)
            offset = method.offset(memory, 0, scale)
            if isinstance(method, Aci):
                told[t] = [
                    quantile_at(own, scale.places, place_of_level(p + o))
                    for p, o in zip(scale.levels, offset, strict=True)
                ]
            else:
                told[t] = own + offset
            z[t] = outcome(t, told[t])
        learned = n - delay
        error = abs((z[:learned] <= told[:learned, column]).mean() - level)
        assert error <= share_bound(method, level, learned, delay, law, k), (name, level)


def test_the_bound_tells_something_an_untracked_quantile_breaks_it() -> None:
    n = 20_000
    z = np.random.default_rng(2).standard_normal(n) * np.where(np.arange(n) > n // 2, 2.0, 1.0) + np.linspace(0, 1, n)
    levels, step = (0.05, 0.95), 0.05
    shape = np.tile(normal_quantiles(levels), (n, 1))
    found = told_by(Tracker(step), alone(z, shape), levels)[:, 0]
    bound = (np.abs(found - shape).max() + step) / (step * n)
    assert (np.abs((z[:, None] <= found).mean(axis=0) - levels) <= bound + 1 / n).all()
    assert (np.abs((z[:, None] <= shape).mean(axis=0) - levels) > 3 * bound).all()


def test_weighted_follows_where_the_bound_of_exchangeability_allows() -> None:
    """A break long ago is forgotten: the gap in total variation that is left weighs 2^-10."""
    rng = np.random.default_rng(7)
    n, half_life = 12_000, 400
    z = rng.standard_normal(n) * np.where(np.arange(n) < 4_000, 1.0, 2.0)
    shape = np.tile(normal_quantiles(LEVELS), (n, 1))
    kept = slice(4_000 + 10 * half_life, n)
    found = told_by(Weighted(half_life, 6_000, 0.0), alone(z, shape))[kept, 0]
    effective = 2 * half_life / np.log(2)  # windows that a weighted mean is worth
    noise = 4 * np.sqrt(P * (1 - P) * (1 / 4_000 + 1 / effective))
    error = np.abs((z[kept, None] <= found).mean(axis=0) - P)
    assert (error <= 1 / (half_life / np.log(2)) + 2**-10 + noise).all()
    assert np.abs((z[kept, None] <= shape[kept]).mean(axis=0) - P)[1] > 0.1


def garch(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Returns and their true standard deviations: GARCH(1,1) with Student's t of 4 degrees."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(4, n) / np.sqrt(2)
    variance, returns = np.ones(n), np.empty(n)
    for t in range(n):
        returns[t] = np.sqrt(variance[t]) * noise[t]
        if t + 1 < n:
            variance[t + 1] = 0.02 + 0.12 * returns[t] ** 2 + 0.86 * variance[t]
    return returns, np.sqrt(variance)


@pytest.mark.parametrize("name", list(METHODS))
def test_terciles_of_volatility_are_covered_on_standardised_returns_and_not_on_raw_ones(name: str) -> None:
    n = 20_000
    returns, sigma = garch(n, 8)
    shape = np.tile(normal_quantiles(LEVELS), (n, 1))
    kept = np.arange(n) > 5_000
    tercile = np.searchsorted(np.quantile(sigma[kept], [1 / 3, 2 / 3]), sigma)

    def spread(z: FloatArray, log_sd: FloatArray) -> float:
        """Largest difference of the 5 % hit rate between terciles."""
        hits = z <= told_by(METHODS[name], alone(z, shape, log_sd=log_sd))[:, 0, LEVELS.index(0.05)]
        rates = [hits[kept & (tercile == i)].mean() for i in range(3)]
        return float(max(rates) - min(rates))

    noise = 4 * np.sqrt(2 * 0.05 * 0.95 / (kept.sum() / 3))
    assert spread(returns / sigma, np.log(sigma)) < noise
    assert spread(returns / sigma.mean(), np.zeros(n)) > 3 * noise


def pair(n: int, begins: int, offset: float = 0.7) -> Series:
    """Two instruments whose laws are wrong by the same shift; the second begins late."""
    rng = np.random.default_rng(9)
    z = rng.standard_normal((n, 2)) + offset
    z[:begins, 1] = np.nan
    present = np.ones((n, 2), dtype=bool)
    present[:begins, 1] = False
    shape = np.broadcast_to(normal_quantiles(LEVELS), (n, 2, len(LEVELS))).copy()
    return Series(np.arange(n), 1, z, shape, present, np.zeros((n, 2)))


@pytest.mark.parametrize("name", list(METHODS))
def test_a_new_instrument_begins_at_the_offset_of_the_pool(name: str) -> None:
    series = pair(4_000, 3_000)
    told = told_by(METHODS[name], series, pool=200.0)
    np.testing.assert_allclose(told[3_000, 1], told[3_000, 0], atol=1e-12)  # the first is the pool
    own = told_by(METHODS[name], series, pool=0.0)
    np.testing.assert_allclose(own[3_000, 1], series.shape[3_000, 1], atol=1e-12)
    truth = normal_quantiles(LEVELS) + 0.7
    late = slice(3_000, 3_200)
    assert np.abs(told[late, 1, 1:4] - truth[1:4]).mean() < 0.75 * np.abs(own[late, 1, 1:4] - truth[1:4]).mean()


def test_pooled_offsets_are_the_weighted_means_of_the_formula() -> None:
    series = pair(300, 100)
    kappa, step = 50.0, 0.1
    found = told_by(Tracker(step), series, pool=kappa)
    theta, count = np.zeros((2, len(P))), np.zeros(2)
    for t in range(300):
        if t > 0:
            for i in range(2):
                if np.isfinite(series.z[t - 1, i]):
                    theta[i] += step * (P - (series.z[t - 1, i] <= found[t - 1, i]))
                    count[i] += 1
        weight = count / (count + kappa)
        mean = weight @ theta / weight.sum() if weight.any() else np.zeros(len(P))
        if t == 100:
            theta[1] = mean
        for i in range(2 if t >= 100 else 1):
            pooled = weight[i] * theta[i] + (1 - weight[i]) * mean if weight.any() else theta[i]
            expected = np.maximum.accumulate(series.shape[t, i] + pooled)
            np.testing.assert_allclose(found[t, i], expected, atol=1e-12)


def test_pooling_keeps_the_bound_where_an_instrument_weighs_three_quarters() -> None:
    """One instrument against all others: its outcomes are always on the other side."""
    n, step, kappa, far = 20_000, 0.05, 100.0, 4.0
    z = np.full((n, 3), far)
    z[:, 0] = -far
    shape = np.zeros((n, 3, 1))
    series = Series(np.arange(n), 1, z, shape, np.ones((n, 3), dtype=bool), np.zeros((n, 3)))
    hits = (z <= told_by(Tracker(step), series, (0.2,), kappa)[..., 0]).mean(axis=0)
    warm = 3 * kappa  # until then offsets may go wherever steps lead
    bound = (2 * (far + step) + step * warm) / (step * n)
    assert (np.abs(hits - 0.2) <= bound).all()


@pytest.mark.parametrize("name", list(METHODS))
def test_unknown_outcomes_move_nothing(name: str) -> None:
    """A stretch without outcomes leaves the offset as it was: it neither narrows nor widens."""
    rng = np.random.default_rng(11)
    z, shape = rng.standard_t(3, 900), np.tile(normal_quantiles(LEVELS), (900, 1))
    z[500:] = np.nan
    z[700] = -np.inf
    told = told_by(METHODS[name], alone(z, shape, log_sd=np.zeros(900)))[:, 0]
    np.testing.assert_array_equal(told[501:], np.tile(told[501], (399, 1)))
    assert np.isfinite(told).all()


def test_the_conditional_tracker_equals_its_definition() -> None:
    """Habits as plain exponentially weighted moments, coefficients as sums over the windows ended."""
    _, z, shape = holed()
    log_sd = np.random.default_rng(13).normal(-3, 0.4, 400)
    ts_ns = holed()[0].ts_ns
    series = alone(z, shape, ts_ns, 3, log_sd)
    state, mean, spread = np.empty(400), log_sd[0], 0.25
    for t in range(400):
        weight = max(1 / (t + 240), 1 - 0.5 ** (1 / 300))
        error = log_sd[t] - mean
        mean += weight * error
        spread = (1 - weight) * spread + weight * error * (log_sd[t] - mean)
        state[t] = np.clip((log_sd[t] - mean) / np.sqrt(spread), -np.sqrt(3), np.sqrt(3))

    def step(told: FloatArray, t: int) -> FloatArray:
        rows = ended(series, z, t)
        slope = np.sum([state[s] * (P - (z[s] <= told[s])) for s in rows] + [np.zeros(len(P))], axis=0)
        return np.asarray(shape[t] + 0.5 / 3 * (misses(z, told, rows) + state[t] * slope))

    found = told_by(Conditional(0.5, 300), series)[:, 0]
    np.testing.assert_allclose(found, slow(series, z, step), atol=1e-9)


@pytest.mark.parametrize("delay", [1, 5])
def test_conditional_hits_neither_err_nor_lean_beyond_the_bound(delay: int) -> None:
    """Outcomes that break with volatility; unmoved quantiles err and lean by far more."""
    n, step, far, level = 100_000, 0.1, 4.0, 0.5
    rng = np.random.default_rng(14)
    log_sd = np.cumsum(rng.normal(0, 0.05, n))
    z = np.clip(rng.standard_normal(n) + np.where(np.diff(log_sd, prepend=0) > 0, 1.5, 0) + 1.0, -far, far)
    z += np.clip(log_sd - np.convolve(log_sd, np.ones(500) / 500, "same"), -1, 1)
    z = np.clip(z, -far, far)
    series = alone(z, np.zeros((n, 1)), horizon_ns=delay, log_sd=log_sd)
    method = Conditional(step, 500)
    error = level - (z <= told_by(method, series, (level,))[:, 0, 0])
    scale = Scale.of((level,), delay, 1)
    memory = method.begin(1, scale)
    state = np.array([method.stand(memory, 0, value) for value in log_sd])
    bound = np.sqrt((2 * far / step + 12) / (n / delay))
    raw = level - (z <= 0)
    for weight in (np.ones(n), state):
        assert abs((error * weight)[: n - delay].mean()) <= bound
    assert abs(raw.mean()) > 3 * bound
    assert abs((raw * state).mean()) > 10 * abs((error * state).mean())


def test_conditional_offsets_follow_a_tail_that_leans_with_volatility() -> None:
    """Quantiles whose true distance falls with volatility: terciles that one offset leaves uncovered."""
    rng = np.random.default_rng(15)
    n = 40_000
    log_sd = np.zeros(n)
    for t in range(1, n):
        log_sd[t] = 0.99 * log_sd[t - 1] + rng.normal(0, 0.05)
    z = rng.standard_normal(n) * np.exp(-0.5 * log_sd)
    shape = np.tile(normal_quantiles(LEVELS), (n, 1))
    kept, k = np.arange(n) > 10_000, LEVELS.index(0.05)
    tercile = np.searchsorted(np.quantile(log_sd[kept], [1 / 3, 2 / 3]), log_sd)
    worst = []
    for method in (Tracker(), Conditional()):
        hits = z <= told_by(method, alone(z, shape, log_sd=log_sd))[:, 0, k]
        worst.append(max(abs(hits[kept & (tercile == i)].mean() - 0.05) for i in range(3)))
    assert worst[1] < 0.4 * worst[0]
