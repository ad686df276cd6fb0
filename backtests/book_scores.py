"""Scores over windows that overlap and are few: figures and counts, and no claim of significance."""

import numpy as np
from numpy.typing import NDArray

from backtests.book_plan import BookScore, Walked
from features.errors import ShortHistoryError
from models.scores import crps_from_quantiles, pinball, qlike

FloatArray = NDArray[np.float64]
BASIS_POINT = 1e-4
COUNTED = (0.05, 0.25, 0.5, 0.75, 0.95)


def score_session(walked: Walked) -> list[BookScore]:
    """Every model at every horizon on the test origins whose outcome is known.

    Raises
    ------
    ShortHistoryError
        If a horizon has none.
    """
    horizons_s = walked.panel.spec.horizons_s
    return [_score(walked, name, h) for h in range(len(horizons_s)) for name in walked.forecasts]


def _score(walked: Walked, name: str, h: int) -> BookScore:
    tested, forecast = walked.panel.rows(walked.first, len(walked.panel)), walked.forecasts[name].rows(walked.first)
    realised, log_return = tested.targets.realised_variance[:, h], tested.targets.log_return[:, h]
    known = np.isfinite(realised)
    horizon_s = tested.spec.horizons_s[h]
    if not known.any():
        raise ShortHistoryError(
            f"{tested.instrument}: no window of {horizon_s} s in which the mid moved had ended in the test part; "
            "give a longer session"
        )
    realised, log_return = realised[known], log_return[known]
    variance, quantiles = forecast.variance[known, h], forecast.quantiles[known, h]
    levels = np.array(forecast.levels)
    counted = [forecast.level_index(p) for p in COUNTED]
    return BookScore(
        model=name,
        horizon_s=horizon_s,
        windows=int(known.sum()),
        apart=apart(tested.origin_ns[known], horizon_s),
        qlike=float(qlike(realised, variance).mean()),
        realised_over_forecast=float((realised / variance).mean()),
        pinball_bp=float(pinball(log_return[:, None], quantiles, levels).mean()) / BASIS_POINT,
        crps_bp=float(crps_from_quantiles(log_return, quantiles, forecast.levels).mean()) / BASIS_POINT,
        levels=COUNTED,
        below=tuple(int(n) for n in (log_return[:, None] <= quantiles[:, counted]).sum(axis=0)),
    )


def apart(origin_ns: NDArray[np.int64], horizon_s: int) -> int:
    """How many windows fit behind each other without overlap, taken greedily from the first.

    Examples
    --------
    >>> apart(np.array([0, 20, 60, 110, 121]) * 1_000_000_000, 60)
    3
    """
    count, free_ns = 0, int(origin_ns[0])
    for ts_ns in origin_ns.tolist():
        if ts_ns >= free_ns:
            count, free_ns = count + 1, ts_ns + horizon_s * 1_000_000_000
    return count
