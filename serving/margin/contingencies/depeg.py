"""Positions that settle in a stablecoin lose their hedge as it leaves its peg."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.contingencies.inputs import not_negative, refuse_out_of_range, refuse_unless_finite

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DepegPolicy:
    """When and how a fallen stablecoin raises margins; both numbers are Derive's portfolio margin.

    ``threshold``: price below which a coin counts as fallen.
    ``factor``: charge on the notional per dollar of the gap.

    Raises
    ------
    SettingError
        If the threshold is not within 0 and 1 or the factor negative.

    References
    ----------
    github.com/derivexyz/v2-core, PMRM: pegLossThreshold 0.98, pegLossFactor 2.
    """

    threshold: float = 0.98
    factor: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what would lower a margin."""
        refuse_out_of_range("depeg", threshold=0 < self.threshold <= 1, factor=not_negative(self.factor))


def depeg(notional_usd: FloatArray, coin_price: FloatArray, policy: DepegPolicy) -> FloatArray:
    r"""Charge of each position, shape (p,), none negative.

    .. math:: C_i = |N_i| \, f \, \max(0, \vartheta - p_i)

    Parameters
    ----------
    notional_usd : shape (p,).
    coin_price : USD per stablecoin that the position settles in, 1 for what settles in something else;
        0 where it is not known, which is the worst, shape (p,).
    policy : threshold and factor.

    Raises
    ------
    MarketError
        If a number is not finite or a price is negative.

    Examples
    --------
    >>> depeg(np.array([-1000.0, 1000.0]), np.array([0.93, 1.001]), DepegPolicy()).round(9)
    array([100.,   0.])
    """
    refuse_unless_finite("depeg", notional_usd=notional_usd, coin_price=coin_price)
    if (coin_price < 0).any():
        raise MarketError("depeg: the price of a stablecoin is negative; correct it, or leave it out as missing")
    return np.abs(notional_usd) * (policy.factor * np.maximum(policy.threshold - coin_price, 0.0))
