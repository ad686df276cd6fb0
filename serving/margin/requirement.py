"""Rates to money: what an account of linear perpetuals must post, to the cent.

Every component is rounded up to the cent and the requirement is their sum, so
that the parts on the statement add up exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, localcontext

from features.errors import ForecastError, SettingError

CENT = Decimal("0.01")
EXACT_DIGITS = 80  # quantity, price and rate have up to 26, 17 and 17 digits


@dataclass(frozen=True, slots=True)
class Position:
    """A linear perpetual: signed quantity in units of the underlying (1 = one BTC)."""

    instrument: str
    quantity: Decimal

    def __post_init__(self) -> None:
        """Refuse quantities that are no number."""
        if not self.quantity.is_finite():
            raise SettingError(f"{self.instrument}: quantity {self.quantity} is not a finite number; give a decimal")


@dataclass(frozen=True, slots=True)
class Rates:
    """Components of the initial and the maintenance rate of one side, fractions of notional."""

    initial: Mapping[str, float]
    maintenance: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class InstrumentMargin:
    """Requirement of the net position in one instrument, USD; components add up to their total."""

    instrument: str
    quantity: Decimal
    mark_price: Decimal
    initial: Mapping[str, Decimal]
    maintenance: Mapping[str, Decimal]

    @property
    def notional_usd(self) -> Decimal:
        """Size of the position, unsigned, rounded up to the cent."""
        return _up(abs(self.quantity) * self.mark_price)

    @property
    def initial_usd(self) -> Decimal:
        """Initial margin."""
        return sum(self.initial.values(), Decimal(0))

    @property
    def maintenance_usd(self) -> Decimal:
        """Maintenance margin, never above the initial margin."""
        return sum(self.maintenance.values(), Decimal(0))


def net(positions: list[Position]) -> dict[str, Decimal]:
    """Net quantity per instrument, in the order of first appearance."""
    total: dict[str, Decimal] = {}
    for position in positions:
        total[position.instrument] = total.get(position.instrument, Decimal(0)) + position.quantity
    return total


def require(instrument: str, quantity: Decimal, mark_price: Decimal, rates: Rates) -> InstrumentMargin:
    """Requirement of a net quantity at a price.

    Initial margin below maintenance is raised to it by a component ``maintenance_floor``.

    Raises
    ------
    ForecastError
        If the price is not positive or a rate is negative or not finite.

    Examples
    --------
    >>> rates = Rates({"forecast": 0.05, "buffer": 0.0125}, {"forecast": 0.02})
    >>> margin = require("BTCUSDT", Decimal("-1"), Decimal("30000.01"), rates)
    >>> margin.initial_usd, margin.maintenance_usd
    (Decimal('1875.02'), Decimal('600.01'))
    """
    _refuse_senseless(instrument, mark_price, rates)
    with localcontext(prec=EXACT_DIGITS):
        notional = abs(quantity) * mark_price
        initial = {name: _up(notional * Decimal(repr(float(rate)))) for name, rate in rates.initial.items()}
        maintenance = {name: _up(notional * Decimal(repr(float(rate)))) for name, rate in rates.maintenance.items()}
    short = sum(maintenance.values(), Decimal(0)) - sum(initial.values(), Decimal(0))
    initial["maintenance_floor"] = max(short, Decimal("0.00"))
    return InstrumentMargin(instrument, quantity, mark_price, initial, maintenance)


def _refuse_senseless(instrument: str, mark_price: Decimal, rates: Rates) -> None:
    """Refuse what could only lower a margin."""
    if not (mark_price.is_finite() and mark_price > 0):
        raise ForecastError(f"{instrument}: mark price {mark_price} is not positive; no margin without a price")
    for name, rate in [*rates.initial.items(), *rates.maintenance.items()]:
        if not 0 <= rate < float("inf"):
            raise ForecastError(f"{instrument}: rate {name}={rate} is negative or not finite; no margin from it")


def _up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_UP)
