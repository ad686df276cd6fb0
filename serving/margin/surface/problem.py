"""What the fit of one slice is given: quotes, the expiry before, and a prior where quotes leave the shape open."""

import math

import numpy as np
from numpy.typing import NDArray

from serving.margin.surface.objective import Problem, encoded
from serving.margin.surface.quotes import Usable
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

NODES = np.sinh(np.linspace(-5, 5, 81))  # where arbitrage is penalised, in widths of the smile
PENALTIES = (100.0, 3000.0)
RICH = 5  # quotes from which on five parameters may move freely
FREE = np.full(5, 1e-3)  # ridge, in vol points a unit: only against drifting
HELD = np.array([1e-3, 0.1, 0.1, 0.1, 0.1])  # ridge of few or one-sided quotes: the level is free, the shape is held
NARROWEST_FLAT = 1e-9


def scaled_in_time(svi: RawSvi, ratio: float) -> RawSvi:
    r"""The same smile at another expiry: :math:`w(k) = r \, w_0(k / \sqrt r)`, r the ratio of times.

    Volatility at a given number of standard deviations stays. Shortening (r < 1) never brings a butterfly: every term
    of g stays but :math:`-w'^2/16`, which shrinks.
    """
    root = math.sqrt(ratio)
    return RawSvi(svi.a * ratio, svi.b * root, svi.rho, svi.m * root, svi.sigma * root)


def flat_smile(data: Usable, years: float) -> RawSvi:
    """The weighted mean volatility at every strike."""
    weight = data.weight**2
    vol = math.sqrt(float(np.add.reduce(weight * data.vol**2)))
    return RawSvi(vol * vol * years, 0.0, 0.0, 0.0, max(vol * math.sqrt(years), NARROWEST_FLAT))


def problem_of(
    data: Usable, years: float, previous: RawSvi | None, neighbour: RawSvi | None
) -> tuple[Problem, tuple[str, ...]]:
    """What to minimise, and the notes that say why a shape is held (none if it is not)."""
    flat = flat_smile(data, years)
    width = math.sqrt(float(np.interp(0.0, data.k, data.vol)) ** 2 * years)
    if neighbour is None:
        start = encoded(0.96 * flat.a, 0.2 * width, 0.0, 0.0, width, width)
    else:
        level = float(np.add.reduce(data.weight**2 * data.vol**2 / neighbour.vol(data.k, years) ** 2))
        a, b, rho, m, sigma = (float(x) for x in neighbour.array)
        start = encoded(a * level, b * level, rho, m, sigma, width)
    notes = _held(data, "an almost flat smile" if neighbour is None else "the neighbour's")
    node = width * NODES
    floor = np.zeros(len(node)) if previous is None else previous.total_variance(node)
    wings = (0.0, 0.0) if previous is None else (previous.left_slope, previous.right_slope)
    weight = np.ascontiguousarray(data.weight)
    problem = Problem(
        data.k, data.vol, weight, data.low, data.high, weight, node, floor,
        np.array([years, width, *wings, PENALTIES[0]]), start, HELD if notes else FREE,
    )  # fmt: skip
    return problem, notes


def _held(data: Usable, prior: str) -> tuple[str, ...]:
    """Why the shape is held to the prior; empty where the quotes say it themselves."""
    places = len(np.unique(data.k))
    if places < RICH:
        return (f"{places} {'strike' if places == 1 else 'strikes'}: level fitted, shape held to {prior}",)
    if data.k[0] > 0 or data.k[-1] < 0:
        return (f"strikes on one side of the forward: the other wing is held to {prior}",)
    return ()
