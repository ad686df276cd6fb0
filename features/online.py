"""The streaming twin of the pipeline: events in, as they come, and the same rows out.

There is one computation (:mod:`features.market`) and two ways to drive it: the pipeline hands it stored tables, this
module single events. A row is given out when the clock has passed its end by ``delay_s``; the clock is the latest
exchange time of any event, or what :meth:`Online.advance` says. What comes for a row that was given out changes
nothing in it and is counted; a late book event still changes the book from then on.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.engine import Ints, State
from features.errors import FormatError, SettingError, TimeOrderError
from features.files import code_hash, written_whole
from features.fronts.admission import admitted, refuse_books
from features.fronts.tally import Tally
from features.market import Market, Rows
from features.pipeline import FEATURE_CODE
from features.schema import LAST_NS
from features.spec import FeatureSpec
from features.terms import Floats

ABOUT, SEAL = "about.json", "sha256"
LONGEST_DELAY_S = 86_400
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, IndexError, BadZipFile)


@dataclass(slots=True)
class Online:
    """Live features of several instruments.

    Parameters
    ----------
    spec : the features.
    kinds : for every instrument, leading ones too, the tables that its events are of.
    wanted : instruments whose rows are given out.
    delay_s : how long to wait for events that are on their way: what lags by less is not late.

    Raises
    ------
    SettingError
        If a leading instrument is not there, or the tables cannot give the features.
    """

    spec: FeatureSpec
    kinds: dict[str, tuple[str, ...]]
    wanted: tuple[str, ...]
    delay_s: float = 0.0
    _market: Market = field(init=False)
    _clock_ns: int = field(init=False, default=0)
    _code: str = field(init=False)  # of the code that runs, not of what an upgrade has put in its place

    def __post_init__(self) -> None:
        """Start without a past."""
        if not 0 <= self.delay_s < LONGEST_DELAY_S:
            raise SettingError(f"a delay of {self.delay_s} s; give seconds, not negative, less than a day")
        self._market = Market(self.spec, self.kinds, self.wanted)
        self._code = code_hash(*FEATURE_CODE)
        if self.delay_s == 0 and sum(feed.takes_bars for feed in self._market.feeds.values()) > 1:
            raise SettingError(
                "bars of several instruments close at one instant; give a delay_s above 0 to wait for all"
            )

    def add(self, symbol: str, kind: str, frame: pl.DataFrame) -> list[Rows]:
        """Take rows of a canonical table in; answers the rows that are due by their time.

        Raises
        ------
        SettingError
            If the instrument or the table was not announced.
        SchemaError, TimeOrderError, RowError
            If a row is not what the table wants (:mod:`features.fronts.admission`); nothing of the frame is taken then.
        """
        if kind not in self.kinds.get(symbol, ()):
            known = ", ".join(f"{s}: {' '.join(k)}" for s, k in self.kinds.items())
            raise SettingError(f"{kind} of {symbol} was not announced; known are {known}")
        self._market.take(symbol, kind, admitted(kind, frame))
        return self._due(max(feed.clock_ns for feed in self._market.feeds.values()))

    def add_books(self, symbol: str, ts_ns: Ints, books: Floats) -> list[Rows]:
        """Take whole books in as arrays, the fast way for ``book_snapshots_K``; answers the rows that are due.

        Parameters
        ----------
        ts_ns : array of shape (n,).
        books : array of shape (n, 4 * depth)
            Price and size of each level, bids first, best first; NaN where there is none.

        Raises
        ------
        SettingError, TimeOrderError, PriceError
            If recorded books of the instrument were not announced, the shape is not theirs, or a number is no book's.
        """
        if not any(kind.startswith("book_snapshots") for kind in self.kinds.get(symbol, ())):
            raise SettingError(f"recorded books of {symbol} were not announced")
        if ts_ns.dtype != np.int64 or books.shape != (len(ts_ns), 4 * self.spec.depth):
            wanted = f"int64 times and books of shape ({len(ts_ns)}, {4 * self.spec.depth})"
            raise SettingError(f"books of {symbol}: give {wanted}, not {ts_ns.dtype} and {books.shape}")
        refuse_books(f"books of {symbol}", ts_ns, books)
        self._market.feeds[symbol].take_books(ts_ns.copy(), books.copy())  # the caller may use its arrays again
        return self._due(max(feed.clock_ns for feed in self._market.feeds.values()))

    def advance(self, now_ns: int) -> list[Rows]:
        """Let the time pass without an event; answers the rows that are due.

        Raises
        ------
        TimeOrderError
            If the time is after 2200.
        """
        if now_ns > LAST_NS:
            raise TimeOrderError(f"the clock says {now_ns}; give nanoseconds since 1970 UTC")
        return self._due(now_ns)

    def _due(self, now_ns: int) -> list[Rows]:
        self._clock_ns = max(self._clock_ns, now_ns)
        stop = (self._clock_ns - round(self.delay_s * NS_PER_S)) // (self.spec.bar_s * NS_PER_S)
        return list(self._market.close(max(stop, 0)))

    @property
    def tallies(self) -> dict[str, dict[str, Tally]]:
        """For every instrument and kind the events taken, and those late, repeated or stamped before an earlier one."""
        return {symbol: feed.tallies for symbol, feed in self._market.feeds.items()}

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on after a restart; the file appears whole."""
        state: State = {"clock": np.array(self._clock_ns), ABOUT: _text(json.dumps(self._about()))}
        state |= self._market.state()
        with written_whole(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **{SEAL: _text(_sealed(state))}, **state)  # type: ignore[arg-type]  # the stub takes the names for options

    @classmethod
    def load(cls, path: Path) -> "Online":
        """Go on from what was saved.

        Raises
        ------
        FormatError
            If it is no saved state, or other feature code wrote it: begin anew then.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            seal = state.pop(SEAL).tobytes().decode()
            if seal != _sealed(state):
                raise ValueError("its content is not what was saved")
            about = json.loads(state.pop(ABOUT).tobytes())
            kinds = {symbol: tuple(names) for symbol, names in about["kinds"].items()}
            online = cls(FeatureSpec.from_json(about["spec"]), kinds, tuple(about["wanted"]), about["delay_s"])
            if about["code"] != online._code:
                raise ValueError("other feature code wrote it")
            online._clock_ns = int(state.pop("clock"))
            online._market.restore(state)
        except UNREADABLE as error:
            raise FormatError(f"{path}: is no saved state of these live features ({error}); begin anew") from error
        return online

    def _about(self) -> dict[str, object]:
        told = {"spec": asdict(self.spec), "kinds": self.kinds, "wanted": self.wanted, "delay_s": self.delay_s}
        return {**told, "code": self._code}


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _sealed(state: State) -> str:
    """SHA-256 of the names and bytes of all arrays: a state that was touched is not gone on from."""
    hashed = hashlib.sha256()
    for name in sorted(state):
        hashed.update(name.encode())
        hashed.update(np.ascontiguousarray(state[name]).tobytes())
    return hashed.hexdigest()
