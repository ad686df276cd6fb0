"""Refusals at the door of the pricing functions: what, where, remedy."""

import numpy as np

from features.compiled import compiled
from features.errors import PriceError
from features.measures.window import FloatArray

LARGEST = 1e150  # of any price, factor or vol: products of two stay finite
POSITIVE = 1e-300
REMEDIES = {
    "forward": "give a positive forward price",
    "strike": "give the strike of the contract, positive",
    "years": "settle an expired option instead of pricing it",
    "discount": "give a discount factor above 0 and finite; 1 for none",
    "factor": "give shocked forward / forward, 0 or more and finite",
    "log_factor": "give the natural logarithm of factor, -inf where factor is 0",
    "vol": "give an annualised Black vol of 0 or more and finite",
}


@compiled
def all_between(array: FloatArray, low: float, high: float) -> bool:
    """Whether no element of a contiguous array is NaN or outside [low, high]; no branch, so that it is vectorised."""
    flat, sound = array.reshape(-1), True
    for i in range(flat.size):
        sound &= (flat[i] >= low) & (flat[i] <= high)
    return sound


def refuse(name: str, array: FloatArray, low: float, high: float, remedy: str = "") -> None:
    """Raise for the first element of ``array`` that is NaN or outside [low, high], if there is one.

    Raises
    ------
    PriceError
        Naming the element and the remedy.

    Examples
    --------
    >>> refuse("strike", np.array([90.0, np.nan]), POSITIVE, LARGEST)
    Traceback (most recent call last):
    features.errors.PriceError: strike[1] is nan; give the strike of the contract, positive
    """
    sound = (array >= low) & (array <= high)
    if np.all(sound):
        return
    where = tuple(int(i) for i in np.argwhere(~sound)[0])
    place = f"[{', '.join(map(str, where))}]" if where else ""
    raise PriceError(f"{name}{place} is {array[where]}; {remedy or REMEDIES[name]}")


def of_shape(name: str, array: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Give an array as contiguous, writable doubles.

    Raises
    ------
    PriceError
        If its shape is not ``shape``.
    """
    if array.shape != shape:
        raise PriceError(f"{name} has shape {array.shape}, not {shape}; give one value per option (and scenario)")
    doubles = np.ascontiguousarray(array, dtype=np.float64)
    return doubles if doubles.flags.writeable else doubles.copy()  # else every mixture would be compiled anew
