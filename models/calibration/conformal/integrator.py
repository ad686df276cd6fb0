"""Quantile tracking with an integrator: the more the hits so far miss their number, the harder it pushes back."""

from dataclasses import dataclass

import numpy as np

from models.calibration.conformal.base import Axis, FloatArray, Scale
from models.calibration.conformal.steps import Steps


@dataclass(frozen=True, slots=True)
class Integrator(Steps):
    r"""The tracker, and a push that grows with the standardised number of hits that came too few or too many.

    .. math:: q'_{p,t} = q_{p,t} + \theta_{p,t} + K \sinh \frac{S_{p,t}}{\sqrt{(n_t + m) p (1 - p)}}, \qquad
              S_p = \sum_s \frac{\Delta}{h} \left( p - 1\{z_s \le q'_{p,s}\} \right)

    with :math:`\theta` of :class:`models.calibration.conformal.tracker.Tracker` and n the windows learned from, both
    counted by the share :math:`\Delta / h` that does not overlap. The argument of sinh is the statistic of an
    unconditional coverage test, held back by m windows: a calibrated past is left alone, and at two standard errors
    the push is 3.6 K. It is an error integrator of the conformal PID controller: a saturation function of the summed
    error that does not fall and exceeds every bound of the scores at a threshold that grows slower than n. (With
    a constant step the tracker's own offset is the summed error too, times the step; what the integrator adds is that
    its force depends on whether the error is beyond chance.)

    **Guarantee.** Where :math:`|z - q| \le B` and no quantiles cross, over T windows learned from (n of them by share)
    the share of hits differs from p by at most

    .. math:: \frac{2 + \min\left( B / \gamma,\; \sqrt{(n + m) p (1 - p)} \; \mathrm{asinh}(B / K) \right)}{n}

    because beyond either threshold no further window can miss on the same side but those under way. Nothing is
    assumed of the outcomes but that they are bounded by B < 10^12 K. Begun at the offset :math:`\theta_0` of a pool,
    B grows by :math:`|\theta_0|`.

    Parameters
    ----------
    step : :math:`\gamma`, as the tracker's.
    height : K, in standard deviations.
    patience : m, windows that do not overlap.

    References
    ----------
    Angelopoulos, Candès & Tibshirani (2023), "Conformal PID control for time series prediction", NeurIPS 36,
    section 2.2 and theorem 2.
    """

    step: float = 0.02
    height: float = 0.02
    patience: float = 500.0

    @property
    def axis(self) -> Axis:
        """The standardised quantile."""
        return Axis.QUANTILE

    @property
    def push(self) -> tuple[float, float]:
        """Height and patience."""
        return self.height, self.patience

    def gains(self, scale: Scale) -> FloatArray:
        """The same at every level."""
        return np.full(len(scale.levels), self.step * scale.share)
