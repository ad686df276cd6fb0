"""What every encoder is."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from models.neural.clocks import Clock


class Encoder(nn.Module):
    """What is known at an origin to one vector.

    Parameters
    ----------
    options : fields of the encoder's frozen configuration; unknown ones are refused.
    n_last : columns of the origin's own row.
    n_sequence : columns of the rows of the past.

    Attributes
    ----------
    clocks : the windows that it wants; none for an encoder of the last row alone.
    width : length of its vector.
    """

    clocks: tuple[Clock, ...] = ()
    width: int

    @abstractmethod
    def __init__(self, options: Mapping[str, Any], n_last: int, n_sequence: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, last: Tensor, past: list[Tensor]) -> Tensor:
        """``last`` (batch, n_last) and one window (batch, length, n_sequence) a clock to (batch, width)."""
