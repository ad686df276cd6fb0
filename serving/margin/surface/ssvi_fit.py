"""SSVI fitted to every expiry at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from features.errors import ConvergenceError, MarketError
from serving.margin.surface.quotes import SmileQuotes, Usable, usable
from serving.margin.surface.ssvi import Kind, Ssvi
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

LEAST_STEP = 1e-8  # of total variance at the money, between expiries
START = {"power": (0.0, 0.0, 1.0), "heston": (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class SsviFit:
    """The surface, the total variance at the money of each expiry, and the error over firm quotes in vol points."""

    surface: Ssvi
    thetas: tuple[float, ...]
    years: tuple[float, ...]
    rmse_points: float
    weighted_rmse_points: float

    @property
    def slices(self) -> tuple[RawSvi, ...]:
        """Every expiry as raw SVI."""
        return tuple(self.surface.slice(theta) for theta in self.thetas)


def fit_ssvi(quotes: Sequence[SmileQuotes], years: Sequence[float], kind: Kind = "power") -> SsviFit:
    """Fit one SSVI surface: the shape's two or three parameters and a total variance at the money for each expiry.

    Parameters move in coordinates that keep every condition against arbitrage, so whatever is found is free of it:
    the correlation through tanh, the bounded ones through a logistic, the variances through their logarithmic steps.

    Raises
    ------
    MarketError
        If an expiry has no usable quote: SSVI has a level of its own for each.
    ConvergenceError
        If the least squares stop early.
    """
    data = [usable(own) for own in quotes]
    if not data or len(data) != len(years) or any(len(own.k) == 0 for own in data):
        raise MarketError("ssvi needs usable quotes and a time for every expiry; leave the empty ones out")
    where = np.concatenate([np.full(len(own.k), e) for e, own in enumerate(data)])
    k, vol = np.concatenate([own.k for own in data]), np.concatenate([own.vol for own in data])
    weight = np.concatenate([own.weight for own in data]) * 100
    times = np.asarray(years, dtype=np.float64)

    def miss(x: FloatArray) -> FloatArray:
        shape, thetas = _read(x, kind)
        result: FloatArray = weight * (np.sqrt(_variance(k, thetas[where], shape) / times[where]) - vol)
        return result

    start = np.concatenate([START[kind], _steps(data, times)])
    found = least_squares(miss, start, method="trf", x_scale="jac", ftol=1e-9, xtol=1e-9, gtol=1e-9, max_nfev=400)
    if not found.success:
        raise ConvergenceError(f"ssvi {kind}: {found.message}; fit SVI for each expiry instead")
    return _summed(found.x, kind, data, times)


def _steps(data: Sequence[Usable], times: FloatArray) -> FloatArray:
    """Logarithms of the steps of total variance at the money, a falling level held up."""
    level = np.array([float(np.interp(0.0, own.k, own.vol)) for own in data])
    thetas = np.maximum.accumulate(level**2 * times)
    result: FloatArray = np.log(np.maximum(np.diff(thetas, prepend=0.0), 1e-3 * thetas) + LEAST_STEP)
    return result


def _read(x: FloatArray, kind: Kind) -> tuple[Ssvi, FloatArray]:
    free = len(START[kind])
    rho = math.tanh(x[0]) * 0.9999
    if kind == "heston":
        shape = Ssvi(kind, rho, (1 + abs(rho)) / 4 * (1 + math.exp(min(x[1], 50.0))))
    else:
        most = 2 / (1 + abs(rho)) * (1 - 1e-9)
        shape = Ssvi(kind, rho, max(most * _logistic(x[1]), 1e-12), max(0.5 * _logistic(x[2]), 1e-9))
    return shape, np.cumsum(np.exp(x[free:]))


def _logistic(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))


def _variance(k: FloatArray, theta: FloatArray, shape: Ssvi) -> FloatArray:
    phi = _phi(theta, shape) * k
    return np.asarray(theta / 2 * (1 + shape.rho * phi + np.sqrt((phi + shape.rho) ** 2 + 1 - shape.rho**2)))


def _phi(theta: FloatArray, shape: Ssvi) -> FloatArray:
    levels, where = np.unique(theta, return_inverse=True)
    return np.array([shape.phi(float(level)) for level in levels])[where]


def _summed(x: FloatArray, kind: Kind, data: Sequence[Usable], times: FloatArray) -> SsviFit:
    shape, thetas = _read(x, kind)
    plain, weighted = [], []
    for own, theta, time in zip(data, thetas, times, strict=True):
        error = 100 * (shape.slice(float(theta)).vol(own.k, float(time)) - own.vol)
        plain.append(error[own.firm] if own.firm.any() else error)
        weighted.append(float(np.add.reduce((own.weight * error) ** 2)))
    rmse = float(np.sqrt(np.mean(np.concatenate(plain) ** 2)))
    return SsviFit(
        shape, tuple(map(float, thetas)), tuple(map(float, times)), rmse, math.sqrt(math.fsum(weighted) / len(weighted))
    )
