"""All expiries together: fitted in order, then asked at any strike and any time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.errors import ExpiredError, MarketError
from serving.margin.surface.arbitrage import SurfaceCheck, check_surface
from serving.margin.surface.fit import SliceFit, fit_slice
from serving.margin.surface.problem import RICH
from serving.margin.surface.quotes import SmileQuotes, usable
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SurfaceFit:
    """Fitted expiries, the nearest first."""

    slices: tuple[SliceFit, ...]

    @property
    def years(self) -> FloatArray:
        """Time to each expiry, shape (e,)."""
        return np.array([fit.years for fit in self.slices])

    @property
    def params(self) -> FloatArray:
        """Raw SVI of each expiry, shape (e, 5), as ``svi_vol`` takes it."""
        return np.array([fit.svi.array for fit in self.slices])

    @property
    def check(self) -> SurfaceCheck:
        """Butterflies and calendars of the whole surface."""
        return check_surface([fit.svi for fit in self.slices])

    def total_variance(self, k: FloatArray, years: float) -> FloatArray:
        r"""Total variance at log moneyness ``k`` (any shape) for any time.

        Between expiries linear in time at fixed k; before the first, from zero: :math:`w_1(k) T / T_1`, which keeps
        its volatility; after the last :math:`w_n(k) T / T_n`, likewise. Total variance so never falls in time.
        Slices between expiries may show a butterfly even so: check one with ``arbitrage`` before relying on it.
        """
        if not (math.isfinite(years) and years > 0):
            raise ExpiredError(f"a volatility {years} years before expiry; leave expired options out")
        times = self.years
        after = int(np.searchsorted(times, years))
        if after == 0 or after == len(times):
            end = self.slices[min(after, len(times) - 1)]
            return end.svi.total_variance(k) * (years / end.years)
        share = (years - times[after - 1]) / (times[after] - times[after - 1])
        before, later = self.slices[after - 1].svi.total_variance(k), self.slices[after].svi.total_variance(k)
        result: FloatArray = before + share * (later - before)
        return result

    def vol(self, k: FloatArray, years: float) -> FloatArray:
        """Annualised volatility at log moneyness ``k`` for any time."""
        result: FloatArray = np.sqrt(self.total_variance(k, years) / years)
        return result


def fit_surface(quotes: Sequence[SmileQuotes], years: Sequence[float]) -> SurfaceFit:
    """Fit every expiry in order of time, each not below the one before.

    An expiry with fewer than five strikes takes the shape of the expiry nearest in log time that has more, fitted on
    its own. Nothing is random: the same quotes give the same bits.

    Raises
    ------
    MarketError
        If times do not rise, or no expiry has a usable quote.
    """
    if len(quotes) != len(years) or not quotes:
        raise MarketError(f"{len(quotes)} smiles for {len(years)} expiries; give one for each, and at least one")
    if any(not later > earlier for earlier, later in pairwise(years)):
        raise MarketError(f"times to expiry {list(years)} do not rise; give the nearest expiry first, each once")
    shapes = _shapes(quotes, years)
    slices: list[SliceFit] = []
    for own, time, shape in zip(quotes, years, shapes, strict=True):
        slices.append(fit_slice(own, time, slices[-1].svi if slices else None, shape))
    return SurfaceFit(tuple(slices))


def _shapes(quotes: Sequence[SmileQuotes], years: Sequence[float]) -> list[tuple[RawSvi, float] | None]:
    """For each expiry whose own quotes are too few, the smile that its shape is borrowed from."""
    data = [usable(own) for own in quotes]
    rich = [i for i, own in enumerate(data) if _is_rich(own.k)]
    givers = rich or [i for i, own in enumerate(data) if len(own.k)]
    fitted: dict[int, tuple[RawSvi, float]] = {}
    shapes: list[tuple[RawSvi, float] | None] = []
    for i, own in enumerate(data):
        others = [g for g in givers if g != i]
        if i in rich or not others or (not rich and len(own.k)):
            shapes.append(None)
            continue
        near = min(others, key=lambda g: abs(math.log(years[g] / years[i])))
        if near not in fitted:
            fitted[near] = (fit_slice(quotes[near], years[near]).svi, years[near])
        shapes.append(fitted[near])
    return shapes


def _is_rich(k: FloatArray) -> bool:
    return len(np.unique(k)) >= RICH and bool(k[0] <= 0 <= k[-1])
