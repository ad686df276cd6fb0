"""Binance's archive: which files, and fetching them from a server with faults."""

import hashlib
import io
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from features.errors import DownloadError, SettingError
from features.fetch import ArchiveFile, Patience, binance_files, fetch

PATH = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-31.zip"
FILE = ArchiveFile(PATH)
PLACE = PATH.removeprefix("data/")


def archive(rows: int = 3_000, price: float = 100.5) -> bytes:
    """A zip of one CSV as the archive has them, the same bytes every time."""
    cells = f"{price},{price + 1},{price - 1},{price},2.5,0,0,7,1.25,0,0"
    lines = [f"{1_706_659_200_000 + i * 60_000},{cells}" for i in range(rows)]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(zipfile.ZipInfo("BTCUSDT-1m-2024-01-31.csv"), "\n".join(lines) + "\n")
    return held.getvalue()


@dataclass
class Fault:
    """One answer that goes wrong: a status, or the body cut after so many bytes."""

    status: int = 200
    cut: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Archive:
    """What the server holds, what it does wrong next, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, path: str, content: bytes, sha256: str | None = None) -> None:
        self.files[f"/{path}"] = content
        name = path.rpartition("/")[2]
        self.sums[f"/{path}.CHECKSUM"] = f"{sha256 or hashlib.sha256(content).hexdigest()}  {name}\n"

    def count(self, path: str = PATH) -> int:
        return Counter(asked for asked, _ in self.asked)[f"/{path}"]


def handler(held: Archive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            held.asked.append((self.path, asked))
            fault = held.faults[self.path].pop(0) if held.faults.get(self.path) else Fault()
            if self.path in held.sums:
                body = held.sums[self.path].encode()
            elif self.path in held.files:
                body = held.files[self.path]
            else:
                fault = Fault(404)
                body = b"<Error><Code>NoSuchKey</Code></Error>"
            status, start = fault.status, 0
            if asked and held.ranges and status == 200:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                status = 206 if start < len(body) else 416
            self.send_response(status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:] if status in (200, 206) else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if fault.cut is None else body[: fault.cut])

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    held = Archive()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(held)) as listening:
        held.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield held
        listening.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    return Patience(tries=4, timeout_s=5, sleep=waits.append)


def test_whole_months_are_one_file_and_other_days_one_each() -> None:
    paths = [f.path for f in binance_files("spot", "BTCUSDT", "aggTrades", "2023-12-31", "2024-03-02")]
    assert paths == [
        "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-12-31.zip",
        "data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01.zip",
        "data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-02.zip",
        "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-03-01.zip",
        "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-03-02.zip",
    ]


def test_a_month_knows_its_days() -> None:
    (month,) = binance_files("um", "ETHUSDT", "markPriceKlines", "2024-02-01", "2024-02-29", "1h")
    assert month.path == "data/futures/um/monthly/markPriceKlines/ETHUSDT/1h/ETHUSDT-1h-2024-02.zip"
    assert len(month.instead) == 29
    assert month.instead[28].path == "data/futures/um/daily/markPriceKlines/ETHUSDT/1h/ETHUSDT-1h-2024-02-29.zip"


@pytest.mark.parametrize("kind", ["metrics", "bookDepth", "liquidationSnapshot"])
def test_kinds_without_monthly_files_are_daily(kind: str) -> None:
    files = binance_files("cm", "BTCUSD_PERP", kind, "2024-02-01", "2024-02-29")
    assert len(files) == 29
    assert files[0].path == f"data/futures/cm/daily/{kind}/BTCUSD_PERP/BTCUSD_PERP-{kind}-2024-02-01.zip"


def test_kinds_without_daily_files_are_the_months_that_the_range_touches() -> None:
    rates = binance_files("um", "BTCUSDT", "fundingRate", "2024-01-31", "2024-02-01")
    assert [f.name for f in rates] == ["BTCUSDT-fundingRate-2024-01.zip", "BTCUSDT-fundingRate-2024-02.zip"]
    assert not rates[0].instead
    (weeks,) = binance_files("spot", "BTCUSDT", "klines", "2024-01-03", "2024-01-04", "1w")
    assert weeks.path == "data/spot/monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2024-01.zip"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"market": "options"}, "known: cm, spot, um"),
        ({"kind": "metrics"}, "known: aggTrades, klines, trades"),
        ({"interval": "7m"}, "known: 1s, 1m, 3m"),
        ({"interval": None}, "needs an interval"),
        ({"market": "um", "interval": "1s"}, "known: 1m, 3m"),
        ({"kind": "trades"}, "trades has no interval"),
        ({"symbol": "btcusdt"}, "BTCUSDT"),
        ({"symbol": "../BTC"}, "no symbol"),
        ({"first": "2024-13-01"}, "2024-01-31"),
        ({"first": "yesterday"}, "2024-01-31"),
        ({"first": "2024-02-02"}, "lies before the first"),
        ({"first": "2009-01-03"}, "2017"),
    ],
)
def test_settings_that_the_archive_does_not_know(setting: dict[str, str], told: str) -> None:
    good = {"market": "spot", "symbol": "BTCUSDT", "kind": "klines", "first": "2024-01-01", "last": "2024-01-02"}
    with pytest.raises(SettingError, match=told):
        binance_files(**(good | {"interval": "1m"} | setting))


def test_a_file_comes_whole_and_is_told(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    told: list[tuple[str, int, int]] = []
    done = fetch([FILE], tmp_path, server.url, lambda *now: told.append(now), patience)
    assert done.written == [tmp_path / PLACE]
    assert done.written[0].read_bytes() == archive()
    size = len(archive())
    assert told[-1] == (FILE.name, size, size)
    assert all(total == size for _, _, total in told)
    assert [p.name for p in (tmp_path / PLACE).parent.iterdir()] == [FILE.name]
    assert zipfile.ZipFile(done.written[0]).testzip() is None


def test_a_file_that_is_there_is_not_fetched_again(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    fetch([FILE], tmp_path, server.url, patience=patience)
    again = fetch([FILE], tmp_path, server.url, patience=patience)
    assert (again.written, again.present, server.count()) == ([], [tmp_path / PLACE], 1)


def test_a_file_that_was_damaged_or_replaced_is_fetched_again(
    server: Archive, tmp_path: Path, patience: Patience
) -> None:
    server.put(PATH, archive())
    fetch([FILE], tmp_path, server.url, patience=patience)
    server.put(PATH, archive(price=7))
    assert fetch([FILE], tmp_path, server.url, patience=patience).written
    assert (tmp_path / PLACE).read_bytes() == archive(price=7)


def test_a_connection_that_is_cut_goes_on_where_it_was(
    server: Archive, tmp_path: Path, patience: Patience, waits: list[float]
) -> None:
    server.put(PATH, archive())
    server.faults[f"/{PATH}"] = [Fault(cut=100_000), Fault(cut=50_000)]
    told: list[int] = []
    fetch([FILE], tmp_path, server.url, lambda _, done, __: told.append(done), patience)
    assert (tmp_path / PLACE).read_bytes() == archive()
    starts = [asked for path, asked in server.asked if path == f"/{PATH}"]
    assert starts == ["", "bytes=100000-", "bytes=150000-"]
    assert told == sorted(told)
    assert waits == [1, 2]


def test_a_server_without_ranges_sends_it_anew(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    server.ranges = False
    server.faults[f"/{PATH}"] = [Fault(cut=100_000)]
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert (tmp_path / PLACE).read_bytes() == archive()


def test_a_partial_file_of_an_earlier_run_is_continued(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    server.faults[f"/{PATH}"] = [Fault(cut=100_000), Fault(503), Fault(503), Fault(503)]
    with pytest.raises(DownloadError, match=r"answers 503, after 4 tries.*run the command again"):
        fetch([FILE], tmp_path, server.url, patience=patience)
    part = tmp_path / f"{PLACE}.part"
    assert part.stat().st_size == 100_000
    assert not (tmp_path / PLACE).exists()
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert server.asked[-1] == (f"/{PATH}", "bytes=100000-")
    assert (tmp_path / PLACE).read_bytes() == archive()
    assert not part.exists()


@pytest.mark.parametrize("stale", [b"x" * 1_000, b"x" * 10_000_000])
def test_a_partial_file_of_other_content_is_thrown_away(
    server: Archive, tmp_path: Path, patience: Patience, stale: bytes
) -> None:
    server.put(PATH, archive())
    part = tmp_path / f"{PLACE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(stale)
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert (tmp_path / PLACE).read_bytes() == archive()


def test_a_partial_file_that_is_whole_is_only_renamed(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    part = tmp_path / f"{PLACE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(archive())
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert server.count() == 0
    assert (tmp_path / PLACE).exists()


def test_a_server_that_is_busy_is_asked_later(
    server: Archive, tmp_path: Path, patience: Patience, waits: list[float]
) -> None:
    server.put(PATH, archive())
    server.faults[f"/{PATH}"] = [Fault(503), Fault(429, headers={"Retry-After": "17"}), Fault(500)]
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert waits == [1, 17, 4]


@pytest.mark.parametrize(("text", "longest"), [("date", 40), ("soon", 1), ("99999", 300)])
def test_the_time_that_a_server_asks_for_is_kept_within_reason(
    server: Archive, tmp_path: Path, patience: Patience, waits: list[float], text: str, longest: float
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    server.put(PATH, archive())
    server.faults[f"/{PATH}"] = [Fault(429, headers={"Retry-After": moment if text == "date" else text})]
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert longest - 5 <= waits[0] <= longest


def test_tries_are_bounded(server: Archive, tmp_path: Path, patience: Patience, waits: list[float]) -> None:
    server.put(PATH, archive())
    server.faults[f"/{PATH}.CHECKSUM"] = [Fault(502)] * 9
    with pytest.raises(DownloadError, match="answers 502"):
        fetch([FILE], tmp_path, server.url, patience=patience)
    assert len(waits) == 3


def test_a_server_that_is_not_there_is_told(tmp_path: Path, patience: Patience, server: Archive) -> None:
    with pytest.raises(DownloadError, match="after 4 tries"):
        fetch([FILE], tmp_path, "http://127.0.0.1:9", patience=patience)
    with pytest.raises(SettingError, match="no address"):
        fetch([FILE], tmp_path, "data.binance.vision", patience=patience)


def test_a_refusal_is_told_at_once(server: Archive, tmp_path: Path, patience: Patience, waits: list[float]) -> None:
    server.put(PATH, archive())
    server.faults[f"/{PATH}"] = [Fault(403)]
    with pytest.raises(DownloadError, match="refuses with 403"):
        fetch([FILE], tmp_path, server.url, patience=patience)
    assert not waits


def test_a_wrong_hash_is_fetched_once_more_and_then_refused(
    server: Archive, tmp_path: Path, patience: Patience
) -> None:
    server.put(PATH, archive(), sha256="0" * 64)
    with pytest.raises(DownloadError, match=r"twice with another SHA-256 than the published 0000"):
        fetch([FILE], tmp_path, server.url, patience=patience)
    assert server.count() == 2
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_damaged_body_is_fetched_once_more(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    part = tmp_path / f"{PLACE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(archive(price=1)[:5_000])
    fetch([FILE], tmp_path, server.url, patience=patience)
    assert (tmp_path / PLACE).read_bytes() == archive()
    assert [asked for path, asked in server.asked if path == f"/{PATH}"] == ["bytes=5000-", ""]


def test_a_checksum_of_another_file_is_refused(server: Archive, tmp_path: Path, patience: Patience) -> None:
    server.put(PATH, archive())
    for text in ("<html>please log in</html>", f"{'a' * 64}  OTHER.zip\n"):
        server.sums[f"/{PATH}.CHECKSUM"] = text
        with pytest.raises(DownloadError, match="CHECKSUM: is not"):
            fetch([FILE], tmp_path, server.url, patience=patience)


def test_absent_days_are_told_by_name_and_the_others_come(server: Archive, tmp_path: Path, patience: Patience) -> None:
    files = binance_files("spot", "BTCUSDT", "klines", "2024-01-29", "2024-01-31", "1m")
    server.put(PATH, archive())
    done = fetch(files, tmp_path, server.url, patience=patience)
    assert [p.name for p in done.written] == ["BTCUSDT-1m-2024-01-31.zip"]
    assert done.absent == ["BTCUSDT-1m-2024-01-29.zip", "BTCUSDT-1m-2024-01-30.zip"]


def test_the_days_of_an_absent_month_come_instead(server: Archive, tmp_path: Path, patience: Patience) -> None:
    files = binance_files("spot", "BTCUSDT", "klines", "2024-01-01", "2024-01-31", "1m")
    for day in files[0].instead[:30]:
        server.put(day.path, archive(rows=2))
    done = fetch(files, tmp_path, server.url, patience=patience)
    assert len(done.written) == 30
    assert done.absent == ["BTCUSDT-1m-2024-01-31.zip"]


def test_an_archive_without_any_of_the_files_is_an_error(server: Archive, tmp_path: Path, patience: Patience) -> None:
    with pytest.raises(DownloadError, match="none of the files"):
        fetch([FILE], tmp_path, server.url, patience=patience)
