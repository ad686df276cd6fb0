"""Fixed rate: a share of the notional, the same for every size, divided by the leverage where the venue does so."""

from decimal import Decimal

import msgspec

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction, positive
from serving.margin.rules.exposure import at_least_one, charge, exposures

NAME = "fixed_rate"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of the notional; with a leverage both are divided by it, as brokers' leveraged models do.

    Raises
    ------
    SettingError
        If a rate lies outside 0 and 1, maintenance exceeds initial, or the leverage is below 1.
    """

    source: str = ""
    initial_rate: Decimal
    maintenance_rate: Decimal
    leverage: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for field in ("initial_rate", "maintenance_rate"):
            fraction(getattr(self, field), f"{NAME}: {field}", SettingError)
        if self.maintenance_rate > self.initial_rate:
            raise SettingError(
                f"{NAME}: maintenance_rate {self.maintenance_rate} exceeds initial_rate {self.initial_rate}; lower it"
            )
        if self.leverage is not None:
            at_least_one(self.leverage, f"{NAME}: leverage")


def standard_margin(notional: Decimal, rate: Decimal) -> Decimal:
    r"""Margin that leverage does not touch.

    .. math:: M = N r

    Examples
    --------
    >>> standard_margin(Decimal(5_000), Decimal("0.02"))
    Decimal('100.00')
    """
    return notional * rate


def leveraged_margin(notional: Decimal, rate: Decimal, leverage: Decimal) -> Decimal:
    r"""Margin of a notional that has been divided by the leverage.

    .. math:: M = \frac{N}{L} r

    Raises
    ------
    SettingError
        If the leverage is not above 0.

    References
    ----------
    NautilusTrader, accounting, margin models: standard and leveraged.

    Examples
    --------
    >>> leveraged_margin(Decimal(5_000), Decimal("0.02"), Decimal(10))
    Decimal('10.00')
    """
    positive(leverage, f"{NAME}: leverage", SettingError)
    return notional * rate / leverage


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Fixed-rate margin of each perpetual and future, linear or inverse; other kinds are refused.

    Proportional to the size; what is long in one instrument does not offset what is short in another.
    """
    lever = parameters.leverage or Decimal(1)
    rates = parameters.initial_rate, parameters.maintenance_rate
    rows = exposures(account, market, NAME, inverse=True)

    def requirement(notional: Decimal) -> tuple[Decimal, Decimal]:
        return leveraged_margin(notional, rates[0], lever), leveraged_margin(notional, rates[1], lever)

    return charge("fixed rate", rows, lambda row: requirement(row.notional))
