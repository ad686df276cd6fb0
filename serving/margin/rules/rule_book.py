"""What a rule book is: a name, what it says of itself, its parameters and its charges."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot

Charges = Callable[[Account, MarketSnapshot, Any], tuple[Charge, ...]]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """A venue's published rule.

    ``charges``: (account, market, parameters) -> charges, one row a position in the account's order.
    ``parameters``: type of the parameters; ``published``: makes those that the venue publishes.
    ``orders``: whether it charges open orders itself; else they are charged at their worst fills.
    ``haircuts``: whether its charges hold those of the collateral.
    """

    title: str
    charges: Charges
    parameters: type
    published: Callable[[], Any]
    orders: bool
    haircuts: bool = False
