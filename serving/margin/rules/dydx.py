"""dYdX v4: margin in integers, initial margin scaled up as the market's open interest nears its cap.

Amounts are quote quantums, millionths of a USDC; rates are parts per million. The chain's
integers have no bound, so that no position overflows; neither do Python's.
"""

from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

import msgspec

from features.errors import MarketError, SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.rules.exposure import Exposure, Pair, charge, exposures, terms

NAME = "dydx"
MILLION: Final = 1_000_000
QUOTE_RESOLUTION: Final = -6
WIDE: Final = Context(prec=80)


class LiquidityTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of a group of markets; caps of open interest in quote quantums, an upper cap of 0 switches scaling off.

    Raises
    ------
    SettingError
        If a rate lies outside 0 and one million or the lower cap above the upper.
    """

    initial_margin_ppm: int
    maintenance_fraction_ppm: int
    open_interest_lower_cap: int = 0
    open_interest_upper_cap: int = 0

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for field in ("initial_margin_ppm", "maintenance_fraction_ppm"):
            if not 0 <= getattr(self, field) <= MILLION:
                raise SettingError(f"{NAME}: {field} is {getattr(self, field)}; it must lie within 0 and {MILLION}")
        if not 0 <= self.open_interest_lower_cap <= self.open_interest_upper_cap:
            raise SettingError(f"{NAME}: open_interest_lower_cap must lie within 0 and open_interest_upper_cap")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Liquidity tiers by symbol or underlying."""

    source: str = ""
    markets: dict[str, LiquidityTier]
    default: LiquidityTier | None = None


def adjusted_initial_ppm(tier: LiquidityTier, open_interest: int) -> int:
    r"""Effective initial rate, rounded down to a part per million.

    .. math:: r = b + \left\lfloor (10^6 - b) \frac{OI - l}{u - l} \right\rfloor, \qquad b \le r \le 10^6

    References
    ----------
    dYdX v4-chain, ``x/perpetuals/types/liquidity_tier.go``.

    Examples
    --------
    >>> tier = LiquidityTier(initial_margin_ppm=100_000, maintenance_fraction_ppm=500_000,
    ...                      open_interest_lower_cap=10, open_interest_upper_cap=20)
    >>> [adjusted_initial_ppm(tier, oi) for oi in (10, 15, 99)]
    [100000, 550000, 1000000]
    """
    base, low, high = tier.initial_margin_ppm, tier.open_interest_lower_cap, tier.open_interest_upper_cap
    if high == 0 or open_interest <= low:
        return base
    if open_interest >= high:
        return MILLION
    return base + (MILLION - base) * (open_interest - low) // (high - low)


def maintenance_ppm(tier: LiquidityTier) -> int:
    """Maintenance rate: the base initial rate times the maintenance fraction, rounded down (for display and funding).

    Examples
    --------
    >>> maintenance_ppm(LiquidityTier(initial_margin_ppm=450_000, maintenance_fraction_ppm=770_000))
    346500
    """
    return tier.initial_margin_ppm * tier.maintenance_fraction_ppm // MILLION


def initial_margin(tier: LiquidityTier, notional: int, open_interest: int) -> int:
    """Initial margin of an absolute notional, quote quantums, rounded up.

    Examples
    --------
    >>> initial_margin(LiquidityTier(initial_margin_ppm=100_000, maintenance_fraction_ppm=500_000), 11, 0)
    2
    """
    return _up(notional * adjusted_initial_ppm(tier, open_interest))


def maintenance_margin(tier: LiquidityTier, notional: int) -> int:
    r"""Maintenance margin of an absolute notional; the scaling by open interest does not touch it.

    .. math:: MMR = \lceil \lceil N b \rceil f \rceil
    """
    return _up(_up(notional * tier.initial_margin_ppm) * tier.maintenance_fraction_ppm)


def quote_quantums(base_quantums: int, price: int, exponent: int, atomic_resolution: int) -> int:
    r"""Value of a signed amount in quote quantums, rounded towards zero.

    .. math:: V = Q \, p \, 10^{e + a - a_{quote}}

    Examples
    --------
    >>> quote_quantums(-1_000_000_000_000, 123_456_789_123, -5, -16)
    -123456789
    """
    value = Fraction(base_quantums * price) * Fraction(10) ** (exponent + atomic_resolution - QUOTE_RESOLUTION)
    return floor(value) if value >= 0 else ceil(value)


def liquidatable(net_collateral: int, maintenance: int) -> bool:
    """Whether an account is liquidated: something is required, and it is more than there is."""
    return maintenance > 0 and maintenance > net_collateral


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Margin of each linear perpetual and future.

    Raises
    ------
    MarketError
        If initial margin is scaled by open interest and the quote has none.
    """

    def requirement(row: Exposure) -> Pair:
        tier = terms(parameters.markets, row.instrument, NAME, parameters.default)
        notional = _quantums(row.notional)
        initial = initial_margin(tier, notional, _open_interest(row, tier))
        return Fraction(initial, MILLION), Fraction(maintenance_margin(tier, notional), MILLION)

    return charge("open-interest scaled", exposures(account, market, NAME), requirement)


def _open_interest(row: Exposure, tier: LiquidityTier) -> int:
    contracts = row.quote.open_interest
    if contracts is None:
        if tier.open_interest_upper_cap:
            raise MarketError(
                f"{NAME}: {row.instrument.symbol} has no open_interest in its quote; add it, in contracts"
            )
        return 0
    return _quantums(contracts * row.instrument.multiplier * row.quote.mark)


def _quantums(amount: Decimal) -> int:
    return int(WIDE.multiply(amount, Decimal(MILLION)).to_integral_value(ROUND_CEILING))


def _up(parts: int) -> int:
    return -(-parts // MILLION)
