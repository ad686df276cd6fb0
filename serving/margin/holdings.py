"""An account as arrays: what it holds across its cross positions, what it has ordered, what it is worth unrealised."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import AccountError, DataError, ExpiredError, MarketError, UnknownInstrumentError
from serving.margin.aggregate import Holding
from serving.margin.objects import Account, OpenOrder, Position
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import PricedMarket

FloatArray = NDArray[np.float64]
FARTHEST_ENTRY: Final = 1_000.0  # times the mark, or a share of it: beyond, it is no price
ZERO: Final = Decimal(0)
SHORT_FACTOR: Final = 2.0  # a price that is not known may have doubled


@dataclass(frozen=True, slots=True)
class Book:
    """Cross positions and orders of one account.

    ``positions``, ``orders``: rows of the priced market with signed quantities, contracts; a row that
    cannot be priced is row 0 with quantity 0 and charged in ``unpriced``. ``gap_usd``, shape (orders,): loss
    by filling at the order's price. ``unpriced``, shape (positions + orders,): USD, worst loss of
    what has no price. ``unrealised``, shape (positions,): USD profit since entry; of an option, its value.
    """

    positions: Holding
    orders: Holding
    gap_usd: FloatArray
    unpriced: FloatArray
    unrealised: FloatArray
    notes: tuple[str, ...]

    @property
    def rows(self) -> Holding:
        """Positions, then orders."""
        if not len(self.orders.quantity):
            return self.positions
        return Holding(
            np.concatenate([self.positions.instrument, self.orders.instrument]),
            np.concatenate([self.positions.underlying, self.orders.underlying]),
            np.concatenate([self.positions.quantity, self.orders.quantity]),
        )


def book_of(account: Account, positions: Sequence[Position], market: PricedMarket, policy: MarginPolicy) -> Book:
    """Join positions and the account's orders with the market.

    Raises
    ------
    UnknownInstrumentError, ExpiredError
        If the market does not have an instrument, or it has expired: nothing can stand for it.
    MarketError
        If an instrument has no price and the policy says ``missing = "refuse"``.
    AccountError
        If a position is larger than the policy's ``largest_position_usd``.
    """
    held = [_placed(p.instrument, float(p.quantity), market, policy) for p in positions]
    ordered = [_placed(o.instrument, _signed(o), market, policy, o.price) for o in account.orders]
    notes = tuple(note for _, _, _, note in (*held, *ordered) if note)
    holding = _holding([(row, quantity) for row, quantity, _, _ in held], market)
    book = Book(
        holding,
        _holding([(row, quantity) for row, quantity, _, _ in ordered], market),
        np.array([_gap(o, market) for o in account.orders], dtype=np.float64),
        np.array([worst for _, _, worst, _ in (*held, *ordered)], dtype=np.float64),
        _unrealised(positions, holding, market),
        notes,
    )
    refuse_absurd(book, market, [*(p.instrument for p in positions), *(o.instrument for o in account.orders)], policy)
    return book


def _signed(order: OpenOrder) -> float:
    return float(order.quantity) if order.side == "buy" else -float(order.quantity)


def _placed(
    symbol: str, quantity: float, market: PricedMarket, policy: MarginPolicy, price: Decimal = ZERO
) -> tuple[int, float, float, str]:
    """Row, quantity, worst loss where it has no price, and the reason; ``price``: of an order, paid as it fills."""
    try:
        return market.row(symbol), quantity, 0.0, ""
    except (UnknownInstrumentError, ExpiredError):
        raise
    except DataError as fault:
        if policy.missing == "refuse":
            raise
        worst = _worst(symbol, quantity, float(price), market)
        return 0, 0.0, worst, f"{fault}; charged at its worst, {worst:.2f} USD, and worth nothing as an asset"


def _worst(symbol: str, quantity: float, price: float, market: PricedMarket) -> float:
    """Loss of what has no price: a long all that it is worth or was bought for, a short twice that.

    A long option was worth nothing; one that an order buys costs the order's ``price``, 0 of a position.
    """
    terms = market.snapshot.instruments[market.symbols[symbol]]
    if terms.underlying not in market.snapshot.underlyings:
        raise MarketError(f"{symbol}: the market has no underlying {terms.underlying}; nothing can stand for its price")
    spot = float(market.snapshot.underlyings[terms.underlying].spot)
    size, inverse = abs(quantity) * float(terms.multiplier), terms.contract == "inverse"
    if terms.is_option:
        paid = size * price * (spot if inverse else 1.0)
        return paid if quantity >= 0 else SHORT_FACTOR * size * max(spot, float(terms.strike or 0))
    whole = size * (1.0 if inverse else spot)
    return max(whole, 0.0 if inverse else size * price) if quantity >= 0 else SHORT_FACTOR * whole


def _holding(rows: list[tuple[int, float]], market: PricedMarket) -> Holding:
    instrument = np.array([row for row, _ in rows], dtype=np.int64)
    return Holding(instrument, market.underlying[instrument], np.array([q for _, q in rows], dtype=np.float64))


def _unrealised(positions: Sequence[Position], held: Holding, market: PricedMarket) -> FloatArray:
    """USD profit since entry at the mark; of an option and of spot, which are paid, what they count for.

    What has no price of its own is taken at the spot of its underlying, and only a loss counts.
    """
    paid = market.paid[held.instrument]
    worth = np.where(held.quantity > 0, market.worth_usd[held.instrument], market.owed_usd[held.instrument])
    value = np.where(paid, held.quantity * worth, 0.0)
    for i, position in enumerate(positions):
        if position.entry_price is None or paid[i]:
            continue
        row, entry = market.symbols[position.instrument], float(position.entry_price)
        if row in market.faults:
            value[i] = min(_since(position, entry, market), 0.0)
        else:
            profit = held.quantity[i] * _change(row, entry, position.instrument, market)
            _refuse_windfall(position, profit, float(market.mark[row]))
            value[i] = profit * market.pays[row] if profit > 0 else profit
    return value


def _refuse_windfall(position: Position, profit: float, mark: float) -> None:
    """Refuse a profit since an entry that is no price of this market; a loss counts, however large."""
    entry = float(position.entry_price or 0)
    if profit > 0 and not mark / FARTHEST_ENTRY <= entry <= mark * FARTHEST_ENTRY:
        raise AccountError(
            f"{position.instrument}: an entry_price of {entry:g} beside a mark of {mark:g}; leave out what is not known"
        )


def _since(position: Position, entry: float, market: PricedMarket) -> float:
    """USD profit of what has no mark, at the spot of its underlying."""
    terms = market.snapshot.instruments[market.symbols[position.instrument]]
    if terms.is_option:
        return 0.0
    spot, size = float(market.snapshot.underlyings[terms.underlying].spot), float(position.quantity * terms.multiplier)
    if terms.contract == "inverse":
        return size * (spot / entry - 1.0) if entry > 0 else -abs(size)
    return size * (spot - entry)


def _change(row: int, before: float, symbol: str, market: PricedMarket) -> float:
    """USD gained by one contract since a price."""
    terms = market.snapshot.instruments[row]
    if before <= 0:
        raise AccountError(f"{symbol}: a price of {before:g}; leave out an entry_price that is not known")
    if terms.contract == "inverse":
        return float(market.mark_usd[row]) * (float(market.mark[row]) / before - 1.0)
    return float(market.usd_per_point[row]) * (float(market.mark[row]) - before)


def _gap(order: OpenOrder, market: PricedMarket) -> float:
    """Loss at once if an order fills at its price: buying above the mark, selling below it; a gain is none."""
    row = market.symbols[order.instrument]
    if row in market.faults:
        return 0.0
    if market.options.is_option[row]:
        coin = market.snapshot.instruments[row].contract == "inverse"
        scale = float(market.usd_per_point[row]) * (float(market.spot[market.underlying[row]]) if coin else 1.0)
        gain = float(market.mark_usd[row]) - scale * float(order.price)
    else:
        gain = _change(row, float(order.price), order.instrument, market)
    return max(-_signed(order) * gain, 0.0)


def refuse_absurd(book: Book, market: PricedMarket, symbols: Sequence[str], policy: MarginPolicy) -> None:
    """Refuse a position or order beyond the policy's largest; ``symbols``: what the rows are called."""
    rows = book.rows
    spot = market.spot[rows.underlying] * market.usd_per_point[rows.instrument]
    size = np.abs(rows.quantity) * np.maximum(np.abs(market.mark_usd[rows.instrument]), spot)
    size = np.maximum(size, book.unpriced)
    limit = policy.largest_position_usd
    if len(size) and Decimal(float(size.max())) > limit:
        at = int(size.argmax())
        raise AccountError(
            f"{symbols[at]}: a position or order of {size[at]:.4g} USD is beyond the policy's largest_position_usd, "
            f"{limit:.4g}; a slip of units? correct it or raise the limit"
        )
