"""How far volatility, its skew and the value of an expiry are moved."""

from typing import Final

import numpy as np

from features.errors import SettingError
from serving.margin.charge import FloatArray
from serving.margin.rules.derive_portfolio.parameters import DAY_S, SkewShock, StaticDiscount, VolShock

MONTH_S: Final = 30 * DAY_S
LARGEST_EXPONENT: Final = 700.0


def volatility_factors(seconds: FloatArray, shock: VolShock) -> tuple[FloatArray, FloatArray]:
    r"""Factors on volatility when it rises and when it falls, by expiry.

    .. math:: 1 + r_{up} m, \quad \max(0, 1 - r_{down} m), \quad m = (30\,d / \max(s, floor))^{power}

    with the short power up to 30 days and the long one beyond.

    Parameters
    ----------
    seconds : array of shape (e,)
        Time to expiry.

    Raises
    ------
    SettingError
        If an expiry of 0 seconds meets a floor of 0.

    References
    ----------
    https://docs.derive.xyz/docs/pm2

    Examples
    --------
    >>> from serving.margin.rules.derive_portfolio import PUBLISHED
    >>> [f.round(4).tolist() for f in volatility_factors(np.array([30 * 86_400.0, 60 * 86_400.0]), PUBLISHED.vol)]
    [[1.5, 1.4569], [0.725, 0.7487]]
    """
    floored = np.maximum(seconds, shock.floor_s)
    if (floored <= 0).any():
        raise SettingError("an option at its expiry has no volatility shock under floor_s = 0; set floor_s above 0")
    scale = (MONTH_S / floored) ** np.where(seconds <= MONTH_S, shock.short_power, shock.long_power)
    return 1 + shock.range_up * scale, np.maximum(0.0, 1 - shock.range_down * scale)


def skew_width(years: FloatArray, skew: SkewShock) -> FloatArray:
    r"""Log-moneyness at which a skew shock reaches its cap: :math:`\max(w_0, w\sqrt{t}(v_0 + v_1\sqrt{t}))`."""
    root = np.sqrt(years)
    return np.maximum(skew.least_width, root * skew.width_scale * (skew.vol_base + root * skew.vol_slope))


def skew_factors(log_moneyness: FloatArray, cap: FloatArray, width: FloatArray) -> FloatArray:
    r"""Factor on each volatility under a skew shock: linear in log-moneyness up to a cap.

    .. math:: \max(0, 1 + \min(c, kc/w)) \text{ for } k \ge 0, \quad \max(0, 1 + \max(-c, kc/w)) \text{ for } k < 0

    Parameters
    ----------
    log_moneyness : array of shape (p,)
        log(strike / forward), or its absolute value for the symmetric skew.
    cap, width : arrays of shape (p,)

    Raises
    ------
    SettingError
        If a width is zero: the skew would be a step.

    Examples
    --------
    >>> skew_factors(np.array([-0.5, 0.05, 0.5]), np.full(3, 0.1), np.full(3, 0.1)).tolist()
    [0.9, 1.05, 1.1]
    """
    if not (width > 0).all():
        raise SettingError("a skew shock has a width of 0; set least_width above 0")
    move = log_moneyness * cap / width
    move = np.where(log_moneyness >= 0, np.minimum(cap, move), np.maximum(-cap, move))
    return np.maximum(0.0, 1 + move)


def discounts(years: FloatArray, rate: FloatArray) -> FloatArray:
    r"""Discount factor by expiry, :math:`e^{-\max(r, 0)t}`: the rule knows no negative rate."""
    return np.exp(-np.maximum(rate, 0.0) * years)


def static_discounts(years: FloatArray, rate: FloatArray, rule: StaticDiscount) -> tuple[FloatArray, FloatArray]:
    r"""Factors on an expiry's shocked value where it is worth something, and where it is owed.

    .. math:: b_l e^{-t(r s_l + a_l)}, \quad \min(e^{rt}, b_s e^{t(r s_s + a_s)})

    Parameters
    ----------
    years, rate : arrays of shape (e,)

    References
    ----------
    https://docs.derive.xyz/docs/pm2
    """
    rate = np.maximum(rate, 0.0)
    growth = np.minimum(years * (rate * rule.short_rate_scale + rule.short_rate_add), LARGEST_EXPONENT)
    owned = rule.long_base * np.exp(-years * (rate * rule.long_rate_scale + rule.long_rate_add))
    return owned, np.minimum(1 / discounts(years, rate), rule.short_base * np.exp(growth))
