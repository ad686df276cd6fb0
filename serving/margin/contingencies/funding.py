"""What perpetuals may pay in funding before an account is closed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.margin.contingencies.inputs import not_negative, refuse_out_of_range, refuse_unless_finite

FloatArray = NDArray[np.float64]
PERIOD_S = 28_800.0


@dataclass(frozen=True, slots=True)
class FundingPolicy:
    """How funding is stressed.

    ``multiplier``: on a rate that is against the position; 2, since the rate of the next period may be
    far from the last (judgement; Paradex provides for 8 hours of funding as it stands).
    ``least_rate_8h``: charged even where the rate is nothing or for the position: 0.0001 is the interest
    component of 0.01 % per 8 hours that rates return to (Binance).
    ``missing_rate_8h``: against the position where no rate is known; 3 %, the cap that Binance
    announced for a contract in extreme demand (OGNUSDT, 1 October 2023).
    ``horizon_s``: over which funding is provided for.

    Raises
    ------
    SettingError
        If a number is out of its range.

    References
    ----------
    https://docs.paradex.trade/risk/portfolio-margin: "8h funding provision".
    """

    multiplier: float = 2.0
    least_rate_8h: float = 0.0001
    missing_rate_8h: float = 0.03
    horizon_s: float = PERIOD_S

    def __post_init__(self) -> None:
        """Refuse what would lower a margin."""
        refuse_out_of_range(
            "funding",
            multiplier=1 <= self.multiplier < float("inf"),
            least_rate_8h=not_negative(self.least_rate_8h),
            missing_rate_8h=not_negative(self.missing_rate_8h),
            horizon_s=0 < self.horizon_s < float("inf"),
        )


def funding(
    notional_usd: FloatArray, rate_8h: FloatArray, policy: FundingPolicy, missing: NDArray[np.bool_] | None = None
) -> FloatArray:
    r"""Charge of each position, shape (p,); never a credit, and no netting between positions.

    .. math:: C_i = |N_i| \, \max(m \, \operatorname{sign}(N_i) \, r_i, \; r_0) \, \frac{h}{8 \text{ hours}}

    Parameters
    ----------
    notional_usd : of each perpetual, signed, 0 for what pays no funding, shape (p,).
    rate_8h : paid by the long per 8 hours, fraction of notional, shape (p,).
    policy : stress.
    missing : where no rate is known, shape (p,); the rate given there is not read.

    Raises
    ------
    MarketError
        If a number is not finite.

    Examples
    --------
    >>> funding(np.array([1e6, -1e6]), np.array([0.0003, 0.0003]), FundingPolicy())
    array([600., 100.])
    """
    against = np.sign(notional_usd) * rate_8h
    if missing is not None:
        against = np.where(missing, policy.missing_rate_8h, against)
    refuse_unless_finite("funding", notional_usd=notional_usd, rate_8h=against)
    stressed = np.maximum(policy.multiplier * against, policy.least_rate_8h)
    return np.abs(notional_usd) * stressed * (policy.horizon_s / PERIOD_S)
