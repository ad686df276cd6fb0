"""Checks on the arrays that charges are made of; what is missing takes its worst value, with a note."""

import math

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError, SettingError

FloatArray = NDArray[np.float64]


def refuse_unless_finite(charge: str, **arrays: FloatArray) -> None:
    """Refuse NaN and infinities, which would vanish in a largest value, and arrays of different length.

    Raises
    ------
    MarketError
        If a number is not finite or the arrays differ in shape; the message names the array and the position.
    """
    shape = next(iter(arrays.values())).shape
    for name, values in arrays.items():
        if values.shape != shape:
            raise MarketError(f"{charge}: {name} has shape {values.shape} beside {shape}; give one number a position")
        # One product is finite where every number is; the slower look decides and finds the position.
        if not math.isfinite(np.vdot(values, values)) and not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise MarketError(
                f"{charge}: {name} of position {at} is not finite; correct it, or leave it out as missing"
            )


def refuse_negative_index(charge: str, **indices: NDArray[np.int64]) -> None:
    """Refuse indices below 0, which would count from the end.

    Raises
    ------
    MarketError
        If an index is negative.
    """
    for name, values in indices.items():
        if len(values) and values.min() < 0:
            raise MarketError(f"{charge}: an index of {name} is negative; number them from 0 without gaps")


def refuse_out_of_range(policy: str, **rules: bool) -> None:
    """Refuse the settings of a policy whose rule does not hold.

    Raises
    ------
    SettingError
        If one does not; the message names it.
    """
    wrong = [name for name, holds in rules.items() if not holds]
    if wrong:
        raise SettingError(f"{policy}: {', '.join(wrong)} out of range; see the policy's documentation")


def not_negative(value: float) -> bool:
    """Whether a setting is finite and not below zero."""
    return 0 <= value < math.inf
