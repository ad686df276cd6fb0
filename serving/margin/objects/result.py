"""The answer: what an account must hold, and why, to the cent."""

from decimal import Decimal

import msgspec


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One named part of the requirement, USD; the parts add up to it."""

    name: str
    initial: Decimal
    maintenance: Decimal


class PositionMargin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one position adds to the requirement, USD, in all and by component; negative where it hedges.

    ``quantity``: held, or ordered where ``mode`` is ``order``.
    """

    instrument: str
    mode: str
    quantity: Decimal
    initial: Decimal
    maintenance: Decimal
    components: dict[str, Decimal]


class CollateralLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One asset posted or owed: its value in USD and what counts of it."""

    asset: str
    value: Decimal
    counted: Decimal
    charges: dict[str, Decimal] = {}


class Levels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Four levels of equity, rising; below ``call`` the account must bring it back to ``initial``."""

    maintenance: Decimal
    call: Decimal
    initial: Decimal
    release: Decimal
    equity: Decimal
    top_up: Decimal
    excess: Decimal
    state: str


class MarginResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requirement of one account under one rule.

    ``components`` add up to the requirement, and so do ``positions``, to the cent,
    for both margins. ``notes``: every fallback and conservative reading, with its
    reason. ``hashes``: SHA-256 of the canonical inputs.
    """

    account_id: str
    rule: str
    as_of_ns: int
    initial: Decimal
    maintenance: Decimal
    levels: Levels
    components: tuple[Component, ...]
    positions: tuple[PositionMargin, ...]
    collateral: tuple[CollateralLine, ...]
    worst_scenario: str
    isolated: tuple["MarginResult", ...] = ()
    notes: tuple[str, ...] = ()
    hashes: dict[str, str] = {}

    @property
    def whole(self) -> tuple[Decimal, Decimal]:
        """Initial and maintenance margin with those of the isolated positions."""
        every = (self, *self.isolated)
        return sum((r.initial for r in every), Decimal(0)), sum((r.maintenance for r in every), Decimal(0))
