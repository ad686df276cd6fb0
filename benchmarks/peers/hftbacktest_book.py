"""Replay a book with hftbacktest; run by book_replay.py in the peer's own environment.

Run:  python hftbacktest_book.py EVENTS.npz RESULT.npz

Its fastest way: the depth in a vector over the range of prices, events in memory that only the local side
handles (no exchange model), a compiled loop that lets time elapse to each instant and reads the levels.
"""

import sys
import time

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found,unused-ignore]
    BUY_EVENT,
    DEPTH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype  # type: ignore[import-not-found,unused-ignore]
from numba import njit


@njit
def replay(hbt, at_ns, first_ns, depth, tick, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let time elapse from instant to instant and write the best levels at each."""
    now = first_ns
    for row in range(len(at_ns)):
        if hbt.elapse(at_ns[row] - now) != 0:
            return row
        now = at_ns[row]
        book = hbt.depth(0)
        low, bids, asks = book.roi_lb_tick, book.bid_depth, book.ask_depth
        found, i = 0, book.best_bid_tick - low
        while found < depth and i >= 0:
            if bids[i] > 0:
                out[row, 2 * found], out[row, 2 * found + 1] = (low + i) * tick, bids[i]
                found += 1
            i -= 1
        found, i = 0, book.best_ask_tick - low
        while found < depth and i < len(asks):
            if asks[i] > 0:
                out[row, 2 * (depth + found)], out[row, 2 * (depth + found) + 1] = (low + i) * tick, asks[i]
                found += 1
            i += 1
    return len(at_ns)


def main() -> None:
    """Replay some times; write the times and the last books."""
    given = np.load(sys.argv[1])
    price, tick, depth, at_ns = given["price"], float(given["tick"]), int(given["depth"]), given["at_ns"]
    events = np.zeros(len(price), dtype=event_dtype)
    events["ev"] = DEPTH_EVENT | LOCAL_EVENT | np.where(given["side"] > 0, BUY_EVENT, SELL_EVENT).astype(np.uint64)
    events["exch_ts"] = events["local_ts"] = given["ts_ns"]
    events["px"], events["qty"] = price, given["size"]
    times = []
    for repeat in range(int(given["repeats"]) + 1):
        asset = (
            BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(tick)
            .lot_size(0.001)
            .roi_lb(price.min() - tick)
            .roi_ub(price.max() + tick)
            .last_trades_capacity(0)
        )
        hbt = ROIVectorMarketDepthBacktest([asset])
        books = np.full((len(at_ns), 4 * depth), np.nan)
        start = time.process_time()
        done = replay(hbt, at_ns, given["ts_ns"][0], depth, tick, books)
        if repeat:
            times.append(time.process_time() - start)
        hbt.close()
    np.savez(sys.argv[2], times=times, books=books[:done])


if __name__ == "__main__":
    main()
