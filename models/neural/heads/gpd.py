"""Generalised Pareto tails for tensors: quantiles, shortfalls, density."""

import math

import torch
from torch import Tensor

from models.base import LEVELS

TAIL = 0.025  # the Pareto tails begin here


def pareto_tail(outward: Tensor, scale: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    r"""Quantiles and shortfalls of the tail levels, as positive losses, outermost first.

    .. math:: q_p = u + \frac{\beta}{\xi} \left( (p/p_u)^{-\xi} - 1 \right), \qquad
              e_p = \frac{q_p + \beta - \xi u}{1 - \xi}

    Parameters
    ----------
    outward : (batch, horizon, inner level); the first is u, the loss quantile at ``TAIL``.
    scale, index : (batch, horizon), beta and xi.

    References
    ----------
    McNeil & Frey (2000), "Estimation of tail-related risk measures for
    heteroscedastic financial time series", J. Empirical Finance 7, eqs. 13, 16.
    """
    threshold, beta, xi = outward[..., 0, None], scale[..., None], index[..., None]
    share = torch.tensor([p / TAIL for p in LEVELS if p <= TAIL], dtype=outward.dtype, device=outward.device)
    quantile = threshold + beta / xi * (share**-xi - 1)
    return quantile, (quantile + beta - xi * threshold) / (1 - xi)


def pareto_log_density(excess: Tensor, scale: Tensor, index: Tensor) -> Tensor:
    r"""Log density of a loss beyond the threshold, under the whole law.

    .. math:: \ln f(y) = \ln p_u - \ln \beta - \left( 1 + 1 / \xi \right) \ln \left( 1 + \xi y / \beta \right)

    Parameters
    ----------
    excess : (batch, horizon), loss over the threshold; below 0 it is read as 0.
    scale, index : (batch, horizon), beta and xi.
    """
    beyond = index * excess.clamp(min=0) / scale
    return math.log(TAIL) - scale.log() - (1 + 1 / index) * torch.log1p(beyond)
