"""All scores of all models over the same windows."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from backtests.compare import diebold_mariano
from backtests.coverage import conditional_coverage_p, kupiec_p, over_phases
from features.clock import DAY_NS, HOUR_S
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.scores import crps_from_quantiles, fz0_of_tails, pinball, qlike, qlike_floor

FloatArray = NDArray[np.float64]
TAIL_LEVELS = (0.005, 0.01, 0.025, 0.05, 0.95, 0.975, 0.99, 0.995)
BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one model at one horizon.

    ``qlike_net``: less the expected QLIKE of the true variance. ``pinball_tail_bp``:
    mean over the tail levels. ``fz0_tail``: mean over 1 and 2.5 %, both tails.
    ``hit_low``, ``hit_high``: share of returns below the 1 % and above the 99 %
    quantile, in percent. ``kupiec_*``, ``coverage_*``: their p-values, of Kupiec's
    and of Christoffersen's conditional test. ``*_t``: Diebold-Mariano
    against the baseline, negative is better. ``realised_over_forecast``: mean of RV / variance.
    """

    model: str
    horizon_s: int
    n: int
    qlike: float
    qlike_net: float
    qlike_t: float
    realised_over_forecast: float
    pinball_tail_bp: float
    crps_bp: float
    fz0_tail: float
    fz0_t: float
    hit_low: float
    hit_high: float
    kupiec_low: float
    kupiec_high: float
    coverage_low: float
    coverage_high: float

    def to_json(self) -> dict[str, float | str | int]:
        """Plain values."""
        return asdict(self)


def score_all(forecasts: dict[str, Forecast], panel: Panel, baseline: str) -> list[Score]:
    """Score every model at every horizon on the windows whose outcome is known.

    Parameters
    ----------
    forecasts : by model, all from the same origins, which are rows of the panel.
    panel : holds the outcomes.
    baseline : model that Diebold-Mariano compares with.
    """
    scores = []
    for h, horizon_s in enumerate(panel.spec.horizons_s):
        windows = {name: _Windows(forecast, panel, h, horizon_s) for name, forecast in forecasts.items()}
        scores += [_score(name, w, windows[baseline]) for name, w in windows.items()]
    return scores


class _Windows:
    """One model's forecasts and outcomes at one horizon, known windows only."""

    def __init__(self, forecast: Forecast, panel: Panel, h: int, horizon_s: int) -> None:
        rows = slice(panel.first_row_from(int(forecast.origin_ns[0])), None)
        realised = panel.targets.realised_variance[rows, h][: len(forecast.origin_ns)]
        known = np.isfinite(realised)
        if not known.any():
            raise ShortHistoryError(f"no window of {horizon_s} s had ended in the test period; choose a longer one")
        self.horizon_s, self.levels, self.spec = horizon_s, forecast.levels, panel.spec
        self.day = forecast.origin_ns[known] // DAY_NS
        self.realised = realised[known]
        self.log_return = panel.targets.log_return[rows, h][: len(known)][known]
        self.variance = forecast.variance[known, h]
        self.quantiles = forecast.quantiles[known, h]
        self.shortfall = forecast.shortfall[known, h]

    def quantile(self, level: float) -> FloatArray:
        column: FloatArray = self.quantiles[:, self.levels.index(level)]
        return column

    def qlike(self) -> FloatArray:
        loss: FloatArray = qlike(self.realised, self.variance)
        return loss

    def fz0(self) -> FloatArray:
        loss: FloatArray = fz0_of_tails(self.log_return, self.quantiles, self.shortfall, self.levels)
        return loss

    def pinball(self) -> float:
        return float(np.mean([pinball(self.log_return, self.quantile(p), p).mean() for p in TAIL_LEVELS]))


def _score(name: str, w: _Windows, base: _Windows) -> Score:
    losses, tail_losses = w.qlike(), w.fz0()
    low, high = w.log_return <= w.quantile(0.01), w.log_return >= w.quantile(0.99)
    step = w.horizon_s // HOUR_S
    return Score(
        model=name,
        horizon_s=w.horizon_s,
        n=len(losses),
        qlike=float(losses.mean()),
        qlike_net=float(losses.mean()) - qlike_floor(w.horizon_s // w.spec.bar_s),
        qlike_t=diebold_mariano(losses, base.qlike(), w.day, w.horizon_s),
        realised_over_forecast=float((w.realised / w.variance).mean()),
        pinball_tail_bp=w.pinball() / BASIS_POINT,
        crps_bp=float(crps_from_quantiles(w.log_return, w.quantiles, w.levels).mean()) / BASIS_POINT,
        fz0_tail=float(tail_losses.mean()),
        fz0_t=diebold_mariano(tail_losses, base.fz0(), w.day, w.horizon_s),
        hit_low=100 * float(low.mean()),
        hit_high=100 * float(high.mean()),
        kupiec_low=over_phases(kupiec_p, low, 0.01, step),
        kupiec_high=over_phases(kupiec_p, high, 0.01, step),
        coverage_low=over_phases(conditional_coverage_p, low, 0.01, step),
        coverage_high=over_phases(conditional_coverage_p, high, 0.01, step),
    )


def reliability(forecast: Forecast, panel: Panel) -> list[FloatArray]:
    """Share of returns at or below each forecast quantile, shape (q,) a horizon: the levels, if calibrated."""
    shares: list[FloatArray] = []
    for h, horizon_s in enumerate(panel.spec.horizons_s):
        w = _Windows(forecast, panel, h, horizon_s)
        shares.append((w.log_return[:, None] <= w.quantiles).mean(axis=0))
    return shares
