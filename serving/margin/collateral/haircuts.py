r"""Haircuts of assets: arrays in, every charge in USD out.

.. math::

   base &= q \, p \text{, of a stablecoin } q \min(p, 1) \\
   w &= 1 - \ell - f_d (\vartheta_d - p)^+ - f_w \, \omega \, \ell - f_c (\vartheta_c - c)^+
        - \ell \left(\sqrt{1 + (a - \bar a)^+ / h} - 1\right) - s \\
   counted &= \max_{x \le base} x \left(w - Y \sigma \sqrt{x / ADV}\right) \cdot \min(1, start / deposits)

with :math:`\ell` the forecast loss over the liquidation time h, :math:`\omega` the wrong-way share, a the age and c the
confidence of the price, s the half spread and :math:`\sigma = \ell \sqrt{day / h} / z`. The largest value
over what is sold keeps the value from falling as more is posted: what cannot be sold in time counts for nothing.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import MarketError
from serving.margin.collateral.policy import CollateralPolicy

FloatArray = NDArray[np.float64]
DAY_S: Final = 86_400.0
CHARGES: Final = (
    "above par", "market loss", "depeg", "wrong way", "confidence", "age of price", "liquidity", "deposits of all",
)  # fmt: skip


FINITE: Final = float(np.finfo(np.float64).max)
MOST: Final = {
    "quantity": FINITE,
    "price": FINITE,
    "stable": 1.0,
    "loss_frac": FINITE,
    "volume_usd": FINITE,
    "wrong_way": 1.0,
    "confidence": 1.0,
    "age_s": FINITE,
    "deposits_usd": FINITE,
    "scale_start_usd": math.inf,
}
LARGEST: Final = np.array([[most] for most in MOST.values()])


@dataclass(frozen=True, slots=True)
class Holdings:
    """Assets posted, one an entry of every array, shape (m,): many accounts' in one, where they are.

    ``quantity``: units, not negative. ``price``: USD. ``stable``: 1 for an asset with a peg to the dollar.
    ``loss_frac``: forecast tail loss over the liquidation time; 1 or more leaves nothing. ``volume_usd``: of a day.
    ``wrong_way``: share within 0 and 1. ``confidence``: of the price. ``age_s``: of the price.
    ``deposits_usd``: of everybody. ``scale_start_usd``: where scaling by deposits begins, infinite for never.
    """

    quantity: FloatArray
    price: FloatArray
    stable: FloatArray
    loss_frac: FloatArray
    volume_usd: FloatArray
    wrong_way: FloatArray
    confidence: FloatArray
    age_s: FloatArray
    deposits_usd: FloatArray
    scale_start_usd: FloatArray

    def __post_init__(self) -> None:
        """Refuse numbers that are none: each would vanish in a smallest or largest value."""
        table = np.array([getattr(self, name) for name in MOST])
        good = (table >= 0.0) & (table <= LARGEST)  # NaN is neither
        if not good.all():
            at = int(np.argmin(good.all(axis=1)))
            name, most = list(MOST.items())[at]
            raise MarketError(
                f"collateral: {name} is {table[at]}; give one finite number an asset, not negative, at most {most:g}"
            )
        if not (self.volume_usd.all() and self.scale_start_usd.all()):
            raise MarketError("collateral: a volume or a start of scaling is 0; leave it out as missing")


def haircuts(holdings: Holdings, horizon_s: float, policy: CollateralPolicy) -> tuple[FloatArray, FloatArray]:
    """Counted value and charges of each holding.

    Parameters
    ----------
    holdings : assets, one an entry.
    horizon_s : liquidation time over which ``loss_frac`` is forecast.
    policy : factors and thresholds.

    Returns
    -------
    counted : USD, shape (m,), not negative.
    charges : USD, shape (m, 8), in the order of ``CHARGES``; value less charges is counted.

    Raises
    ------
    MarketError
        If the horizon is not above 0.

    Examples
    --------
    >>> one, none = np.ones(1), np.zeros(1)
    >>> held = Holdings(one, 100 * one, none, 0.1 * one, 1e12 * one, none, one, none, none, one * np.inf)
    >>> counted, charges = haircuts(held, 3600.0, CollateralPolicy())
    >>> counted.round(4), dict(zip(CHARGES, charges[0].round(4), strict=True))["market loss"]
    (array([89.8998]), np.float64(10.0))
    """
    if not 0 < horizon_s < math.inf:
        raise MarketError(f"collateral: horizon_s is {horizon_s}; give the seconds that liquidation takes")
    factors = (
        policy.depeg_threshold, policy.depeg_factor, policy.wrong_way_factor, policy.confidence_threshold,
        policy.confidence_factor, policy.age_limit_s, policy.half_spread_frac,
        policy.impact * math.sqrt(DAY_S / horizon_s) / policy.impact_z, horizon_s,
    )  # fmt: skip
    h = holdings
    charges = _charges(
        h.quantity, h.price, h.stable, h.loss_frac, h.volume_usd, h.wrong_way, h.confidence, h.age_s,
        h.deposits_usd, h.scale_start_usd, factors,
    )  # fmt: skip
    return charges[:, 8], charges[:, :8]


@compiled
def _sellable(base: float, weight: float, impact: float, volume: float) -> float:
    """Most that a sale of up to so much brings in, of which impact takes its part; all in USD."""
    if weight <= 0.0:
        return 0.0
    if 1.5 * impact * math.sqrt(base / volume) <= weight:
        return base * (weight - impact * math.sqrt(base / volume))
    best = (2.0 * weight / (3.0 * impact)) ** 2 * volume
    return best * weight / 3.0


@compiled
def _charges(
    quantity: FloatArray,
    price: FloatArray,
    stable: FloatArray,
    loss: FloatArray,
    volume: FloatArray,
    wrong_way: FloatArray,
    confidence: FloatArray,
    age: FloatArray,
    deposits: FloatArray,
    start: FloatArray,
    factors: tuple[float, float, float, float, float, float, float, float, float],
) -> FloatArray:
    """Charges one after another, each at most what the ones before have left; the last column is what counts."""
    peg, peg_factor, wrong_factor, trust, trust_factor, fresh_s, spread, impact, horizon_s = factors
    out = np.zeros((len(quantity), 9))
    shares = np.zeros(5)
    for i in range(len(quantity)):
        value = quantity[i] * price[i]
        pegged = stable[i] > 0.0
        base = quantity[i] * min(price[i], 1.0) if pegged else value
        out[i, 0] = value - base
        shares[0] = loss[i]
        shares[1] = peg_factor * max(peg - price[i], 0.0) if pegged else 0.0
        shares[2] = wrong_factor * wrong_way[i] * loss[i]
        shares[3] = trust_factor * max(trust - confidence[i], 0.0)
        shares[4] = loss[i] * (math.sqrt(1.0 + max(age[i] - fresh_s, 0.0) / horizon_s) - 1.0)
        weight = 1.0
        for k in range(5):
            share = min(shares[k], weight)
            out[i, k + 1] = base * share
            weight -= share
        sold = _sellable(base, weight - spread, impact * loss[i], volume[i])
        out[i, 6] = base * weight - sold
        scale = 1.0 if deposits[i] <= start[i] else start[i] / deposits[i]
        out[i, 7] = sold - sold * scale
        out[i, 8] = sold * scale
    return out
