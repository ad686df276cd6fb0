"""Files of Binance's public archive: which ones a range of days needs, and how they are fetched whole.

The archive keeps a file a day and, for most kinds, one a calendar month; beside each lies
its SHA-256. What is fetched keeps the archive's folders below the target folder, as kinds
share file names: ``spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip``.
"""

import os
import re
import time
from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import httpx

from features.errors import DownloadError, SettingError, lookup
from features.files import sha256_of_file

BASE_URL = "https://data.binance.vision"
MARKETS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
KLINES = ("klines",)
FUTURES_KLINES = (*KLINES, "indexPriceKlines", "markPriceKlines", "premiumIndexKlines")
BOTH = ("trades", "aggTrades")
DAILY_ONLY, MONTHLY_ONLY = ("bookDepth", "metrics", "liquidationSnapshot"), ("fundingRate",)
FUTURES = (*BOTH, *FUTURES_KLINES, "bookTicker", *DAILY_ONLY, *MONTHLY_ONLY)
KINDS = {"spot": (*BOTH, *KLINES), "um": FUTURES, "cm": FUTURES}
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1mo")
MONTHLY_INTERVALS = ("3d", "1w", "1mo")
SYMBOL = re.compile(r"\w+")
CHECKSUM = re.compile(r"([0-9a-f]{64}) [ *](\S+)\s*", re.IGNORECASE)
FIRST_YEAR = 2017
LONGEST_WAIT_S, LONGEST_PAUSE_S = 300.0, 60.0
ABSENT, TOO_FAR, TOO_MANY, SERVER_FAULT = 404, 416, 429, 500
WHOLE, PART = 200, 206

T = TypeVar("T")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file by its path in the archive, and the daily ones that hold the same if a monthly one is absent."""

    path: str
    instead: tuple["ArchiveFile", ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with a server: tries of one request, seconds without an answer, and how to wait."""

    tries: int = 6
    timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of the files: newly written, there before, and the names that the archive does not have."""

    written: list[Path] = field(default_factory=list)
    present: list[Path] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def binance_files(
    market: str, symbol: str, kind: str, first: str, last: str, interval: str | None = None
) -> list[ArchiveFile]:
    """List the archive's files for the days ``first`` to ``last``, both included.

    A calendar month that lies wholly in the range is one file, other days are one each. Kinds that
    have no daily files are listed with every month that the range touches.

    Raises
    ------
    SettingError
        If one of the settings is none that the archive knows, with those that it knows.

    Examples
    --------
    >>> for file in binance_files("spot", "BTCUSDT", "klines", "2024-01-31", "2024-02-29", "1m"):
    ...     print(file.path)
    data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-31.zip
    data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip
    """
    root = lookup(MARKETS, market, "market")
    lookup({name: name for name in KINDS[market]}, kind, f"kind of {market} file")
    _check_interval(market, kind, interval)
    if SYMBOL.fullmatch(symbol) is None or symbol != symbol.upper():
        raise SettingError(f"{symbol!r} is no symbol of Binance; write it as Binance does, as BTCUSDT or BTCUSD_PERP")
    days = _days(first, last)

    def file(span: str, stamp: str, instead: tuple[ArchiveFile, ...] = ()) -> ArchiveFile:
        folder, label = (f"{symbol}/{interval}", interval) if interval else (symbol, kind)
        return ArchiveFile(f"data/{root}/{span}/{kind}/{folder}/{symbol}-{label}-{stamp}.zip", instead)

    has_days, has_months = kind not in MONTHLY_ONLY and interval not in MONTHLY_INTERVALS, kind not in DAILY_ONLY
    files: list[ArchiveFile] = []
    for month, group in groupby(days, key=lambda day: f"{day:%Y-%m}"):
        of_month = list(group)
        each = tuple(file("daily", day.isoformat()) for day in of_month) if has_days else ()
        is_whole = len(of_month) == monthrange(of_month[0].year, of_month[0].month)[1]
        files += [file("monthly", month, each)] if has_months and (is_whole or not has_days) else each
    return files


def _check_interval(market: str, kind: str, interval: str | None) -> None:
    if kind not in FUTURES_KLINES:
        if interval is not None:
            raise SettingError(f"{kind} has no interval; leave --interval out")
        return
    known = ("1s", *INTERVALS) if market == "spot" else INTERVALS
    if interval not in known:
        raise SettingError(f"{kind} needs an interval, not {interval!r}; known: {', '.join(known)}")


def _days(first: str, last: str) -> list[date]:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise SettingError(f"{error}; write days as 2024-01-31") from None
    if start.year < FIRST_YEAR:
        raise SettingError(f"{first} lies before Binance opened, in {FIRST_YEAR}; begin later")
    if end < start:
        raise SettingError(f"the last day, {last}, lies before the first, {first}; exchange them")
    return [start + timedelta(i) for i in range((end - start).days + 1)]


def _quiet(name: str, done_bytes: int, total_bytes: int) -> None:
    del name, done_bytes, total_bytes


def fetch(
    files: Sequence[ArchiveFile],
    folder: Path,
    base_url: str = BASE_URL,
    progress: Progress = _quiet,
    patience: Patience = Patience(),
) -> Fetched:
    """Fetch files into ``folder``, each whole and of the hash that the archive publishes, or not at all.

    What was interrupted lies beside its place as ``<name>.part`` and is continued. A file that is
    there with the right hash is left alone. ``progress`` is told name, bytes done and bytes in all
    (0: not known).

    Raises
    ------
    SettingError
        If ``base_url`` is no HTTP address.
    DownloadError
        If the server fails or refuses for good, if a file has a wrong hash twice, or if the archive has none of
        the files.
    """
    if not base_url.startswith(("http://", "https://")):
        raise SettingError(f"{base_url!r} is no address of a server; write it as {BASE_URL}")
    headers = {"Accept-Encoding": "identity", "User-Agent": "margincast"}
    timeout = httpx.Timeout(patience.timeout_s)
    with httpx.Client(headers=headers, timeout=timeout, follow_redirects=True) as client:
        job = _Job(client, folder, base_url.rstrip("/"), progress, patience)
        for file in files:
            job.get(file)
    if files and not job.fetched.written and not job.fetched.present:
        names = ", ".join(job.fetched.absent[:3])
        raise DownloadError(f"{base_url}: has none of the files ({names} ...); check symbol, market and days")
    return job.fetched


class _AbsentError(Exception):
    """The server has no such file."""


class _LaterError(Exception):
    """The server cannot answer now."""

    def __init__(self, status: int, wait_s: float) -> None:
        super().__init__(status)
        self.status, self.wait_s = status, wait_s


@dataclass(slots=True)
class _Job:
    """One run of :func:`fetch`."""

    client: httpx.Client
    folder: Path
    base_url: str
    progress: Progress
    patience: Patience
    fetched: Fetched = field(default_factory=Fetched)

    def get(self, file: ArchiveFile) -> None:
        """Fetch a file, or the daily ones instead of a monthly one that is absent."""
        target = self.folder / file.path.removeprefix("data/")
        try:
            is_new = self._get_whole(file, target)
        except _AbsentError:
            if not file.instead:
                self.fetched.absent.append(file.name)
            for day in file.instead:
                self.get(day)
            return
        (self.fetched.written if is_new else self.fetched.present).append(target)

    def _get_whole(self, file: ArchiveFile, target: Path) -> bool:
        """Bring the file to its place; whether anything had to be fetched."""
        wanted = self._published(file)
        if target.is_file() and sha256_of_file(target) == wanted:
            self.progress(file.name, target.stat().st_size, target.stat().st_size)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        if not self._arrives(file, part, wanted):
            part.unlink(missing_ok=True)
            wanted = self._published(file)  # the archive may have replaced both meanwhile
            if not self._arrives(file, part, wanted):
                part.unlink(missing_ok=True)
                target.unlink(missing_ok=True)
                raise DownloadError(
                    f"{self._url(file)}: came twice with another SHA-256 than the published {wanted}; "
                    "nothing of it was kept, try again later"
                )
        os.replace(part, target)  # noqa: PTH105 - replaces atomically on POSIX and Windows
        return True

    def _arrives(self, file: ArchiveFile, part: Path, wanted: str) -> bool:
        """Fetch what is missing of the partial file; whether it has the wanted hash then."""
        if not (part.is_file() and sha256_of_file(part) == wanted):
            self._patiently(file, lambda: self._continue(file, part))
        return sha256_of_file(part) == wanted

    def _published(self, file: ArchiveFile) -> str:
        """The SHA-256 that the archive publishes for a file."""
        url = f"{self._url(file)}.CHECKSUM"
        text = self._patiently(file, lambda: _checked(self.client.get(url)).text)
        match = CHECKSUM.fullmatch(text)
        if match is None or match[2] != file.name:
            raise DownloadError(f"{url}: is not '<SHA-256>  {file.name}' but {text[:100]!r}")
        return match[1].lower()

    def _continue(self, file: ArchiveFile, part: Path) -> None:
        """Append what is missing; a server that does not serve ranges sends the whole file anew."""
        had = part.stat().st_size if part.is_file() else 0
        headers = {"Range": f"bytes={had}-"} if had else {}
        with self.client.stream("GET", self._url(file), headers=headers) as response:
            if response.status_code == TOO_FAR:
                part.unlink(missing_ok=True)
                raise httpx.RemoteProtocolError("the partial file is longer than the file")
            _checked(response)
            goes_on = response.status_code == PART and response.headers.get("Content-Range", "").startswith(
                f"bytes {had}-"
            )
            if response.status_code == PART and not goes_on:
                part.unlink(missing_ok=True)
                raise httpx.RemoteProtocolError("another range came than was asked for")
            done = had if goes_on else 0
            total = done + int(response.headers.get("Content-Length", -done))
            with part.open("ab" if goes_on else "wb") as handle:
                for chunk in response.iter_raw():
                    handle.write(chunk)
                    done += len(chunk)
                    self.progress(file.name, done, total)

    def _patiently(self, file: ArchiveFile, ask: Callable[[], T]) -> T:
        """Ask again after a fault of the connection or of the server, later each time, but not for ever."""
        told, wait_s = "", 0.0
        for attempt in range(self.patience.tries):
            if attempt:
                self.patience.sleep(max(wait_s, min(2.0 ** (attempt - 1), LONGEST_PAUSE_S)))
            try:
                return ask()
            except _LaterError as error:
                told, wait_s = f"the server answers {error.status}", error.wait_s
            except httpx.RequestError as error:
                told, wait_s = str(error) or type(error).__name__, 0.0
        raise DownloadError(
            f"{self._url(file)}: {told}, after {self.patience.tries} tries; "
            "what came is kept, run the command again to go on from there"
        )

    def _url(self, file: ArchiveFile) -> str:
        return f"{self.base_url}/{file.path}"


def _checked(response: httpx.Response) -> httpx.Response:
    """Sort answers that bring no content."""
    status = response.status_code
    if status == ABSENT:
        raise _AbsentError
    if status == TOO_MANY or status >= SERVER_FAULT:
        raise _LaterError(status, _retry_after_s(response.headers.get("Retry-After", "")))
    if status not in (WHOLE, PART):
        raise DownloadError(f"{response.url}: the server refuses with {status} {response.reason_phrase}")
    return response


def _retry_after_s(text: str) -> float:
    """Seconds that a server asks to wait, written as seconds or as a time; 0 if it does not."""
    if text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    try:
        wait = parsedate_to_datetime(text) - datetime.now(UTC)
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait.total_seconds(), 0.0), LONGEST_WAIT_S)
