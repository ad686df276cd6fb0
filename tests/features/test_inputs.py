"""Which of the stored tables an instrument's features are made of."""

from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import SettingError, UnknownInstrumentError
from features.importing import Request, import_file
from features.inputs import find_inputs
from features.intake.batch import Options
from features.pipeline import build_panels
from features.sources import sample
from features.spec import FeatureSpec
from features.store import Series, Store

T_MS = 1_700_000_000_000
TOUCH = ",".join(f"{side}_{what}_0" for side in ("bid", "ask") for what in ("px", "sz"))
DEEP = ",".join(f"{side}_{what}_{i}" for side in ("bid", "ask") for i in range(2) for what in ("px", "sz"))
TEXTS = {
    "trades": ("table", f"ts_ms,trade_id,price,size,side\n{T_MS},1,100,2,buy\n"),
    "agg_trades": (
        "binance",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
        f"1,100,2,1,1,{T_MS},true\n",
    ),
    "book_deltas": (
        "table",
        f"ts_ms,is_snapshot,side,price,size\n{T_MS},true,bid,99,1\n{T_MS},true,ask,101,1\n",
    ),
    "order_events": ("table", f"ts_ms,order_id,action,side,price,size\n{T_MS},7,add,bid,99,1\n"),
    "book_snapshots_1": ("table", f"ts_ms,{TOUCH}\n{T_MS},99,1,101,1\n"),
    "book_snapshots_2": ("table", f"ts_ms,{DEEP}\n{T_MS},99,1,98,1,101,1,102,1\n"),
    "funding": ("table", f"ts_ms,funding_rate\n{T_MS},0.0001\n"),
    "open_interest": (
        "binance",
        "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
        "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
        "2023-11-14 22:10:00,A,5,500,1,1,1,1\n",
    ),
}
TRADED = FeatureSpec(features=("log_rv_4h",))
BOOKED = FeatureSpec(1, (60,), ("log_spread_10s", "signed_10s"), 1, "mid")


def store_of(root: Path, *kinds: str, venue: str = "v", symbol: str = "A") -> Path:
    """A store with a row or two of each of some kinds; ``bars_900s`` is a real hour."""
    for kind in kinds:
        if kind.startswith("bars_"):
            Store(root).write(Series(venue, symbol, 900), sample.read().head(4))
            continue
        source, text = TEXTS[kind]
        path = root.parent / f"{symbol}-{venue}-{kind}.csv"
        path.write_text(text)
        import_file(path, root, Request(source, venue=venue, options=Options(symbol=symbol)), lambda _: None)
    return root


@pytest.mark.parametrize(
    ("stored", "spec", "taken"),
    [
        (("bars_900s",), TRADED, ("bars_900s",)),
        (("bars_900s", "trades", "book_deltas"), TRADED, ("bars_900s",)),
        (("trades", "agg_trades"), TRADED, ("trades",)),
        (("agg_trades",), TRADED, ("agg_trades",)),
        (("bars_900s", "trades", "book_deltas"), BOOKED, ("book_deltas", "trades")),
        (("book_snapshots_1", "book_snapshots_2", "trades"), BOOKED, ("book_snapshots_2", "trades")),
        (("book_deltas", "book_snapshots_2", "trades"), BOOKED, ("book_deltas", "trades")),
        (("order_events", "book_deltas", "agg_trades"), BOOKED, ("order_events", "agg_trades")),
        (("bars_900s", "funding", "open_interest"), TRADED, ("bars_900s", "funding", "open_interest")),
        (("book_deltas", "trades", "funding"), BOOKED, ("book_deltas", "trades", "funding")),
        (("bars_900s", "trades"), replace(TRADED, price="mid"), ("trades",)),
        (("bars_900s", "trades"), replace(TRADED, features=("effective_spread_4h",)), ("trades",)),
        (("bars_900s", "trades"), replace(TRADED, features=("vpin_24h", "amihud_4h")), ("bars_900s",)),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)
def test_the_table_that_tells_most_is_taken(
    stored: tuple[str, ...], spec: FeatureSpec, taken: tuple[str, ...], tmp_path: Path
) -> None:
    root = store_of(tmp_path / "store", *stored)
    assert find_inputs(root, None, "A", spec).kinds == taken


def test_of_several_venues_one_must_be_chosen(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "trades", venue="v")
    store_of(root, "book_deltas", venue="w")
    with pytest.raises(SettingError, match="A: v, w have it; choose one with --venue"):
        find_inputs(root, None, "A", TRADED)
    assert find_inputs(root, "v", "A", TRADED).kinds == ("trades",)
    assert find_inputs(root, "w", "A", BOOKED).kinds == ("book_deltas",)
    with pytest.raises(UnknownInstrumentError, match=r"holds nothing of u/A; it has v/A, w/A"):
        find_inputs(root, "u", "A", TRADED)


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownInstrumentError, match="holds nothing of A; it has nothing"):
        find_inputs(tmp_path / "store", None, "A", TRADED)
    root = store_of(tmp_path / "store", "bars_900s", symbol="B")
    with pytest.raises(UnknownInstrumentError, match="holds nothing of A; it has v/B"):
        find_inputs(root, None, "A", TRADED)


def test_bars_of_another_length_are_refused_with_the_remedy(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "bars_900s")
    with pytest.raises(SettingError, match=r"bars of 900 s, but the feature spec is for 300 s; import 300 s bars"):
        find_inputs(root, None, "A", replace(TRADED, bar_s=300))


def test_bars_alone_give_no_book(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "bars_900s")
    spec = replace(TRADED, features=("log_spread_4h",), price="mid")
    with pytest.raises(SettingError, match=r"need book.* import what is missing or change the spec"):
        build_panels(root, None, ("A",), spec, tmp_path / "panels")


def test_trades_alone_give_no_book(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "trades")
    with pytest.raises(SettingError, match="need book, there are only trades; import what is missing or change"):
        build_panels(root, None, ("A",), BOOKED, tmp_path / "panels")


def test_the_fingerprint_changes_with_any_of_the_tables_and_with_nothing_else(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "trades", "book_deltas")
    first = find_inputs(root, None, "A", BOOKED).fingerprint
    store_of(root, "trades", symbol="B")
    assert find_inputs(root, None, "A", BOOKED).fingerprint == first
    (tmp_path / "more.csv").write_text(TEXTS["trades"][1].replace(",1,100,2,", ",2,101,2,"))
    import_file(tmp_path / "more.csv", root, Request("table", "v", Options(symbol="A")), lambda _: None)
    second = find_inputs(root, None, "A", BOOKED).fingerprint
    store_of(root, "funding")
    assert len({first, second, find_inputs(root, None, "A", BOOKED).fingerprint}) == 3


def test_the_fingerprint_is_of_the_numbers(tmp_path: Path) -> None:
    roots = [tmp_path / name / "store" for name in ("one", "again", "other")]
    for root, price in zip(roots, ("100", "100", "100.5"), strict=True):
        root.parent.mkdir()
        path = root.parent / "trades.csv"
        path.write_text(TEXTS["trades"][1].replace(",100,", f",{price},"))
        import_file(path, root, Request("table", "v", Options(symbol="A")), lambda _: None)
    one, again, other = (find_inputs(root, None, "A", TRADED).fingerprint for root in roots)
    assert one == again != other


def test_the_rows_are_those_that_were_stored(tmp_path: Path) -> None:
    root = store_of(tmp_path / "store", "book_deltas", "trades")
    inputs = find_inputs(root, None, "A", BOOKED)
    rows = {table.kind: [r for f in inputs.frames(table) for r in f["price"]] for table in inputs.tables}  # type: ignore[union-attr]
    assert rows == {"book_deltas": [99.0, 101.0], "trades": [100.0]}
    bars = find_inputs(store_of(root, "bars_900s", symbol="B"), None, "B", TRADED)
    (frame,) = bars.frames(bars.tables[0])
    assert frame["close"].to_list() == sample.read().head(4)["close"].to_list()
