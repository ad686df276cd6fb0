"""Drift v2: weights and ratios that worsen with the square root of the size, in the programme's integers.

Weights and ratios are parts of 10^4, the factor of the square root parts of 10^6, sizes
billionths of a unit, money millionths of a USDC. Divisions round down, as on chain.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from math import isqrt
from typing import Final

import msgspec

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.rules.exposure import Exposure, Pair, charge, exposures, terms

NAME = "drift"
WEIGHT: Final = 10_000
IMF: Final = 1_000_000
SIZE: Final = 1_000_000_000
MONEY: Final = 1_000_000
ROOT: Final = 100_000  # of ten billionths
WIDE: Final = Context(prec=80)


class PerpMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin ratios of a perpetual market, parts of 10^4, and the factor of the square root, parts of 10^6.

    Raises
    ------
    SettingError
        If a number is negative, a ratio above one or maintenance exceeds initial.
    """

    margin_ratio_initial: int
    margin_ratio_maintenance: int
    imf_factor: int = 0

    def __post_init__(self) -> None:
        """Refuse ratios that are none."""
        if not 0 <= self.margin_ratio_maintenance <= self.margin_ratio_initial <= WEIGHT or self.imf_factor < 0:
            raise SettingError(
                f"{NAME}: margin ratios {self.margin_ratio_initial} and {self.margin_ratio_maintenance} must lie "
                f"within 0 and {WEIGHT}, maintenance not above initial, and imf_factor must not be negative"
            )


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Perpetual markets by symbol or underlying."""

    source: str = ""
    markets: dict[str, PerpMarket] = {}
    default: PerpMarket | None = None


def liability_weight(size: int, imf_factor: int, weight: int) -> int:
    r"""Weight of a liability, or margin ratio of a perpetual, that rises with its size.

    .. math:: w(q) = \max\left(w, \tfrac{4}{5} w + f \sqrt{q}\right)

    Parameters
    ----------
    size : billionths of a unit.
    imf_factor : f, parts of 10^6.
    weight : w, parts of 10^4.

    References
    ----------
    drift-labs/protocol-v2, ``math/margin.rs``, ``calculate_size_premium_liability_weight``.

    Examples
    --------
    >>> liability_weight(2_500 * SIZE, 10_000, 11_000)
    13800
    """
    if imf_factor == 0:
        return weight
    premium = isqrt(10 * size + 1) * imf_factor // (ROOT * IMF // WEIGHT)
    return max(weight, weight - weight // 5 + premium)


def asset_weight(size: int, imf_factor: int, weight: int) -> int:
    r"""Weight of an asset as collateral, that falls with its size.

    .. math:: w(q) = \min\left(w, \frac{1.1}{1 + f \sqrt{q}}\right)

    Parameters as of :func:`liability_weight`.

    References
    ----------
    drift-labs/protocol-v2, ``math/margin.rs``, ``calculate_size_discount_asset_weight``.

    Examples
    --------
    >>> asset_weight(2_500 * SIZE, 10_000, 9_000)
    7333
    """
    if imf_factor == 0:
        return weight
    discount = (IMF + IMF // 10) * WEIGHT // (IMF + isqrt(10 * size + 1) * imf_factor // ROOT)
    return min(weight, discount)


def scaled_initial_weight(weight: int, start_usd: Decimal, price: Decimal, deposits: Decimal) -> int:
    r"""Initial asset weight, scaled down once all deposits of the asset are worth more than a threshold.

    .. math:: w' = w \frac{S}{\max(S, D P)}

    Parameters
    ----------
    weight : w, parts of 10^4.
    start_usd : S; 0 switches the scaling off.
    price, deposits : P, D, in US dollars and units of the asset.

    References
    ----------
    drift-labs/protocol-v2, ``state/spot_market.rs``, ``get_scaled_initial_asset_weight``.

    Examples
    --------
    >>> scaled_initial_weight(8_000, Decimal(1_000_000), Decimal(50), Decimal(32_000))
    5000
    """
    start, value = int(start_usd * MONEY), int((deposits * price * MONEY).to_integral_value(ROUND_FLOOR))
    return weight if start == 0 or value < start else weight * start // value


def perp_margin(size: int, price: int, market: PerpMarket) -> tuple[int, int]:
    """Initial and maintenance margin of an absolute size at a price in millionths, in millionths of a USDC.

    Examples
    --------
    >>> perp_margin(10 * SIZE, 100 * MONEY, PerpMarket(margin_ratio_initial=1_000, margin_ratio_maintenance=500))
    (100000000, 50000000)
    """
    value = size * price // SIZE
    high, low = (
        value * liability_weight(size, market.imf_factor, ratio) // WEIGHT
        for ratio in (market.margin_ratio_initial, market.margin_ratio_maintenance)
    )
    return high, low


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Margin of each linear perpetual and future at the index, or the mark where no index is quoted.

    Sizes and prices are taken up to the programme's units. Beyond about :math:`(w / 5f)^2` units the ratio
    rises with the size, so that two positions may cost less than their sum in one.
    """

    def requirement(row: Exposure) -> Pair:
        perp = terms(parameters.markets, row.instrument, NAME, parameters.default)
        price = row.quote.index or row.quote.mark
        high, low = perp_margin(_integer(row.units, SIZE), _integer(price, MONEY), perp)
        return Fraction(high, MONEY), Fraction(low, MONEY)

    return charge("square-root ratio", exposures(account, market, NAME), requirement)


def _integer(amount: Decimal, unit: int) -> int:
    return int(WIDE.multiply(amount, Decimal(unit)).to_integral_value(ROUND_CEILING))
