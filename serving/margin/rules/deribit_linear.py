"""Deribit linear perpetuals and futures: a rate that rises in a straight line with the size of the position."""

from decimal import Decimal

import msgspec

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction, not_negative
from serving.margin.rules.exposure import Exposure, Pair, charge, exposures, terms

NAME = "deribit_linear"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of one market: base and slope per unit of the underlying; the rate never exceeds the cap.

    Raises
    ------
    SettingError
        If a rate lies outside 0 and 1, the slope is negative or maintenance exceeds initial.
    """

    initial_base: Decimal
    maintenance_base: Decimal
    slope: Decimal
    cap: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for field in ("initial_base", "maintenance_base", "cap"):
            fraction(getattr(self, field), f"{NAME}: {field}", SettingError)
        not_negative(self.slope, f"{NAME}: slope", SettingError)
        if self.maintenance_base > self.initial_base:
            raise SettingError(f"{NAME}: maintenance_base exceeds initial_base {self.initial_base}; lower it")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates by symbol or underlying."""

    source: str = ""
    markets: dict[str, Line]
    default: Line | None = None


def margin(size: Decimal, index: Decimal, base: Decimal, slope: Decimal, cap: Decimal = Decimal(1)) -> Decimal:
    r"""Margin of an absolute size, in the currency of settlement.

    .. math:: M = \min(b + s |Q|, c) \, |Q| \, I

    Parameters
    ----------
    size : Q, units of the underlying.
    index : I, price of the underlying.

    References
    ----------
    Deribit support, "Linear Perpetual".

    Examples
    --------
    >>> margin(Decimal(350), Decimal(100_000), Decimal("0.02"), Decimal("0.00005")).normalize()
    Decimal('1.3125E+6')
    """
    return min(base + slope * abs(size), cap) * abs(size) * index


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Size-linear margin of each linear perpetual and future, on the index, or the mark where no index is quoted.

    Convex in the size, so super-additive: a position costs at least what its halves cost.
    """

    def requirement(row: Exposure) -> Pair:
        line = terms(parameters.markets, row.instrument, NAME, parameters.default)
        index = row.quote.index or row.quote.mark
        initial = margin(row.units, index, line.initial_base, line.slope, line.cap)
        return initial, margin(row.units, index, line.maintenance_base, line.slope, line.cap)

    return charge("size-linear rate", exposures(account, market, NAME), requirement)
