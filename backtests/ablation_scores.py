"""Losses over the test parts, and how much each rung of features takes off them, blocks of time as clusters."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t as student

from backtests.ablation_plan import (
    FLAT,
    RETURNS,
    TRUTH,
    AblationPlan,
    AblationScore,
    Answered,
    Difference,
    FloatArray,
    Group,
    IntArray,
    Key,
)
from backtests.book_scores import apart
from backtests.uniformity import long_run_covariance
from features.clock import NS_PER_S
from models.base import Forecast
from models.scores import fz0_of_tails, pinball, qlike

LOSSES = ("qlike", "tail_pinball", "fz0")
TAIL = 0.05  # levels within it of either end are of the tails
LEAST_BLOCKS = 8
Losses = Mapping[str, FloatArray]


def score_group(group: Group, answered: Sequence[Answered], plan: AblationPlan) -> list[AblationScore]:
    """Scores of each recording and of all together; of one recording alone they are the same and told once."""
    scores = []
    for h in range(len(group.spec.horizons_s)):
        parts = [answered] + [[one] for one in answered if len(answered) > 1]
        for part in parts:
            name = "" if part is answered else part[0].recording.name
            scores += _score_horizon(group, part, name, h, plan)
    return scores


def _score_horizon(
    group: Group, answered: Sequence[Answered], name: str, h: int, plan: AblationPlan
) -> list[AblationScore]:
    """Every model at one horizon; nothing where no window is known."""
    horizon_s = group.spec.horizons_s[h]
    known = [test_rows(one, h) for one in answered]
    if not any(map(len, known)):
        return []
    origins = [np.asarray(one.recording.panel.origin_ns)[rows] for one, rows in zip(answered, known, strict=True)]
    block = np.concatenate(origins) // (plan.block_s(horizon_s) * NS_PER_S)
    losses = {key: _together(answered, key, known, h) for key in answered[0].forecasts}
    fits = sum(apart(part, horizon_s) for part in origins if len(part))
    where = (group.name, name, horizon_s)
    return [
        AblationScore(*where, *key, len(block), fits, *_summary(losses, key, block), _reached(losses, key))
        for key in losses
    ]


def _together(answered: Sequence[Answered], key: Key, known: Sequence[IntArray], h: int) -> Losses:
    """Losses of one model, recording after recording."""
    parts = [losses_of(one, one.forecasts[key], rows, h) for one, rows in zip(answered, known, strict=True)]
    return {loss: np.concatenate([part[loss] for part in parts]) for loss in LOSSES}


def _summary(losses: Mapping[Key, Losses], key: Key, block: IntArray) -> tuple[dict[str, float], dict[str, Difference]]:
    """Mean losses, and their differences from the same model's on returns alone."""
    own, base = losses[key], losses.get((key[0], RETURNS))
    added = {} if base is None or key[1] == RETURNS else {x: difference(own[x] - base[x], block) for x in LOSSES}
    return {loss: float(own[loss].mean()) for loss in LOSSES}, added


def test_rows(answered: Answered, h: int) -> IntArray:
    """Test origins whose outcome is known."""
    recording = answered.recording
    known = np.isfinite(recording.panel.targets.realised_variance[:, h])
    known[: recording.first] = False
    return np.flatnonzero(known)


test_rows.__test__ = False  # type: ignore[attr-defined]  # rows, not a test


def losses_of(answered: Answered, forecast: Forecast, rows: IntArray, h: int) -> Losses:
    """QLIKE, tail pinball over the training part's standard deviation, and FZ0 of some origins, (n,) each."""
    panel = answered.recording.panel
    returns, levels = panel.targets.log_return[rows, h], np.array(forecast.levels)
    unit = float(np.nanstd(answered.recording.past.targets.log_return[:, h]))
    tails = np.minimum(levels, 1 - levels) <= TAIL + 1e-9
    quantiles = forecast.quantiles[rows, h]
    return {
        "qlike": qlike(panel.targets.realised_variance[rows, h], forecast.variance[rows, h]),
        "tail_pinball": pinball(returns[:, None], quantiles[:, tails], levels[tails]).mean(axis=1) / unit,
        "fz0": fz0_of_tails(returns, quantiles, forecast.shortfall[rows, h], forecast.levels),
    }


def difference(values: FloatArray, block: IntArray) -> Difference:
    r"""Mean difference with a 95 % interval; what begins in one block of time, in any recording, is one cluster.

    .. math:: \bar d \pm t_{G-1} \sqrt{\frac{G}{G - 1} \, G \, \hat\Omega} \Big/ n, \qquad
              u_g = \sum_{i \in g} (d_i - \bar d)

    with G blocks, n windows, and :math:`\hat\Omega` the variance of u with Bartlett's weight for the next block, into
    which windows reach. Fewer than eight blocks say too little of chance.

    Parameters
    ----------
    values : array of shape (n,), one a window.
    block : array of shape (n,), number of the block of time that each begins in.

    References
    ----------
    Newey & West (1987), "A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix", Econometrica 55(3); Cameron & Miller (2015), "A practitioner's guide to cluster-robust
    inference", J. of Human Resources 50(2).

    Examples
    --------
    >>> difference(np.array([1.0, 3.0]), np.array([0, 1]))
    Difference(mean=2.0, low=None, high=None, blocks=2)
    """
    mean = float(values.mean())
    _, which = np.unique(block, return_inverse=True)
    off = np.bincount(which, values - mean).astype(np.float64)
    n = len(off)
    if n < LEAST_BLOCKS:
        return Difference(mean, None, None, n)
    spread = float(long_run_covariance(off[:, None], 1)[0, 0])
    error = float(student.ppf(0.975, n - 1)) * float(np.sqrt(n / (n - 1) * n * max(spread, 0.0))) / len(values)
    return Difference(mean, mean - error, mean + error, n)


def _reached(losses: Mapping[Key, Losses], key: Key) -> float | None:
    """Share of the way from the training mean to the true variance."""
    if (TRUTH, "") not in losses:
        return None
    flat, best, own = (float(losses[k]["qlike"].mean()) for k in ((FLAT, ""), (TRUTH, ""), key))
    return (flat - own) / (flat - best) if flat > best else None
