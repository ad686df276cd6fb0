"""Raw SVI: five numbers that say the implied volatility of one expiry at every strike."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError

FloatArray = NDArray[np.float64]

STEEPEST = 4.0  # Rogers & Tehranchi: no smile's total variance is steeper
ROUNDING = 1e-14


@dataclass(frozen=True, slots=True)
class RawSvi:
    r"""Total implied variance of one expiry as a hyperbola in log moneyness.

    .. math:: w(k) = a + b\left(\rho (k - m) + \sqrt{(k - m)^2 + \sigma^2}\right), \quad k = \log(K / F)

    Total variance is volatility squared times years, so time appears nowhere below.
    Necessary conditions are checked here: :math:`b \ge 0`, :math:`|\rho| < 1`, :math:`\sigma > 0`, a least variance
    :math:`a + b \sigma \sqrt{1 - \rho^2} \ge 0`, and :math:`b(1 + |\rho|) \le 4`, which reads 4/T for parameters
    of annualised variance. They do not exclude arbitrage: that is ``arbitrage.butterfly``.

    Raises
    ------
    MarketError
        If a number is not finite or a condition fails.

    References
    ----------
    Gatheral (2004), "A parsimonious arbitrage-free implied volatility parameterization", Global Derivatives, Madrid.
    Gatheral & Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14(1).
    Rogers & Tehranchi (2010), "Can the implied volatility surface move by parallel shifts?", Finance & Stochastics 14.

    Examples
    --------
    >>> smile = RawSvi(a=0.01, b=0.1, rho=-0.3, m=0.0, sigma=0.2)
    >>> smile.vol(np.array([-0.2, 0.0, 0.2]), years=0.25).round(4)
    array([0.4209, 0.3464, 0.3594])
    """

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse parameters that no smile has."""
        for name in ("a", "b", "rho", "m", "sigma"):
            if not math.isfinite(getattr(self, name)):
                raise MarketError(f"svi: {name} is {getattr(self, name)}, not a finite number; fit the smile again")
        wrong = self._broken()
        if wrong:
            raise MarketError(f"svi a={self.a}, b={self.b}, rho={self.rho}, m={self.m}, sigma={self.sigma}: {wrong}")

    def _broken(self) -> str:
        """The first condition that fails, in words; empty where none does."""
        if self.b < 0:
            return "b must not be negative"
        if not abs(self.rho) < 1:
            return "rho must lie within -1 and 1"
        if not self.sigma > 0:
            return "sigma must be positive"
        if self.least_variance < -ROUNDING * max(1.0, abs(self.a)):
            return f"its least total variance is {self.least_variance:.3g}; raise a"
        if self.b * (1 + abs(self.rho)) > STEEPEST:
            return f"a wing is steeper than {STEEPEST:g}; lower b (are these parameters of annualised variance?)"
        return ""

    @property
    def least_variance(self) -> float:
        r""":math:`a + b \sigma \sqrt{1 - \rho^2}`, the smallest total variance of all strikes."""
        return self.a + self.b * self.sigma * math.sqrt(1 - self.rho * self.rho)

    @property
    def left_slope(self) -> float:
        """How steeply total variance rises towards low strikes, per unit of log moneyness."""
        return self.b * (1 - self.rho)

    @property
    def right_slope(self) -> float:
        """How steeply total variance rises towards high strikes, per unit of log moneyness."""
        return self.b * (1 + self.rho)

    @property
    def array(self) -> FloatArray:
        """a, b, rho, m, sigma: one row of what ``svi_vol`` takes."""
        return np.array([self.a, self.b, self.rho, self.m, self.sigma])

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance at log moneyness ``k`` of any shape."""
        shift = np.asarray(k, dtype=np.float64) - self.m
        result: FloatArray = self.a + self.b * (self.rho * shift + np.sqrt(shift * shift + self.sigma * self.sigma))
        return result

    def vol(self, k: FloatArray, years: float) -> FloatArray:
        """Annualised Black volatility at log moneyness ``k``, ``years`` before expiry."""
        if not (math.isfinite(years) and years > 0):
            raise MarketError(f"{years} years to expiry; settle expired options before")
        result: FloatArray = np.sqrt(self.total_variance(k) / years)
        return result

    def slope(self, k: FloatArray) -> FloatArray:
        r""":math:`w'(k) = b\left(\rho + (k-m)/\sqrt{(k-m)^2+\sigma^2}\right)`."""
        shift = np.asarray(k, dtype=np.float64) - self.m
        result: FloatArray = self.b * (self.rho + shift / np.sqrt(shift * shift + self.sigma * self.sigma))
        return result

    def curvature(self, k: FloatArray) -> FloatArray:
        r""":math:`w''(k) = b \sigma^2 / ((k-m)^2+\sigma^2)^{3/2}`."""
        shift = np.asarray(k, dtype=np.float64) - self.m
        result: FloatArray = self.b * self.sigma**2 / (shift * shift + self.sigma * self.sigma) ** 1.5
        return result

    def density_factor(self, k: FloatArray) -> FloatArray:
        r"""Gatheral's g: negative exactly where a butterfly spread would be worth less than nothing.

        .. math:: g(k) = \left(1 - \frac{k w'}{2 w}\right)^2 - \frac{w'^2}{4}\left(\frac1w + \frac14\right)
                  + \frac{w''}{2}

        The density of log(S/F) at k is :math:`g(k) e^{-d_-^2/2} / \sqrt{2 \pi w}`,
        :math:`d_- = -k/\sqrt w - \sqrt w/2`.
        """
        w, first = self.total_variance(k), self.slope(k)
        lean = 1 - k * first / (2 * w)
        result: FloatArray = lean**2 - first**2 / 4 * (1 / w + 0.25) + self.curvature(k) / 2
        return result
