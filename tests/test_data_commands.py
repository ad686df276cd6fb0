"""``margincast data`` from the outside: what is printed, what is stored, and how a fault ends."""

from pathlib import Path

import polars as pl
import pytest

from features import fetch
from features.sources import SOURCES
from features.tape import Stream, Tape
from tests.running import Run, runner

T_MS = 1_700_000_000_000
HEAD = "symbol,ts_ms,trade_id,price,size,side"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys, "data")


def trades(path: Path, count: int = 150, bad: str = "") -> Path:
    lines = [f"A,{T_MS + 1_000 * i},{i},{100 + i / 2},2,{'buy' if i % 2 else 'sell'}" for i in range(count)]
    path.write_text("\n".join([HEAD, *lines, *([bad] if bad else [])]) + "\n")
    return path


def book(path: Path) -> Path:
    """A snapshot and two changes of a book, a second apart."""
    lines = [
        f"{T_MS},true,bid,100,1", f"{T_MS},true,bid,99,4", f"{T_MS},true,ask,101,2",
        f"{T_MS + 1_000},false,bid,100,3", f"{T_MS + 2_000},false,ask,101,0", f"{T_MS + 2_000},false,ask,102,5",
        f"{T_MS + 3_000},false,bid,98,1",
    ]  # fmt: skip
    path.write_text("\n".join(["ts_ms,is_snapshot,side,price,size", *lines]) + "\n")
    return path


@pytest.mark.parametrize("command", ["import", "list", "check", "sources", "sample", "book", "bars", "fetch"])
def test_help_has_an_example(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"margincast data {command}" in done.out
    assert "Example" in done.out


def test_the_packaged_sample_goes_into_a_store(run: Run) -> None:
    assert "100,002 bars of 900 s of BTCUSDT" in run("sample", "--store", "kept").out
    assert "BTCUSDT" in run("list", "--store", "kept").out


def test_sources_names_every_reader(run: Run) -> None:
    done = run("sources")
    assert done.code == 0
    for name, source in SOURCES.items():
        assert any(line.split()[:1] == [name] and source.about in line for line in done.out.splitlines())


def test_a_file_is_imported_listed_and_checked(tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv")
    done = run("import", "table", "a.csv", "--venue", "v")
    assert (done.code, done.err) == (0, "")
    assert "a.csv: 150 rows" in done.out
    assert "kind=trades/venue=v/symbol=A  150 rows, 2023-11-14T22:13:20Z to 2023-11-14T22:15:49Z" in done.out
    assert "unchanged, imported before" in run("import", "table", "a.csv", "--venue", "v").out
    done = run("list")
    (told,) = [line.split() for line in done.out.splitlines() if line.split()[:1] == ["trades"]]
    assert told[:3] == ["trades", "v/A", "150"]
    done = run("check")
    assert done.code == 0
    assert "1 of 1 streams sound; page data/check.html" in done.out
    assert "symbol" in (tmp_path / "data" / "check.html").read_text()


def test_the_store_may_lie_anywhere_and_be_told_by_the_environment(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades(tmp_path / "a.csv", 3)
    assert run("import", "table", "a.csv", "--venue", "v", "--store", "here").code == 0
    monkeypatch.setenv("MARGINCAST_STORE", "there")
    assert run("import", "table", "a.csv", "--venue", "v").code == 0
    for name in ("here", "there"):
        assert Tape(tmp_path / name).streams() == [Stream("v", "A", "trades")]
        assert "1 streams in " in run("list", "--store", name).out


def test_bad_rows_are_set_aside_where_that_is_asked_for(tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv", 3, bad=f"A,{T_MS + 9_000},9,-5,2,buy")
    done = run("import", "table", "a.csv", "--venue", "v", "--on-error", "quarantine")
    assert done.code == 0
    assert "1 bad rows set aside in data/quarantine/a.csv-" in done.out


def test_of_several_files_the_good_come_in_and_the_bad_are_told(tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv", 3)
    trades(tmp_path / "b.csv", 3, bad="torn")
    done = run("import", "table", "none.csv", "b.csv", "a.csv", "--venue", "v")
    assert done.code == 2
    assert "a.csv: 3 rows" in done.out
    first, second = done.err.splitlines()
    assert first == "error: none.csv: no such file"
    assert second.startswith("error: b.csv: row 5: 1 fields where the header has 6; correct the file, or import with")


FAULTS = {
    ("import", "table", "none.csv", "--venue", "v"): "none.csv: no such file",
    ("import", "table", ".", "--venue", "v"): "is a folder; name its files",
    ("import", "morse", "a.csv"): "unknown source 'morse'; known: ",
    ("import", "table", "a.csv"): "a.csv: does not say its venue; add --venue",
    ("import", "table", "a.csv", "--venue", "v", "--symbol", "B"): "a.csv: holds no B; it holds A",
    ("import", "table", "a.csv", "--venue", "v", "--unit", "s"): "give --unit ms",
    ("import", "table", "bad.csv", "--venue", "v"): "bad.csv: row 5: A: price is -5.0, but price is finite",
    ("import", "bars", "a.csv", "--venue", "v"): "a.csv: bars do not name their instrument; add --symbol",
    ("import", "bars", "a.csv", "--venue", "v", "--symbol", "A"): "a.csv: no column for open, high, low, close",
    ("list", "--store", "none"): "none: no such folder; import something first, or name it with --store",
    ("check", "--store", "none"): "none: no such folder",
    ("check", "--store", "held", "--symbol", "B"): "held holds no stream of venue any and symbol B",
    ("book", "--symbol", "A", "--out", "o", "--store", "none"): "none: no such folder",
    ("book", "--symbol", "A", "--out", "o", "--store", "held"): "held holds no book_deltas or order_events of A",
    (
        "bars",
        "--symbol",
        "B",
        "--bar-s",
        "60",
        "--store",
        "held",
    ): "holds no trades or agg_trades of B; it has them of v/A",
    ("fetch", "nasdaq", "--symbol", "A", "--kind", "trades", "--from", "2024-01-01", "--to", "2024-01-02"): (
        "unknown archive 'nasdaq'; known: binance"
    ),
    ("fetch", "binance", "--symbol", "a b", "--kind", "trades", "--from", "2024-01-01", "--to", "2024-01-02"): (
        "is no symbol of Binance"
    ),
    ("fetch", "binance", "--symbol", "A", "--kind", "gossip", "--from", "2024-01-01", "--to", "2024-01-02"): "gossip",
    ("fetch", "binance", "--symbol", "A", "--kind", "trades", "--from", "soon", "--to", "2024-01-02"): "soon",
}


@pytest.mark.parametrize("arguments", FAULTS, ids=" ".join)
def test_a_fault_ends_with_code_2_and_one_line(arguments: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv", 3)
    trades(tmp_path / "bad.csv", 3, bad=f"A,{T_MS + 9_000},9,-5,2,buy")
    if "held" in arguments:
        run("import", "table", "a.csv", "--venue", "v", "--store", "held")
    done = run(*arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert FAULTS[arguments] in done.err
    assert "Traceback" not in done.out + done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "table"),
        ("import", "table", "a.csv", "--on-error", "shrug"),
        ("import", "table", "a.csv", "--unit", "h"),
        ("import", "bars", "a.csv", "--bar-s", "0"),
        ("check", "--silence", "0"),
        ("book", "--symbol", "A"),
        ("book", "--symbol", "A", "--out", "o", "--depth", "0"),
        ("bars", "--symbol", "A", "--bar-s", "0"),
        ("fetch", "binance"),
        ("dance",),
    ],
)
def test_a_wrong_call_ends_with_code_2_and_says_how(arguments: tuple[str, ...], run: Run) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "Usage: " in done.err
    assert "margincast data" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["a(1).csv", "a [b].csv", "a[red].csv", "[/x].csv"])
def test_a_file_is_called_by_its_name_whatever_brackets_it_has(name: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    done = run("import", "table", name, "--venue", "v")
    assert done.code == 2
    assert name in done.err
    trades(path, 3)
    done = run("import", "table", name, "--venue", "v")
    assert done.code == 0
    assert f"{name}: 3 rows" in done.out


def test_books_are_rebuilt_from_the_stored_changes(tmp_path: Path, run: Run) -> None:
    book(tmp_path / "book.csv")
    assert run("import", "table", "book.csv", "--venue", "v", "--symbol", "A").code == 0
    done = run("book", "--symbol", "A", "--every", "1", "--depth", "2", "--out", "books.parquet")
    assert done.code == 0
    assert "4 books in books.parquet: 7 events, 1 snapshots, 0 gaps" in done.out
    frame = pl.read_parquet(tmp_path / "books.parquet")
    assert frame["ts_ns"].to_list() == [(T_MS + 1_000 * i) * 1_000_000 for i in range(4)]
    touch = frame.select("bid_px_0", "bid_sz_0", "bid_px_1", "ask_px_0", "ask_sz_0").rows()
    assert touch == [
        (100, 1, 99, 101, 2),
        (100, 3, 99, 101, 2),
        (100, 3, 99, 102, 5),
        (100, 3, 99, 102, 5),
    ]


def test_bars_are_made_of_the_stored_trades(tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv")
    run("import", "table", "a.csv", "--venue", "v")
    done = run("bars", "--symbol", "A", "--bar-s", "60")
    assert done.code == 0
    assert "3 bars in kind=bars_60s/venue=v/symbol=A" in done.out
    (path,) = (tmp_path / "data" / "kind=bars_60s").rglob("*.parquet")
    bars = pl.read_parquet(path, hive_partitioning=False)
    slow: dict[int, list[float]] = {}
    for i in range(150):
        slow.setdefault((T_MS + 1_000 * i) // 60_000 * 60_000, []).append(100 + i / 2)
    assert bars.select("ts_ns", "open", "high", "low", "close", "volume").rows() == [
        (ms * 1_000_000, p[0], max(p), min(p), p[-1], 2.0 * len(p)) for ms, p in slow.items()
    ]
    assert "2 of 2 streams sound" in run("check").out


def test_a_damaged_store_is_told_by_list_and_check(tmp_path: Path, run: Run) -> None:
    trades(tmp_path / "a.csv", 3)
    run("import", "table", "a.csv", "--venue", "v")
    (path,) = (tmp_path / "data").rglob("*.parquet")
    path.write_bytes(b"PAR1")
    done = run("check")
    assert done.code == 1
    assert "is not the file that was written; import a.csv again" in done.out
    assert "0 of 1 streams sound" in done.out
    path.unlink()
    done = run("list")
    assert done.code == 0
    assert "the manifest names this file but it is gone" in done.out


def test_fetching_tells_what_came_and_what_is_absent(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], Path, str]] = []

    def pretended(files: list[fetch.ArchiveFile], out: Path, base_url: str, progress: fetch.Progress) -> fetch.Fetched:
        asked.append(([file.name for file in files], out, base_url))
        progress(files[0].name, 5, 10)
        progress(files[0].name, 10, 10)
        return fetch.Fetched(written=[out / files[0].name], absent=[files[1].name])

    monkeypatch.setattr(fetch, "fetch", pretended)
    done = run(
        "fetch", "binance", "--symbol", "BTCUSDT", "--kind", "trades", "--from", "2024-01-01", "--to", "2024-01-02",
        "--out", "got", "--base-url", "http://localhost:1",
    )  # fmt: skip
    names = ["BTCUSDT-trades-2024-01-01.zip", "BTCUSDT-trades-2024-01-02.zip"]
    assert asked == [(names, Path("got"), "http://localhost:1")]
    assert done.code == 0
    assert f"not in the archive: {names[1]}" in done.out
    assert "1 fetched, 0 there already, 1 absent; in got" in done.out


def test_at_eighty_columns_no_line_is_longer(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    trades(tmp_path / "a.csv", 3)
    run("import", "table", "a.csv", "--venue", "v")
    for command in ("sources", "list", "check"):
        assert max(len(line) for line in run(command).out.splitlines()) <= 80
