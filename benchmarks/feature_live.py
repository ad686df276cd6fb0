"""How fast do depth messages become features? JSON of 20 levels to rows of every second, against the decoding alone.

The peers decode the same messages with a JSON library and write every level with ``float()`` into a row of a NumPy
matrix: no feature is computed.

Run:  python benchmarks/feature_live.py [--thousands 20]
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np

from benchmarks.events import START_NS, SYMBOL, Floats, on_one_core
from benchmarks.feature_table import keep_memory, medians_s, ratio, show
from features.engine import Ints
from features.online import Online
from features.sources.binance.topbook import top_books
from features.spec import FeatureSpec

DEPTH, EVERY_MS = 20, 100
BATCHES, FEW, REPEATS = (1, 16, 64, 256), 4_000, 3
KIND = f"book_snapshots_{DEPTH}"
# fmt: off
NAMES = (
    "log_rv_10s", "log_rv_60s", "log_bv_60s", "move_60s", "log_spread_10s", "log_spread_60s", "microprice_10s",
    "imbalance_1_10s", "imbalance_5_10s", "imbalance_20_10s", "ofi_1_10s", "ofi_5_10s", "ofi_20_10s", "log_depth_5_60s",
    "log_depth_20_60s", "log_slope_60s", "slope_skew_60s", "resilience_5_60s", "log_cost_10000_60s",
    "cost_skew_10000_60s",
)
# fmt: on
SPEC = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=NAMES, price="mid", depth=DEPTH)
Decode = Callable[[bytes], Any]


def made_up(n: int) -> list[bytes]:
    """Messages as ``btcusdt@depth20@100ms`` of Binance futures brings them."""
    rng = np.random.default_rng(3)
    mids = 30_000 + np.cumsum(rng.normal(0.0, 0.5, n))
    sizes = rng.gamma(2.0, 1.0, (n, 2, DEPTH))
    start_ms = START_NS // 1_000_000
    return [
        msgspec.json.encode({
            "e": "depthUpdate", "E": start_ms + EVERY_MS * i + 3, "T": start_ms + EVERY_MS * i, "s": SYMBOL,
            "U": 3 * i, "u": 3 * i + 2, "pu": 3 * i - 1,
            **{name: [[f"{mid + step * 0.1 * (k + 1):.1f}", f"{size:.3f}"] for k, size in enumerate(sides[j])]
               for j, (name, step) in enumerate((("b", -1), ("a", 1)))},
        })
        for i, (mid, sides) in enumerate(zip(mids, sizes, strict=True))
    ]  # fmt: skip


def to_features(messages: list[bytes], batch: int) -> list[tuple[Ints, Floats]]:
    """Ours: some messages at a time to the rows that they complete."""
    online = Online(SPEC, {SYMBOL: (KIND,)}, (SYMBOL,))
    given = []
    for at in range(0, len(messages), batch):
        ts_ns, _, books = top_books(messages[at : at + batch], DEPTH)
        given += [(rows.origin_ns, rows.values) for rows in online.add_books(SYMBOL, ts_ns, books)]
    return given


def by_hand(messages: list[bytes], decode: Decode) -> Floats:
    """Peer: decode one message after the other, make every text a float."""
    books = np.empty((len(messages), 4 * DEPTH))
    for row, message in zip(books, messages, strict=True):
        told = decode(message)
        row[:] = [float(x) for side in ("b", "a") for level in told[side] for x in level]
    return books


def check(messages: list[bytes]) -> None:
    """The same books as the peers', to the last bit, and the same rows however many messages come at a time."""
    for decode in (msgspec.json.decode, json.loads):
        np.testing.assert_array_equal(top_books(messages, DEPTH)[2], by_hand(messages, decode))
    whole = np.concatenate([values for _, values in to_features(messages, 256)])
    single = np.concatenate([values for _, values in to_features(messages, 1)])
    if len(whole) < FEW * EVERY_MS // 1_000 - 100:
        raise AssertionError(f"{len(messages)} messages gave only {len(whole)} rows")
    np.testing.assert_array_equal(whole, single)


def main() -> None:
    """Rates of each micro-batch and of the peers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--thousands", type=float, default=20.0, help="messages, in thousands")
    messages = made_up(round(1e3 * parser.parse_args().thousands))
    few = messages[:FEW]
    check(few)
    fed = {batch: few if batch == 1 else messages for batch in BATCHES}
    peers: dict[str, Decode] = {"msgspec and float()": msgspec.json.decode, "json and float()": json.loads}
    works: dict[str, Callable[[], object]] = {str(b): partial(to_features, fed[b], b) for b in BATCHES}
    works |= {name: partial(by_hand, messages, decode) for name, decode in peers.items()}
    taken = medians_s(works, REPEATS)
    rates = {str(batch): len(fed[batch]) / taken[str(batch)] for batch in BATCHES}
    others = {name: len(messages) / taken[name] for name in peers}
    rows = [
        (f"margincast, {batch} at a time", f"{rate / 1e3:,.1f}", *(ratio(rate, other) for other in others.values()))
        for batch, rate in rates.items()
    ]
    rows += [(f"{name}, no features", f"{rate / 1e3:,.1f}", "", "") for name, rate in others.items()]
    title = f"{len(messages):,} messages of {2 * DEPTH} levels to {len(NAMES)} features every second"
    show(title, ("thousand messages/s", *(f"/ {name}" for name in peers)), rows)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
