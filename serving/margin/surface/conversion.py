"""The same hyperbola in other words: natural SVI and jump wings."""

import math
from dataclasses import dataclass

from features.errors import MarketError
from serving.margin.surface.svi import RawSvi

TOUCH = 1e-9  # of b: nearer to it, the smile's lowest point counts as at the money


@dataclass(frozen=True, slots=True)
class NaturalSvi:
    r"""SVI as it comes out of Heston's model at long expiries.

    .. math:: w(k) = \Delta + \frac\omega2\left(1 + \zeta\rho(k-\mu) + \sqrt{(\zeta(k-\mu)+\rho)^2 + 1 - \rho^2}\right)

    References
    ----------
    Gatheral & Jacquier (2014), section 3.2 and lemma 3.1.
    """

    delta: float
    mu: float
    rho: float
    omega: float
    zeta: float


@dataclass(frozen=True, slots=True)
class JumpWings:
    r"""SVI in the words of a trader, each nearly constant over expiries.

    ``variance``: at the money, annualised. ``skew``: :math:`\partial_k \sqrt{w / v T}` there, that is
    :math:`w'(0) / (2 \sqrt{w(0)})`. ``put`` and ``call``: slopes of the wings over :math:`\sqrt{w(0)}`.
    ``least``: smallest variance of all strikes, annualised. ``years``: to expiry.

    References
    ----------
    Gatheral & Jacquier (2014), section 3.3.
    """

    variance: float
    skew: float
    put: float
    call: float
    least: float
    years: float


def to_natural(svi: RawSvi) -> NaturalSvi:
    """Raw to natural; a flat smile has no natural scale and gets that of ``sigma``."""
    slim = math.sqrt(1 - svi.rho**2)
    omega = 2 * svi.b * svi.sigma / slim
    mu = svi.m + svi.rho * svi.sigma / slim
    return NaturalSvi(svi.a - omega / 2 * (1 - svi.rho**2), mu, svi.rho, omega, slim / svi.sigma)


def from_natural(natural: NaturalSvi) -> RawSvi:
    """Natural to raw.

    Examples
    --------
    >>> smile = RawSvi(a=0.01, b=0.1, rho=-0.3, m=0.05, sigma=0.2)
    >>> [round(x, 12) for x in from_natural(to_natural(smile)).array.tolist()]
    [0.01, 0.1, -0.3, 0.05, 0.2]
    """
    if not natural.zeta > 0 or not abs(natural.rho) < 1:
        raise MarketError(f"natural svi: zeta {natural.zeta}, rho {natural.rho}; zeta > 0 and |rho| < 1 are needed")
    slim = 1 - natural.rho**2
    return RawSvi(
        a=natural.delta + natural.omega / 2 * slim,
        b=natural.omega * natural.zeta / 2,
        rho=natural.rho,
        m=natural.mu - natural.rho / natural.zeta,
        sigma=math.sqrt(slim) / natural.zeta,
    )


def to_jump_wings(svi: RawSvi, years: float) -> JumpWings:
    """Raw to jump wings.

    Raises
    ------
    MarketError
        If there is no variance at the money or no time left.
    """
    at_money = svi.a + svi.b * (math.hypot(svi.m, svi.sigma) - svi.rho * svi.m)
    if not (years > 0 and at_money > 0):
        raise MarketError(f"jump wings need time and variance at the money, got {years} years and {at_money}")
    root = math.sqrt(at_money)
    skew = svi.b / (2 * root) * (svi.rho - svi.m / math.hypot(svi.m, svi.sigma))
    return JumpWings(
        at_money / years, skew, svi.left_slope / root, svi.right_slope / root, svi.least_variance / years, years
    )


def from_jump_wings(wings: JumpWings) -> RawSvi:
    r"""Jump wings to raw.

    With :math:`b = \sqrt{w}(c+p)/2`, :math:`\rho = 1 - p\sqrt w/b`, :math:`\beta = \rho - 2\psi\sqrt w/b` and
    :math:`\alpha = \mathrm{sign}(\beta)\sqrt{1/\beta^2-1}`:

    .. math:: m = \frac{(v - \tilde v) T}{b\left(-\rho + \mathrm{sign}(\alpha)\sqrt{1+\alpha^2}
              - \alpha\sqrt{1-\rho^2}\right)}, \quad \sigma = \alpha m

    Raises
    ------
    MarketError
        If no hyperbola has these wings: the skew must lie between the slopes of the two wings.
    """
    at_money = wings.variance * wings.years
    if not (at_money > 0 and wings.put > 0 and wings.call > 0):
        raise MarketError(f"{wings}: variance, years and the slopes of both wings must be positive")
    root = math.sqrt(at_money)
    b = root * (wings.call + wings.put) / 2
    rho = 1 - wings.put * root / b
    beta = rho - 2 * wings.skew * root / b  # the sine of the angle at which the money sees the lowest point
    if not abs(beta) < 1:
        raise MarketError(f"{wings}: its skew is steeper than its wings; no such hyperbola")
    m, sigma = _shape(beta, rho, b, (wings.variance - wings.least) * wings.years)
    return RawSvi(wings.least * wings.years - b * sigma * math.sqrt(1 - rho**2), b, rho, m, sigma)


def _shape(beta: float, rho: float, b: float, drop: float) -> tuple[float, float]:
    """Place and width of the hyperbola, from how far total variance falls from the money to its lowest point."""
    # in units of the radius hypot(m, sigma): m = beta, sigma = sqrt(1 - beta^2)
    slim = math.sqrt(1 - beta**2)
    depth = 1 - rho * beta - slim * math.sqrt(1 - rho**2)
    if depth < TOUCH or not drop > 0:
        raise MarketError("jump wings whose lowest point is at the money do not determine the curvature; use raw SVI")
    radius = drop / (b * depth)
    return radius * beta, radius * slim
