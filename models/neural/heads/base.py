"""What every head is."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class Head(nn.Module):
    """Outputs of a network to quantiles and shortfalls of the standardised return z = r / sigma.

    With outputs of zero the law is the base law, which :meth:`measure` takes from the residuals of the anchor: an
    untrained network forecasts filtered historical tails.

    Parameters
    ----------
    options : fields of the head's frozen configuration; unknown ones are refused.
    n_horizons : h.

    Attributes
    ----------
    n_outputs : numbers that it needs per horizon.
    """

    n_outputs: int

    @abstractmethod
    def __init__(self, options: Mapping[str, Any], n_horizons: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, horizon, n_outputs) to quantiles and shortfalls (batch, horizon, level) of ``models.base.LEVELS``.

        Quantiles increase and each shortfall lies outside its quantile, whatever the outputs.
        """

    @abstractmethod
    def measure(self, z: NDArray[np.float64]) -> None:
        """Set the base law to that of residuals, shape (n, h), NaN where unknown."""

    def log_density(self, out: Tensor, z: Tensor) -> Tensor:
        """Log density of z (batch, horizon) under the law of the outputs, (batch, horizon).

        Raises
        ------
        NotImplementedError
            If the head has no density; train it by quantiles.
        """
        raise NotImplementedError(f"the head {type(self).__name__} has no density; set the density weight to 0")
