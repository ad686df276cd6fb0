"""A fitted GARCH, GJR or EGARCH, by name."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """``variance[t] = omega + (alpha + gamma * fell[t-1]) * residual[t-1]**2 + beta * variance[t-1]``.

    For EGARCH ``log variance[t] = omega + alpha * (abs(z[t-1]) - sqrt(2/pi)) + gamma * z[t-1] + beta * log
    variance[t-1]``. The units are the returns'. ``degrees`` of freedom are infinite for a normal law; ``skew`` is
    Hansen's lambda; ``backcast`` is the variance before the first return.
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    degrees: float
    backcast: float
    log_likelihood: float
    gamma: float = 0.0
    skew: float = 0.0

    def vector(self) -> FloatArray:
        """In the order of the compiled code, shape (7,)."""
        return np.array([self.mean, self.omega, self.alpha, self.gamma, self.beta, self.degrees, self.skew])

    @property
    def persistence(self) -> float:
        """What is left of a shock to the variance after one step, of GARCH and GJR."""
        return self.alpha + 0.5 * self.gamma + self.beta
