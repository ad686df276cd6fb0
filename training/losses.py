r"""What a network is trained on: QLIKE of the variance, and losses of the shape of the standardised return.

.. math:: L = QLIKE(RV, \sigma^2) + \frac{w_l}{2} (\ln RV - \ln \sigma^2)^2 - w_d \ln f(z)
          + w_p \, \overline{pinball(z, q)} + w_f \, \overline{FZ0(z, q, e)}, \qquad z = r / \sigma

with z held fixed: the variance learns from the first two alone, the shape from the rest. The squared error of the
log, about its mean over the training rows, is what a crash cannot rule. Everything is measured in units of
the anchor's deviation, which leaves both QLIKE and z as they are and keeps single precision from running out. The
functions are those of :mod:`models.scores`.
"""

import torch
from torch import Tensor

from models.base import LEVELS
from models.neural.network import Network
from models.scores import fz0_of_tails, pinball, qlike
from training.data import Batch
from training.settings import LossSettings


def loss_of_batch(net: Network, batch: Batch, settings: LossSettings, *, with_fz0: bool) -> Tensor:
    """Weighted mean over the known outcomes of a batch, shape ().

    Parameters
    ----------
    net : in training mode it drops out.
    batch : b rows; an outcome whose weight is 0 counts nothing, whatever it says.
    settings : weights of the parts; the caps and ages are in the batch already.
    with_fz0 : whether FZ0 counts yet.
    """
    out = net.outputs(batch.last, batch.past, batch.instrument).float()  # (batch, horizon, 1 + n_outputs)
    correction = net.log_variance(out, torch.zeros_like(batch.z))
    loss = qlike(batch.ratio, torch.exp(correction))
    if settings.log_weight:
        loss = loss + settings.log_weight * 0.5 * (batch.log_ratio - correction) ** 2
    z = batch.z * torch.exp(-correction.detach() / 2)
    shape = out[..., 1:]
    if settings.density_weight:
        loss = loss - settings.density_weight * net.law.log_density(shape, z)
    fz0_weight = settings.fz0_weight if with_fz0 else 0.0
    if settings.pinball_weight or fz0_weight:
        quantiles, shortfall = net.law(shape)
        loss = loss + tail_loss(z, quantiles, shortfall, settings.pinball_weight, fz0_weight)
    return weighted_mean(loss, batch.weight)


def tail_loss(z: Tensor, quantiles: Tensor, shortfall: Tensor, pinball_weight: float, fz0_weight: float) -> Tensor:
    """Pinball over all levels and FZ0 over both tails; (batch, horizon), twice (batch, horizon, level)."""
    loss = torch.zeros_like(z)
    if pinball_weight:
        levels = torch.tensor(LEVELS, dtype=z.dtype, device=z.device)
        loss = loss + pinball_weight * pinball(z[..., None], quantiles, levels).mean(dim=-1)
    if fz0_weight:
        loss = loss + fz0_weight * fz0_of_tails(z, quantiles, shortfall, LEVELS)
    return loss


def weighted_mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Mean of (batch, horizon) with weights (batch, horizon); of a batch without any, 0."""
    total: Tensor = (loss * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
    return total


def qlike_of_batch(net: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sums over the rows of QLIKE and of the outcomes known, shape (horizon,) each; nothing is capped or weighed."""
    out = net.outputs(batch.last, batch.past, batch.instrument).float()
    loss = qlike(batch.full_ratio, torch.exp(net.log_variance(out, torch.zeros_like(batch.z))))
    known = batch.weight > 0
    return torch.where(known, loss, 0.0).double().sum(dim=0), known.sum(dim=0).double()
