"""Levels or quantiles mapped to where the ended windows had them, refitted with each month.

``RECALIBRATIONS`` holds the maps by the name that configurations use.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from features.compiled import compiled
from features.errors import ConvergenceError
from models.base import outward
from models.calibration.conformal.levels import level_of_place, place_at, place_of_level, places_of, quantile_at
from models.calibration.laws import Memory
from models.calibration.windows import law_moments

FloatArray = NDArray[np.float64]


class Recalibration(Protocol):
    """A map of a law's quantiles, fitted on ended windows."""

    def fit(self, z: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...]) -> FloatArray:
        """The map's parameters from n finite outcomes and the quantiles and shortfalls (n, q) forecast of them."""
        ...

    def apply(
        self, found: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """Quantiles and shortfalls (n, q) mapped."""
        ...


@dataclass(frozen=True, slots=True)
class Isotonic:
    r"""Ask the law for the levels that had, among the ended windows, the frequencies wanted.

    .. math:: q'_p = Q(R^{-1}(p)), \qquad R(u) = \frac{1}{T} \#\{s: F_s(z_s) \le u\}, \qquad
              e'_p = q'_p + (e_p - q_p) \frac{\sum_{hits} (z_s - q'_{p,s})}{\sum_{hits} (e_{p,s} - q_{p,s})}

    R rises by construction: it is the isotonic regression of the frequencies on the levels, linear between
    the outcomes. Hits are the windows of the fit beyond their mapped quantile. Between and beyond its levels the law
    Q, F is that of :mod:`models.calibration.conformal.levels`.

    **Guarantee.** Over the windows of the fit the share of hits is p within 1/T where no two scores are equal. Of
    windows to come nothing more is promised than that frequencies persist: where scores are independent of one law,
    the error is :math:`O(\sqrt{p (1 - p) / T})`.

    References
    ----------
    Kuleshov, Fenner & Ermon (2018), "Accurate uncertainties for deep learning using calibrated regression", ICML 35,
    algorithm 1.
    """

    def fit(self, z: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...]) -> FloatArray:
        """Log odds of the levels to ask for, and the factors of the shortfalls' distances, shape (2, q)."""
        places, shape = places_of(levels), np.ascontiguousarray(shape)
        level = np.sort([level_of_place(place) for place in _places_at(z, shape, places)])
        wanted = np.interp(levels, np.arange(1, len(z) + 1) / len(z), level)
        asked = np.array([place_of_level(p) for p in wanted])
        past_it = z[:, None] - _quantiles_at(shape, places, asked)
        hits = outward(levels) * past_it >= 0
        found, expected = (past_it * hits).sum(axis=0), ((beyond - shape) * hits).sum(axis=0)
        return np.stack([asked, np.divide(found, expected, out=np.ones_like(found), where=expected != 0)])

    def apply(
        self, found: FloatArray, shape: FloatArray, beyond: FloatArray, levels: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`Recalibration`."""
        moved = _quantiles_at(np.ascontiguousarray(shape), places_of(levels), found[0])
        return moved, moved + (beyond - shape) * found[1]


@dataclass(frozen=True, slots=True)
class Affine:
    r"""Shift and stretch the whole law by what would have cost the ended windows least.

    .. math:: q'_p = a + b\, q_p, \quad e'_p = a + b\, e_p, \qquad
              (a, b) = \arg\min \sum_s \sum_p \frac{L_p(z_s, a + b\, q_{p,s})}{\sqrt{p (1 - p)}}

    with L the quantile loss and b within a factor ``bound`` of 1, a within ``bound`` standard deviations. Two numbers
    for the whole law: what they cannot say they cannot overfit either.

    **Guarantee.** None of coverage: only that, over the windows of the fit, the weighted loss is not above that of the
    law as it was.

    References
    ----------
    Zou & Yuan (2008), "Composite quantile regression and the oracle model selection theory", Annals of Statistics
    36(3).
    """

    bound: float = 2.0

    def fit(
        self,
        z: FloatArray,
        shape: FloatArray,
        beyond: FloatArray,  # noqa: ARG002 - moves with the quantiles
        levels: tuple[float, ...],
    ) -> FloatArray:
        """Shift and stretch, shape (2,)."""
        p, shape = np.array(levels), np.ascontiguousarray(shape)
        weight = 1 / np.sqrt(p * (1 - p))
        answer = minimize(
            lambda map_: _affine_loss(z, shape, p, weight, map_[0], map_[1]),
            np.array([0.0, 1.0]),
            method="Nelder-Mead",
            bounds=((-self.bound, self.bound), (1 / self.bound, self.bound)),
            options={"initial_simplex": [[0.0, 1.0], [0.05, 1.0], [0.0, 1.05]], "xatol": 1e-5, "fatol": 1e-9},
        )
        if not answer.success:
            raise ConvergenceError(f"affine recalibration of {len(z)} outcomes: {answer.message}; leave it out")
        found: FloatArray = answer.x
        return found

    def apply(
        self,
        found: FloatArray,
        shape: FloatArray,
        beyond: FloatArray,
        levels: tuple[float, ...],  # noqa: ARG002 - the same map for all
    ) -> tuple[FloatArray, FloatArray]:
        """See :class:`Recalibration`."""
        return found[0] + found[1] * shape, found[0] + found[1] * beyond


RECALIBRATIONS: dict[str, Recalibration] = {"isotonic": Isotonic(), "affine": Affine()}


def recalibrated(
    method: Recalibration,
    z: FloatArray,
    shape: FloatArray,
    beyond: FloatArray,
    levels: tuple[float, ...],
    memory: Memory,
) -> tuple[FloatArray, FloatArray]:
    """Map standardised quantiles and shortfalls by what the windows ended before each month say.

    Parameters
    ----------
    method : map.
    z : array of shape (n,), standardised returns, NaN where unknown.
    shape, beyond : arrays of shape (n, q), standardised quantiles and shortfalls.
    levels : q probabilities.
    memory : what was known when; months that had too few known windows before them are left as they are.

    Returns
    -------
    shape, beyond : arrays of shape (n, q).
    """
    known = np.isfinite(z)
    ended, rows, law = memory.ended(z, law_moments(memory.origin_ns, "month"))
    z_past, told, far = z[known], shape[known], beyond[known]
    shape, beyond = shape.copy(), beyond.copy()
    for i, (start, stop) in enumerate(zip(ended.starts, ended.stops, strict=True)):
        found, served = method.fit(z_past[start:stop], told[start:stop], far[start:stop], levels), rows[law == i]
        shape[served], beyond[served] = method.apply(found, shape[served], beyond[served], levels)
    return shape, beyond


@compiled
def _places_at(z: FloatArray, shape: FloatArray, places: FloatArray) -> FloatArray:
    """Place of each outcome in its law, shape (n,)."""
    found = np.empty(len(z))
    for i in range(len(z)):
        found[i] = place_at(shape[i], places, z[i])
    return found


@compiled
def _quantiles_at(shape: FloatArray, places: FloatArray, wanted: FloatArray) -> FloatArray:
    """Quantiles of each law at places, none below the one before it; shape (n, q)."""
    found = np.empty_like(shape)
    for i in range(len(shape)):
        highest = -np.inf
        for k in range(len(wanted)):
            highest = max(highest, quantile_at(shape[i], places, wanted[k]))
            found[i, k] = highest
    return found


@compiled
def _affine_loss(
    z: FloatArray, shape: FloatArray, levels: FloatArray, weight: FloatArray, shift: float, stretch: float
) -> float:
    """Weighted quantile loss, a mean over outcomes and levels."""
    total = 0.0
    for i in range(len(z)):
        for k in range(len(levels)):
            error = z[i] - shift - stretch * shape[i, k]
            total += weight[k] * max(levels[k] * error, (levels[k] - 1) * error)
    return total / (len(z) * len(levels))
