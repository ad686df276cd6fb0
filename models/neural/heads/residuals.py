"""What a base law is measured from."""

import numpy as np
from numpy.typing import NDArray

from features.errors import ShortHistoryError

LEAST = 50  # residuals: fewer say nothing of a tail


def known_residuals(z: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Residuals of one horizon whose windows had ended, shape (n, h) -> (k,).

    Raises
    ------
    ShortHistoryError
        If there are fewer than ``LEAST``.
    """
    known: NDArray[np.float64] = z[np.isfinite(z[:, horizon]), horizon]
    if len(known) < LEAST:
        raise ShortHistoryError(
            f"the base law of horizon {horizon} needs {LEAST} residuals, there are {len(known)}; give a longer history"
        )
    return known
