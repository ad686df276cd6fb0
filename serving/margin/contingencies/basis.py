"""Positions of different expiry hedge each other only while their prices move together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from serving.margin.contingencies.inputs import (
    not_negative,
    refuse_negative_index,
    refuse_out_of_range,
    refuse_unless_finite,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BasisPolicy:
    """How far the price of one expiry may move against spot, as a fraction of it.

    ``leg_frac``: of any expiry and of perpetuals. Deribit charges 1 % of offsetting futures; both legs
    of the offset pay, so that half of it each is that figure.
    ``annual_frac``: more for each year to expiry, for the move of the carry that a forward pays; 0.05
    is the annualised move of the forward rate that OKX takes for BTC and ETH (its MR4).
    ``cap_frac``: the most that a leg pays; a spread cannot lose more than some share of the price
    (judgement).

    Raises
    ------
    SettingError
        If a fraction is negative.

    References
    ----------
    https://www.deribit.com/pages/docs/portfoliomargin; OKX portfolio margin parameters, MR4.
    """

    leg_frac: float = 0.005
    annual_frac: float = 0.05
    cap_frac: float = 0.15

    def __post_init__(self) -> None:
        """Refuse what would lower a margin."""
        refuse_out_of_range(
            "basis",
            leg_frac=not_negative(self.leg_frac),
            annual_frac=not_negative(self.annual_frac),
            cap_frac=not_negative(self.cap_frac) and self.cap_frac >= self.leg_frac,
        )


def basis(
    delta_usd: FloatArray,
    underlying: IntArray,
    expiry: IntArray,
    years: FloatArray,
    spot: FloatArray,
    policy: BasisPolicy,
) -> FloatArray:
    r"""Charge of each position, shape (p,), whose sum is that of the account and not negative.

    With :math:`\delta_b` the net delta of expiry b of one underlying, long and short expiries offset
    :math:`M = \min(\sum_b \delta_b^+, \sum_b \delta_b^-)`, of which each takes its share:

    .. math:: C = \sum_b r_b \, |\delta_b| \frac{M}{\sum_{b' \text{ on the side of } b} |\delta_{b'}|},
              \quad r_b = \min(r_0 + r_1 T_b, \bar r)

    Spot itself is the price that the others move against: it offsets, but pays nothing. Perpetuals
    are an expiry of their own, of 0 years. Without an offset there is no charge; the charge is
    linear in the whole account and not subadditive, since it belongs to what is netted.

    Parameters
    ----------
    delta_usd : USD of the underlying that each position moves with, signed, shape (p,).
    underlying : index, shape (p,).
    expiry : index of each position's underlying and expiry, from 0 without gaps, shape (p,).
    years : to expiry, 0 for perpetuals and spot, shape (p,).
    spot : 1 for spot positions, else 0, shape (p,).
    policy : rates.

    Raises
    ------
    MarketError
        If a number is not finite or an index negative.

    Examples
    --------
    >>> long_a_short_b = np.array([100.0, -100.0]), np.array([0, 0]), np.array([0, 1])
    >>> basis(*long_a_short_b, np.zeros(2), np.zeros(2), BasisPolicy())  # together 1 % of 100, as Deribit's example
    array([0.5, 0.5])
    """
    refuse_unless_finite("basis", delta_usd=delta_usd, years=years, spot=spot)
    refuse_negative_index("basis", underlying=underlying, expiry=expiry)
    return offset_charge(delta_usd, underlying, expiry, basis_rates(years, spot, policy))


def basis_rates(years: FloatArray, spot: FloatArray, policy: BasisPolicy) -> FloatArray:
    """Rate of each position, shape (p,): of its expiry, nothing of spot."""
    rate = np.minimum(policy.leg_frac + policy.annual_frac * np.maximum(years, 0.0), policy.cap_frac)
    return np.where(spot > 0, 0.0, rate)


def offset_charge(delta_usd: FloatArray, underlying: IntArray, expiry: IntArray, rate: FloatArray) -> FloatArray:
    """``basis`` with rates and indices that were prepared for a market; only the deltas are checked."""
    refuse_unless_finite("basis", delta_usd=delta_usd)
    return _offset(delta_usd, underlying, expiry, rate)


@compiled
def _offset(delta: FloatArray, underlying: IntArray, expiry: IntArray, rate: FloatArray) -> FloatArray:
    """Net by expiry, match by underlying, give out by signed delta."""
    n_expiries, n_underlyings = 0, 0
    for i in range(len(delta)):
        n_expiries = max(n_expiries, expiry[i] + 1)
        n_underlyings = max(n_underlyings, underlying[i] + 1)
    net, owner = np.zeros(n_expiries), np.zeros(n_expiries, np.int64)
    for i in range(len(delta)):
        net[expiry[i]] += delta[i]
        owner[expiry[i]] = underlying[i]
    long, short = np.zeros(n_underlyings), np.zeros(n_underlyings)
    for b in range(n_expiries):
        long[owner[b]] += max(net[b], 0.0)
        short[owner[b]] -= min(net[b], 0.0)
    out = np.zeros(len(delta))
    for i in range(len(delta)):
        u, b = underlying[i], expiry[i]
        matched = min(long[u], short[u])
        if net[b] > 0.0:
            out[i] = rate[i] * delta[i] * (matched / long[u])
        elif net[b] < 0.0:
            out[i] = -rate[i] * delta[i] * (matched / short[u])
    return out
