r"""Black's formula without units and its inverse: from a price to the standard deviation it implies.

With x = ln(F/K) <= 0, s = σ√T, h = x/s, t = s/2, and Y Mills' ratio, the price of the out-of-the-money option over
:math:`\sqrt{FK}` and what it lacks to its bound are

.. math:: b(x, s) = \varphi_0\,[Y(h + t) - Y(h - t)], \qquad
    c(x, s) = e^{x/2} - b = \varphi_0\,[Y(-h - t) + Y(h - t)], \qquad
    \varphi_0 = \frac{e^{-(h^2 + t^2)/2}}{\sqrt{2\pi}} = b'(s) = -c'(s)

neither a difference of nearly equal numbers. b has its inflection at :math:`s_c = \sqrt{2|x|}`, which parts three
regions: below it 1/ln(b/u), with the unit u = e b(s_c), is nearly a parabola in s; above it b itself is nearly
straight; beyond half the bound ln c is tame. Each is solved by Householder's third-order step (fourth-order
convergence), kept inside a bracket.

References
----------
Jäckel (2015), "Let's Be Rational", Wilmott (the three objectives and the step); the starts, the brackets and the
quadrature are this module's own. Abramowitz & Stegun 26.2.23 for a start of the inverse law.
"""

import math

import numpy as np

from features.compiled import compiled
from serving.margin.pricing.mills import ROOT_TAU, WIDE, mills, mills_rise
from serving.margin.pricing.normal import cdf

LOG_ROOT_TAU = math.log(ROOT_TAU)
STEPS = 40  # most that are made; one to three are usual
ABOVE = 1.0  # by how much the logarithm of the low region's unit lies above that of b at the inflection
NARROW = 0.5  # |x| below which Bachelier's law gives the start
DENSITY = 1 / ROOT_TAU
CLOSE = 1e-5  # a relative step after which the next would be below the last bit


@compiled
def log_density(x: float, s: float) -> float:
    """Logarithm of b'(s)."""
    h, t = x / s, 0.5 * s
    return -0.5 * (h * h + t * t) - LOG_ROOT_TAU


@compiled
def normalised_black(x: float, s: float) -> float:
    """b(x, s) for x <= 0, s > 0, with full relative accuracy."""
    h, t = x / s, 0.5 * s
    if t >= WIDE and h + t > 0.0:
        return math.exp(0.5 * x) * cdf(h + t) - math.exp(-0.5 * x) * cdf(h - t)
    return math.exp(log_density(x, s)) * mills_rise(h, t)


@compiled
def _householder(miss: float, slope: float, second: float, third: float) -> float:
    """Third-order step for f = ``miss``, f', f''/f' and f'''/f'."""
    newton = -miss / slope
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))


@compiled
def _curvature(x: float, s: float) -> tuple[float, float]:
    """b''/b' and its derivative by s; the same for c."""
    square = (x / s) * (x / s)
    return square / s - 0.25 * s, -3.0 * square / (s * s) - 0.25


@compiled
def _low_step(x: float, s: float, log_target: float, log_unit: float) -> tuple[float, float]:
    """Step and miss for 1/ln(b/unit) = 1/ln(target/unit)."""
    rise = mills_rise(x / s, 0.5 * s)
    value = log_density(x, s) + math.log(rise) - log_unit
    q, dq = _curvature(x, s)
    first = 1.0 / rise
    second = q - first - 2.0 * first / value
    bend = first * (q - first)
    third = second * second + dq - bend - 2.0 * bend / value + 2.0 * (first / value) * (first / value)
    miss = (log_target - value) / (log_target * value)
    return _householder(miss, -first / (value * value), second, third), value - log_target


@compiled
def _middle_step(x: float, s: float, target: float) -> tuple[float, float]:
    """Step and miss for b = target."""
    q, dq = _curvature(x, s)
    miss = normalised_black(x, s) - target
    return _householder(miss, math.exp(log_density(x, s)), q, q * q + dq), miss


@compiled
def _high_step(x: float, s: float, log_lacking: float) -> tuple[float, float]:
    """Step and miss for ln c = ln(bound - target)."""
    h, t = x / s, 0.5 * s
    both = mills(-h - t) + mills(h - t)
    q, dq = _curvature(x, s)
    first = -1.0 / both
    second = q - first
    third = second * second + dq - first * second
    miss = log_density(x, s) + math.log(both) - log_lacking
    return _householder(miss, first, second, third), -miss


@compiled
def _low_start(x: float, inflection: float, at_inflection: float, log_target: float) -> float:
    """Rational cubic (Delbourgo and Gregory) for s over y = (-ln(b/unit))^(-1/2), with the slopes at both ends."""
    top = 1.0 / math.sqrt(ABOVE)
    left, right = -x / math.sqrt(2.0), 2.0 * at_inflection / (top**3 * math.exp(log_density(x, inflection)))
    chord, share = inflection / top, 1.0 / math.sqrt(-log_target) / top
    rest = 1.0 - share
    upper = inflection * (chord * share * share + left * share * rest)
    lower = chord + (left + right - 2.0 * chord) * share * rest
    return upper / lower if lower > 0.0 else inflection * share


@compiled
def _narrow_start(x: float, target: float) -> float:
    """Bachelier's law for a small |x|: target/|x| = φ(h)/|h| - Φ(h), by its series at 0 or two Newton steps."""
    ratio = -target / x
    if ratio > 0.0833:  # |h| < 1
        a = ratio + 0.5
        return -x * DENSITY / (a - math.sqrt(a * a - 2.0 * DENSITY * DENSITY))
    drop = math.log(ratio) + LOG_ROOT_TAU
    h = math.sqrt(max(1.0, -2.0 * drop - 2.0))
    for _ in range(2):  # φ(h)/(h^3 + 2.3 h) is within 10 % from 1 to 3 and tends to the truth
        cube = h * (h * h + 2.3)
        h -= (0.5 * h * h + math.log(cube) + drop) * cube / (h * cube + 3.0 * h * h + 2.3)
        h = max(h, 0.9)
    return -x / h


@compiled
def _high_start(x: float, share: float) -> float:
    """From Φ(-z) = share of the bound that is lacking, at most 1/2: s = z + (z^2 - 2 x)^(1/2)."""
    w = math.sqrt(-2.0 * math.log(share))
    z = w - (2.515517 + w * (0.802853 + w * 0.010328)) / (1.0 + w * (1.432788 + w * (0.189269 + w * 0.001308)))
    z = max(z, 0.0)
    return z + math.sqrt(z * z - 2.0 * x)


@compiled
def _region(
    x: float, target: float, lacking: float, inflection: float
) -> tuple[int, float, float, float, float, float]:
    """Which objective, what it aims at and in which unit, a start, and a bracket."""
    bound = math.exp(0.5 * x)
    at_inflection = normalised_black(x, inflection) if x < 0.0 else 0.0
    if target < at_inflection:
        unit = math.log(at_inflection) + ABOVE
        aim = math.log(target) - unit
        start = _narrow_start(x, target) if x > -NARROW else _low_start(x, inflection, at_inflection, aim)
        return 0, aim, unit, start, 0.0, inflection * (1.0 + 1e-9)
    if target <= 0.5 * bound:
        start = inflection + ROOT_TAU * (target - at_inflection) / bound
        return 1, target, 1.0, start, inflection * (1.0 - 1e-9), np.inf
    return 2, math.log(lacking), 0.0, _high_start(x, lacking / bound), inflection * (1.0 - 1e-9), np.inf


@compiled
def _moved(s: float, step: float, low: float, high: float) -> float:
    """The point after a step, or, where that would leave the bracket or is no number, one within it."""
    if low < s + step < high:
        return s + step
    return 2.0 * s if high == np.inf else 0.5 * (low + high)


@compiled
def implied_stdev(x: float, target: float, lacking: float) -> float:
    """Solve b(x, s) = target for s; x <= 0, 0 < target, and ``lacking`` = e^(x/2) - target > 0; else NaN."""
    if not (x <= 0.0 and target > 0.0 and lacking > 0.0):
        return np.nan
    region, aim, unit, s, low, high = _region(x, target, lacking, math.sqrt(-2.0 * x))
    for _ in range(STEPS):
        if region == 0:
            step, miss = _low_step(x, s, aim, unit)
        elif region == 1:
            step, miss = _middle_step(x, s, aim)
        else:
            step, miss = _high_step(x, s, aim)
        if miss > 0.0:
            high = s
        else:
            low = s
        if abs(step) <= CLOSE * s:
            return s + step
        s = _moved(s, step, low, high)
    return s
