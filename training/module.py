"""The LightningModule: loss, optimiser, the mean of the weights, the figures of each epoch."""

import math
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from models.neural.network import Network
from training.config import TrainingConfig
from training.data import Batch, stream
from training.faults import NotFiniteError
from training.losses import loss_of_batch, qlike_of_batch
from training.weights import MeanWeights


class NetworkModule(lightning.LightningModule):
    """One network, trained.

    Parameters
    ----------
    net : at its start.
    config : the run.
    seed : of everything that is random after the start.
    floors : least QLIKE of each horizon that a forecast can have, shape (horizon,).
    """

    def __init__(self, net: Network, config: TrainingConfig, seed: int, floors: Tensor) -> None:
        super().__init__()
        self.net, self.config, self.seed, self.floors = net, config, seed, floors
        self.mean = MeanWeights(config.optimiser.ema_decay)
        self.history: list[dict[str, float]] = []  # one entry an epoch
        self._best = math.inf
        self._best_epoch = -1
        self._best_weights: dict[str, Tensor] = {}
        self._loss = torch.compile(loss_of_batch) if config.machine.compile else loss_of_batch
        self._sums: list[Tensor] = []

    @property
    def kept(self) -> dict[str, Tensor]:
        """Weights of the best epoch where there is validation, else of the last."""
        return self._best_weights or self.mean.state(self.net)

    def on_train_start(self) -> None:
        """Bring what a checkpoint held to the device; a run whose patience had ended trains no further."""
        self.mean.tensors = [tensor.to(self.device) for tensor in self.mean.tensors]
        self._stop_if_impatient(self.current_epoch - 1)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's random numbers: a run that goes on from here draws the same."""
        torch.manual_seed(stream(self.seed, self.current_epoch, self.global_rank))
        self._total = torch.zeros((), device=self.device)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Loss of one batch."""
        self._batch = batch
        with_fz0 = self.current_epoch >= self.config.loss.fz0_from_epoch
        self._value = self._loss(self.net, batch, self.config.loss, with_fz0=with_fz0)
        self._total += self._value.detach()
        return self._value

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:  # noqa: ANN401, ARG002
        """Cut the gradient to its largest norm; a loss or a gradient that is not finite ends the run."""
        most = self.config.optimiser.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), most)
        if not torch.isfinite(norm + self._value.detach()):
            loss = float(self._value.detach())
            raise NotFiniteError(self._batch, loss, float(norm), self.current_epoch, self.global_step)

    def on_train_batch_end(self, *_: Any) -> None:  # noqa: ANN401 - Lightning's signature
        """Move the mean."""
        self.mean.update(self.net)

    def on_validation_start(self) -> None:
        """Judge the mean, not the weights of the last step."""
        self.mean.swap(self.net)
        self._sums = []

    def validation_step(self, batch: Batch, _index: int) -> None:
        """Sums of one batch."""
        self._sums.append(torch.stack(qlike_of_batch(self.net, batch)))

    def on_validation_end(self) -> None:
        """Go on with the weights of the last step."""
        self.mean.swap(self.net)

    def on_train_epoch_end(self) -> None:
        """Keep the epoch's figures, and its weights if it is the best; stop where patience ends."""
        steps = self.trainer.num_training_batches
        figures = {"train_loss": float(self.trainer.strategy.reduce(self._total / steps, reduce_op="mean"))}
        if self._sums:
            total, known = torch.stack(self._sums).sum(dim=0).cpu()
            net = (total / known - self.floors)[known > 0]
            figures["validation_qlike_net"] = float(net.mean())
            self._judge(figures["validation_qlike_net"])
        self.history.append(figures)

    def _judge(self, value: float) -> None:
        if value < self._best:
            self._best, self._best_epoch = value, self.current_epoch
            self._best_weights = self.mean.state(self.net)
        self._stop_if_impatient(self.current_epoch)

    def _stop_if_impatient(self, epoch: int) -> None:
        if self.config.patience and self._best_weights and epoch - self._best_epoch >= self.config.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW; the rate rises along a line and falls along a cosine to zero."""
        c = self.config.optimiser
        optimiser = AdamW(self.net.parameters(), lr=c.learning_rate, weight_decay=c.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimiser, lambda step: rate(step, steps, c.warm_up))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the weights and the optimiser do not hold."""
        checkpoint["run"] = {
            "mean": self.mean.tensors,
            "history": self.history,
            "best": (self._best, self._best_epoch, self._best_weights),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where it was."""
        run = checkpoint["run"]
        self.mean.tensors, self.history = run["mean"], run["history"]
        self._best, self._best_epoch, self._best_weights = run["best"]


def rate(step: int, steps: int, warm_up: float) -> float:
    r"""Share of the learning rate at a step: a line up, then a cosine down to 0.

    .. math:: \min\left(\frac{s + 1}{w n}, \; \tfrac12 + \tfrac12 \cos \pi \frac{s - w n}{(1 - w) n} \right)

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR, equation 5.

    Examples
    --------
    >>> [round(rate(step, 10, 0.2), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    risen = round(warm_up * steps)
    if step < risen:
        return (step + 1) / risen
    return 0.5 + 0.5 * math.cos(math.pi * (step - risen) / max(1, steps - risen))
