"""Every source refuses what is no file of its own in words, leaves nothing behind, and reads its real files."""

import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmarks.real_files import ASIDE, FILES
from features.errors import DataError
from features.importing import ImportReport, OnError, Request, import_file
from features.intake.batch import Options
from features.sources import SOURCES

DATA = Path(__file__).parents[3] / "shared/data"
RAW = DATA / "raw"
NOISE = random.Random(11).randbytes(60_000)
CAPTURE = b'1700000000.1: {"channel":"none"}\n' * 40


def _columnar(write: Callable[[pl.DataFrame, io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(pl.DataFrame({"a": range(900), "b": ["x"] * 900}), buffer)
    return buffer.getvalue()


GZIP = gzip.compress(CAPTURE + NOISE)
PARQUET = _columnar(lambda frame, buffer: frame.write_parquet(buffer))
FEATHER = _columnar(lambda frame, buffer: frame.write_ipc(buffer))
FOREIGN = {
    "empty": b"",
    "blank lines": b"\n\n  \n",
    "zeros": bytes(1_000),
    "random bytes": NOISE,
    "gzip cut short": GZIP[: len(GZIP) // 2],
    "gzip cut in its header": GZIP[:5],
    "gzip of nothing": gzip.compress(b""),
    "zip cut short": b"PK\x03\x04" + NOISE[:500],
    "xz damaged": b"\xfd7zXZ\x00" + NOISE[:100],
    "bzip2 damaged": b"BZh" + NOISE[:100],
    "zstandard damaged": b"\x28\xb5\x2f\xfd" + NOISE[:100],
    "parquet of something else": PARQUET,
    "parquet cut short": PARQUET[: len(PARQUET) // 2],
    "feather of something else": FEATHER,
    "feather cut short": FEATHER[: len(FEATHER) // 2],
    "old feather damaged": b"FEA1" + NOISE[:200],
    "prose": b"A letter, no data.\nIt has two lines, and commas.\n",
    "page": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n",
    "table of something else": b"a,b,c\n1,2,3\n4,5,6\n",
    "JSON of something else": b'{"a":1}\n[1,2]\n"text"\n1\nnull\n[]\n{}\n[[]]\n[{}]\n',
    "one JSON list": b'[{"a":1},{"a":2}]',
    "UTF-16": "timestamp,price\n1,2\n".encode("utf-16"),
    "open quote": b'"a,b\n1,2\n',
}
HEADERS = {
    "bars": b"ts_ms,open,high,low,close,volume\n",
    "table": b"ts_ms,price,size,side\n",
    "binance": b"id,price,qty,quote_qty,time,is_buyer_maker\n",
    "tardis": b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n",
}
"""A header of their own; what follows it in the tests below is not."""


def quietly(rows: int) -> None:
    """Show no progress."""


def bring(path: Path, source: str, on_error: OnError) -> ImportReport | None:
    """Import under names that fit every source; ``None`` if the file was refused in words."""
    request = Request(source, "venue", Options(symbol="BTCUSDT"), on_error)
    try:
        return import_file(path, path.parent / "store", request, quietly)
    except DataError as error:
        told = str(error)
    assert str(path) in told
    return None


def brings_nothing(path: Path, source: str) -> None:
    """Whatever the file is, it ends in a refusal or a note, and in an empty store."""
    store = path.parent / "store"
    modes: tuple[OnError, ...] = ("strict", "quarantine")
    for on_error in modes:
        report = bring(path, source, on_error)
        assert report is None or (report.rows == 0 and report.notes)
        left = [p for p in store.rglob("*") if p.is_file() and p.parent.name not in ("imports", "quarantine")]
        assert not left
    assert not list(store.rglob(".*.tmp"))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_of_something_else_is_refused_in_words(source: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(FOREIGN[content])
    brings_nothing(path, source)


@pytest.mark.parametrize("source", HEADERS)
@pytest.mark.parametrize("tail", [b"", b",,,,,,,\n", b"what,is\nthis,all,about\n"], ids=["none", "empty", "prose"])
def test_a_good_header_does_not_make_a_good_file(source: str, tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades.csv"
    path.write_bytes(HEADERS[source] + tail)
    brings_nothing(path, source)


@pytest.mark.parametrize("source", HEADERS)
@pytest.mark.parametrize("tail", [b"1,2\r3,4\n", NOISE, b"x" * 200_000 + b",y\n"], ids=["return", "noise", "huge"])
def test_lines_that_are_no_csv_are_refused_in_words(source: str, tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades.csv"
    path.write_bytes(HEADERS[source] + tail)
    brings_nothing(path, source)


def test_a_row_of_a_recorder_that_is_no_csv_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "depth.csv"
    path.write_bytes(b"symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu\n1,2\r3,4\n")
    brings_nothing(path, "binance")


@pytest.mark.parametrize("source", ["bars", "table"])
def test_a_column_that_is_named_twice_is_refused_in_words(source: str, tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_bytes(b"ts_ms,price,price,size,open,high,low,close,volume\n" + b"1700000000000,1,2,1,1,1,1,1,1\n")
    brings_nothing(path, source)


@pytest.mark.parametrize("source", SOURCES)
def test_json_that_is_nested_without_end_is_refused_in_words(source: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"[" * 100_000 + b"]" * 100_000 + b"\n")
    brings_nothing(path, source)


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_that_is_not_there_is_told(source: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match=r"no such file|is a folder"):
            import_file(path, tmp_path / "store", Request(source, "venue"), quietly)


def _real() -> list[object]:
    found = [(path, names) for pattern, names in FILES.items() for path in sorted(DATA.glob(pattern))]
    return [pytest.param(path, *names, id=path.name[:40]) for path, names in found]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
@pytest.mark.parametrize(("path", "source", "venue", "symbol"), _real())
def test_a_real_file_brings_rows_or_a_note(
    path: Path, source: str, venue: str | None, symbol: str | None, tmp_path: Path
) -> None:
    report = import_file(path, tmp_path, Request(source, venue, Options(symbol=symbol)), quietly)
    assert report.rows > 0 or report.notes
    assert report.rejected == 0
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_every_real_file_has_its_source() -> None:
    files = {path for path in RAW.glob("*/*") if path.is_file() and path.name not in ASIDE}
    known = {path for pattern in FILES if pattern.startswith("raw/") for path in DATA.glob(pattern)}
    assert files == {path for path in known if path.name not in ASIDE}
