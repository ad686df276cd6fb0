"""Bitstamp: orders one by one, trades and books.

=============  ====================================================================
shape          first line
=============  ====================================================================
log            ``1430438404518 order_created {"price": ..., "id": ...}``
orders in CSV  ``id,timestamp,exchange.timestamp,price,volume,action,direction``
trades in CSV  ``trade_id,timestamp,exchange_timestamp,price,amount,...,side``
sockets        ``{"event":"order_created","channel":"live_orders_btcusd",...}``
=============  ====================================================================

The log and the two CSV files (those of ob-analytics) do not name their instrument.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from features.clock import NS_PER_S
from features.errors import FormatError, SchemaError
from features.intake.batch import BATCH_ROWS, Batch, Item, Note, Options, Rejected, Rows
from features.intake.capture import BAD_MESSAGE, CONTROL, FRAME, Message, collect
from features.intake.csvfile import header_of, typed_blocks
from features.intake.stream import first_lines, lines
from features.intake.units import unit_ns
from features.schema import ADD, DELETE, ORDER_EVENTS, SET, TRADES

LOG_LINE = re.compile(rb"(\d+) (\w+) (\{.*)")
ACTIONS = {"created": ADD, "changed": SET, "deleted": DELETE}
CSV_ACTIONS = ACTIONS | {"modified": SET}
SIDES = {0: 1, 1: -1}  # of an order: bid, ask; of a trade: what the aggressor did
WORDS = {"bid": 1, "ask": -1, "buy": 1, "sell": -1}
LOG_DEPTH, TOP_DEPTH = 20, 100
NS_PER_MS, NS_PER_US = 1_000_000, 1_000
NO_LIMIT = (0.0, 999_999_999.0)
UNITS_OF_A_COIN = 1e8
WHOLE_COINS = 100_000  # no order is that large in coins, nor so small in satoshis that it stays below


def read(path: Path, options: Options) -> Iterator[Item]:
    """Read any of the four shapes.

    In the log the exchange's stamp is that of the order's creation, in whole seconds: what happened
    is stamped by the recorder. So it is in CSV files made from such a log. Orders without a limit
    (price 0 or 999999999) are passed over: they never wait in the book.

    Raises
    ------
    FormatError
        If it is none of them.
    SchemaError
        If a file that does not name its instrument comes without ``options.symbol``.
    """
    first = b"".join(first_lines(path))
    if LOG_LINE.match(first):
        return _limited(_read_log(path, _named(path, options)))
    if first.startswith(b"id,"):
        return _limited(_held_back(_read_orders(path, _named(path, options))))
    if first.startswith(b"trade_id,"):
        return _read_trades(path, _named(path, options))
    if first[:1] == b"{" or FRAME.match(first) or CONTROL.match(first):
        return _limited(collect(path, _parse))
    raise FormatError(
        f"{path}: begins with {first[:60].decode(errors='replace')!r}; give a Bitstamp log, "
        "an ob-analytics CSV or a recorded socket"
    )


def _named(path: Path, options: Options) -> str:
    if options.symbol is None:
        raise SchemaError(f"{path}: does not name its instrument; add --symbol, for example BTCUSD")
    return options.symbol


def _limited(items: Iterator[Item]) -> Iterator[Item]:
    """Pass over what happens to orders without a limit, and tell how often."""
    unlimited = pl.col("price").is_in(NO_LIMIT).fill_null(value=False)
    count = 0
    for item in items:
        if isinstance(item, Batch) and item.table is ORDER_EVENTS:
            kept = item.frame.filter(~unlimited)
            count += len(item.frame) - len(kept)
            item = Batch(item.table, kept)
        yield item
    if count:
        yield Note(f"{count} events of orders without a limit (price 0 or 999999999) were passed over")


def _held_back(items: Iterator[Item]) -> Iterator[Item]:
    """Raise times of receipt that lie before an earlier row's, where the exchange's time orders the rows.

    A recorder writes the snapshot first and then what came while it waited for that: such events
    could be used no earlier than the snapshot.
    """
    reached, count = 0, 0
    for item in items:
        if isinstance(item, Batch) and (item.frame["ts_ns"] != item.frame["local_ns"]).any():
            local = item.frame["local_ns"]
            raised = local.cum_max().clip(lower_bound=reached)
            reached, count = int(raised.fill_null(0).to_numpy().max()), count + int((raised > local).sum())
            item = Batch(item.table, item.frame.with_columns(raised))
        yield item
    if count:
        yield Note(f"{count} events were received before a row above them; their time of receipt was raised to its")


def _read_log(path: Path, symbol: str) -> Iterator[Item]:
    rows = Rows()
    for row, line in lines(path):
        mark = rows.mark()
        try:
            _log_line(rows, row, line, symbol)
        except BAD_MESSAGE as error:
            rows.back_to(mark)
            reason = f"no field {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
            yield Rejected(row, f"the line cannot be read ({reason})", line.decode(errors="replace"))
        if rows.count >= BATCH_ROWS:
            yield from rows.take()
    yield from rows.take()


def _log_line(rows: Rows, row: int, line: bytes, symbol: str) -> None:
    match = LOG_LINE.fullmatch(line)
    if match is None:
        raise ValueError("it is not '<ms> <event> {...}'")
    stamp, event, data = int(match[1]), match[2].decode(), msgspec.json.decode(match[3])
    ts_ns = stamp * unit_ns(stamp)
    if event == "order_book":
        _top_book(rows, row, symbol, ts_ns, ts_ns, data, LOG_DEPTH)
    elif event == "trade":
        _trade(rows, row, symbol, ts_ns, ts_ns, data)
    elif event.startswith("order_"):
        _order(rows, row, symbol, ts_ns, ts_ns, event, data)
    else:
        raise ValueError(f"unknown event {event!r}")


def _parse(rows: Rows, message: Message) -> None:
    """Add the rows of one message of a socket; answers to subscriptions add none."""
    body = message.body
    event, channel = body["event"], body.get("channel", "")
    kind, symbol = _channel(channel)
    if event.startswith(("bts:", "pusher:", "pusher_internal:")) or kind not in CHANNELS:
        return
    data = body["data"]
    data = msgspec.json.decode(data) if isinstance(data, str) else data  # the sockets before 2019
    CHANNELS[kind](rows, message, symbol, event, data)


def _channel(channel: str) -> tuple[str, str]:
    """Kind and symbol; before 2019 the channels of BTC/USD had no suffix."""
    for kind in CHANNELS:
        if channel == kind:
            return kind, "btcusd"
        if channel.startswith(kind + "_"):
            return kind, channel.removeprefix(kind + "_")
    return channel, ""


def _event_ns(message: Message, data: dict[str, Any]) -> int:
    """Time of the event: to the microsecond, else that of receipt."""
    if "microtimestamp" in data:
        return int(data["microtimestamp"]) * NS_PER_US
    if not message.local_ns:
        raise ValueError("it has neither a microtimestamp nor a time of receipt")
    return message.local_ns


def _live_order(rows: Rows, message: Message, symbol: str, event: str, data: dict[str, Any]) -> None:
    _order(rows, message.row, symbol, _event_ns(message, data), message.local_ns, event, data)


def _live_trade(rows: Rows, message: Message, symbol: str, event: str, data: dict[str, Any]) -> None:
    del event
    in_seconds = "microtimestamp" not in data and "timestamp" in data
    ts_ns = int(data["timestamp"]) * NS_PER_S if in_seconds else _event_ns(message, data)
    _trade(rows, message.row, symbol, ts_ns, message.local_ns, data)


def _diff_book(rows: Rows, message: Message, symbol: str, event: str, data: dict[str, Any]) -> None:
    del event
    bids, asks = ([level[:2] for level in data[side]] for side in ("bids", "asks"))
    rows.deltas(message.row, symbol, _event_ns(message, data), message.local_ns, bids, asks)


def _live_book(rows: Rows, message: Message, symbol: str, event: str, data: dict[str, Any]) -> None:
    del event
    _top_book(rows, message.row, symbol, _event_ns(message, data), message.local_ns, data, TOP_DEPTH)


def _order(rows: Rows, row: int, symbol: str, ts_ns: int, local_ns: int, event: str, data: dict[str, Any]) -> None:
    rows.add(
        ORDER_EVENTS,
        row,
        symbol,
        ts_ns=ts_ns,
        local_ns=local_ns,
        order_id=int(data["id"]),
        action=ACTIONS[event.removeprefix("order_")],
        side=SIDES[int(data["order_type"])],
        price=float(data.get("price_str", data["price"])),
        size=float(data.get("amount_str", data["amount"])),
    )


def _trade(rows: Rows, row: int, symbol: str, ts_ns: int, local_ns: int, data: dict[str, Any]) -> None:
    side = SIDES[int(data["type"])] if "type" in data else 0
    price, size = (data.get(f"{name}_str", data[name]) for name in ("price", "amount"))
    rows.trade(row, symbol, ts_ns, local_ns, seq=int(data["id"]), name="", side=side, price=price, size=size)


def _top_book(rows: Rows, row: int, symbol: str, ts_ns: int, local_ns: int, data: dict[str, Any], depth: int) -> None:
    bids, asks = ([level[:2] for level in data[side]] for side in ("bids", "asks"))
    if max(len(bids), len(asks)) > depth:
        raise ValueError(f"more than {depth} levels")
    rows.book(row, symbol, ts_ns, local_ns, bids, asks, depth=depth)


CHANNELS: dict[str, Callable[[Rows, Message, str, str, dict[str, Any]], None]] = {
    "live_orders": _live_order,
    "live_trades": _live_trade,
    "diff_order_book": _diff_book,
    "order_book": _live_book,
}


def _read_orders(path: Path, symbol: str) -> Iterator[Item]:
    """Orders in CSV: in coins, or whole numbers of 1e-8 coins; the first block tells."""
    exchange = "exchange_timestamp" if "exchange_timestamp" in header_of(path) else "exchange.timestamp"
    stamps = {"timestamp": pl.Int64, exchange: pl.Int64}
    dtypes = {"id": pl.Int64, **stamps, "price": pl.Float64, "volume": pl.Float64}
    words = {"action": list(CSV_ACTIONS), "direction": ["bid", "ask"]}
    units, event_time = 0.0, ""
    for block in typed_blocks(path, {**dtypes, "action": pl.String, "direction": pl.String}):
        if isinstance(block, Rejected):
            yield block
            continue
        if not units:
            units, event_time = _units(path, block["volume"]), _event_time(block, exchange)
        elif units != 1 and _has_fractions(block["volume"]):
            raise FormatError(f"{path}: volumes in coins after volumes in 1e-8 coins; split the file")
        known, rejected = _known(block, words)
        yield from rejected
        yield Batch(ORDER_EVENTS, _orders(known, symbol, units, event_time))


def _orders(block: pl.DataFrame, symbol: str, units: float, event_time: str) -> pl.DataFrame:
    # NumPy divides; polars multiplies by the reciprocal, and 1320000000 then is 13.200000000000001.
    size = pl.Series("size", block["volume"].to_numpy() / units)
    return block.select(
        "row",
        pl.lit(symbol).alias("symbol"),
        (pl.col(event_time) * NS_PER_MS).alias("ts_ns"),
        (pl.col("timestamp") * NS_PER_MS).alias("local_ns"),
        pl.col("id").alias("order_id"),
        pl.col("action").replace_strict(CSV_ACTIONS, return_dtype=pl.Int8),
        pl.col("direction").replace_strict(WORDS, return_dtype=pl.Int8).alias("side"),
        "price",
        size,
    )


def _has_fractions(volume: pl.Series) -> bool:
    return bool((volume != volume.round()).any())


def _units(path: Path, volume: pl.Series) -> float:
    """How many units of volume are a coin."""
    if _has_fractions(volume):
        return 1.0
    largest = float(volume.to_frame().max().item() or 0)
    if largest >= WHOLE_COINS:
        return UNITS_OF_A_COIN
    raise FormatError(
        f"{path}: volumes are whole numbers up to {largest:g}: whether coins or 1e-8 coins cannot be told; "
        "write coins with decimals"
    )


def _event_time(block: pl.DataFrame, exchange: str) -> str:
    """The exchange's stamp, unless it counts whole seconds: then it is that of the order's creation."""
    return "timestamp" if (block[exchange] % 1000 == 0).all() else exchange


def _known(block: pl.DataFrame, words: dict[str, list[str]]) -> tuple[pl.DataFrame, list[Rejected]]:
    """Part the rows with a word that the format does not have from the others."""
    rejected = []
    for column, allowed in words.items():
        known = pl.col(column).is_in(allowed).fill_null(value=False)
        for cells in block.filter(~known).iter_rows(named=True):
            reason = f"{column} is {cells[column]!r}, not one of {', '.join(allowed)}"
            rejected.append(Rejected(cells["row"], reason, ",".join(map(str, list(cells.values())[1:]))))
        block = block.filter(known)
    return block, rejected


def _read_trades(path: Path, symbol: str) -> Iterator[Item]:
    dtypes = {"trade_id": pl.Int64, "timestamp": pl.Int64, "exchange_timestamp": pl.Int64}
    for block in typed_blocks(path, {**dtypes, "price": pl.Float64, "amount": pl.Float64, "side": pl.String}):
        if isinstance(block, Rejected):
            yield block
            continue
        known, rejected = _known(block, {"side": ["buy", "sell"]})
        yield from rejected
        frame = known.select(
            "row",
            pl.lit(symbol).alias("symbol"),
            (pl.col("exchange_timestamp") * NS_PER_MS).alias("ts_ns"),
            (pl.col("timestamp") * NS_PER_MS).alias("local_ns"),
            pl.col("trade_id").alias("seq"),
            pl.col("side").replace_strict(WORDS, return_dtype=pl.Int8),
            "price",
            pl.col("amount").alias("size"),
        )
        yield Batch(TRADES, frame)
