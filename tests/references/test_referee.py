"""Losses and tests against the scoring program that forecasts of this project are judged by."""

from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from backtests.compare import by_day, clustered_t, dm_test, hac_lag
from backtests.confidence_set import model_confidence_set
from backtests.coverage import (
    christoffersen_lr,
    christoffersen_p,
    conditional_coverage_p,
    hits_of,
    kupiec_lr,
    kupiec_p,
    over_phases,
    tail_probability,
)
from backtests.dynamic_quantile import dq_p, dq_test
from backtests.overlap import combine_phases
from backtests.shortfall_tests import z2, z2_terms
from models.base import LEVELS
from models.scores import crps_from_quantiles, fz0, fz0_of_tails, log_variance_error, pinball, qlike, qlike_floor
from models.tails import student_t_quantiles, student_t_shortfall
from tests.references.referee import load_referee

N = 24 * 120
DAY = np.repeat(np.arange(120), 24)


@pytest.fixture(scope="module")
def referee() -> ModuleType:
    return load_referee()


class Drawn:
    """Forecasts that are nearly right, and outcomes, in log returns."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.variance = 1e-4 * np.exp(rng.standard_normal(N))
        self.realised = self.variance * rng.chisquare(12, N) / 12
        self.r = np.sqrt(1.3 * self.variance) * rng.standard_t(5, N) * np.sqrt(3 / 5)
        sd = np.sqrt(self.variance)[:, None]
        self.q, self.e = sd * student_t_quantiles(LEVELS, 5.0), sd * student_t_shortfall(LEVELS, 5.0)
        self.hour = np.arange(N)

    def column(self, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = LEVELS.index(level)
        return self.q[:, k], self.e[:, k], hits_of(self.r, self.q[:, k], level)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return Drawn()


@pytest.fixture(scope="module")
def judged(referee: ModuleType, drawn: Drawn) -> dict[str, np.ndarray]:
    columns = {f"q_{p:g}": drawn.q[:, k] for k, p in enumerate(LEVELS)}
    columns |= {f"es_{p:g}": drawn.e[:, LEVELS.index(p)] for p in referee.ES_LEVELS}
    columns |= {c: np.full(N, np.nan) for c in referee.XC}
    truth = {"rv": drawn.realised, "ret": drawn.r, "dn": drawn.r, "up": drawn.r}
    losses: dict[str, np.ndarray] = referee.losses(truth, {"variance": drawn.variance, **columns})
    return losses


def test_losses(judged: dict[str, np.ndarray], referee: ModuleType, drawn: Drawn) -> None:
    y, f, r = drawn.realised, drawn.variance, drawn.r
    np.testing.assert_allclose(qlike(y, f), judged["qlike"], rtol=1e-12)
    np.testing.assert_allclose(log_variance_error(y, f), judged["le"] ** 2, rtol=1e-9)
    np.testing.assert_allclose(crps_from_quantiles(r, drawn.q, LEVELS) * 1e4, judged["crps"], rtol=1e-12)
    np.testing.assert_allclose(fz0_of_tails(r, drawn.q, drawn.e, LEVELS), judged["fz_tail"], rtol=1e-12)
    np.testing.assert_allclose(fz0(r, drawn.q[:, 1], drawn.e[:, 1], 0.01), judged["fz_0.01"], rtol=1e-12)
    for k, level in enumerate(LEVELS):
        np.testing.assert_allclose(pinball(r, drawn.q[:, k], level) * 1e4, judged[f"pin_{level:g}"], rtol=1e-12)
    assert qlike_floor(12) == pytest.approx(float(referee.qlike_floor(12)), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("level", [0.01, 0.025, 0.05, 0.95, 0.975, 0.99])
def test_hit_tests(judged: dict[str, np.ndarray], referee: ModuleType, drawn: Drawn, level: float) -> None:
    q, _, hits = drawn.column(level)
    p = tail_probability(level)
    np.testing.assert_array_equal(hits, judged[f"hit_{level:g}"] == 1)
    assert (kupiec_lr(int(hits.sum()), N, p), kupiec_p(hits, p)) == pytest.approx(
        referee.kupiec(hits, p), rel=1e-12, abs=1e-12
    )
    ratio, _, p_ratio, p_both = referee.christoffersen(hits, p)
    found = christoffersen_lr(hits), christoffersen_p(hits), conditional_coverage_p(hits, p)
    assert found == pytest.approx((ratio, p_ratio, p_both), rel=1e-9)  # differences of likelihoods of some hundred
    dynamic = dq_test(hits, q, p)
    assert (dynamic.statistic, dynamic.p) == pytest.approx(referee.dq_test(hits, q, p), rel=1e-12, abs=1e-12)
    assert dynamic.degrees == 6


@pytest.mark.parametrize("step", [1, 4, 24])
def test_phases_of_a_record_with_holes(referee: ModuleType, drawn: Drawn, step: int) -> None:
    q, _, hits = drawn.column(0.05)
    there = np.random.default_rng(1).random(N) > 0.1  # a phase goes by the clock, not by the row
    q, hits, hour = q[there], hits[there], drawn.hour[there]
    wanted = referee.phases_p(lambda s: referee.dq_test(hits[s], q[s], 0.05)[1], hour, step)
    assert combine_phases(lambda s: dq_p(hits[s], q[s], 0.05), hour % step, step) == pytest.approx(wanted, rel=1e-9)
    wanted = referee.phases_p(lambda s: referee.kupiec(hits[s], 0.05)[1], hour, step)
    assert combine_phases(lambda s: kupiec_p(hits[s], 0.05), hour % step, step) == pytest.approx(wanted, rel=1e-9)


def test_phases_of_a_whole_record(referee: ModuleType, drawn: Drawn) -> None:
    _, _, hits = drawn.column(0.05)
    wanted = referee.phases_p(lambda s: referee.kupiec(hits[s], 0.05)[1], drawn.hour, 8)
    assert over_phases(kupiec_p, hits, 0.05, 8) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("level", [0.01, 0.025, 0.975, 0.99])
def test_acerbi_szekely(judged: dict[str, np.ndarray], referee: ModuleType, drawn: Drawn, level: float) -> None:
    q, e, _ = drawn.column(level)
    terms = judged[f"z2_{level:g}"]
    np.testing.assert_allclose(z2_terms(drawn.r, q, e, level), terms, rtol=1e-12)
    assert z2(drawn.r, q, e, level) == pytest.approx(terms.mean(), rel=1e-12, abs=1e-12)
    _, daily = referee.day_means(DAY, terms)
    wanted = referee.nw_t(daily, referee.hac_lag(len(daily), 28_800))[1]
    assert clustered_t(z2_terms(drawn.r, q, e, level), DAY, 28_800) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("horizon_s", [3_600, 86_400, 172_800])
def test_diebold_mariano(referee: ModuleType, horizon_s: int) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.chisquare(2, N), rng.chisquare(2, N) + 0.1
    a[rng.integers(0, N, 50)] = np.nan  # a window that is not known is left out of its day
    order = rng.permutation(N)
    wanted = referee.dm_test(DAY[order], a[order], b[order], horizon_s)
    found = dm_test(a[order], b[order], DAY[order], horizon_s, small_sample=False)
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert dm_test(b, b, DAY, horizon_s) == referee.dm_test(DAY, b, b, horizon_s) == (0.0, 0.0, 1.0)
    for n_days in (5, 120, 1_600, 4_000):
        assert hac_lag(n_days, horizon_s) == referee.hac_lag(n_days, horizon_s)


@pytest.mark.parametrize("seed", [0, 7])
def test_model_confidence_set(referee: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.standard_normal((395, 1)) + 0.4 * rng.standard_normal((395, 5)) + np.array([0, 0.01, 0.04, 0.06, 0.3])
    found = model_confidence_set(losses, seed=seed)
    assert dict(enumerate(found.tolist())) == referee.mcs(losses, seed=seed)
    assert len(np.unique(found)) >= 3


def test_day_means(referee: ModuleType) -> None:
    values = stats.norm.rvs(size=N, random_state=3)
    values[:24] = np.nan  # a whole day
    np.testing.assert_array_equal(by_day(values, DAY), referee.day_means(DAY, values)[1])
