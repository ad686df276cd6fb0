"""The check finds what was put into the store, and nothing in a clean one."""

from pathlib import Path

import pytest

from features.clock import NS_PER_S, parse_utc
from features.importing import Request, import_file
from features.intake.batch import Options
from features.quality import Quality, inspect, inventory
from features.quality_page import duration, findings, write_page

START_US = parse_utc("2024-03-01") // 1_000
HEAD = "exchange,symbol,timestamp,local_timestamp"


def put(tmp_path: Path, name: str, text: str, source: str = "tardis", **options: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    asked = Options(**options)  # type: ignore[arg-type]
    import_file(
        path, tmp_path / "store", Request(source, venue="v", options=asked, on_error="quarantine"), lambda _: None
    )
    return tmp_path / "store"


def looked(store: Path, silence_s: float = 60.0) -> Quality:
    (found,) = inspect(store, lambda _: True, silence_s, lambda *_: None)
    return found


def trades(*rows: tuple[float, int, float]) -> str:
    lines = [f"v,S,{START_US + int(s * 1e6)},{START_US + int(s * 1e6) + 5},{i},buy,{p},1" for s, i, p in rows]
    return "\n".join([f"{HEAD},id,side,price,amount", *lines, ""])


def book(*rows: tuple[float, bool, str, float, float]) -> str:
    lines = [
        f"v,S,{START_US + int(s * 1e6)},{START_US + int(s * 1e6)},{str(snap).lower()},{side},{p},{q}"
        for s, snap, side, p, q in rows
    ]
    return "\n".join([f"{HEAD},is_snapshot,side,price,amount", *lines, ""])


def test_a_clean_stream_is_sound_and_its_rows_are_counted(tmp_path: Path) -> None:
    store = put(tmp_path, "trades.csv", trades(*((i, i, 100 + i) for i in range(30))))
    found = looked(store)
    assert found.sound
    assert (found.rows, found.gaps, found.duplicates, found.breaks, found.back_steps) == (30, 0, 0, 0, 0)
    assert (found.first_ns, found.last_ns) == (START_US * 1_000, (START_US + 29_000_000) * 1_000)
    assert sum(found.density) == 30
    assert found.ticks == [1.0]
    (listed,) = inventory(store)
    assert (listed.rows, listed.first_ns, listed.last_ns, listed.bytes) == (
        30,
        found.first_ns,
        found.last_ns,
        found.bytes,
    )


def test_silence_missing_numbers_and_times_that_go_back(tmp_path: Path) -> None:
    rows = [(0, 1, 100.0), (1, 2, 100.0), (200, 3, 101.0), (201, 4, 101.0), (200.5, 7, 101.0)]
    text = trades(*rows).replace(
        f"{START_US + 200_500_000},{START_US + 200_500_005}", f"{START_US + 200_500_000},{START_US + 201_000_005}"
    )
    found = looked(put(tmp_path, "trades.csv", text))
    assert (found.gaps, found.longest_gap_s) == (1, 199)
    assert (found.breaks, found.back_steps) == (1, 1)
    assert not found.sound
    assert looked(tmp_path / "store", silence_s=200).gaps == 0


def test_a_crossed_book_a_void_one_and_a_change_of_tick(tmp_path: Path) -> None:
    rows = [
        (0.0, False, "bid", 99.0, 1.0),  # before any snapshot: void
        (1.0, True, "bid", 100.0, 1.0),
        (1.0, True, "ask", 101.0, 1.0),
        (2.0, False, "ask", 99.5, 1.0),  # crossed for two seconds
        (4.0, False, "ask", 99.5, 0.0),
        (8.0, False, "bid", 99.0, 2.0),
    ]
    found = looked(put(tmp_path, "book.csv", book(*rows)))
    assert found.void_share == pytest.approx(1 / 6)
    assert found.crossed_share == pytest.approx(2 / 8)
    assert found.crossed == 1
    assert not found.sound


def test_bars_that_are_missing_and_stand_still(tmp_path: Path) -> None:
    start_ms = START_US // 1_000
    rows = [(i, 100.0 if i < 5 else 101.0, 0 if 1 <= i < 5 else 2) for i in range(12) if i not in (7, 8)]
    text = "ts_ms,open,high,low,close,volume\n" + "".join(
        f"{start_ms + 60_000 * i},{p},{p},{p},{p},{v}\n" for i, p, v in rows
    )
    found = looked(put(tmp_path, "bars.csv", text, source="bars", symbol="S"))
    assert (found.gaps, found.longest_gap_s, found.longest_stale_s) == (2, 120, 240)


def test_crossed_and_stale_quotes(tmp_path: Path) -> None:
    rows = [(0, 100, 101), (1, 100, 101), (30, 100, 101), (31, 100.5, 100.25), (32, 100, 101)]
    lines = [f"v,S,{START_US + s * 1_000_000},{START_US + s * 1_000_000},1,{a},{b},1" for s, b, a in rows]
    text = "\n".join([f"{HEAD},ask_amount,ask_price,bid_price,bid_amount", *lines, ""])
    found = looked(put(tmp_path, "quotes.csv", text))
    assert (found.crossed, found.crossed_share, found.longest_stale_s) == (1, 0.2, 31)


def test_a_damaged_part_is_told_and_the_page_shows_it(tmp_path: Path) -> None:
    store = put(tmp_path, "trades.csv", trades((0, 1, 100.0), (1, 2, 100.5)))
    (part,) = store.rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    found = looked(store)
    assert "is not the file that was written" in found.fault
    assert not found.sound
    page = tmp_path / "check.html"
    write_page(page, store, [found], 60.0)
    assert "is not the file that was written" in page.read_text()
    assert "0 of 1" in page.read_text()


def test_findings_are_words_only_where_there_is_something() -> None:
    assert set(findings(Quality("kind=a/venue=b/symbol=c"))) == {""}
    told = findings(Quality("kind=a/venue=b/symbol=c", gaps=3, longest_gap_s=3 * 3_600, ticks=[0.1, 0.01, 1, 10]))
    assert told[:2] == ("3", "3 h")
    assert told[-1] == "0.1 → 0.01 → 1 …"
    assert duration(NS_PER_S) == "1.16e+04 d"
