"""Binance USD-M futures: leverage brackets with maintenance amounts."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from features.errors import SettingError
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
        checked(NAME, self.markets, self.default, self.leverage)


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

    Raises
    ------
    SettingError
        If a bracket lacks one of them or it is no number.

    Examples
    --------
    >>> row = {"notionalFloor": 0, "maintMarginRatio": 0.004, "initialLeverage": 125, "cum": 0.0}
    >>> table_of([row])[0].rate
    Decimal('0.004')
    """
    names = {"floor": "notionalFloor", "max_leverage": "initialLeverage", "rate": "maintMarginRatio"}
    names["deduction"] = "cum"
    try:
        rows = [{field: Decimal(str(row.get("info", row)[name])) for field, name in names.items()} for row in brackets]
    except (KeyError, InvalidOperation) as error:
        raise SettingError(
            f"{NAME}: a bracket lacks {error} or it is no number; it needs {list(names.values())}"
        ) from error
    return tuple(Tier(**row) for row in rows)
