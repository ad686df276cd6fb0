"""What a trial is judged by: QLIKE of its forecasts on years that it was not trained on, debiased, above its floor."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS, NS_PER_S, format_utc
from features.errors import ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.calibration import PATIENT, Calibration
from models.calibration.bias import bias_of_ended
from models.calibration.windows import Ended
from models.scores import qlike, qlike_floor

FloatArray = NDArray[np.float64]
RECALL_NS = 90 * DAY_NS  # of the past that a forecast is made from


class Forecasts(Protocol):
    """Whatever forecasts."""

    def forecast(self, panel: Panel) -> Forecast:
        """Forecast from every origin."""
        ...


def validation_loss(
    model: Forecasts, panels: Sequence[Panel], from_ns: int, until_ns: int, settings: Calibration = PATIENT
) -> FloatArray:
    r"""Mean QLIKE of each horizon less its floor, over the origins from ``from_ns`` on, shape (h,).

    .. math:: \frac1n \sum_t QLIKE(RV_t, b_t f_t) - \left( \ln\tfrac{m}{2} - \psi(\tfrac{m}{2}) \right)

    with b the online bias of the forecasts before t whose windows had ended, and m the returns in a window.
    Windows of all instruments weigh alike.

    Parameters
    ----------
    model : fitted on what was known at ``from_ns``.
    panels : whole, or cut later than ``until_ns``.
    from_ns, until_ns : first origin; last instant that is known, so that windows that end later do not count.
    settings : memory of the debiasing.

    Raises
    ------
    ShortHistoryError
        If a horizon has no window that ended in the period.
    """
    parts = [_losses(model, panel.until(until_ns), from_ns, settings) for panel in panels]
    losses = np.concatenate([part for part in parts if part is not None] or [np.empty((0, 1))])
    known = np.isfinite(losses)
    if not known.any(axis=0).all():
        period = f"from {format_utc(from_ns)} to {format_utc(until_ns)}"
        raise ShortHistoryError(f"a horizon has no scoreable window {period}; choose a longer fold, or import its bars")
    spec = panels[0].spec
    floors = np.array([qlike_floor(horizon_s // spec.bar_s) for horizon_s in spec.horizons_s])
    means: FloatArray = np.where(known, losses, 0.0).sum(axis=0) / known.sum(axis=0)
    net: FloatArray = means - floors
    return net


def _losses(model: Forecasts, known: Panel, from_ns: int, settings: Calibration) -> FloatArray | None:
    """QLIKE of one instrument's windows, shape (n, h), NaN where a window does not count; None without origins."""
    asked = known.rows(known.first_row_from(from_ns - RECALL_NS), len(known))
    first = asked.first_row_from(from_ns)
    if first == len(asked):
        return None
    variance = model.forecast(asked).variance[first:]
    realised = asked.targets.realised_variance[first:]
    origin_ns, step_ns = np.asarray(asked.origin_ns[first:]), asked.spec.every_s * NS_PER_S
    losses: FloatArray = np.empty(variance.shape)
    for h, horizon_s in enumerate(asked.spec.horizons_s):
        ended = Ended.of(origin_ns, origin_ns, horizon_s * NS_PER_S, settings.bias_rows * step_ns)
        bias = bias_of_ended(variance[:, h], realised[:, h], ended, settings)
        losses[:, h] = qlike(realised[:, h], variance[:, h] * bias)
    return losses
