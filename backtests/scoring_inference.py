"""How sure the figures are: tests of coverage, differences from a baseline with intervals, the set of best models."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from backtests.compare import by_day, clustered_p, clustered_t, dm_test, hac_lag
from backtests.confidence_set import model_confidence_set
from backtests.coverage import conditional_coverage_p, kupiec_p, tail_probability
from backtests.dynamic_quantile import dq_p
from backtests.forecast_file import SHORTFALL_LEVELS
from backtests.overlap import combine_phases
from backtests.scoring_losses import SHOWN_LEVELS, TAIL_LEVELS, Losses
from features.clock import HOUR_S

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Figures = dict[str, Any]
SIZE = 0.05  # of a test
NORMAL_95 = 1.959963984540054
COMPARED = ("qlike", "crps", "pin_tail", "fz_tail", "fz_0.01", "fz_0.025", "fz_0.99")
RANKED = ("qlike", "crps", "pin_tail", "fz_tail")
TESTS = ("kupiec", "christoffersen_cc", "dq")


def coverage_tests(losses: Losses, quantiles: Mapping[str, FloatArray], hour: IntArray, horizon_s: int) -> Figures:
    """P-values by level and test for one instrument, over windows that do not overlap."""
    step = horizon_s // HOUR_S
    return {
        f"{level:g}": {
            name: combine_phases(partial(_test, name, losses[f"hit_{level:g}"] > 0, quantiles[f"q_{level:g}"], level),
                                 hour % step, step)
            for name in TESTS
        }
        for level in SHOWN_LEVELS
    }  # fmt: skip


def _test(name: str, hits: NDArray[np.bool_], quantile: FloatArray, level: float, rows: IntArray) -> float:
    """P-value of one test on some rows; NaN on none."""
    if not len(rows):
        return np.nan
    tail = tail_probability(level)
    if name == "dq":
        return dq_p(hits[rows], quantile[rows], tail)
    return (kupiec_p if name == "kupiec" else conditional_coverage_p)(hits[rows], tail)


def rejections(by_instrument: list[Figures]) -> dict[str, str]:
    """Rejections at 5 % of each test, of how many over instruments and levels, such as ``3/24``."""
    found = {}
    for name in TESTS:
        p = _p_values(by_instrument, name)
        found[name] = f"{int((p < SIZE).sum())}/{len(p)}"
    return found


def rejection_rates(by_instrument: list[Figures]) -> Figures:
    """Rates of rejection beside the nominal size, and how many stand when false discoveries are kept at 5 %.

    References
    ----------
    Benjamini & Hochberg (1995), "Controlling the false discovery rate", J. of the Royal Statistical Society B 57(1).
    """
    found: Figures = {}
    for name in TESTS:
        p = _p_values(by_instrument, name)
        adjusted = false_discovery_control(p) if len(p) else p
        found[name] = {
            "rate": float((p < SIZE).mean()) if len(p) else None,
            "nominal": SIZE,
            "n": len(p),
            "rejected": int((p < SIZE).sum()),
            "discoveries": int((adjusted < SIZE).sum()),
        }
    return found


def _p_values(by_instrument: list[Figures], name: str) -> FloatArray:
    p = np.array([at_level[name] for tests in by_instrument for at_level in tests.values()], dtype=np.float64)
    return p[np.isfinite(p)]


def clustered_figures(losses: Losses, day: IntArray, horizon_s: int) -> Figures:
    """P-values of the pooled hit rates and t statistics of Z2: the hours and instruments of a day are one cluster."""
    hac_p = {
        f"{p:g}": clustered_p(losses[f"hit_{p:g}"] - tail_probability(p), day, horizon_s) for p in TAIL_LEVELS
    }
    return {"hac_p": hac_p} | {
        f"z2_t_{p:g}": clustered_t(losses[f"z2_{p:g}"], day, horizon_s) for p in SHORTFALL_LEVELS
    }


def against(losses: Losses, baseline: Losses, day: IntArray, horizon_s: int) -> Figures:
    """Differences from a baseline by loss: Diebold & Mariano's test and, where losses are ratios, the skill."""
    found: Figures = {}
    for name in COMPARED:
        test = dm_test(losses[name], baseline[name], day, horizon_s, small_sample=False)
        mean, base = float(np.nanmean(losses[name])), float(np.nanmean(baseline[name]))
        found[name] = {"diff": mean - base, "dm_t": test.t, "dm_p": test.p}
        if not name.startswith("fz"):
            found[name]["skill"] = 1 - mean / base
    return found


def skill_intervals(losses: Losses, baseline: Losses, day: IntArray, horizon_s: int) -> Figures:
    """Skill (QLIKE, CRPS, tail pinball) and difference (FZ0) with intervals of 95 %, whose clusters are days."""
    found: Figures = {}
    for name in RANKED:
        if name.startswith("fz"):
            found[name] = mean_interval(losses[name] - baseline[name], day, horizon_s, "difference")
        else:
            found[name] = skill_interval(losses[name], baseline[name], day, horizon_s)
    return found


def skill_interval(loss: FloatArray, baseline: FloatArray, day: IntArray, horizon_s: int) -> Figures:
    r"""Skill with a 95 % interval by the delta method.

    .. math:: s = 1 - \frac{\sum_t L_t}{\sum_t B_t}, \qquad
              \widehat{var}(s) = \frac{D \, \hat\Omega(x)}{(\sum_d B_d)^2}, \qquad x_d = L_d - (1 - s) B_d

    with L_d, B_d sums over the D days and :math:`\hat\Omega` the long-run variance of Newey & West.
    """
    which = np.unique(day, return_inverse=True)[1]
    model, base = np.bincount(which, loss), np.bincount(which, baseline)
    ratio = model.sum() / base.sum()
    excess, n = model - ratio * base, len(base)
    error = np.sqrt(n * long_run_variance(excess, hac_lag(n, horizon_s))) / abs(base.sum())
    return _interval("skill", 1 - ratio, error)


def mean_interval(values: FloatArray, day: IntArray, horizon_s: int, name: str) -> Figures:
    """Mean of daily means with its 95 % interval."""
    daily = by_day(values, day)
    error = np.sqrt(long_run_variance(daily - daily.mean(), hac_lag(len(daily), horizon_s)) / len(daily))
    return _interval(name, daily.mean(), error)


def _interval(name: str, value: float, error: float) -> Figures:
    return {name: float(value), "low": float(value - NORMAL_95 * error), "high": float(value + NORMAL_95 * error)}


def long_run_variance(centred: FloatArray, lag: int) -> float:
    r"""Variance of a sum of centred values, for each of them, under autocorrelation (Bartlett weights).

    .. math:: \hat\Omega = \gamma_0 + 2 \sum_{j=1}^{L} \left(1 - \tfrac{j}{L+1}\right) \gamma_j

    References
    ----------
    Newey & West (1987), Econometrica 55(3).

    Examples
    --------
    >>> long_run_variance(np.array([1.0, 1.0, -1.0, -1.0]), 1)
    1.25
    """
    n = len(centred)
    total = centred @ centred
    for j in range(1, min(lag, n - 1) + 1):
        total += 2 * (1 - j / (lag + 1)) * (centred[j:] @ centred[:-j])
    return max(float(total / n), 0.0)


def confidence_sets(daily: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, dict[str, float]]:
    """P-values of the model confidence set by loss and model, from daily mean losses by model and loss."""
    models, found = list(daily), {}
    for name in RANKED:
        table = np.column_stack([daily[model][name] for model in models])
        p = model_confidence_set(table)
        found[name] = {model: float(value) for model, value in zip(models, p, strict=True)}
    return found
