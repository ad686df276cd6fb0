"""Adaptive conformal inference: the level that is asked of the law moves, not the quantile."""

from dataclasses import dataclass

import numpy as np

from models.calibration.conformal.base import Axis, FloatArray, Scale
from models.calibration.conformal.steps import Steps


@dataclass(frozen=True, slots=True)
class Aci(Steps):
    r"""Ask the forecast law for another level, until the hits come as often as they should.

    .. math:: q'_{p,t} = Q_t(\alpha_{p,t}), \qquad
              \alpha_p \leftarrow \alpha_p + \gamma \min(p, 1 - p) \frac{\Delta}{h}
              \left( p - 1\{z_s \le q'_{p,s}\} \right)

    from :math:`\alpha_p = p`. Q is the law between its forecast levels, linear in the log odds of the level and so on
    beyond them (:mod:`models.calibration.conformal.levels`). Where the published method answers with everything, at a
    level at or below 0, Q goes on along a straight line: a margin must be a number. The step is a share of the level,
    or one hit of the .5 % quantile would use its level up.

    **Guarantee.** Of T windows learned from, the share at or below a quantile differs from p by exactly
    :math:`|\alpha_T - \alpha_0| h / (\gamma \min(p, 1 - p) \Delta T)`. Where every outcome lies between
    :math:`Q_t(-a)` and :math:`Q_t(1 + a)` and no quantiles cross, :math:`-a - 2 \gamma p \le \alpha \le 1 + a +
    2 \gamma p`, so that the difference is at most
    :math:`(1 + a + 2 \gamma) h / (\gamma \min(p, 1 - p) \Delta T)`, for any
    bounded outcomes. An offset in levels moves a wide quantile further than a narrow one.

    Parameters
    ----------
    step : :math:`\gamma`, share of its level that a level moves for one hit, per window that does not overlap.

    References
    ----------
    Gibbs & Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS 34, proposition 4.1.
    """

    step: float = 0.02

    @property
    def axis(self) -> Axis:
        """The level."""
        return Axis.LEVEL

    @property
    def push(self) -> tuple[float, float]:
        """None."""
        return 0.0, 1.0

    def gains(self, scale: Scale) -> FloatArray:
        """In proportion to the level's distance from 0 or 1."""
        gains: FloatArray = self.step * scale.share * np.minimum(scale.levels, 1 - scale.levels)
        return gains
