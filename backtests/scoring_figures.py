"""Losses to figures: means of the whole, by year, by hour, and by how stormy it was."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from backtests.coverage import tail_probability
from backtests.forecast_file import SHORTFALL_LEVELS
from backtests.scoring_losses import TAIL_LEVELS, Losses
from features.clock import HOUR_S
from models.base import LEVELS
from models.scores import qlike_floor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Figures = dict[str, Any]
YEAR_LEVELS = (0.01, 0.025, 0.975, 0.99)
HOURS = 24


def known_mean(values: NDArray[np.floating]) -> float | None:
    """Mean of what is known; None if nothing is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def figures_of(losses: Losses, n_bars: int) -> Figures:
    """Mean losses and hit rates, by the protocol's names; ``n_bars`` returns make a realised variance."""
    found: Figures = {
        "n": len(losses["qlike"]),
        "qlike": known_mean(losses["qlike"]),
        "qlike_net": float(np.mean(losses["qlike"])) - qlike_floor(n_bars),
        "qlike_median": float(np.median(losses["qlike"])),
        "qlike_p999": float(np.quantile(losses["qlike"], 0.999)),
        "msle": float(np.mean(losses["le"] ** 2)),
        "sdle": float(np.std(losses["le"])),
        "mean_ratio": known_mean(losses["ratio"]),
        "crps_bp": known_mean(losses["crps"]),
        "pin_tail_bp": known_mean(losses["pin_tail"]),
    }
    found |= {f"pin_{p:g}_bp": known_mean(losses[f"pin_{p:g}"]) for p in LEVELS}
    names = ["fz_tail", *(f"{kind}_{p:g}" for kind in ("fz", "z2") for p in SHORTFALL_LEVELS)]
    names += [f"hit_{p:g}" for p in TAIL_LEVELS]
    names += [name for name in losses if name.startswith("x")]
    return found | {name: known_mean(losses[name]) for name in names}


def noise_floor(realised_variance: FloatArray, quarticity: FloatArray) -> float:
    r"""Expected QLIKE of the true variance, from how unequal the returns of each window were.

    .. math:: E[L] \approx \overline{\ln \tfrac{m}{2} - \psi(\tfrac{m}{2})}, \qquad
              m = \max\left(1, \frac{3 RV^2}{\sum_j r_j^4}\right)

    m is the number of equal normal returns that would make as noisy a sum.

    Examples
    --------
    >>> round(noise_floor(np.array([1.0]), np.array([0.25])), 4)  # m = 12
    0.0856
    """
    # a fourth power may be lost in the rounding of running sums: such a window counts as one return
    fourth = np.where(quarticity > 0, quarticity, realised_variance**2)
    half = np.maximum(3 * realised_variance**2 / fourth, 1.0) / 2
    return float(np.mean(np.log(half) - digamma(half)))


def terciles(values: FloatArray, instrument: IntArray) -> IntArray:
    """Tercile (0, 1, 2) of each value among those of its instrument, shape (n,).

    Examples
    --------
    >>> terciles(np.array([1.0, 2.0, 3.0, 30.0, 20.0, 10.0]), np.array([0, 0, 0, 1, 1, 1]))
    array([0, 1, 2, 2, 1, 0])
    """
    found = np.empty(len(values), dtype=np.int64)
    for one in np.unique(instrument):
        rows = instrument == one
        found[rows] = np.searchsorted(np.quantile(values[rows], [1 / 3, 2 / 3]), values[rows])
    return found


def hits_by(losses: Losses, group: IntArray, n_groups: int) -> dict[str, list[float | None]]:
    """Hit rates of each tail level in each group of windows; None for a group without windows."""
    counts = np.bincount(group, minlength=n_groups)
    found: dict[str, list[float | None]] = {}
    for level in TAIL_LEVELS:
        hits = np.bincount(group, losses[f"hit_{level:g}"], minlength=n_groups)
        found[f"{level:g}"] = [float(h / n) if n else None for h, n in zip(hits, counts, strict=True)]
    return found


def worst_error_pp(rates: dict[str, list[float | None]]) -> dict[str, float]:
    """Largest distance of a group's hit rate from its level, percentage points.

    Examples
    --------
    >>> worst_error_pp({"0.99": [0.012, 0.004, 0.011]})
    {'0.99': 0.6}
    """
    found = {}
    for level, by_group in rates.items():
        tail = tail_probability(float(level))
        found[level] = float(max(abs(rate - tail) * 100 for rate in by_group if rate is not None))
    return found


def by_year(losses: Losses, year: IntArray) -> dict[int, Figures]:
    """The main figures of each calendar year."""
    found = {}
    for one in np.unique(year):
        rows = year == one
        found[int(one)] = {
            "n": int(rows.sum()),
            "qlike": float(losses["qlike"][rows].mean()),
            "pin_tail_bp": float(losses["pin_tail"][rows].mean()),
            "fz_tail": known_mean(losses["fz_tail"][rows]),
            **{f"hit_{p:g}": float(losses[f"hit_{p:g}"][rows].mean()) for p in YEAR_LEVELS},
        }
    return found


def hour_of_day(origin_ns: IntArray) -> IntArray:
    """Hour of the day (UTC) of each origin."""
    return origin_ns // (HOUR_S * 1_000_000_000) % HOURS


def year_of(origin_ns: IntArray) -> IntArray:
    """Calendar year (UTC) of each origin.

    Examples
    --------
    >>> year_of(np.array([0, 1_704_067_199_999_999_999, 1_704_067_200_000_000_000]))
    array([1970, 2023, 2024])
    """
    return origin_ns.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
