"""Terms: numbers of one row, or of a row and the few before it, whose sums over a window make a feature.

A term's function takes its channels with ``memory`` rows of past in front, shape (memory + n,), and answers the n
rows, shape (n,). ``span`` rows belong to one value: a window of w rows holds w - span + 1 values, so that no value
reaches out of its window.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """A function of channels; ``leader.`` in front of a channel's name takes the leading instrument's."""

    channels: tuple[str, ...]
    compute: Callable[..., Floats]
    span: int = 1
    memory: int = 0

    def __post_init__(self) -> None:
        """A value that covers several rows needs those before it."""
        object.__setattr__(self, "memory", max(self.memory, self.span - 1))


def _identity(x: Floats) -> Floats:
    return x


def channel(name: str) -> Term:
    """A channel as it is."""
    return Term((name,), _identity)


def earlier(name: str, rows: int) -> Term:
    """A channel as it was ``rows`` rows before."""
    return Term((name,), lambda x: x[: len(x) - rows], memory=rows)


def of_returns(compute: Callable[[Floats], Floats], span: int = 1) -> Term:
    """A function of ``span`` neighbouring log returns."""
    return Term(("log_return",), compute, span)


RETURN = channel("log_return")
SQUARE = of_returns(np.square)
"""Used by several families."""
