"""Recordings of a made-up venue in the shape of the published one: orders one by one, whose books are known."""

import gzip
import zipfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from backtests.book_session import SAMPLE, Session
from backtests.book_wheel import PinnedWheel

START_MS = 1_700_000_040_123
STEP_MS = 250
ORDERS = "id,timestamp,exchange_timestamp,price,volume,action,direction"
TRADES = "trade_id,timestamp,exchange_timestamp,price,amount,buy_order_id,sell_order_id,side"


@dataclass
class Recorder:
    """A ladder of one order a tick: what it does is written down, and the mid after each step is the truth."""

    rng: np.random.Generator
    levels: int = 30
    best_bid: int = 1_000
    next_id: int = 1
    resting: dict[int, tuple[int, float]] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)
    trades: list[str] = field(default_factory=list)
    mid: list[tuple[int, float]] = field(default_factory=list)

    def begin(self) -> None:
        for tick in range(self.levels):
            self.put(START_MS, self.best_bid - tick)
            self.put(START_MS, self.best_bid + 1 + tick)

    def step(self, ms: int) -> None:
        """The touch of one side is traded away or nothing of it moves; some order deeper in is replaced."""
        move = int(self.rng.choice([-1, 0, 1], p=[0.15, 0.7, 0.15]))
        if move:
            gone = self.best_bid + 1 if move > 0 else self.best_bid
            self.trade(ms, gone, "buy" if move > 0 else "sell")
            self.take(ms, gone)
            self.best_bid += move
            self.put(ms, gone)
            far = self.best_bid + self.levels if move > 0 else self.best_bid - self.levels + 1
            self.put(ms, far)
            self.take(ms, self.best_bid - self.levels if move > 0 else self.best_bid + self.levels + 1)
        tick = self.best_bid + int(self.rng.integers(2 - self.levels, self.levels - 1))
        self.take(ms, tick)
        self.put(ms, tick)
        self.mid.append((ms, self.best_bid + 0.5))

    def put(self, ms: int, tick: int) -> None:
        size = round(float(self.rng.lognormal(-1, 1)) + 1e-4, 8)
        self.resting[tick] = (self.next_id, size)
        self.write(ms, tick, "created")
        self.next_id += 1

    def take(self, ms: int, tick: int) -> None:
        self.write(ms, tick, "deleted", gone=True)
        del self.resting[tick]

    def write(self, ms: int, tick: int, action: str, *, gone: bool = False) -> None:
        order_id, size = self.resting[tick]
        is_bid = tick <= self.best_bid
        if gone and tick == self.best_bid + 1:
            is_bid = False
        side = "bid" if is_bid else "ask"
        self.orders.append(f"{order_id},{ms + 7},{ms},{tick}.0,{size:.8f},{action},{side}")

    def trade(self, ms: int, tick: int, side: str) -> None:
        number = len(self.trades) + 1
        self.trades.append(f"{number},{ms + 9},{ms},{tick}.0,{self.resting[tick][1]:.8f},1,2,{side}")


def record(seconds: float, seed: int, other_after: float | None = None) -> Recorder:
    """A recording; after ``other_after`` seconds it goes on as another market would."""
    recorder = Recorder(np.random.default_rng(seed))
    recorder.begin()
    for i in range(1, int(1000 * seconds / STEP_MS)):
        if other_after is not None and i * STEP_MS / 1000 >= other_after:
            recorder.rng, other_after = np.random.default_rng(seed + 1), None
        recorder.step(START_MS + i * STEP_MS)
    return recorder


def wheel_of(
    recorder: Recorder,
    folder: Path,
    *,
    trades: str | None = None,
    members: tuple[str, ...] = ("orders.csv.gz", "trades.csv"),
) -> tuple[Path, Session]:
    """A wheel that holds a recording as the published one does, and the session that names it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_book-0.1-py3-none-any.whl"
    contents = {
        "orders.csv.gz": gzip.compress("\n".join([ORDERS, *recorder.orders, ""]).encode(), mtime=0),
        "trades.csv": ("\n".join([TRADES, *recorder.trades, ""]) if trades is None else trades).encode(),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.writestr(SAMPLE + name, contents[name])
        about = "tiny_book-0.1.dist-info/"
        archive.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: tiny-book\nVersion: 0.1\n")
        archive.writestr(
            about + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(about + "RECORD", "")
    return path, session_of(path)


def session_of(path: Path) -> Session:
    """The session that a wheel with these bytes holds."""
    return Session(wheel=PinnedWheel("tiny-book", "0.1", path.name, sha256(path.read_bytes()).hexdigest()))
