"""Binance USD-M futures: leverage brackets with maintenance amounts."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.rules.tiers import Table, Tier, checked, tiered

NAME = "binance"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Brackets by symbol or underlying, in the currency of settlement; the account's leverage, if it chose one.

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
        checked(NAME, self.markets | ({"default": self.default} if self.default else {}), self.leverage)


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    r"""Leverage-bracket margin of each linear perpetual and future.

    .. math:: MM = n \, r_i - c_i, \qquad IM = n / \min(L, L_i)

    with c the cumulative maintenance amount of the bracket. Maintenance is continuous and convex in the size.

    References
    ----------
    Binance, "Leverage and margin of USD-M futures"; "How to calculate liquidation price of USD-M futures contracts".
    """
    return tiered(NAME, account, market, parameters.markets, parameters.default, parameters.leverage)


def table_of(brackets: Sequence[Mapping[str, Any]]) -> Table:
    """Table of tiers from a list of brackets as the venue's interface and ccxt's leverage tiers give it.

    Parameters
    ----------
    brackets : each with ``notionalFloor``, ``maintMarginRatio``, ``initialLeverage`` and ``cum``, or holding
        them under ``info``. Floats are read as they print.

    Examples
    --------
    >>> row = {"notionalFloor": 0, "maintMarginRatio": 0.004, "initialLeverage": 125, "cum": 0.0}
    >>> table_of([row])[0].rate
    Decimal('0.004')
    """
    rows = [row.get("info", row) for row in brackets]
    names = {"floor": "notionalFloor", "max_leverage": "initialLeverage", "rate": "maintMarginRatio"}
    names["deduction"] = "cum"
    return tuple(Tier(**{field: Decimal(str(row[name])) for field, name in names.items()}) for row in rows)
