"""Fronts and feed against slow loops that make every row anew from the events, and the law of what comes late."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.book_twin import TwinBook
from features.clock import DAY_S, NS_PER_S
from features.errors import SettingError
from features.feed import Feed
from features.schema import RESET, SNAPSHOT, table_of
from features.spec import FeatureSpec

START_NS = 1_600_000_020 * NS_PER_S
BAR_S, PAUSE_ROWS, SILENCE_S = 5, 6, 12
STEP_NS = BAR_S * NS_PER_S
FLOWS = ("volume", "quote_volume", "trades", "buy_volume", "signed_volume", "signed_quote")
PRICES = ("log_open", "log_high", "log_low", "log_close", "log_return", "missing")
Row = dict[str, Any]
Table = dict[int, dict[str, float]]  # channels of rows by slot
EXAMPLES = settings(max_examples=60, derandomize=True, database=None)
SEEDS = given(seed=st.integers(0, 2**32 - 1), events=st.integers(1, 40))


def spec(price: str = "trade") -> FeatureSpec:
    return FeatureSpec(BAR_S, (BAR_S,), ("hour_sin",), BAR_S, price, 2, SILENCE_S, PAUSE_ROWS * BAR_S)  # type: ignore[arg-type]


def framed(kind: str, rows: list[Row]) -> pl.DataFrame:
    table = table_of(kind)
    return table.conform(
        pl.DataFrame(rows, schema_overrides=table.dtypes) if rows else pl.DataFrame(schema=table.dtypes)
    )


def times(rng: np.random.Generator, n: int) -> list[int]:
    """Ties, exact ends of rows, silences and pauses."""
    steps = rng.choice(
        [0, 1, NS_PER_S, 3 * NS_PER_S, STEP_NS, 4 * STEP_NS, 9 * STEP_NS], n, p=[0.15, 0.1, 0.3, 0.2, 0.1, 0.1, 0.05]
    )
    return [START_NS + int(step) for step in np.cumsum(steps)]


def put(rows: Table, chunks: Any) -> None:
    """Write chunks down row by row; no row comes twice."""
    for first, channels in chunks:
        for i in range(len(channels["missing"])):
            assert first + i not in rows
            rows[first + i] = {name: float(values[i]) for name, values in channels.items()}


def same(found: Table, expected: Table) -> None:
    assert sorted(found) == sorted(expected)
    for slot, channels in expected.items():
        for name, value in channels.items():
            np.testing.assert_allclose(found[slot][name], value, rtol=1e-9, atol=1e-9, err_msg=f"{name} of {slot}")


def sessions(slots: list[int], stop: int) -> list[range]:
    """Rows from an event on until a pause after the last."""
    out: list[range] = []
    for slot in sorted(set(slots)):
        end = min(slot + PAUSE_ROWS + 1, stop)
        if slot >= stop:
            break
        out = [*out[:-1], range(out[-1].start, end)] if out and slot <= out[-1].stop else [*out, range(slot, end)]
    return out


def slow_trades(trades: list[Row], stop: int) -> Table:
    """Every row from the trades in it; trades stand at a clock that never goes back."""
    clock, rows, out = 0, [], Table()
    told: list[float] = []  # prices so far, for the tick test
    for trade in trades:
        clock = max(clock, trade["ts_ns"])
        moved = [p for p in told if p != trade["price"]]
        told.append(trade["price"])
        tick = 0.0 if not moved else np.sign(_last_move(told))
        rows.append({**trade, "slot": clock // STEP_NS, "sign": trade["side"] or tick or np.nan})
    for session in sessions([r["slot"] for r in rows], stop):
        before = np.nan
        for slot in session:
            own = [r for r in rows if r["slot"] == slot]
            prices = [np.log(r["price"]) for r in own] or [before]
            signed = sum(r["sign"] * r["size"] for r in own)
            volume = sum(r["size"] for r in own)
            out[slot] = {
                "log_open": prices[0], "log_high": max(prices), "log_low": min(prices), "log_close": prices[-1],
                "log_return": prices[-1] - before, "missing": float(not own), "volume": volume, "trades": len(own),
                "quote_volume": sum(r["size"] * r["price"] for r in own), "buy_volume": (volume + signed) / 2,
                "signed_volume": signed, "signed_quote": sum(r["sign"] * r["size"] * r["price"] for r in own),
            }  # fmt: skip
            before = prices[-1]
    return out


def _last_move(prices: list[float]) -> float:
    return next(b - a for a, b in zip(prices[-2::-1], prices[:0:-1], strict=True) if a != b)


@EXAMPLES
@SEEDS
def test_trades_late_and_twice(seed: int, events: int) -> None:
    """What is late or twice changes no row and is counted; all rows are those of the trades that were kept."""
    rng = np.random.default_rng(seed)
    feed, found, kept = Feed(spec(), (*PRICES, *FLOWS), ("trades",)), Table(), list[Row]()
    counts, stop, seen = [0, 0], 0, set[int]()
    for i, ts_ns in enumerate(times(rng, events)):
        back_ns = int(rng.integers(0, 4 * STEP_NS)) if rng.random() < 0.2 else 0
        number = int(rng.integers(0, i + 1)) if rng.random() < 0.2 else i
        sizes = {"price": float(rng.integers(98, 103)), "size": 1.0 + i}
        trade = {"ts_ns": ts_ns - back_ns, "seq": number, "side": int(rng.choice([-1, 0, 1])), **sizes}
        feed.take("trades", framed("trades", [trade]))
        clock_ns = max(ts_ns - back_ns, max((k["ts_ns"] for k in kept), default=0))
        if number in seen:
            counts[1] += 1
        elif clock_ns < max(found, default=-1) * STEP_NS + STEP_NS:
            counts[0] += 1
        else:
            kept.append(trade)
        seen.add(number)
        if rng.random() < 0.4:
            stop = max(stop, ts_ns // STEP_NS + int(rng.integers(-2, 4)))
            put(found, feed.close(stop))
    stop = max(stop, feed.clock_ns // STEP_NS + 3)
    put(found, feed.close(stop))
    same(found, slow_trades(kept, stop))
    tally = feed.tallies["trades"]
    assert (tally.events, tally.late, tally.duplicates) == (events, *counts)


def test_a_number_is_remembered_alike_in_one_frame_and_in_many() -> None:
    """A trade that comes again after thousands of others counts the same however they were cut."""
    n = 10_000
    rows = [{"ts_ns": START_NS + i * NS_PER_S // 100, "seq": i % 6_000, "price": 9.0, "size": 1.0} for i in range(n)]
    frame, totals = framed("trades", rows), []
    for size in (n, 1_000, 77):
        feed = Feed(spec(), (*PRICES, "volume"), ("trades",))
        for part in frame.iter_slices(size):
            feed.take("trades", part)
        rows_of: Table = {}
        put(rows_of, feed.close((START_NS + 200 * NS_PER_S) // STEP_NS))
        totals.append([row["volume"] for row in rows_of.values()])
    assert totals[0] == totals[1] == totals[2]


@EXAMPLES
@SEEDS
def test_bars_late_and_twice(seed: int, events: int) -> None:
    """A bar counts once, and not after its row: the price is carried over what is absent, the next return is whole."""
    rng = np.random.default_rng(seed)
    kind = f"bars_{BAR_S}s"
    feed, found, kept = Feed(spec(), (*PRICES, "volume"), (kind,)), Table(), list[Row]()
    stop, slot, twice, late = 0, START_NS // STEP_NS, 0, 0
    for _ in range(events):
        slot += int(rng.choice([1, 1, 1, 2, 5, 20, 0, -1, -3]))
        low, open_, close, high = np.sort(rng.uniform(99, 101, 4))
        bar = {"ts_ns": slot * STEP_NS, "open": open_, "high": high, "low": low, "close": close}
        bar["volume"] = float(rng.choice([0.0, 1.0, 2.0]))
        feed.take(kind, framed(kind, [bar]))
        if slot < stop:
            late += 1
        elif kept and slot * STEP_NS <= kept[-1]["ts_ns"]:
            twice += 1
        else:
            kept.append(bar)
        if kept and rng.random() < 0.4:
            stop = max(stop, slot + int(rng.integers(-1, 4)), kept[0]["ts_ns"] // STEP_NS + 1)
            put(found, feed.close(stop))
    stop = max(stop, kept[-1]["ts_ns"] // STEP_NS + 2)
    put(found, feed.close(stop))
    expected, before, own = Table(), np.nan, {k["ts_ns"] // STEP_NS: k for k in kept}
    for row in range(kept[0]["ts_ns"] // STEP_NS, stop):
        bar = own.get(row, {})
        seen = bool(bar) and (bar["volume"] > 0 or np.isnan(before))
        logs = [np.log(bar[n]) if seen else before for n in ("open", "high", "low", "close")]
        volume = bar["volume"] if seen else 0.0
        expected[row] = dict(zip(PRICES, (*logs, logs[3] - before, float(not seen)), strict=True), volume=volume)
        before = logs[3]
    same(found, expected)
    assert (feed.tallies["bars"].late, feed.tallies["bars"].duplicates) == (late, twice)


def slow_book(events: list[Row], slot: int) -> tuple[float, float, float]:
    """Mid and depths at the end of a row from all changes up to then, one by one through the readable twin."""
    twin, end_ns = TwinBook(NS_PER_S, synced=False), (slot + 1) * STEP_NS - 1
    for e in events:
        if e["ts_ns"] > end_ns:
            break
        if twin.starts_message(e["ts_ns"], e["seq"], e["flags"]):
            twin.before(e["ts_ns"])
            twin.open_message(e["ts_ns"], e["seq"], e["prev_seq"], e["flags"])
        twin.change(e["side"], e["price"], e["size"])
    last_ns = max((e["ts_ns"] for e in events if e["ts_ns"] <= end_ns), default=0)
    bids, asks = twin.levels(2)
    void = end_ns - last_ns > SILENCE_S * NS_PER_S
    mid = (bids[0][0] + asks[0][0]) / 2 if bids and asks and not void else np.nan
    bid, ask = (sum(size for _, size in side) if len(side) == 2 and not void else np.nan for side in (bids, asks))
    return mid, float(bid), float(ask)


def changes(rng: np.random.Generator, n: int) -> list[Row]:
    """Messages with numbers; some come again, some are cut off by a gap, some cross."""
    rows: list[Row] = []
    for i, ts_ns in enumerate(times(rng, n)):
        snapshot = i == 0 or rng.random() < 0.15
        if rows and rng.random() < 0.1:
            rows.append({**rows[-1], "ts_ns": ts_ns})  # the same number at a later time
            continue
        told = i + (1 if rng.random() < 0.05 else 0)
        message = {"ts_ns": ts_ns, "seq": i + 1, "prev_seq": -1 if snapshot else min(told, i + 1)}
        levels = [(s, 100.0 - s * (1 + k)) for s in (1, -1) for k in range(3)]
        for k, (side, price) in enumerate(levels if snapshot else [levels[int(rng.integers(0, 6))]]):
            flags = (SNAPSHOT | RESET * (k == 0)) if snapshot else 0
            moved = price + (0 if snapshot else float(rng.choice([0.0, 0.5, 2.5, -2.5])))
            size = float(rng.integers(1, 9)) if snapshot else float(rng.choice([0.0, 1.0, 2.0]))
            rows.append({**message, "flags": flags, "side": side, "price": moved, "size": size})
    return rows


@EXAMPLES
@SEEDS
def test_a_row_s_book_is_what_had_come_when_it_was_given_out(seed: int, events: int) -> None:
    """At the end of each row, or later if it came late: then the row stays and the book changes from then on."""
    rng = np.random.default_rng(seed)
    rows, columns = changes(rng, events), ("depth_bid_2", "depth_ask_2")
    feed, found, stop = Feed(spec("mid"), ("mid", *columns), ("book_deltas",)), Table(), 0
    slow, late = Table(), 0
    for i, row in enumerate(rows):
        feed.take("book_deltas", framed("book_deltas", [row]))
        late += row["ts_ns"] < stop * STEP_NS
        if rng.random() < 0.4:
            stop = max(stop, row["ts_ns"] // STEP_NS + int(rng.integers(-2, 3)))
            known = set(found)
            put(found, feed.close(stop))
            for slot in set(found) - known:
                values = slow_book(rows[: i + 1], slot)
                slow[slot] = dict(zip(("mid", *columns), values, strict=True))
    same(found, slow)
    assert feed.tallies["book"].late <= late


def test_one_frame_shows_no_row_what_came_after_it() -> None:
    """A message that comes again later, or lasts, tells nothing of the rows in between."""
    top = [(START_NS, 1, -1, 3, 1, 99.0), (START_NS, 1, -1, 1, -1, 101.0)]
    again = [(START_NS + 3 * STEP_NS, 1, -1, 0, -1, 100.0), (START_NS + 4 * STEP_NS, 2, 1, 0, 1, 99.5)]
    names = ("ts_ns", "seq", "prev_seq", "flags", "side", "price")
    rows = [{**dict(zip(names, cells, strict=True)), "size": 1.0} for cells in (*top, *again)]
    stop, mids = START_NS // STEP_NS + 5, []
    for size in (1, 2, 4):
        feed = Feed(FeatureSpec(BAR_S, (BAR_S,), ("hour_sin",), BAR_S, "mid", 1, 60, 60), ("mid",), ("book_deltas",))
        for part in framed("book_deltas", rows).iter_slices(size):
            feed.take("book_deltas", part)
        found: Table = {}
        put(found, feed.close(stop))
        mids.append([row["mid"] for row in found.values()])
    assert mids[0] == mids[1] == mids[2] == [100.0, 100.0, 100.0, 99.5, 99.75]


@EXAMPLES
@SEEDS
def test_recorded_books_and_rates_hold_until_the_next_and_grow_old(seed: int, events: int) -> None:
    rng = np.random.default_rng(seed)
    kind, stop, found = "book_snapshots_2", 0, Table()
    feed = Feed(spec("mid"), ("mid", "depth_bid_2", "funding_annual", "basis_frac"), (kind, "funding"))
    books, rates, expected = list[Row](), list[Row](), Table()
    for ts_ns in times(rng, events):
        stamped_ns = ts_ns - (int(rng.integers(0, 2 * STEP_NS)) if rng.random() < 0.15 else 0)
        bid, ask = float(rng.integers(90, 99)), float(rng.integers(100, 105))
        deep = {"bid_px_1": bid - 1, "bid_sz_1": 2.0} if rng.random() < 0.7 else {}
        book = {"ts_ns": stamped_ns, "bid_px_0": bid, "bid_sz_0": 1.0, "ask_px_0": ask, "ask_sz_0": 1.0, **deep}
        feed.take(kind, framed(kind, [book]))
        if stamped_ns >= max((b["ts_ns"] for b in books), default=0):
            books.append(book)  # one stamped before an earlier one is left out
        if rng.random() < 0.3:
            hours = int(rng.choice([0, 8]))
            mark = float(rng.choice([np.nan, 101.0]))
            rates.append({"ts_ns": ts_ns, "rate": 1e-4 * len(rates), "interval_s": 3_600 * hours, "mark_price": mark})
            feed.take("funding", framed("funding", [{**rates[-1], "index_price": 100.0}]))
        if rng.random() < 0.4:
            stop = max(stop, ts_ns // STEP_NS + int(rng.integers(-2, 4)))
            known = set(found)
            put(found, feed.close(stop))
            for slot in set(found) - known:
                end_ns = (slot + 1) * STEP_NS - 1
                held = [b for b in books if end_ns - SILENCE_S * NS_PER_S <= b["ts_ns"] <= end_ns][-1:]
                past = [r for r in rates if end_ns - DAY_S * NS_PER_S <= r["ts_ns"] <= end_ns]
                yearly = [r["rate"] * 365 * DAY_S / r["interval_s"] for r in past if r["interval_s"]][-1:]
                basis = [r["mark_price"] / 100 - 1 for r in past if r["mark_price"] > 0][-1:]
                (mid,) = [(b["bid_px_0"] + b["ask_px_0"]) / 2 for b in held] or [np.nan]
                (depth,) = [1 + b.get("bid_sz_1", np.nan) for b in held] or [np.nan]
                names = ("mid", "depth_bid_2", "funding_annual", "basis_frac")
                values = (mid, depth, *(yearly or [np.nan]), *(basis or [np.nan]))
                expected[slot] = dict(zip(names, values, strict=True))
    same(found, expected)


def test_a_rate_is_forgotten_a_day_after() -> None:
    feed = Feed(FeatureSpec(900, (900,), ("hour_sin",), 900), ("funding_annual",), ("bars_900s", "funding"))
    step_ns = 900 * NS_PER_S
    opens = [START_NS // step_ns * step_ns + i * step_ns for i in range(120)]
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    feed.take("bars_900s", framed("bars_900s", [{"ts_ns": t, **prices} for t in opens]))
    feed.take("funding", framed("funding", [{"ts_ns": opens[5], "rate": 1e-4, "interval_s": 28_800}]))
    rows: Table = {}
    put(rows, feed.close(opens[-1] // step_ns + 1))
    known = [i for i, row in enumerate(rows.values()) if not np.isnan(row["funding_annual"])]
    assert known == list(range(5, 5 + 96))  # ends of rows up to a day after the rate
    assert rows[opens[5] // step_ns]["funding_annual"] == pytest.approx(1e-4 * 3 * 365)


@pytest.mark.parametrize(
    ("kinds", "channels", "told"),
    [
        (("trades",), ("mid",), "the features need book"),
        (("book_deltas",), ("volume",), "the features need trades"),
        (("trades",), ("funding_annual", "open_interest"), "the features need funding and open_interest"),
        ((), ("volume",), "there are only no data"),
        (("trades", "agg_trades"), ("volume",), "trades and agg_trades tell the same"),
        (("trades", "book_deltas", "book_snapshots_5"), ("mid",), "book_deltas and book_snapshots_5 tell the same"),
        ((f"bars_{BAR_S + 1}s",), ("volume",), "bars_6s do not fit rows of 5 s"),
        ((f"bars_{BAR_S}s", "book_deltas"), ("paid_spread",), "the features need trades"),
    ],
)
def test_kinds_that_cannot_give_the_channels_or_give_them_twice_are_refused(
    kinds: tuple[str, ...], channels: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SettingError, match=told):
        Feed(spec(), channels, kinds)


def test_tables_of_no_use_are_passed_over() -> None:
    feed = Feed(spec(), ("volume",), ("trades", "liquidations", "option_quotes", "book_bands"))
    rows = [{"ts_ns": START_NS, "seq": 1, "price": 9.0, "size": 2.0, "side": 1}]
    feed.take("liquidations", framed("liquidations", rows))
    feed.take("trades", framed("trades", rows))
    assert [c["volume"].tolist() for _, c in feed.close(START_NS // STEP_NS + 1)] == [[2.0]]


def test_a_kind_that_was_not_announced_is_passed_over_by_the_feed_and_an_empty_frame_changes_nothing() -> None:
    feed = Feed(spec(), ("volume",), ("trades",))
    before = {name: values.copy() for name, values in feed.state().items()}
    feed.take("trades", framed("trades", []))
    for name, values in feed.state().items():
        np.testing.assert_array_equal(values, before[name])
