"""Bybit perpetuals: risk-limit tiers with maintenance deductions."""

from decimal import Decimal
from typing import Literal

import msgspec

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction, positive
from serving.margin.rules.tiers import Table, checked, tiered

NAME = "bybit"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tiers by symbol or underlying, in the currency of settlement; the account's leverage, if it chose one.

    Raises
    ------
    SettingError
        If a table contradicts itself or the leverage is below 1.
    """

    source: str = ""
    markets: dict[str, Table]
    default: Table | None = None
    leverage: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse tables that contradict themselves."""
        checked(NAME, self.markets, self.default, self.leverage)


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    r"""Tiered margin of each linear perpetual and future, by position value at the mark.

    .. math:: MM = n \, r_i - d_i, \qquad d_i = l_i (r_i - r_{i-1}) + d_{i-1}, \qquad IM = n / \min(L, L_i)

    References
    ----------
    Bybit, "Margin parameters"; "Maintenance margin (USDT contract)".
    """
    return tiered(NAME, account, market, parameters.markets, parameters.default, parameters.leverage)


def isolated_liquidation_price(
    entry: Decimal, side: Literal["long", "short"], leverage: Decimal, maintenance_rate: Decimal
) -> Decimal:
    r"""Liquidation price of an isolated position whose margins are those of the value at entry.

    .. math:: P = P_0 \left(1 \mp \left(\tfrac{1}{L} - r\right)\right)

    Raises
    ------
    SettingError
        If the price or the leverage is not positive or the rate lies outside 0 and 1.

    References
    ----------
    Bybit, "Liquidation price (USDT contract)", isolated margin without margin added.

    Examples
    --------
    >>> isolated_liquidation_price(Decimal(20_000), "long", Decimal(20), Decimal("0.005"))
    Decimal('19100.000')
    """
    positive(entry, f"{NAME}: entry", SettingError)
    positive(leverage, f"{NAME}: leverage", SettingError)
    fraction(float(maintenance_rate), f"{NAME}: maintenance_rate", SettingError)
    move = entry / leverage - entry * maintenance_rate
    return entry - move if side == "long" else entry + move
