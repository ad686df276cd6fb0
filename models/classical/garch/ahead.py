"""From fitted parameters to the variance of the next return and of those after it."""

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError
from models.classical.garch.parameters import GarchParameters
from models.classical.garch.recursion import EGARCH, GJR, MEAN_SIZE, filter_variance

FloatArray = NDArray[np.float64]


def variances(returns: FloatArray, p: GarchParameters, *, egarch: bool = False) -> FloatArray:
    """Variance of each return and of the one after the last, shape (n,) -> (n + 1,)."""
    out = np.empty(len(returns) + 1)
    family = EGARCH if egarch else GJR
    out[-1] = filter_variance(family, p.vector(), returns - p.mean, p.backcast, out[:-1])
    return out


def next_variance(returns: FloatArray, p: GarchParameters, *, egarch: bool = False) -> FloatArray:
    """Variance of the return after each one, shape (n,) -> (n,)."""
    return variances(returns, p, egarch=egarch)[1:]


def variance_ahead(next_step: FloatArray, p: GarchParameters, steps: int) -> FloatArray:
    r"""Variance of each of the next returns by GARCH or GJR, shape (n,) -> (n, steps).

    .. math:: \sigma^2_{t+j} = \varphi^{j-1} \sigma^2_{t+1} + \omega \sum_{i=0}^{j-2} \varphi^i, \qquad
              \varphi = \alpha + \gamma / 2 + \beta

    which also holds where the process is integrated, as it nearly is on hourly returns. Half of the weight of falls
    is exact for a law that falls half of the time; arch takes the same half.
    """
    fade = p.persistence ** np.arange(steps)
    drift = p.omega * np.concatenate([[0.0], np.cumsum(fade[:-1])])
    ahead: FloatArray = next_step[:, None] * fade + drift
    return ahead


def log_moments(residual: FloatArray, p: GarchParameters, steps: int) -> FloatArray:
    r"""Logs of the moments of news that EGARCH's variance ahead is made of, shape (steps - 1,).

    .. math:: m_i = \ln \frac{1}{n} \sum_s \exp\big(\beta^i g(\hat z_s)\big), \qquad
              g(z) = \alpha (|z| - \sqrt{2 / \pi}) + \gamma z

    The mean is over fitted residuals: Student's t has no such moment (Nelson 1991).

    Parameters
    ----------
    residual : array of shape (n,), standardised.
    p : the model.
    steps : of which the first needs no moment.
    """
    news = p.alpha * (np.abs(residual) - MEAN_SIZE) + p.gamma * residual
    return np.array([np.log(np.exp(p.beta**i * news).mean()) for i in range(steps - 1)])


def egarch_ahead(next_step: FloatArray, p: GarchParameters, moments: FloatArray, steps: int) -> FloatArray:
    r"""Variance of each of the next returns by EGARCH, shape (n,) -> (n, steps).

    .. math:: \sigma^2_{t+j} = \exp\Big(\beta^{j-1} \ln \sigma^2_{t+1} + \sum_{i=0}^{j-2} (\omega \beta^i + m_i)\Big)

    exact at the first step, and after it if the news are as in the sample of ``moments``.

    Raises
    ------
    SettingError
        If there are fewer moments than steps after the first.
    """
    if len(moments) < steps - 1:
        raise SettingError(
            f"EGARCH was fitted for {len(moments) + 1} hours ahead, not {steps}; fit it on a panel with that horizon"
        )
    fade = p.beta ** np.arange(steps)
    drift = np.concatenate([[0.0], np.cumsum(p.omega * fade[:-1] + moments[: steps - 1])])
    ahead: FloatArray = np.exp(np.log(next_step)[:, None] * fade + drift)
    return ahead
