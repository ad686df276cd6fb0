"""What another instrument may and may not change: outcomes, blindness, panels."""

import numpy as np
import pandas as pd
import polars as pl

from features.clock import NS_PER_S
from features.market import Market
from features.online import Online
from features.panel import Panel
from features.pipeline import Frames, compute_panels
from features.schema import BARS, TRADES, book_snapshots
from features.spec import FeatureSpec

BAR_S = 300
START_NS = 1_700_000_100 // BAR_S * BAR_S * NS_PER_S
SPEC = FeatureSpec(bar_s=BAR_S, every_s=BAR_S, horizons_s=(1_800,), features=("log_rv_1h", "move_1h"))
LED = FeatureSpec(bar_s=BAR_S, every_s=BAR_S, horizons_s=(1_800,), features=("log_rv_1h", "LEAD.log_rv_1h"))


def bars(n: int, seed: int, skip: slice = slice(0, 0)) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(1e-3 * rng.standard_normal(n)))
    frame = pd.DataFrame({"ts_ns": START_NS + BAR_S * NS_PER_S * np.arange(n, dtype=np.int64), "close": close})
    frame["open"] = frame["high"] = frame["low"] = frame["close"]
    frame["volume"] = 1.0
    return BARS.conform(pl.from_pandas(frame.drop(index=range(n)[skip])))


def panel_of(spec: FeatureSpec, **frames: pl.DataFrame) -> Panel:
    tables: dict[str, Frames] = {symbol: {f"bars_{BAR_S}s": [frame]} for symbol, frame in frames.items()}
    wanted = ("A",) if spec is LED else tuple(frames)
    return compute_panels(tables, wanted, spec)["A"]


def same(left: Panel, right: Panel) -> None:
    np.testing.assert_array_equal(left.origin_ns, right.origin_ns)
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.blind, right.blind)
    for name, values in left.targets.arrays.items():
        np.testing.assert_array_equal(values, right.targets.arrays[name])


def test_an_instrument_that_goes_on_longer_changes_nothing_of_another() -> None:
    """Rows are made up to the common clock: outcomes must end with the instrument's own data."""
    alone = panel_of(SPEC, A=bars(200, 1))
    for others in (150, 203, 400):
        same(panel_of(SPEC, A=bars(200, 1), B=bars(others, 2)), alone)
    assert np.isnan(alone.targets.log_return[-6:]).all()
    assert np.isfinite(alone.targets.log_return[-7])


def test_a_dead_leader_blinds_those_whom_it_leads() -> None:
    late = panel_of(LED, A=bars(600, 1), LEAD=bars(200, 2))
    row = (START_NS + 200 * BAR_S * NS_PER_S - late.origin_ns[0]) // (BAR_S * NS_PER_S)
    assert not late.blind[: row + 1].any()
    assert late.blind[row + 8 :].all()  # half an hour later
    holed = panel_of(LED, A=bars(900, 1), LEAD=bars(900, 2, slice(300, 350)))
    assert holed.blind.sum() >= 288  # a day
    assert not holed.blind[-100:].any()


def test_a_silent_tape_of_trades_is_blind_on_a_fine_grid() -> None:
    rng = np.random.default_rng(3)
    seconds = np.concatenate([np.arange(600), np.arange(2_300, 2_900)])
    trades = pl.DataFrame(
        {
            "ts_ns": START_NS + seconds * NS_PER_S,
            "price": 100 * np.exp(np.cumsum(1e-4 * rng.standard_normal(len(seconds)))),
            "size": 1.0,
        }
    )
    spec = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=("log_rv_60s",))
    panel = compute_panels({"A": {"trades": [TRADES.conform(trades)]}}, ("A",), spec)["A"]
    second = (panel.origin_ns - START_NS) // NS_PER_S
    assert not panel.blind[second <= 660].any()
    assert panel.blind[(second > 661) & (second <= 2_356)].all()
    assert not panel.blind[second > 2_362].any()
    assert np.isnan(panel.targets.log_return[(second > 600) & (second < 2_300)]).all()


def test_rates_do_not_pile_up_while_no_row_is_made() -> None:
    spec = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=("log_rv_10s", "basis_10s"))
    market = Market(spec, {"A": ("trades", "funding")}, ("A",))
    one = TRADES.conform(pl.DataFrame({"ts_ns": [START_NS], "price": [1.0], "size": [1.0]}))
    market.take("A", "trades", one)
    sizes = []
    for hour in range(1, 30):
        stamps = START_NS + (3_600 * hour + np.arange(3_600)) * NS_PER_S
        rates = {"ts_ns": stamps, "rate": 1e-4, "interval_s": 28_800, "mark_price": 1.01, "index_price": 1.0}
        market.take("A", "funding", pl.DataFrame(rates))
        list(market.close(int(stamps[-1]) // NS_PER_S))
        sizes.append(sum(values.nbytes for values in market.state().values()))
    assert max(sizes[5:]) == min(sizes[5:])


def books(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A touch every second that moves."""
    rng = np.random.default_rng(5)
    mid = 100 * np.exp(np.cumsum(1e-4 * rng.standard_normal(n)))
    ts_ns = START_NS + NS_PER_S * np.arange(n, dtype=np.int64)
    return ts_ns, np.column_stack([mid - 0.01, np.ones(n), mid + 0.01, np.ones(n)])


MID = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=("log_rv_10s",), price="mid", depth=1)


def test_a_callers_array_may_be_used_again() -> None:
    ts_ns, matrix = books(60)
    rows = []
    for once in (matrix, None):
        online = Online(MID, {"A": ("book_snapshots_1",)}, ("A",), delay_s=3.0)
        buffer, found = np.empty((1, 4)), []
        for i in range(60):
            buffer[:] = matrix[i]
            found += online.add_books("A", ts_ns[i : i + 1], matrix[i : i + 1] if once is not None else buffer)
        rows.append(np.concatenate([r.values[:, 0] for r in found]))  # noqa: PD011 - Rows, no pandas
    np.testing.assert_array_equal(rows[0], rows[1])
    assert len(rows[0]) > 40


def test_a_late_book_event_does_not_end_the_session() -> None:
    """A book event from before the last row that had any must not be taken for the one that the next is far from."""
    names = ("log_rv_10s", "log_spread_10s")
    spec = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=names, depth=1, pause_s=60)
    ts_ns, matrix = books(200)
    trades = TRADES.conform(pl.DataFrame({"ts_ns": ts_ns[:102], "price": matrix[:102, 0], "size": 1.0}))
    online = Online(spec, {"A": ("trades", "book_snapshots_1")}, ("A",))
    found = online.add("A", "trades", trades)
    found += online.advance(int(ts_ns[130]))
    found += online.add_books("A", ts_ns[[90, 155, 160]], matrix[[90, 155, 160]])
    origins = np.concatenate([r.origin_ns for r in found])
    assert online.tallies["A"]["book"].late == 1
    assert set(np.diff(origins)) == {NS_PER_S}
    assert origins[-1] == ts_ns[160]


def test_the_volume_of_a_tape_that_may_be_dead_is_not_zero() -> None:
    spec = FeatureSpec(bar_s=1, every_s=1, horizons_s=(60,), features=("log_quote_60s",), price="mid", depth=1)
    ts_ns, matrix = books(4_000)
    names = ("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    frame = pl.DataFrame({"ts_ns": ts_ns, **{name: matrix[:, j] for j, name in enumerate(names)}})
    stamps = START_NS + np.arange(500, 700) * NS_PER_S
    trades = TRADES.conform(pl.DataFrame({"ts_ns": stamps, "price": 100.0, "size": 1.0}))
    tables: dict[str, Frames] = {"A": {"book_snapshots_1": [book_snapshots(1).conform(frame)], "trades": [trades]}}
    panel = compute_panels(tables, ("A",), spec)["A"]
    second = (panel.origin_ns - START_NS) // NS_PER_S
    known = panel.known[:, 0]
    assert not known[second < 560].any()
    assert known[(second >= 560) & (second <= 2_500)].all()
    assert not known[second > 2_501].any()
    assert (panel.column("log_quote_60s")[(second > 770) & (second < 2_400)] == 0).all()  # nothing was traded


def test_what_bars_do_not_tell_may_be_null() -> None:
    whole = bars(200, 1)
    holed = whole.with_columns(*(pl.lit(None, pl.Float64).alias(c) for c in ("quote_volume", "trades", "buy_volume")))
    same(panel_of(SPEC, A=holed), panel_of(SPEC, A=whole))
