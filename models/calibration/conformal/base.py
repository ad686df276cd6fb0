"""What an online conformal method is: what it keeps, how an outcome changes that, and how far its quantiles move."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from models.calibration.conformal.levels import place_of_level, places_of, quantile_at

FloatArray = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Axis(IntEnum):
    """What an offset is added to: the standardised quantile, its level, or the log odds of that."""

    QUANTILE = 0
    LEVEL = 1
    PLACE = 2


@dataclass(frozen=True, slots=True)
class Scale:
    """Levels (q,), the log odds of them, and the share of a window that does not overlap the one before it."""

    levels: FloatArray
    places: FloatArray
    share: float

    @classmethod
    def of(cls, levels: tuple[float, ...], horizon_ns: int, every_ns: int) -> "Scale":
        """Of windows of ``horizon_ns`` that begin every ``every_ns``."""
        return cls(np.array(levels), places_of(levels), min(1.0, every_ns / horizon_ns))


@dataclass(frozen=True, slots=True)
class Series:
    """What c instruments were told and what came of it, at T instants that they share; one horizon.

    Parameters
    ----------
    ts_ns : array of shape (T,), increasing; holes are allowed.
    horizon_ns : a window that began at t has ended at ``t + horizon_ns``.
    z : array of shape (T, c), standardised returns, NaN where unknown or not forecast.
    shape : array of shape (T, c, q), standardised quantiles.
    present : array of shape (T, c), whether the instrument was forecast then.
    log_sd : array of shape (T, c), log of the standard deviation that was forecast; anything where not present.
    """

    ts_ns: Ints
    horizon_ns: int
    z: FloatArray
    shape: FloatArray
    present: Bools
    log_sd: FloatArray


class Conformal(Protocol):
    """A method of online conformal calibration.

    Its memory of c instruments is a dict of arrays, the first axis of each being the instrument. ``learn`` changes it
    in place. ``walk`` is a compiled loop over ``learn``, ``offset``, :func:`pool_offset`, ``stand`` and ``told``.
    """

    def begin(self, n_instruments: int, scale: Scale) -> dict[str, Any]:
        """The memory of instruments of which nothing is known."""
        ...

    def faults(self, memory: dict[str, Any]) -> list[str]:
        """What no run of the method could have left in its memory, in words."""
        ...

    def stand(self, memory: dict[str, Any], i: int, log_sd: float) -> float:
        """How instrument i stands, told that its log standard deviation is this; 0 where the method does not ask."""
        ...

    def learn(
        self,
        memory: dict[str, Any],
        i: int,
        z: float,
        shape: FloatArray,
        answer: FloatArray,
        stand: float,
        scale: Scale,
    ) -> None:
        """Take in a finite outcome of instrument i, of a window whose law ``shape`` (q,) was told as ``answer``."""
        ...

    def offset(self, memory: dict[str, Any], i: int, scale: Scale) -> FloatArray:
        """What moves the quantiles of instrument i, shape (k,); instruments are pooled in it."""
        ...

    def told(self, shape: FloatArray, offset: FloatArray, stand: float, scale: Scale) -> FloatArray:
        """Quantiles moved by an offset, shape (q,), none below the one before it."""
        ...

    def adopt(self, memory: dict[str, Any], i: int, offset: FloatArray) -> None:
        """Begin instrument i, of which nothing is known, at an offset (k,) of others."""
        ...

    def walk(self, series: Series, scale: Scale, pool_windows: float) -> FloatArray:
        """Quantiles told at each instant, shape (T, c, q), from no memory on."""
        ...


def moved(axis: Axis, shape: FloatArray, offset: FloatArray, scale: Scale) -> FloatArray:
    """:func:`move_outward` into an array of its own, shape (q,)."""
    answer = np.empty(len(scale.levels))
    move_outward(int(axis), shape, offset, scale.levels, scale.places, answer)
    return answer


@compiled
def move_outward(
    axis: int, shape: FloatArray, offset: FloatArray, levels: FloatArray, places: FloatArray, answer: FloatArray
) -> None:
    """Quantiles moved along the axis into ``answer`` (q,); one that would cross takes the value of the lower level."""
    highest = -np.inf
    for k in range(len(levels)):
        if axis == 0:
            moved = shape[k] + offset[k]
        elif axis == 1:
            moved = quantile_at(shape, places, place_of_level(levels[k] + offset[k]))
        else:
            moved = quantile_at(shape, places, places[k] + offset[k])
        highest = max(highest, moved)
        answer[k] = highest


@compiled
def pool_offset(
    own: FloatArray, windows: FloatArray, i: int | np.signedinteger[Any], pool_windows: float, pooled: FloatArray
) -> None:
    r"""Weigh an instrument's own offset with the mean of all, into ``pooled`` (k,).

    .. math:: \bar\theta_i = w_i \theta_i + (1 - w_i) \frac{\sum_j w_j \theta_j}{\sum_j w_j}, \qquad
              w_i = \frac{n_i}{n_i + \kappa}

    with n the windows learned from, those that overlap counted by their share, and :math:`\kappa` ``pool_windows``.
    An instrument of which nothing is known has the mean's; with :math:`\kappa = 0` each has its own. The bounds that
    methods give for any outcomes hold with B doubled for the windows after all instruments weigh 3/4 or more: with
    :math:`|\theta_j| \le R`, one that is at R is moved by at least :math:`(2 w - 1) R`, which is past B from
    :math:`R = 2 B` on.

    Parameters
    ----------
    own : array of shape (c, k).
    windows : array of shape (c,).
    """
    if pool_windows == 0:
        pooled[:] = own[i]
        return
    total, mean = 0.0, np.zeros(own.shape[1])
    for j in range(len(windows)):
        weight = windows[j] / (windows[j] + pool_windows)
        total += weight
        mean += weight * own[j]
    weight = windows[i] / (windows[i] + pool_windows)
    if total > 0:
        mean /= total
        pooled[:] = weight * own[i] + (1 - weight) * mean
    else:
        pooled[:] = own[i]
