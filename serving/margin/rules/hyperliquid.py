"""Hyperliquid perpetuals: margin tiers, maintenance half of the initial margin at the highest leverage."""

from decimal import Decimal

import msgspec

from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.rules.tiers import Table, checked, tiered

NAME = "hyperliquid"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tiers (floor and highest leverage) by symbol or underlying, in USDC; the account's leverage, if it chose one.

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
    r"""Tiered margin of each linear perpetual.

    .. math:: MM = n \, r_i - d_i, \qquad r_i = \frac{1}{2 L_i}, \qquad d_i = d_{i-1} + l_i (r_i - r_{i-1}),
              \qquad IM = n / \min(L, L_i)

    References
    ----------
    Hyperliquid documentation, "Margin tiers", "Margining".
    """
    return tiered(NAME, account, market, parameters.markets, parameters.default, parameters.leverage)
