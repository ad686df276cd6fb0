"""Kraken Futures: whole and numbered books, trades, liquidations and tickers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Any

from features.intake.batch import Rows
from features.intake.capture import Message
from features.intake.channels import PastTrades
from features.schema import FUNDING, OPEN_INTEREST

NS_PER_MS = 1_000_000
SIDES = {"buy": 1, "sell": -1}  # of the taker
LIQUIDATIONS = ("liquidation", "termination")
Data = dict[str, Any]


@dataclass(slots=True)
class Futures:
    """What must be remembered from message to message."""

    trades: PastTrades = field(default_factory=PastTrades)

    def parse(self, rows: Rows, message: Message) -> None:
        """Add the rows of one message; other feeds and answers to subscriptions add none."""
        parse = FEEDS.get(message.body["feed"])
        if parse is not None and "event" not in message.body:
            parse(self, rows, message, message.body)


def _snapshot(_: Futures, rows: Rows, message: Message, data: Data) -> None:
    bids, asks = ([(level["price"], level["qty"]) for level in data[side]] for side in ("bids", "asks"))
    add = partial(rows.deltas, message.row, data["product_id"], data["timestamp"] * NS_PER_MS, message.local_ns)
    add(bids, asks, seq=data["seq"], snapshot=True)


def _book(_: Futures, rows: Rows, message: Message, data: Data) -> None:
    level, side, seq = (data["price"], data["qty"]), SIDES[data["side"]], data["seq"]
    add = partial(rows.deltas, message.row, data["product_id"], data["timestamp"] * NS_PER_MS, message.local_ns)
    add([level] if side > 0 else [], [level] if side < 0 else [], seq=seq, prev_seq=seq - 1)


def _trade(futures: Futures, rows: Rows, message: Message, data: Data, *, past: bool = False) -> None:
    if not futures.trades.is_new(data["product_id"], data["seq"], past=past):
        return
    values = {"name": "", "side": SIDES[data["side"]], "price": data["price"], "size": data["qty"], "seq": data["seq"]}
    adds = (rows.trade, rows.liquidation) if data.get("type") in LIQUIDATIONS else (rows.trade,)
    for add in adds:
        add(message.row, data["product_id"], data["time"] * NS_PER_MS, message.local_ns, **values)


def _past_trades(futures: Futures, rows: Rows, message: Message, data: Data) -> None:
    for trade in sorted(data["trades"], key=lambda trade: int(trade["seq"])):
        _trade(futures, rows, message, trade, past=True)


def _ticker(_: Futures, rows: Rows, message: Message, data: Data) -> None:
    """Funding, where the contract has it, and open interest; ``funding_rate`` is an amount, not a fraction."""
    ts_ns, local_ns = data["time"] * NS_PER_MS, message.local_ns
    add = partial(rows.add, row=message.row, symbol=data["product_id"], ts_ns=ts_ns, local_ns=local_ns)
    rate, forecast = (data.get(f"relative_funding_rate{suffix}") for suffix in ("", "_prediction"))
    if rate is not None:
        add(
            FUNDING,
            funding_ns=int(data.get("next_funding_rate_time") or 0) * NS_PER_MS,
            rate=float(rate),
            predicted_rate=nan if forecast is None else float(forecast),
            mark_price=float(data.get("markPrice") or nan),
            index_price=float(data.get("index") or nan),
            last_price=float(data.get("last") or nan),
        )
    if data.get("openInterest") is not None:
        add(OPEN_INTEREST, open_interest=float(data["openInterest"]))


FEEDS: dict[str, Callable[[Futures, Rows, Message, Data], None]] = {
    "book_snapshot": _snapshot,
    "book": _book,
    "trade_snapshot": _past_trades,
    "trade": _trade,
    "ticker": _ticker,
}
