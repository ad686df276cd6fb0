"""Online quantile tracking: each outcome moves the quantile that it was compared with."""

from dataclasses import dataclass

import numpy as np

from models.calibration.conformal.base import Axis, FloatArray, Scale
from models.calibration.conformal.steps import Steps


@dataclass(frozen=True, slots=True)
class Tracker(Steps):
    r"""Move each standardised quantile so that its hits come as often as they should, whatever the outcomes.

    .. math:: q'_{p,t} = q_{p,t} + \theta_{p,t}, \qquad
              \theta_p \leftarrow \theta_p + \gamma \frac{\Delta}{h} \left( p - 1\{z_s \le q'_{p,s}\} \right)

    once for each window s, when it has ended. Windows that overlap count as many times as they fit into each other:
    :math:`\Delta` is the time between origins, at most h. Where moved quantiles would cross, the higher
    level takes the value of the lower one, and outcomes are compared with what was answered.

    **Guarantee.** Of T windows learned from, the share at or below a quantile differs from p by exactly
    :math:`|\theta_T - \theta_0| h / (\gamma \Delta T)`. Where :math:`|z - q| \le B` and no quantiles cross,
    :math:`|\theta| \le B + 2 \gamma` (one step for the window that went too far, one for those that were under way),
    so the difference is at most :math:`(B + 2 \gamma) h / (\gamma \Delta T)`. Nothing is
    assumed of the outcomes but that they are bounded: not independence, not a law. It is a statement about the mean
    over time, not about any one window or about any state of the market.

    Parameters
    ----------
    step : :math:`\gamma`, standard deviations that a quantile moves for one hit, per window that does not overlap.
        The smallest that takes most of the error of coverage away; ten times as much costs two percent of the
        quantile loss.

    References
    ----------
    Gibbs & Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS 34;
    Angelopoulos, Candès & Tibshirani (2023), "Conformal PID control for time series prediction", NeurIPS 36.
    """

    step: float = 0.02

    @property
    def axis(self) -> Axis:
        """The standardised quantile."""
        return Axis.QUANTILE

    @property
    def push(self) -> tuple[float, float]:
        """None."""
        return 0.0, 1.0

    def gains(self, scale: Scale) -> FloatArray:
        """The same at every level."""
        return np.full(len(scale.levels), self.step * scale.share)
