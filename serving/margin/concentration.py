r"""A large share of a market costs more: a multiplier on the requirement.

.. math:: m = g_1\!\left(\frac{|N|}{OI}\right) \, g_2\!\left(\frac{OI}{cap}\right)

Both functions are piecewise linear, 1 up to the first knot, rising between knots and flat after the
last; shares above 1 count as 1.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError, MarketError, SettingError
from serving.margin.objects.checks import not_negative

FloatArray = NDArray[np.float64]
Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ConcentrationPolicy:
    """Knots of the multipliers: share and multiplier, both rising, the first multiplier 1.

    ``share_knots``: of the position's share of the open interest. From 5 % on, to 5.5 at the whole:
    with open interest turned over once a day and a tenth of the volume taken, closing the whole takes
    10 days, which are 30 periods of 8 hours, and losses grow with the root of time, 30 ** 0.5 = 5.5.
    ``cap_knots``: of the open interest as a share of the market's capitalisation: above a tenth
    whoever moves the spot price moves more money in derivatives (judgement; venues cap open interest
    by capitalisation but publish no multiplier).

    Raises
    ------
    SettingError
        If knots do not rise or a multiplier is below 1.
    """

    share_knots: Knots = ((0.05, 1.0), (1.0, 5.5))
    cap_knots: Knots = ((0.10, 1.0), (0.50, 2.0))

    def __post_init__(self) -> None:
        """Refuse knots that would lower a requirement or jump."""
        for name in ("share_knots", "cap_knots"):
            knots: Knots = getattr(self, name)
            rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(knots))
            finite = all(math.isfinite(x) and math.isfinite(y) and x >= 0 for x, y in knots)
            if not (knots and rising and finite and knots[0][1] == 1.0):
                raise SettingError(f"concentration: {name} {knots} must rise from a multiplier of 1; correct the knots")


@dataclass(frozen=True, slots=True)
class Concentration:
    """Multiplier on the requirement of one underlying, at least 1, with what was assumed."""

    multiplier: float
    share: float
    cap_share: float
    notes: tuple[str, ...] = ()


def concentration(
    notional_usd: float,
    open_interest_usd: float | None,
    market_cap_usd: float | None,
    policy: ConcentrationPolicy,
) -> Concentration:
    """Multiplier of one account in one underlying.

    Parameters
    ----------
    notional_usd : what the account holds, USD, signed or not.
    open_interest_usd : of the underlying; none, or 0 beside a position, counts as if the account held it all.
    market_cap_usd : of the underlying; none or 0 takes the last knot.
    policy : knots.

    Raises
    ------
    AccountError, MarketError
        If a number is not finite or, of the market, negative.

    Examples
    --------
    >>> concentration(-100.0, 1000.0, 1e6, ConcentrationPolicy()).multiplier  # 1 + 4.5 * (0.1 - 0.05) / 0.95
    1.236842105263158
    >>> concentration(100.0, None, 1e6, ConcentrationPolicy()).multiplier
    11.0
    """
    known, cap = bool(open_interest_usd), market_cap_usd
    _refuse_senseless(abs(notional_usd) < math.inf, open_interest_usd, market_cap_usd)
    share = min(abs(notional_usd) / open_interest_usd, 1.0) if open_interest_usd else float(notional_usd != 0)
    cap_share = _cap_share(open_interest_usd, cap, policy)
    by_cap = _multiplier(cap_share, policy.cap_knots) if notional_usd else 1.0
    notes = []
    if not known:
        notes.append("concentration: open interest is not known; taken as all held by this account")
    elif abs(notional_usd) > (open_interest_usd or 0.0):
        notes.append(
            "concentration: the position is larger than the open interest, which is out of date; counted as all"
        )
    if not (known and cap):
        notes.append("concentration: open interest or capitalisation is not known; taken at the last knot")
    return Concentration(_multiplier(share, policy.share_knots) * by_cap, share, cap_share, tuple(notes))


def concentrations(
    notional_usd: FloatArray,
    open_interest_usd: float | None,
    market_cap_usd: float | None,
    policy: ConcentrationPolicy,
) -> FloatArray:
    """Multipliers of many accounts in one underlying, shape (n,) for notionals of shape (n,).

    Raises
    ------
    AccountError, MarketError
        As ``concentration``.
    """
    _refuse_senseless(bool(np.isfinite(notional_usd).all()), open_interest_usd, market_cap_usd)
    size = np.abs(notional_usd)
    share = np.minimum(size / open_interest_usd, 1.0) if open_interest_usd else np.sign(size)
    cap_share = _cap_share(open_interest_usd, market_cap_usd, policy)
    return _curve(share, policy.share_knots) * np.where(size > 0, _curve(np.array([cap_share]), policy.cap_knots), 1.0)


def _refuse_senseless(finite: bool, open_interest_usd: float | None, market_cap_usd: float | None) -> None:
    if not finite:
        raise AccountError("concentration: a notional is not finite; correct quantity and price")
    for value, what in ((open_interest_usd, "open_interest_usd"), (market_cap_usd, "market_cap_usd")):
        if value is not None:
            not_negative(value, f"concentration: {what}", MarketError)


def _cap_share(open_interest_usd: float | None, market_cap_usd: float | None, policy: ConcentrationPolicy) -> float:
    """Open interest as a share of the capitalisation; the last knot where either is not known."""
    if not (open_interest_usd and market_cap_usd):
        return policy.cap_knots[-1][0]
    return open_interest_usd / market_cap_usd


def _curve(share: FloatArray, knots: Knots) -> FloatArray:
    """Piecewise linear through the knots, flat outside."""
    at, multiplier = zip(*knots, strict=True)
    curve: FloatArray = np.interp(share, at, multiplier)
    return curve


def _multiplier(share: float, knots: Knots) -> float:
    """The same of one share."""
    if share <= knots[0][0]:
        return knots[0][1]
    for (x0, y0), (x1, y1) in pairwise(knots):
        if share <= x1:
            return (y1 - y0) / (x1 - x0) * (share - x0) + y0
    return knots[-1][1]
