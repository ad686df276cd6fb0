"""How sure the figures are: tests of coverage, differences from a baseline with intervals, the set of best models."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.compare import clustered_p, clustered_t, dm_test, hac_lag
from backtests.confidence_set import model_confidence_set
from backtests.coverage import conditional_coverage_p, kupiec_p, tail_probability
from backtests.dynamic_quantile import dq_p
from backtests.forecast_file import SHORTFALL_LEVELS
from backtests.many import benjamini_hochberg, count_rejections
from backtests.overlap import combine_phases
from backtests.scoring_days import Days
from backtests.scoring_losses import SHOWN_LEVELS, TAIL_LEVELS, Losses
from backtests.skill import skill
from backtests.uniformity import long_run_covariance
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
    step = max(horizon_s // HOUR_S, 1)  # windows of less than an hour do not overlap
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

    ``fewest`` to ``most`` rejections are expected of right forecasts; ``discoveries`` are those of
    :func:`~backtests.many.benjamini_hochberg`.
    """
    found: Figures = {}
    for name in TESTS:
        p = _p_values(by_instrument, name)
        counted = count_rejections(p, SIZE)._asdict() if len(p) else {}
        discoveries = int((benjamini_hochberg(p) <= SIZE).sum())
        rate = float((p < SIZE).mean()) if len(p) else None
        found[name] = {"rate": rate, "nominal": SIZE, "discoveries": discoveries, **counted}
    return found


def _p_values(by_instrument: list[Figures], name: str) -> FloatArray:
    p = np.array([at_level[name] for tests in by_instrument for at_level in tests.values()], dtype=np.float64)
    return p[np.isfinite(p)]


def clustered_figures(losses: Losses, days: Days, horizon_s: int) -> Figures:
    """P-values of the pooled hit rates and t statistics of Z2: the hours and instruments of a day are one cluster."""
    excess = {p: days.means(losses[f"hit_{p:g}"] - tail_probability(p)) for p in TAIL_LEVELS}
    terms = {p: days.means(losses[f"z2_{p:g}"]) for p in SHORTFALL_LEVELS}
    hac_p = {f"{p:g}": clustered_p(values, days.number, horizon_s) for p, values in excess.items()}
    t = {p: clustered_t(v, days.number, horizon_s) if np.isfinite(v).any() else None for p, v in terms.items()}
    return {"hac_p": hac_p} | {f"z2_t_{p:g}": value for p, value in t.items()}


def against(losses: Losses, baseline: Losses, days: Days, horizon_s: int) -> Figures:
    """Differences from a baseline by loss: Diebold & Mariano's test and, where losses are ratios, the skill."""
    found: Figures = {}
    for name in COMPARED:
        model, base = _paired(losses[name], baseline[name], days)
        if not np.isfinite(model).any():
            found[name] = {"diff": None, "dm_t": None, "dm_p": None}
            continue
        test = dm_test(model, base, days.number, horizon_s, small_sample=False)
        mean, base_mean = float(np.nanmean(losses[name])), float(np.nanmean(baseline[name]))
        found[name] = {"diff": mean - base_mean, "dm_t": test.t, "dm_p": test.p}
        if not name.startswith("fz"):
            found[name]["skill"] = 1 - mean / base_mean
    return found


def _paired(loss: FloatArray, baseline: FloatArray, days: Days) -> tuple[FloatArray, FloatArray]:
    """Daily means of two losses over the windows where both are finite."""
    both = np.isfinite(loss) & np.isfinite(baseline)
    return days.means(np.where(both, loss, np.nan)), days.means(np.where(both, baseline, np.nan))


def skill_intervals(losses: Losses, baseline: Losses, days: Days, horizon_s: int) -> Figures:
    """Skill (QLIKE, CRPS, tail pinball) and difference (FZ0) with intervals of 95 %; a day is one cluster."""
    found: Figures = {}
    for name in RANKED:
        if name.startswith("fz"):
            found[name] = difference_interval(losses[name] - baseline[name], days, horizon_s)
        else:
            found[name] = skill(days.sums(losses[name]), days.sums(baseline[name]), days.number)._asdict()
    return found


def difference_interval(difference: FloatArray, days: Days, horizon_s: int) -> Figures:
    r"""Mean difference over windows with a 95 % interval of the normal law, days as clusters.

    .. math:: \bar d \pm 1.96 \sqrt{\hat\Omega / D} \Big/ \bar n, \qquad
              u_t = \sum_{i \in t} (d_i - \bar d)

    for D days of n windows on average, :math:`\hat\Omega` the long-run variance of u by
    :func:`~backtests.uniformity.long_run_covariance`: a day with few windows weighs as little as it has.

    Parameters
    ----------
    difference : array of shape (n,), a window each; NaN is left out, and where nothing else is, nothing is said.
    days : the windows' days.
    horizon_s : horizon in seconds; sets the least lag.
    """
    known = np.isfinite(difference)
    if not known.any():
        return {"difference": None, "low": None, "high": None}
    mean = float(difference[known].mean())
    count = days.sums(known.astype(np.float64))
    off = days.sums(np.where(known, difference - mean, 0.0))[count > 0]
    n = len(off)
    spread = float(long_run_covariance(off[:, None], hac_lag(n, horizon_s))[0, 0]) / count[count > 0].mean() ** 2
    error = NORMAL_95 * float(np.sqrt(max(spread, 0.0) / n))
    return {"difference": mean, "low": mean - error, "high": mean + error}


def confidence_sets(daily: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, dict[str, float]]:
    """P-values of the model confidence set by loss and model, from daily mean losses by model and loss.

    Models without any finite loss are left out, then days on which any model has none.
    """
    found: dict[str, dict[str, float]] = {}
    for name in RANKED:
        models = [model for model in daily if np.isfinite(daily[model][name]).any()]
        if not models:
            continue
        table = np.column_stack([daily[model][name] for model in models])
        p = model_confidence_set(table[np.isfinite(table).all(axis=1)])
        found[name] = {model: float(value) for model, value in zip(models, p, strict=True)}
    return found
