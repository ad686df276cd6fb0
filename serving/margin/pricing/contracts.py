r"""Profit of one contract between two prices, in the asset that it settles in and in USD.

Signed quantity q in contracts, multiplier m (linear: units of the underlying per contract; inverse: USD per contract),
price before and after, :math:`P_0` and :math:`P_1`, in USD. Gains are positive.

What coin settlement changes for an option. Deribit's coin options pay :math:`\max(S - K, 0) / S` coin, which is worth
:math:`\max(S - K, 0)` USD at delivery: **the USD value of the option is the plain Black value**, before and after a
shock. Its quote in coin is that value over the price of the coin. What is different is the account: premiums, profits
and margin sit in a *balance of coin*, whose USD value moves with the shock, so that for a balance B and options worth V

.. math:: \text{equity}_1 - \text{equity}_0 = B\,(S_1 - S_0) + q\,m\,(V_1 - V_0)

and the first term is charged with the collateral, not with the option.

References
----------
Deribit, "Inverse options: contract specifications" and "Linear and inverse futures"; BitMEX (2016), "Inverse perpetual
contracts"; Alexander, Chen & Imeraj (2023), "Crypto quanto and inverse options", Mathematical Finance 33.
"""

import numpy as np
from numpy.typing import ArrayLike

from features.measures.window import FloatArray
from serving.margin.pricing.checks import LARGEST, POSITIVE, refuse

FUNDING_PERIOD_S = 8 * 3600


def _array(name: str, values: ArrayLike, low: float = -LARGEST) -> FloatArray:
    """Checked doubles."""
    array = np.asarray(values, np.float64)
    remedy = "give a finite number" if low < 0 else "give a price above 0" if low > 0 else "give a price of 0 or more"
    refuse(name, array, low, LARGEST, remedy)
    return array


def linear_pnl(quantity: ArrayLike, multiplier: ArrayLike, before: ArrayLike, after: ArrayLike) -> FloatArray:
    r"""Profit of a linear future or perpetual, in its settlement currency.

    .. math:: q\,m\,(P_1 - P_0)

    Parameters
    ----------
    quantity, multiplier, before, after : arrays that broadcast
        Contracts, units of the underlying per contract, prices of 0 or more.

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> float(linear_pnl(-3, 0.125, 60_000.0, 54_000.0))
    2250.0
    """
    size = _array("quantity", quantity) * _array("multiplier", multiplier)
    profit: FloatArray = size * (_array("after", after, 0.0) - _array("before", before, 0.0))
    return profit


def inverse_pnl_coin(quantity: ArrayLike, multiplier: ArrayLike, before: ArrayLike, after: ArrayLike) -> FloatArray:
    r"""Profit of a coin-settled future or perpetual, in coin.

    .. math:: q\,m\,\Bigl(\frac1{P_0} - \frac1{P_1}\Bigr)

    Parameters
    ----------
    quantity, multiplier, before, after : arrays that broadcast
        Contracts, USD per contract, prices above 0: at 0 a long position owes infinitely many coins.

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> float(inverse_pnl_coin(100, 10.0, 50_000.0, 40_000.0).round(6))
    -0.005
    """
    usd = _array("quantity", quantity) * _array("multiplier", multiplier)
    start, end = _array("before", before, POSITIVE), _array("after", after, POSITIVE)
    profit: FloatArray = usd * ((end - start) / start) / end
    return profit


def inverse_pnl_usd(
    quantity: ArrayLike, multiplier: ArrayLike, before: ArrayLike, after: ArrayLike, basis: ArrayLike = 1.0
) -> FloatArray:
    r"""Worth in USD, at the price after the move, of what `inverse_pnl_coin` gives.

    .. math:: q\,m\,\Bigl(\frac{P_1}{P_0} - 1\Bigr)\,\frac{S_1}{P_1}

    Linear in the price after, so it is finite at 0 too, though the coins are not: a long position loses its notional.

    Parameters
    ----------
    quantity, multiplier, before, after : arrays that broadcast
        Contracts, USD per contract, price above 0, price of 0 or more.
    basis : array that broadcasts
        Price of the coin over the price of the contract after the move, :math:`S_1 / P_1`; 1 for a perpetual at its
        index.

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> inverse_pnl_usd(100, 10.0, 50_000.0, [40_000.0, 0.0])
    array([ -200., -1000.])
    """
    usd = _array("quantity", quantity) * _array("multiplier", multiplier)
    start, end = _array("before", before, POSITIVE), _array("after", after, 0.0)
    profit: FloatArray = usd * ((end - start) / start) * _array("basis", basis, POSITIVE)
    return profit


def option_pnl_coin(
    quantity: ArrayLike, multiplier: ArrayLike, value_before: ArrayLike, value_after: ArrayLike,
    before: ArrayLike, after: ArrayLike,
) -> FloatArray:  # fmt: skip
    r"""Change of a coin option's value, in coin; in USD it is `linear_pnl` of the Black values.

    .. math:: q\,m\,\Bigl(\frac{V_1}{S_1} - \frac{V_0}{S_0}\Bigr)

    Parameters
    ----------
    quantity, multiplier : arrays that broadcast
        Contracts, coins per contract.
    value_before, value_after : arrays that broadcast
        Black values in USD per coin.
    before, after : arrays that broadcast
        Prices of the coin in USD, above 0.

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> float(option_pnl_coin(-2, 1.0, 1_500.0, 6_000.0, 50_000.0, 60_000.0).round(6))
    -0.14
    """
    size = _array("quantity", quantity) * _array("multiplier", multiplier)
    first = _array("value_before", value_before, 0.0) / _array("before", before, POSITIVE)
    second = _array("value_after", value_after, 0.0) / _array("after", after, POSITIVE)
    profit: FloatArray = size * (second - first)
    return profit


def funding_pnl(
    quantity: ArrayLike, multiplier: ArrayLike, mark: ArrayLike, rate_8h: ArrayLike, horizon_s: ArrayLike
) -> FloatArray:
    r"""Expected funding of a linear perpetual over a horizon; longs pay where the rate is positive.

    .. math:: -q\,m\,P\,r\,\frac{h}{8\,\text{h}}

    An inverse perpetual pays :math:`q\,m\,r\,h / 8` in USD: give mark 1.

    Parameters
    ----------
    quantity, multiplier, mark, rate_8h, horizon_s : arrays that broadcast
        Contracts, units per contract, price, funding rate per 8 hours as a fraction, seconds (0 or more).

    Raises
    ------
    PriceError
        If a number is NaN, infinite or out of range.

    Examples
    --------
    >>> float(funding_pnl(2, 1.0, 50_000.0, 0.0001, 24 * 3600))
    -30.0
    """
    size = _array("quantity", quantity) * _array("multiplier", multiplier) * _array("mark", mark, 0.0)
    horizon = np.asarray(horizon_s, np.float64)
    refuse("horizon_s", horizon, 0.0, LARGEST, "give seconds, 0 or more")
    profit: FloatArray = -size * _array("rate_8h", rate_8h) * (horizon / FUNDING_PERIOD_S)
    return profit
