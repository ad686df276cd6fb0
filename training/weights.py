"""The exponential mean of a network's weights, kept beside them."""

import torch
from torch import Tensor, nn


class MeanWeights:
    r"""Mean of the weights over the last steps: what is judged and kept.

    .. math:: \bar w_1 = w_1, \qquad \bar w_t = d \, \bar w_{t-1} + (1 - d) \, w_t

    References
    ----------
    Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging", SIAM J. Control and
    Optimization 30(4); with an exponential window.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.tensors: list[Tensor] = []  # none before the first step

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights after a step."""
        now: list[Tensor] = list(net.parameters())
        if not self.tensors:
            self.tensors = [weight.detach().clone() for weight in now]
        else:
            torch._foreach_lerp_(self.tensors, now, 1 - self.decay)  # one call for all of them

    @torch.no_grad()
    def swap(self, net: nn.Module) -> None:
        """Exchange the mean and the network's weights."""
        for mean, weight in zip(self.tensors, net.parameters(), strict=True):
            mean.data, weight.data = weight.data, mean.data

    def state(self, net: nn.Module) -> dict[str, Tensor]:
        """State of a network with these weights, on the CPU, a copy."""
        named = dict(zip((name for name, _ in net.named_parameters()), self.tensors, strict=True))
        return {name: named.get(name, value).detach().to("cpu", copy=True) for name, value in net.state_dict().items()}
