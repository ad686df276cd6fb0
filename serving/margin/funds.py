"""What an account has to cover its requirement with."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from serving.margin.holdings import Book
from serving.margin.money import down
from serving.margin.objects import Account
from serving.margin.objects.result import CollateralLine
from serving.margin.prepared import Prepared
from serving.margin.scan_charges import Scanned


@dataclass(frozen=True, slots=True)
class Funds:
    """Equity, USD, rounded down, and the lines that it is made of."""

    equity: Decimal
    lines: tuple[CollateralLine, ...]
    notes: tuple[str, ...]


def funds_of(account: Account, book: Book, scanned: Scanned | None, prepared: Prepared) -> Funds:
    value = sum(float(c.quantity) * prepared.market.asset_usd(c.asset) for c in account.collateral)
    value -= sum(float(c.quantity) * prepared.market.asset_usd(c.asset) for c in account.debts)
    return Funds(down(value + float(np.add.reduce(book.unrealised)), "equity"), (), ())
