"""Vega: risk factors are the expected shortfall of a lognormal price, margin levels multiples of maintenance."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Final, Literal

import msgspec

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import finite, not_negative, positive
from serving.margin.rules.exposure import Exposure, Pair, at_least_one, charge, exposures, terms
from serving.margin.rules.lognormal import risk_factors

NAME = "vega"
WIDE: Final = Context(prec=80)
ZERO: Final = Decimal(0)


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Multiples of maintenance: below search collateral is called, to initial; above release it is given back.

    Raises
    ------
    SettingError
        If they do not rise from 1.
    """

    search: Decimal
    initial: Decimal
    release: Decimal

    def __post_init__(self) -> None:
        """Refuse levels out of order."""
        for field in ("search", "initial", "release"):
            at_least_one(getattr(self, field), f"{NAME}: scaling {field}")
        if not self.search <= self.initial <= self.release:
            raise SettingError(f"{NAME}: scaling must rise: 1, search, initial, release; found {self}")


class Lognormal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Risk model of one market: probability of the tail, horizon in years, drift and volatility a year.

    Raises
    ------
    SettingError
        If a number is none or the probability lies outside 0 and 1/2.
    """

    risk_aversion: float
    tau_years: float
    sigma: float
    mu: float = 0.0
    linear_slippage: Decimal = ZERO

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        for field in ("risk_aversion", "tau_years", "sigma"):
            positive(getattr(self, field), f"{NAME}: {field}", SettingError)
        finite(self.mu, f"{NAME}: mu", SettingError)
        not_negative(self.linear_slippage, f"{NAME}: linear_slippage", SettingError)
        if self.risk_aversion > 0.5:
            raise SettingError(f"{NAME}: risk_aversion is {self.risk_aversion}; give the tail's probability, below 0.5")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Risk models by symbol or underlying; ``decimals``: of the asset of settlement, in which levels are whole."""

    source: str = ""
    scaling: Scaling
    markets: dict[str, Lognormal]
    default: Lognormal | None = None
    decimals: int = 6


@dataclass(frozen=True, slots=True)
class Levels:
    """The four levels, in whole units of the asset of settlement."""

    maintenance: int
    search: int
    initial: int
    release: int


def maintenance_margin(
    position: Decimal,
    mark: Decimal,
    factors: tuple[Decimal, Decimal],
    linear_slippage: Decimal = ZERO,
    *,
    buys: Decimal = ZERO,
    sells: Decimal = ZERO,
    exit_slippage: Decimal | None = None,
) -> Decimal:
    r"""Maintenance of a position and its open orders in continuous trading, the worse of the two sides, not rounded.

    .. math:: M = |Q| \min(c, P s) + |Q| P f + O P f

    for the side of the position; the other side counts its orders alone, where they outweigh the position.

    Parameters
    ----------
    position : Q, signed.
    factors : f of long and short.
    linear_slippage : s.
    buys, sells : O, sizes of open orders, not negative.
    exit_slippage : c, what closing the position in the book costs a unit; none if the book is too thin.

    References
    ----------
    vegaprotocol/specs, 0019-MCAL, and ``core/risk/margins_calculation.go``.

    Examples
    --------
    >>> maintenance_margin(Decimal(-2), Decimal(100), (Decimal("0.1"), Decimal("0.2")), Decimal("0.01"))
    Decimal('42.00')
    """
    worst = ZERO
    for size, orders, factor in ((position, buys, factors[0]), (-position, sells, factors[1])):
        if size + orders <= 0:
            continue
        held = max(size, ZERO)
        slippage = held * mark * linear_slippage
        if exit_slippage is not None:
            slippage = max(min(held * exit_slippage, slippage), ZERO)
        worst = max(worst, slippage + held * mark * factor + orders * mark * factor)
    return worst


def margin_levels(maintenance: Decimal, scaling: Scaling) -> Levels:
    """Levels in whole units: maintenance rounded up, its multiples down, scaling to five decimals.

    Examples
    --------
    >>> margin_levels(Decimal("10.2"), Scaling(search=Decimal("1.1"), initial=Decimal("1.5"), release=Decimal("1.7")))
    Levels(maintenance=11, search=12, initial=16, release=18)
    """
    whole = int(maintenance.to_integral_value(ROUND_CEILING))
    search, initial, release = (
        int(level * 100_000) * whole // 100_000 for level in (scaling.search, scaling.initial, scaling.release)
    )
    return Levels(whole, search, initial, release)


def isolated_order_margin(
    side: Literal["buy", "sell"],
    position: Decimal,
    orders: Sequence[tuple[Decimal, Decimal]],
    margin_factor: Decimal,
    position_factor: Decimal = Decimal(1),
    auction_price: Decimal | None = None,
) -> int:
    r"""Margin of the open orders of one side in isolated mode, rounded down.

    .. math:: M = \left\lfloor \frac{m}{p} \sum_k q_k \max(P_k, A) \right\rfloor

    A position on the other side covers the orders that would fill first.

    Parameters
    ----------
    position : signed, in the units of the orders.
    orders : size and limit price of each.
    margin_factor, position_factor : m and p.
    auction_price : A; none in continuous trading.

    References
    ----------
    vegaprotocol/vega, ``core/risk/isolated_margin.go``.

    Examples
    --------
    >>> orders = [(Decimal(5), Decimal(90)), (Decimal(5), Decimal(100))]
    >>> isolated_order_margin("buy", Decimal(-5), orders, Decimal("0.5"))
    225
    """
    covered = max(-position if side == "buy" else position, ZERO)
    value = ZERO
    for size, price in sorted(orders, key=lambda order: order[1], reverse=side == "buy"):
        free = max(size - covered, ZERO)
        covered = max(covered - size, ZERO)
        value += free * max(price, auction_price or ZERO)
    return int((value * margin_factor / position_factor).to_integral_value(ROUND_FLOOR))


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    """Maintenance and initial level of each linear perpetual and future.

    The book is not asked what an exit costs: slippage is the linear cap, which it never exceeds.
    """

    def requirement(row: Exposure) -> Pair:
        model = terms(parameters.markets, row.instrument, NAME, parameters.default)
        long, short = risk_factors(model.risk_aversion, model.tau_years, model.mu, model.sigma)
        factors = Decimal(long), Decimal(short)
        needed = maintenance_margin(row.held, row.price, factors, model.linear_slippage, buys=row.buys, sells=row.sells)
        levels = margin_levels(needed.scaleb(parameters.decimals, WIDE), parameters.scaling)
        unit = Fraction(10) ** -parameters.decimals
        return levels.initial * unit, levels.maintenance * unit

    return charge("lognormal shortfall", exposures(account, market, NAME), requirement)
