"""Murphy diagrams: the laws that tie elementary scores to the losses they make up."""

import numpy as np
import pytest
from scipy import integrate

from backtests.murphy import (
    elementary_mean_score,
    elementary_quantile_score,
    murphy_of_mean,
    murphy_of_quantile,
)
from models.scores import pinball, qlike

RNG = np.random.default_rng(13)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.975])
@pytest.mark.parametrize(("y", "x"), [(-1.5, 0.4), (0.7, -0.2)])
def test_elementary_quantile_scores_integrate_to_the_pinball_loss(level: float, y: float, x: float) -> None:
    def score(threshold: float) -> float:
        return float(elementary_quantile_score(np.array(y), np.array(x), level, np.array(threshold)))

    total = sum(integrate.quad(score, *ends)[0] for ends in ((-3, min(x, y)), (min(x, y), max(x, y)), (max(x, y), 3)))
    assert total == pytest.approx(float(pinball(np.array(y), np.array(x), level)))


@pytest.mark.parametrize(("y", "x"), [(0.3, 1.7), (2.5, 0.6)])
def test_elementary_mean_scores_integrate_to_squared_error_and_qlike(y: float, x: float) -> None:
    def score(threshold: float) -> float:
        return float(elementary_mean_score(np.array(y), np.array(x), np.array(threshold)))

    ends = (min(x, y), max(x, y))
    assert integrate.quad(score, *ends)[0] == pytest.approx((x - y) ** 2 / 2)
    weighted = integrate.quad(lambda t: score(t) / t**2, *ends)[0]
    assert weighted == pytest.approx(float(qlike(np.array(y), np.array(x))))
    assert score(ends[0] - 0.1) == score(ends[1] + 0.1) == 0


def test_curves_are_the_means_of_elementary_scores() -> None:
    y, x = RNG.chisquare(3, 400), RNG.chisquare(3, 400)
    x[:20] = y[:20]  # forecasts that were right to the last digit
    threshold = np.concatenate([np.linspace(-1, 15, 60), y[:30], x[20:50]])  # on values too
    slow = [elementary_quantile_score(y, x, 0.05, np.array(t)).mean() for t in threshold]
    np.testing.assert_allclose(murphy_of_quantile(y, x, 0.05, threshold), slow, atol=1e-15)
    slow = [elementary_mean_score(y, x, np.array(t)).mean() for t in threshold]
    np.testing.assert_allclose(murphy_of_mean(y, x, threshold), slow, atol=1e-13)


def test_the_curve_of_more_knowledge_is_below_at_every_threshold() -> None:
    """Under the true law: who knows the variance against who knows its mean."""
    n = 200_000
    variance = np.exp(0.7 * RNG.standard_normal(n) - 0.245)
    realised, r = variance * RNG.chisquare(12, n) / 12, np.sqrt(variance) * RNG.standard_normal(n)
    threshold = np.quantile(realised, np.linspace(0.05, 0.95, 19))
    knows, knows_not = (murphy_of_mean(realised, f, threshold) for f in (variance, np.ones(n)))
    assert (knows < knows_not).all()
    low = np.quantile(r, 0.05)
    threshold = np.linspace(-4, -0.5, 15)
    knows = murphy_of_quantile(r, -1.644854 * np.sqrt(variance), 0.05, threshold)
    knows_not = murphy_of_quantile(r, np.full(n, low), 0.05, threshold)
    assert (knows < knows_not).all()
