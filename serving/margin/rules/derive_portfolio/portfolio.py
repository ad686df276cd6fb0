"""What one market of a Derive account holds, and the feeds it is valued from."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError, DataError, MarketError
from serving.margin.charge import FloatArray
from serving.margin.objects.checks import finite, fraction, not_negative, positive
from serving.margin.rules.derive_portfolio.parameters import YEAR_S

SETTLEMENT_S: Final = 1_800.0  # the settlement price is the average of the last half hour


@dataclass(frozen=True, slots=True)
class Expiry:
    """Feeds of one expiry.

    ``fixed`` + ``variable``: the forward; only the variable part moves with spot.
    ``confidence``: the least of the forward, rate and volatility feeds, in [0, 1].
    """

    seconds: float
    fixed: float
    variable: float
    rate: float
    confidence: float

    def __post_init__(self) -> None:
        """Refuse feeds that are none."""
        not_negative(self.seconds, "expiry: seconds", MarketError)
        not_negative(self.fixed, "expiry: fixed part of the forward", MarketError)
        not_negative(self.variable, "expiry: variable part of the forward", MarketError)
        positive(self.fixed + self.variable, "expiry: forward", MarketError)
        finite(self.rate, "expiry: rate", MarketError)
        fraction(self.confidence, "expiry: confidence", MarketError)

    @property
    def years(self) -> float:
        """Time to expiry in years of 365 days."""
        return self.seconds / YEAR_S

    @property
    def forward(self) -> float:
        """Both parts."""
        return self.fixed + self.variable


def forward_parts(forward: float, seconds: float, average: float | None = None) -> tuple[float, float]:
    """Split a forward into what the settlement average has fixed and what still moves.

    Before the last half hour nothing is fixed; then the share of it that has passed,
    at the average so far (at the forward itself where none is given).

    Examples
    --------
    >>> forward_parts(100.0, 450.0), forward_parts(100.0, 450.0, average=96.0), forward_parts(100.0, 9e4)
    ((75.0, 25.0), (72.0, 25.0), (0.0, 100.0))
    """
    moving = min(max(seconds, 0.0) / SETTLEMENT_S, 1.0)
    return (1 - moving) * (forward if average is None else average), moving * forward


@dataclass(frozen=True, slots=True)
class Options:
    """Options as columns, shape (p,) each: ``expiry`` indexes the portfolio's expiries, ``amount`` is signed."""

    expiry: NDArray[np.int64]
    strike: FloatArray
    amount: FloatArray
    vol: FloatArray
    is_call: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse columns of different lengths and numbers that are none."""
        if any(column.shape != self.strike.shape for column in (self.expiry, self.amount, self.vol, self.is_call)):
            raise AccountError("options: the columns differ in length; give one value an option in each")
        _all_finite(self.amount, "amount", AccountError)
        _all_finite(self.strike, "strike", MarketError, above_zero=True)
        _all_finite(self.vol, "vol", MarketError, above_zero=True)

    def __len__(self) -> int:
        """Number of options."""
        return len(self.strike)


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A position that moves one to one with spot; ``value``: unrealised profit and funding not yet settled."""

    amount: float
    price: float
    confidence: float = 1.0
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        finite(self.amount, "perpetual: amount", AccountError)
        not_negative(self.price, "perpetual: price", MarketError)
        if self.amount:
            positive(self.price, "perpetual: price", MarketError)
        fraction(self.confidence, "perpetual: confidence", MarketError)
        finite(self.value, "perpetual: value", AccountError)


@dataclass(frozen=True, slots=True)
class Holding:
    """Collateral; ``initial`` haircut comes on top of ``maintenance``; ``hedges``: it moves with spot in scenarios."""

    amount: float
    price: float
    initial: float
    maintenance: float
    hedges: bool = False
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that are none: a negative haircut would be a gift."""
        not_negative(self.amount, "collateral: amount", AccountError)
        not_negative(self.price, "collateral: price", MarketError)
        not_negative(self.initial, "collateral: initial haircut", MarketError)
        fraction(self.maintenance, "collateral: maintenance haircut", MarketError)
        fraction(self.confidence, "collateral: confidence", MarketError)


def no_options() -> Options:
    """Columns of length 0."""
    return Options(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Portfolio:
    """One market's holdings. Money is in the cash asset; ``stable_price``: its price in USD."""

    cash: float
    spot: float
    stable_price: float
    spot_confidence: float = 1.0
    expiries: tuple[Expiry, ...] = ()
    options: Options = field(default_factory=no_options)
    perpetuals: tuple[Perpetual, ...] = ()
    collateral: tuple[Holding, ...] = ()

    def __post_init__(self) -> None:
        """Refuse options whose expiry has no feeds."""
        finite(self.cash, "cash", AccountError)
        positive(self.spot, "spot", MarketError)
        positive(self.stable_price, "stable_price", MarketError)
        fraction(self.spot_confidence, "spot_confidence", MarketError)
        missing = (self.options.expiry < 0) | (self.options.expiry >= len(self.expiries))
        if missing.any():
            raise MarketError(f"option {int(missing.argmax())} has no feeds of its expiry; give forward, rate and vol")

    @property
    def confidence(self) -> float:
        """The least confidence that concerns every position: of spot and of the perpetuals held."""
        return min([self.spot_confidence, *(p.confidence for p in self.perpetuals if p.amount)])

    @property
    def collateral_value(self) -> FloatArray:
        """Value of each asset of collateral in the cash asset, shape (c,)."""
        return np.array([c.amount * c.price / self.stable_price for c in self.collateral])


def _all_finite(column: FloatArray, name: str, error: type[DataError], *, above_zero: bool = False) -> None:
    """Refuse a column with a number that is none."""
    wrong = ~np.isfinite(column) | ((column <= 0) if above_zero else False)
    if wrong.any():
        at = int(wrong.argmax())
        raise error(f"option {at}: {name} is {column[at]}; give a finite number{' above 0' if above_zero else ''}")
