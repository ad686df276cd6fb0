"""What an account holds, has ordered, has posted and owes."""

from decimal import Decimal
from typing import Literal

import msgspec

from features.errors import AccountError
from serving.margin.objects.checks import finite, named, not_negative, positive, unique


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed number of contracts.

    ``entry_price``: mean price of entry; profit and loss since then counts in the
    equity. Without it the position has no unrealised profit or loss (settled to mark).
    ``mode``: ``cross`` shares the account's collateral; ``isolated`` stands on
    ``isolated_collateral`` (in USD) alone.
    """

    instrument: str
    quantity: Decimal
    entry_price: Decimal | None = None
    mode: Literal["cross", "isolated"] = "cross"
    isolated_collateral: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse quantities and prices that are none."""
        named(self.instrument, "a position's instrument", AccountError)
        finite(self.quantity, f"{self.instrument}: quantity", AccountError)
        if self.entry_price is not None:
            not_negative(self.entry_price, f"{self.instrument}: entry_price", AccountError)
        not_negative(self.isolated_collateral, f"{self.instrument}: isolated_collateral", AccountError)
        if self.mode == "cross" and self.isolated_collateral:
            raise AccountError(f"{self.instrument}: a cross position has isolated_collateral; say mode isolated")


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order that may fill: charged at the worst combination of fills."""

    instrument: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal

    def __post_init__(self) -> None:
        """Refuse sizes and prices that are none."""
        named(self.instrument, "an order's instrument", AccountError)
        positive(self.quantity, f"order in {self.instrument}: quantity", AccountError)
        not_negative(self.price, f"order in {self.instrument}: price", AccountError)


class Collateral(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An asset posted, in units of itself."""

    asset: str
    quantity: Decimal

    def __post_init__(self) -> None:
        """Refuse negative collateral: what is owed is a debt."""
        named(self.asset, "collateral's asset", AccountError)
        finite(self.quantity, f"collateral {self.asset}: quantity", AccountError)
        if self.quantity < 0:
            raise AccountError(f"collateral {self.asset}: quantity is {self.quantity}; give what is owed as a debt")


class Debt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An asset owed, in units of itself: never haircut, it counts whole."""

    asset: str
    quantity: Decimal

    def __post_init__(self) -> None:
        """Refuse a negative debt: it would be collateral without a haircut."""
        named(self.asset, "a debt's asset", AccountError)
        finite(self.quantity, f"debt {self.asset}: quantity", AccountError)
        if self.quantity < 0:
            raise AccountError(f"debt {self.asset}: quantity is {self.quantity}; give what is held as collateral")


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one margin requirement is computed for.

    Raises
    ------
    AccountError
        If a position, an asset of collateral or a debt is given twice.
    """

    account_id: str
    positions: tuple[Position, ...] = ()
    orders: tuple[OpenOrder, ...] = ()
    collateral: tuple[Collateral, ...] = ()
    debts: tuple[Debt, ...] = ()
    netting_set: str = "default"

    def __post_init__(self) -> None:
        """Refuse what is given twice."""
        named(self.account_id, "account_id", AccountError)
        named(self.netting_set, "netting_set", AccountError)
        unique(((p.instrument, p.mode) for p in self.positions), f"{self.account_id}: position", AccountError)
        unique((c.asset for c in self.collateral), f"{self.account_id}: collateral", AccountError)
        unique((d.asset for d in self.debts), f"{self.account_id}: debt", AccountError)
