"""What comes late, twice, wrong or damaged: the live rows stay what they were, and the error says what it is."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.clock import NS_PER_S
from features.errors import DataError, FormatError, SettingError
from features.market import Market, Rows
from features.online import Online
from features.spec import FeatureSpec
from tests.features.streams import START_NS, Parts, conformed, joined, same

EVENTS = FeatureSpec(1, (1,), ("log_quote_2s", "log_return_2s"), 1, "trade", 2, 5, 20)


def numbered(first: int, count: int, every_s: float = 1.0) -> pl.DataFrame:
    """Trades with numbers at even times."""
    return conformed(
        "trades",
        [
            {
                "ts_ns": START_NS + round(i * every_s * NS_PER_S),
                "seq": i,
                "price": 100.0 + i % 7,
                "size": 1.0,
                "side": 1,
            }
            for i in range(first, first + count)
        ],
    )


def rows_of(rows: list[Rows]) -> Parts:
    return joined(rows, "A", len(EVENTS.features))


def test_what_is_late_or_repeated_changes_no_row_and_is_counted() -> None:
    frame, online = numbered(0, 30), Online(EVENTS, {"A": ("trades",)}, ("A",), delay_s=2.0)
    first = online.add("A", "trades", frame[:10]) + online.advance(START_NS + 15 * NS_PER_S)
    given = [(r.origin_ns.copy(), r.values.copy(), r.blind.copy()) for r in first]
    assert sum(len(part[0]) for part in given) > 5
    rest = online.add("A", "trades", frame[10:13])  # their rows were given out when the clock said 15 s
    rest += online.add("A", "trades", frame[5:8])  # once more
    rest += online.add("A", "trades", frame[13:])  # the one of 13 s is in time: the delay
    rest += online.advance(START_NS + 33 * NS_PER_S)
    for part, now in zip(given, first, strict=True):
        same((now.origin_ns, now.values, now.blind), part)
    tally = online.tallies["A"]["trades"]
    assert (tally.events, tally.late, tally.duplicates) == (33, 3, 3)
    kept = pl.concat([frame[:10], frame[13:]])
    market = Market(EVENTS, {"A": ("trades",)}, ("A",))
    market.take("A", "trades", kept)
    expected = rows_of(list(market.close(START_NS // NS_PER_S + 31)))
    same(rows_of(first + rest), expected)


def test_an_event_in_time_for_the_delay_is_in_its_row() -> None:
    """Two instruments: the second lags by as much as the delay, and by a nanosecond more."""
    kinds: dict[str, tuple[str, ...]] = {"A": ("trades",), "B": ("trades",)}
    for over_ns, late in ((0, 0), (1, 1)):
        online = Online(EVENTS, kinds, ("A", "B"), delay_s=2.0)
        online.add("A", "trades", numbered(0, 1))
        online.add("B", "trades", numbered(0, 1))
        ends_ns = START_NS + 6 * NS_PER_S  # B's event is the last nanosecond of the row that ends here
        event = numbered(5, 1).with_columns(ts_ns=pl.lit(ends_ns - 1))
        online.add("A", "trades", numbered(9, 1).with_columns(ts_ns=pl.lit(ends_ns - 1 + 2 * NS_PER_S + over_ns)))
        online.add("B", "trades", event)
        assert online.tallies["B"]["trades"].late == late


def test_a_state_saved_before_the_first_event_and_amid_a_pause(tmp_path: Path) -> None:
    frame = pl.concat([numbered(0, 20), numbered(100_000, 20)])  # a day and more between them
    expected = rows_of(Online(EVENTS, {"A": ("trades",)}, ("A",)).add("A", "trades", frame))
    online, rows = Online(EVENTS, {"A": ("trades",)}, ("A",)), list[Rows]()
    for i in range(len(frame)):
        if i in (0, 1, 20):
            rows += online.advance(int(frame["ts_ns"][i]) - 1)
            online.save(tmp_path / "state.npz")
            online = Online.load(tmp_path / "state.npz")
        rows += online.add("A", "trades", frame[i : i + 1])
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]
    same(rows_of(rows), expected)
    assert len(expected[0]) < 100  # a pause has no rows but those of its beginning


def test_a_state_knows_what_it_is_of(tmp_path: Path) -> None:
    spec = FeatureSpec(1, (1, 2), ("log_quote_3s", "B.log_rv_2s"), 1, "trade", 3, 7, 30)
    kinds: dict[str, tuple[str, ...]] = {"A": ("trades", "funding"), "B": ("agg_trades",)}
    Online(spec, kinds, ("A",), delay_s=1.5).save(tmp_path / "a")
    online = Online.load(tmp_path / "a")
    assert (online.spec, online.kinds, online.wanted, online.delay_s) == (spec, kinds, ("A",), 1.5)


def damaged(path: Path, how: str) -> None:
    """Do to a saved state what disks, people and other programs do."""
    content = path.read_bytes()
    path.unlink()
    if how.startswith("cut"):
        path.write_bytes(content[: int(len(content) * float(how.partition(" ")[2]))])
    elif how == "one byte":
        at = content.rindex(b"\x93NUMPY") + 150  # in the last array
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    elif how == "text":
        path.write_text("hello")
    elif how == "one array":
        path.write_bytes(saved(np.save, np.arange(3)))
    elif how == "other arrays":
        path.write_bytes(saved(np.savez, a=np.arange(3)))
    elif how == "folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(retold(content, how))


def saved(save: Any, *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def retold(content: bytes, how: str) -> bytes:
    """The state without an array, or with other words in what it tells about itself."""
    arrays = dict(np.load(io.BytesIO(content)))
    if how.startswith("without"):
        del arrays[how.partition(" ")[2]]
    else:
        old, new = (part.encode() for part in how.split(">"))
        told = bytes(arrays["about.json"])
        assert old in told
        arrays["about.json"] = np.frombuffer(told.replace(old, new), dtype=np.uint8)
    return saved(np.savez, **arrays)


@pytest.mark.parametrize(
    "how",
    [
        "cut 0", "cut 0.001", "cut 0.5", "cut 0.999", "one byte", "text", "one array", "other arrays", "gone", "folder",
        "without about.json", "without clock", "without feed/A/slots", "without engine/A/slots",
        "without feed/A/trades.clocks", "without sight/A/run", "without engine/A/roller.heads",
        '"code": ">"code": "0', '"bar_s": 1>"bar_s": 2', '"log_quote_2s">"log_quote_4s"', '"trades">"bars_1s"',
        '"spec">"speck"', '"bar_s": 1>"bar_s": 7', '"bar_s": 1>"bar_s": "x"', '"wanted": ["A"]>"wanted": ["Z"]',
    ],
)  # fmt: skip
def test_a_file_that_is_no_saved_state_of_this_spec_is_refused(how: str, tmp_path: Path) -> None:
    online = Online(EVENTS, {"A": ("trades",)}, ("A",))
    online.add("A", "trades", numbered(0, 9))
    online.save(tmp_path / "state.npz")
    damaged(tmp_path / "state.npz", how)
    with pytest.raises(FormatError, match="begin anew"):
        Online.load(tmp_path / "state.npz")


def test_a_state_of_other_feature_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("features.online.code_hash", lambda *_names: "0" * 64)
        Online(EVENTS, {"A": ("trades",)}, ("A",)).save(tmp_path / "state.npz")
        Online.load(tmp_path / "state.npz")  # the code that wrote it goes on
    with pytest.raises(FormatError, match="other feature code"):
        Online.load(tmp_path / "state.npz")


def test_a_save_that_is_interrupted_keeps_the_former_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    online = Online(EVENTS, {"A": ("trades",)}, ("A",))
    online.add("A", "trades", numbered(0, 9))
    online.save(tmp_path / "state.npz")
    before = (tmp_path / "state.npz").read_bytes()
    online.add("A", "trades", numbered(9, 9))
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", dies)
        with pytest.raises(KeyboardInterrupt):
            online.save(tmp_path / "state.npz")
    assert (tmp_path / "state.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("delay_s", [-1.0, -1e-9, float("nan"), float("inf")])
def test_a_delay_that_is_no_time_is_refused(delay_s: float) -> None:
    with pytest.raises(SettingError, match="a delay of"):
        Online(EVENTS, {"A": ("trades",)}, ("A",), delay_s=delay_s)


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        ({"A": ("tradez",)}, ("A",)),
        ({"A": ()}, ("A",)),
        ({"A": ("trades",)}, ("B",)),
        ({"A": ("trades",), "B": ("trades",)}, ("A",)),
        ({"A": ("trades",)}, ()),
        ({}, ()),
        ({"A": ("trades", "agg_trades")}, ("A",)),
    ],
)
def test_instruments_and_tables_that_do_not_fit_are_refused(
    kinds: dict[str, tuple[str, ...]], wanted: tuple[str, ...]
) -> None:
    with pytest.raises(SettingError):
        Online(EVENTS, kinds, wanted)


GOOD = numbered(0, 9)
BAD_FRAMES = {
    "no price": GOOD.drop("price"),
    "no time": GOOD.drop("ts_ns"),
    "a null time": GOOD.with_columns(ts_ns=pl.when(pl.col("seq") == 4).then(None).otherwise(pl.col("ts_ns"))),
    "a null price": GOOD.with_columns(price=pl.when(pl.col("seq") == 4).then(None).otherwise(pl.col("price"))),
    "text": GOOD.with_columns(price=pl.lit("x")),
    "seconds": GOOD.with_columns(ts_ns=pl.col("ts_ns") // NS_PER_S),
    "microseconds": GOOD.with_columns(ts_ns=pl.col("ts_ns") // 1_000),
    "the far future": GOOD.with_columns(ts_ns=pl.lit((1 << 63) - 1)),
    "before 1970": GOOD.with_columns(ts_ns=-pl.col("ts_ns")),
    "a price of 0": GOOD.with_columns(price=pl.when(pl.col("seq") == 4).then(0.0).otherwise(pl.col("price"))),
    "a negative size": GOOD.with_columns(size=-pl.col("size")),
    "an infinite price": GOOD.with_columns(price=pl.lit(np.inf)),
    "a side of 5": GOOD.with_columns(side=pl.lit(5, dtype=pl.Int8)),
}


@pytest.mark.parametrize("what", sorted(BAD_FRAMES))
def test_a_frame_that_is_wrong_is_refused_whole(what: str, tmp_path: Path) -> None:
    """A typed error, and nothing half-taken: the right frame sent after it gives what it gives alone."""
    online, clean = (Online(EVENTS, {"A": ("trades",)}, ("A",)) for _ in range(2))
    with pytest.raises(DataError):
        online.add("A", "trades", BAD_FRAMES[what])
    same(rows_of(online.add("A", "trades", GOOD)), rows_of(clean.add("A", "trades", GOOD)))
    for one, name in ((online, "a"), (clean, "b")):
        one.save(tmp_path / name)
    states = [dict(np.load(tmp_path / name)) for name in ("a", "b")]
    assert states[0].keys() == states[1].keys()
    for key, values in states[0].items():
        np.testing.assert_array_equal(values, states[1][key], err_msg=key)


@pytest.mark.parametrize("wrong", [{"price": np.nan}, {"price": -1.0}, {"size": -1.0}, {"size": np.nan}, {"side": 3}])
def test_a_level_that_is_none_never_enters_the_book(wrong: dict[str, float]) -> None:
    spec = FeatureSpec(1, (1,), ("log_spread_1s",), 1, "mid", 2)
    level = {"ts_ns": START_NS, "seq": 1, "flags": 3, "side": 1, "price": 9.0, "size": 1.0}
    for kind, row in (("book_deltas", level), ("order_events", {**level, "order_id": 1, "action": 1})):
        online = Online(spec, {"A": (kind,)}, ("A",))
        with pytest.raises(DataError):
            online.add("A", kind, conformed(kind, [{**row, **wrong}]))


def test_events_that_were_not_announced_are_refused_and_empty_frames_change_nothing() -> None:
    online = Online(EVENTS, {"A": ("trades",)}, ("A",))
    for symbol, kind in (("B", "trades"), ("A", "book_deltas"), ("A", "agg_trades"), ("", "")):
        with pytest.raises(SettingError, match="was not announced; known are A: trades"):
            online.add(symbol, kind, GOOD)
    assert online.add("A", "trades", GOOD[:0]) == []
    assert online.tallies["A"]["trades"].events == 0
    assert len(rows_of(online.add("A", "trades", GOOD))[0]) == 6


def test_a_clock_that_goes_back_or_far_ahead_gives_no_rows_twice_and_no_endless_ones() -> None:
    online = Online(EVENTS, {"A": ("trades",)}, ("A",))
    online.add("A", "trades", GOOD)
    ahead = rows_of(online.advance(START_NS + 10**5 * NS_PER_S))[0]
    assert len(ahead) <= EVENTS.pause_s + 1
    assert online.advance(0) == []
    assert online.advance(START_NS + 2 * 10**5 * NS_PER_S) == []
    after = rows_of(online.add("A", "trades", numbered(300_000, 9)))[0]
    assert after.min() > START_NS + 300_000 * NS_PER_S
