"""The live twin gives the rows of the batch: on random streams of every kind of table, however they come."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from benchmarks.captures import DATA, Capture, binance_windows, bitstamp, gemini
from features import feed
from features.clock import NS_PER_S
from features.errors import ShortHistoryError
from features.market import Market, Rows
from features.online import Online
from features.pipeline import Frames, compute_panels
from features.spec import FeatureSpec
from tests.features.streams import SCENARIOS, Case, Parts, joined, made, same

STREAMS = int(os.environ.get("MARGINCAST_STREAMS", "200"))  # random streams in all
needs_recordings = pytest.mark.skipif(not (DATA / "books").exists(), reason="the recorded books are not here")


def whole(case: Case) -> tuple[dict[str, Parts], dict[str, int], int]:
    """Everything handed over at once, the time of each instrument's last event, and the time up to which rows come."""
    market, step_ns = Market(case.spec, case.kinds, case.wanted), case.spec.bar_s * NS_PER_S
    for symbol, frames in case.tables.items():
        for kind, frame in frames.items():
            market.take(symbol, kind, frame)
    ends_ns = {symbol: feed.clock_ns for symbol, feed in market.feeds.items()}
    last_ns = max(*ends_ns.values(), case.arrivals[-1][3] if case.arrivals else 0, 0)
    rows = list(market.close(last_ns // step_ns))
    return {s: joined(rows, s, len(case.spec.features)) for s in case.wanted}, ends_ns, last_ns


def live(case: Case, last_ns: int, folder: Path, saves: int, most: int = 0) -> dict[str, Parts]:
    """The same rows as they come: one by one or some at once, with the clock running on and restarts between."""
    online, rng, rows = Online(case.spec, case.kinds, case.wanted, case.delay_s), case.rng, list[Rows]()
    saved_at = set(rng.integers(0, max(len(case.arrivals), 1), saves).tolist())
    most = most or int(rng.choice([1, 1, 3, 50]))
    i = 0
    while i < len(case.arrivals):
        symbol, kind, first, now_ns = case.arrivals[i]
        end = i + 1
        while end < min(i + most, len(case.arrivals)) and case.arrivals[end][:2] == (symbol, kind):
            end += 1
        if saved_at.intersection(range(i, end)):
            online.save(folder / "state.npz")
            online = Online.load(folder / "state.npz")
        if rng.random() < 0.1:
            rows += online.advance(now_ns - 1)  # what comes now is not in time for a row that ends now
        rows += online.add(symbol, kind, case.tables[symbol][kind][first : first + end - i])
        i = end
    rows += online.advance(last_ns + round(case.delay_s * NS_PER_S))
    return {s: joined(rows, s, len(case.spec.features)) for s in case.wanted}


def is_panel(case: Case, expected: dict[str, Parts], ends_ns: dict[str, int], cut: bool) -> None:
    """Panels of the same tables, in chunks or whole, have the rows up to each instrument's last event."""
    size = int(case.rng.integers(1, 20)) if cut else 1_000
    chunks: dict[str, Frames] = {
        s: {k: list(f.iter_slices(size)) for k, f in t.items()} for s, t in case.tables.items()
    }
    known = {s: expected[s][0] <= ends_ns[s] for s in case.wanted}
    if not all(rows.any() for rows in known.values()):
        with pytest.raises(ShortHistoryError):
            compute_panels(chunks, case.wanted, case.spec)
        return
    for symbol, panel in compute_panels(chunks, case.wanted, case.spec).items():
        (origin_ns, values, blind), rows = expected[symbol], known[symbol]
        in_single = values[rows].astype(np.float32).astype(np.float64)
        same((panel.origin_ns, panel.values.astype(np.float64), panel.blind), (origin_ns[rows], in_single, blind[rows]))


@settings(max_examples=STREAMS, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    scenario=st.sampled_from(sorted(SCENARIOS)),
    bar_s=st.sampled_from([1, 5, 60]),
    events=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
    saves=st.integers(0, 2),
)
def test_live_rows_are_the_rows_of_the_batch(
    tmp_path_factory: pytest.TempPathFactory, scenario: str, bar_s: int, events: int, seed: int, saves: int
) -> None:
    note(f"made({scenario!r}, {bar_s}, {events}, {seed}) with {saves} restarts")
    case = made(scenario, bar_s, events, seed)
    expected, ends_ns, last_ns = whole(case)
    found = live(case, last_ns, tmp_path_factory.getbasetemp(), saves)
    for symbol in case.wanted:
        same(found[symbol], expected[symbol])
    is_panel(case, expected, ends_ns, cut=bool(seed % 2))


def test_rows_made_a_few_at_a_time_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long stretches are made in chunks: where they are cut, and that a leader's are cut elsewhere, shows nowhere."""
    for seed, scenario in enumerate(sorted(SCENARIOS)):
        with monkeypatch.context() as patch:
            patch.setattr(feed, "CHUNK_ROWS", 7)
            expected, _, last_ns = whole(made(scenario, 5, 50, seed))
        case = made(scenario, 5, 50, seed)
        found = live(case, last_ns, tmp_path, 1)
        for symbol in case.wanted:
            same(found[symbol], expected[symbol])


TOUCHED = (
    "log_rv_30s", "log_spread_20s", "microprice_10s", "ofi_1_20s", "log_cost_1000_10s", "log_quote_30s", "signed_30s",
    "kyle_30s", "effective_spread_30s", "realised_spread_30s",
)  # fmt: skip
DEEP = ("imbalance_5_10s", "ofi_5_10s", "slope_skew_10s", "log_depth_20_20s")


def recorded(capture: Capture, first_s: int, seconds: int) -> Case:
    """A stretch of a recording as it would come live: two seconds at a time, a table after the other, some late."""
    rng = np.random.default_rng(9)
    first_ns = min(int(frame["ts_ns"][0]) for frame in capture.frames.values()) + first_s * NS_PER_S
    during = pl.col("ts_ns").is_between(first_ns, first_ns + seconds * NS_PER_S)
    tables = {kind: frame.filter(during) for kind, frame in capture.frames.items()}
    deep = "book_snapshots_1" not in tables
    spec = FeatureSpec(1, (60,), (*TOUCHED, *DEEP) if deep else TOUCHED, 1, "mid", 20 if deep else 1)
    arrivals = []
    for j, (kind, frame) in enumerate(tables.items()):
        lag_ns = rng.integers(0, NS_PER_S, len(frame)) * (rng.random(len(frame)) < 0.05)
        clock_ns = np.maximum.accumulate(frame["ts_ns"].to_numpy())
        comes_ns = -(-np.maximum.accumulate(clock_ns + lag_ns) // (2 * NS_PER_S)) * (2 * NS_PER_S)
        arrivals += [(int(t), j, i, kind) for i, t in enumerate(comes_ns)]
    ordered = [("A", kind, i, t) for t, _, i, kind in sorted(arrivals)]
    return Case(spec, {"A": tables}, ("A",), 3.0, ordered, rng)


def same_as_recorded(case: Case, tmp_path: Path, least_rows: int) -> None:
    expected, ends_ns, last_ns = whole(case)
    same(live(case, last_ns, tmp_path, 3, most=10_000)["A"], expected["A"])
    is_panel(case, expected, ends_ns, cut=False)
    assert len(expected["A"][0]) >= least_rows
    assert np.isfinite(expected["A"][1]).mean() > 0.8  # else little was compared


@needs_recordings
def test_two_hours_of_single_orders_are_the_same_live(tmp_path: Path) -> None:
    same_as_recorded(recorded(bitstamp(), 7_200, 7_200), tmp_path, 7_000)


@needs_recordings
def test_recorded_touches_and_trades_are_the_same_live(tmp_path: Path) -> None:
    same_as_recorded(recorded(gemini(), 40_000, 1_800), tmp_path, 1_600)


@needs_recordings
def test_every_recorded_window_of_deep_books_is_the_same_live(tmp_path: Path) -> None:
    windows = binance_windows()
    assert len(windows) == 9
    for capture in windows:
        same_as_recorded(recorded(capture, 0, 50), tmp_path, 12)
