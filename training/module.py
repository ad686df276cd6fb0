"""The LightningModule: loss, optimiser, nothing else."""

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from models.base import LEVELS
from models.neural.residual import Law, ResidualNet
from models.scores import fz0_of_tails, pinball, qlike
from training.config import TrainingConfig
from training.data import Batch

FZ_SHARE, PINBALL_SHARE = 0.2, 4.0  # bring both to the size of QLIKE


class ResidualModule(lightning.LightningModule):
    r"""QLIKE on the variance, pinball and FZ0 on the shape.

    .. math:: L = QLIKE(RV, \sigma^2) + w \left( 4 \, \overline{pinball(z, q)} + 0.2 \, \overline{FZ0(z, q, e)} \right)

    with z = r / sigma held fixed: the variance learns from QLIKE only, the
    shape from the tail losses only. Rows with an unknown outcome count nothing.
    """

    def __init__(self, net: ResidualNet, config: TrainingConfig) -> None:
        super().__init__()
        self.net = net
        self.config = config
        self.history: list[dict[str, float]] = []  # one entry an epoch

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Loss of one batch."""
        loss = self._loss(batch, self.net(batch.windows, batch.anchor))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"training loss is {loss.item()}; lower learning_rate or look for a bad feature")
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        """QLIKE of one batch."""
        value = _variance_loss(batch, self.net(batch.windows, batch.anchor))
        self.log("validation_qlike", value, batch_size=len(batch.windows), prog_bar=True)

    def on_train_epoch_end(self) -> None:
        """Keep the epoch's figures."""
        self.history.append({k: float(v) for k, v in self.trainer.callback_metrics.items()})

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a cosine to zero over all steps."""
        c = self.config
        optimiser = AdamW(self.parameters(), lr=c.learning_rate, weight_decay=c.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": CosineAnnealingLR(optimiser, steps), "interval": "step"},
        }

    def _loss(self, batch: Batch, law: Law) -> Tensor:
        known = torch.isfinite(batch.realised_variance)
        z = torch.where(known, batch.log_return, 0.0) * torch.exp(-law.log_variance.detach() / 2)
        return _variance_loss(batch, law) + self.config.tail_weight * _tail_loss(z, law, known)


def _variance_loss(batch: Batch, law: Law) -> Tensor:
    """QLIKE over the known windows."""
    known = torch.isfinite(batch.realised_variance)
    # An unknown outcome is replaced before the loss: a NaN would poison the gradient even where it is masked.
    outcome = torch.where(known, batch.realised_variance, 1.0)
    return _mean_over(qlike(outcome, torch.exp(law.log_variance)), known)


def _tail_loss(z: Tensor, law: Law, known: Tensor) -> Tensor:
    """Pinball over all levels and FZ0 over both tails."""
    levels = torch.tensor(LEVELS, dtype=z.dtype, device=z.device)
    spread = _mean_over(pinball(z[..., None], law.quantiles, levels).mean(dim=-1), known)
    tails = fz0_of_tails(z, law.quantiles, law.shortfall, LEVELS)
    return PINBALL_SHARE * spread + FZ_SHARE * _mean_over(tails, known)


def _mean_over(loss: Tensor, known: Tensor) -> Tensor:
    """Mean over known entries."""
    total: Tensor = torch.where(known, loss, 0.0).sum() / known.sum().clamp(min=1)
    return total
