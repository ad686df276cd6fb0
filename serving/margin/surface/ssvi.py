"""SSVI: one formula for every expiry, free of arbitrage where its few parameters keep to simple bounds."""

import math
from dataclasses import dataclass
from typing import Literal

from features.errors import MarketError
from serving.margin.surface.svi import RawSvi

Kind = Literal["power", "heston"]


@dataclass(frozen=True, slots=True)
class Ssvi:
    r"""A surface of smiles given by the total variance at the money of each expiry.

    .. math:: w(k, \theta) = \frac\theta2\left(1 + \rho\varphi(\theta) k
              + \sqrt{(\varphi(\theta) k + \rho)^2 + 1 - \rho^2}\right)

    ``power``: :math:`\varphi(\theta) = \eta / (\theta^\gamma (1+\theta)^{1-\gamma})`.
    ``heston``: :math:`\varphi(\theta) = \frac{1}{\lambda\theta}\left(1 - \frac{1-e^{-\lambda\theta}}{\lambda\theta}
    \right)` with :math:`\lambda` = ``eta``; ``gamma`` is not used.

    Raises
    ------
    MarketError
        If the parameters are outside the bounds that exclude arbitrage (``conditions``).

    References
    ----------
    Gatheral & Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14(1): theorems 4.1
    and 4.2, remark 4.4, equation (4.5), example 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> surface = Ssvi("power", rho=-0.3, eta=1.2, gamma=0.4)
    >>> surface.slice(0.04).vol(np.array([-0.2, 0.0, 0.2]), years=0.25).round(4)
    array([0.4689, 0.4   , 0.3843])
    """

    kind: Kind
    rho: float
    eta: float
    gamma: float = 0.5

    def __post_init__(self) -> None:
        """Refuse parameters under which a surface could be arbitraged."""
        wrong = "; ".join(self.conditions())
        if wrong:
            raise MarketError(f"ssvi {self.kind} rho={self.rho}, eta={self.eta}, gamma={self.gamma}: {wrong}")

    def conditions(self) -> tuple[str, ...]:
        r"""What fails of the conditions that exclude both arbitrages at every :math:`\theta > 0`.

        Power law: :math:`\eta(1+|\rho|) \le 2` and :math:`0 < \gamma \le 1/2`; Heston-like:
        :math:`\lambda \ge (1+|\rho|)/4`. Both need at-the-money variance that does not fall with expiry.
        """
        if not all(map(math.isfinite, (self.rho, self.eta, self.gamma))) or not abs(self.rho) < 1 or not self.eta > 0:
            return ("rho within -1 and 1 and a positive eta are needed",)
        if self.kind == "heston":
            return () if self.eta >= (1 + abs(self.rho)) / 4 else ("lambda must be at least (1 + |rho|)/4",)
        wrong = [] if self.eta * (1 + abs(self.rho)) <= 2 else ["eta (1 + |rho|) must not exceed 2"]
        if not 0 < self.gamma <= 0.5:
            wrong.append("gamma must lie within 0 and 1/2")
        return tuple(wrong)

    def phi(self, theta: float) -> float:
        r"""How fast the smile bends at total variance ``theta``; :math:`\sqrt\theta \varphi` is its curvature."""
        if not theta > 0:
            raise MarketError(f"total variance {theta} at the money; it must be positive")
        if self.kind == "power":
            return self.eta * math.pow(theta, -self.gamma) * math.pow(1 + theta, self.gamma - 1)
        x = self.eta * theta
        if x < 1e-4:  # the difference below would lose its digits
            return 0.5 - x / 6
        return (1 + math.expm1(-x) / x) / x

    def slice(self, theta: float) -> RawSvi:
        r"""The expiry with total variance ``theta`` at the money, as raw SVI.

        .. math:: a = \tfrac\theta2(1-\rho^2),\; b = \tfrac{\theta\varphi}2,\; m = -\rho/\varphi,\;
                  \sigma = \sqrt{1-\rho^2}/\varphi
        """
        phi, slim = self.phi(theta), 1 - self.rho**2
        return RawSvi(theta / 2 * slim, theta * phi / 2, self.rho, -self.rho / phi, math.sqrt(slim) / phi)
