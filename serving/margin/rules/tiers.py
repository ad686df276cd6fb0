"""Tables of leverage tiers, as Binance, Bybit and Hyperliquid publish them."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import msgspec

from features.errors import SettingError
from serving.margin.brackets import Brackets, from_leverages, from_rates
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import not_negative, positive
from serving.margin.rules.exposure import Exposure, Pair, at_least_one, charge, exposures, terms


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier: from which notional on, the highest leverage there and the maintenance rate.

    Without a rate it is half the initial margin at the highest leverage. Without a deduction it is
    the one that joins the tiers.
    """

    floor: Decimal
    max_leverage: Decimal
    rate: Decimal | None = None
    deduction: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        not_negative(self.floor, "tier: floor", SettingError)
        positive(self.max_leverage, "tier: max_leverage", SettingError)
        for field in ("rate", "deduction"):
            if getattr(self, field) is not None:
                not_negative(getattr(self, field), f"tier: {field}", SettingError)


Table = tuple[Tier, ...]


@lru_cache(maxsize=4096)
def brackets_of(table: Table) -> Brackets:
    """Brackets of a table of tiers; published deductions are taken as they are.

    Raises
    ------
    SettingError
        If only some tiers have a rate or a deduction, or the tiers contradict each other.

    Examples
    --------
    >>> brackets_of((Tier(floor=0, max_leverage=10), Tier(floor=3_000_000, max_leverage=5))).margin(4_000_000)
    Fraction(250000, 1)
    """
    floors, rates = [tier.floor for tier in table], [tier.rate for tier in table if tier.rate is not None]
    deductions = [Fraction(tier.deduction) for tier in table if tier.deduction is not None]
    if len(rates) not in (0, len(table)) or len(deductions) not in (0, len(table)):
        raise SettingError("a table of tiers has rates or deductions in some tiers only; give them in all or in none")
    joined = from_rates(floors, rates) if rates else from_leverages(floors, [tier.max_leverage for tier in table])
    return Brackets(joined.floors, joined.rates, tuple(deductions)) if deductions else joined


def jumping(
    tables: Mapping[str, Table], tolerance: Fraction = Fraction(0)
) -> dict[str, tuple[tuple[Fraction, Fraction], ...]]:
    """Tables whose maintenance is not continuous: edge and rise of each jump beyond a tolerance.

    Examples
    --------
    >>> tiers = [(0, "0.01", 0), (100, "0.02", 1), (200, "0.03", 4)]
    >>> table = tuple(Tier(floor=f, max_leverage=1, rate=Decimal(r), deduction=d) for f, r, d in tiers)
    >>> jumping({"X": table})
    {'X': ((Fraction(200, 1), Fraction(-1, 1)),)}
    """
    found = {name: brackets_of(table).jumps() for name, table in tables.items()}
    beyond = {name: tuple(jump for jump in jumps if abs(jump[1]) > tolerance) for name, jumps in found.items()}
    return {name: jumps for name, jumps in beyond.items() if jumps}


def initial_margin(notional: Decimal, table: Table, leverage: Decimal | None = None) -> Fraction:
    r"""Initial margin at the leverage chosen, at most the highest that the tier allows.

    .. math:: IM = \frac{n}{\min(L, L_i)} \quad \text{for } l_i < n \le l_{i+1}

    It jumps where a tier begins, unlike maintenance: the leverage is that of the whole position.

    Examples
    --------
    >>> btc = Tier(floor=0, max_leverage=40), Tier(floor=150_000_000, max_leverage=20)
    >>> initial_margin(Decimal(80_000), btc), initial_margin(Decimal(80_000), btc, Decimal(10))
    (Fraction(2000, 1), Fraction(8000, 1))
    """
    highest = table[brackets_of(table).tier(notional)].max_leverage
    return Fraction(notional) / Fraction(min(highest, leverage or highest))


def tiered(
    rule: str,
    account: Account,
    market: MarketSnapshot,
    markets: Mapping[str, Table],
    default: Table | None,
    leverage: Decimal | None,
) -> tuple[Charge, ...]:
    """Margin of each linear perpetual and future by its table of tiers, by notional at the mark."""

    def requirement(row: Exposure) -> Pair:
        table = terms(markets, row.instrument, rule, default)
        return initial_margin(row.notional, table, leverage), brackets_of(table).margin(row.notional)

    return charge("leverage brackets", exposures(account, market, rule), requirement)


def checked(rule: str, markets: Mapping[str, Table], default: Table | None, leverage: Decimal | None) -> None:
    """Refuse tables that contradict themselves and a leverage below 1."""
    tables = dict(markets) if default is None else {**markets, "default": default}
    for name, table in tables.items():
        try:
            brackets_of(table)
        except SettingError as error:
            raise SettingError(f"{rule}: {name}: {error}") from error
    if leverage is not None:
        at_least_one(leverage, f"{rule}: leverage")
