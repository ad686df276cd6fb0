"""Search for the parameters of least loss without a gradient, from several starts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from features.errors import ConvergenceError

FloatArray = NDArray[np.float64]
SIDE = 0.3  # of the first simplex, in logs
MOST_STEPS = 2_000


def least(loss: Callable[[FloatArray], float], starts: Sequence[FloatArray], ceiling: float, what: str) -> FloatArray:
    """Parameters of least loss by Nelder and Mead, from the best of several starts.

    Parameters
    ----------
    loss : of parameters of shape (k,).
    starts : where to look first.
    ceiling : loss of a law that never changes: parameters that are no better explain nothing.
    what : is estimated, for the message.

    Raises
    ------
    ConvergenceError
        If the search does not end, or ends no lower than the ceiling.

    References
    ----------
    Nelder & Mead (1965), "A simplex method for function minimization", The Computer Journal 7(4).

    Examples
    --------
    >>> least(lambda x: float(np.square(x - 2).sum()), [np.zeros(2), np.ones(2)], 8.0, "a parabola").round(3)
    array([2., 2.])
    """
    start = min(starts, key=loss)
    options = {
        "initial_simplex": np.vstack([start, start + SIDE * np.eye(len(start))]),
        "xatol": 1e-4,
        "fatol": 1e-6 * abs(ceiling),
        "maxiter": MOST_STEPS,
        "maxfev": 2 * MOST_STEPS,
    }
    found = minimize(loss, start, method="Nelder-Mead", options=options)
    if not found.success or not np.isfinite(found.fun) or found.fun > ceiling:
        raise ConvergenceError(
            f"{what}: no optimum ({found.message}; loss {found.fun:.6g}, of a constant law {ceiling:.6g}); "
            "give a longer history, or choose another model"
        )
    place: FloatArray = found.x
    return place
