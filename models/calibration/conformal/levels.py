"""The law between the levels that were forecast: linear in the log odds of the level, and on beyond the last ones."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled

FloatArray = NDArray[np.float64]

# A level this near to 0 or 1, or past it, moves on along the tangent: every level has a place, however far out.
EDGE = 1e-4
# Standard deviations per unit of log odds beyond the outermost levels, at least: a law whose last two quantiles are
# equal must still end somewhere. The normal law has .3 there, Student's t more.
LEAST_SLOPE = 0.05


@compiled
def place_of_level(level: float) -> float:
    r"""Log odds :math:`\ln(p / (1 - p))` of a level; along their tangent nearer than ``EDGE`` to 0 and 1 and past them.

    Examples
    --------
    >>> [round(place_of_level(p), 2) for p in (0.5, 0.01, 0.0, -0.001)]
    [0.0, -4.6, -10.21, -20.21]
    """
    if level < EDGE:
        return float(np.log(EDGE / (1 - EDGE)) + (level - EDGE) / (EDGE * (1 - EDGE)))
    if level > 1 - EDGE:
        return float(np.log((1 - EDGE) / EDGE) + (level - 1 + EDGE) / (EDGE * (1 - EDGE)))
    return float(np.log(level / (1 - level)))


@compiled
def level_of_place(place: float) -> float:
    """Level of a place, :func:`place_of_level` inverted: past the edge a level may be below 0 or above 1.

    Examples
    --------
    >>> [round(level_of_place(place_of_level(p)), 6) for p in (0.5, 0.01, -0.001, 1.002)]
    [0.5, 0.01, -0.001, 1.002]
    """
    edge = np.log((1 - EDGE) / EDGE)
    if place < -edge:
        return float(EDGE + (place + edge) * EDGE * (1 - EDGE))
    if place > edge:
        return float(1 - EDGE + (place - edge) * EDGE * (1 - EDGE))
    return float(1 / (1 + np.exp(-place)))


@compiled
def quantile_at(shape: FloatArray, places: FloatArray, place: float) -> float:
    """Quantile at a place, of a law whose quantiles at ``places`` (q,) are ``shape`` (q,); it never falls along it."""
    last = len(places) - 1
    if place <= places[0]:
        return float(shape[0] + (place - places[0]) * _slope(shape, places, 1))
    if place >= places[last]:
        return float(shape[last] + (place - places[last]) * _slope(shape, places, last))
    k = np.searchsorted(places, place)
    share = (place - places[k - 1]) / (places[k] - places[k - 1])
    return float(shape[k - 1] + (shape[k] - shape[k - 1]) * share)


@compiled
def place_at(shape: FloatArray, places: FloatArray, z: float) -> float:
    """Place of an outcome in a law, the log odds of its probability integral transform; :func:`quantile_at` inverted.

    Examples
    --------
    >>> shape, places = np.array([-1.0, 0.0, 2.0]), np.array([-3.0, 0.0, 3.0])
    >>> place_at(shape, places, 1.0), quantile_at(shape, places, 1.5)
    (1.5, 1.0)
    """
    last = len(places) - 1
    k = np.searchsorted(shape, z, side="right")
    if k == 0:
        return float(places[0] + (z - shape[0]) / _slope(shape, places, 1))
    if k > last:
        return float(places[last] + (z - shape[last]) / _slope(shape, places, last))
    share = (z - shape[k - 1]) / (shape[k] - shape[k - 1])
    return float(places[k - 1] + (places[k] - places[k - 1]) * share)


@compiled
def _slope(shape: FloatArray, places: FloatArray, k: int) -> float:
    """Quantile per unit of place between levels k - 1 and k, at least ``LEAST_SLOPE``."""
    return float(max((shape[k] - shape[k - 1]) / (places[k] - places[k - 1]), LEAST_SLOPE))


def places_of(levels: tuple[float, ...]) -> FloatArray:
    """Log odds of each level, shape (q,)."""
    return np.array([place_of_level(level) for level in levels])
