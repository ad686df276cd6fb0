"""Everything of one instrument: events of any kind in, rows of all its channels out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from features.clock import NS_PER_S
from features.engine import Channels, Ints, State, below
from features.errors import SettingError
from features.fronts.bars import BarFront
from features.fronts.books import BookFront, RebuiltBooks, RecordedBooks
from features.fronts.rates import RATE_CHANNELS, RateFront
from features.fronts.tally import Tally, distinct
from features.fronts.trades import FLOW_CHANNELS, PRICE_CHANNELS, TradeFront
from features.spec import FeatureSpec
from features.terms import Floats

GROUPS = {
    "bars": ("bars",),
    "book": ("book_deltas", "order_events", "book_snapshots"),
    "trades": ("trades", "agg_trades"),
    "funding": ("funding",),
    "open_interest": ("open_interest",),
}
CHUNK_ROWS = 4_096  # rows that are made at once: what is computed of them stays in the cache
NEVER_PAUSE = 1 << 60


def group_of(kind: str) -> str:
    """Which front takes events of a kind of table.

    Examples
    --------
    >>> group_of("book_snapshots_20"), group_of("bars_900s"), group_of("agg_trades"), group_of("liquidations")
    ('book', 'bars', 'trades', '')
    """
    stem = kind.rpartition("_")[0] if kind.startswith(("bars_", "book_snapshots_")) else kind
    return next((group for group, kinds in GROUPS.items() if stem in kinds), "")


@dataclass(slots=True)
class Feed:
    """Rows of one instrument.

    Parameters
    ----------
    spec : the grid, the price, the depth.
    channels : what is wanted; those of the price come in any case.
    kinds : tables that the events come from, for example ``("order_events", "trades")``.

    Raises
    ------
    SettingError
        If the kinds cannot give the channels.
    """

    spec: FeatureSpec
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    next_slot: int = 0
    _last_active: int = -1
    _active: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _fronts: dict[str, BarFront | BookFront | TradeFront | RateFront] = field(default_factory=dict)
    _log_mid: float = np.nan

    def __post_init__(self) -> None:
        """Set up a front for each group of kinds that is of use."""
        groups = self._groups()
        wanted = set(self.channels)
        flow = "bars" if "bars" in groups and "paid_spread" not in wanted else "trades"
        rates = {kind for kind, names in RATE_CHANNELS.items() if wanted & set(names)}
        columns = wanted.difference(PRICE_CHANNELS, FLOW_CHANNELS, *RATE_CHANNELS.values(), ("mid",))
        books = bool(columns) or "mid" in wanted or "paid_spread" in wanted or self.spec.price == "mid"
        needed = rates | ({"book"} if books else set())
        needed |= {flow} if wanted & set(FLOW_CHANNELS) or self.spec.price == "trade" else set()
        if missing := sorted(needed - set(groups)):
            raise SettingError(
                f"the features need {' and '.join(missing)}, there are only {', '.join(self.kinds) or 'no data'}; "
                "import what is missing or change the spec"
            )
        for group in sorted(needed):
            self._fronts[group] = self._front(group, groups[group], tuple(sorted(columns)))

    def _groups(self) -> dict[str, str]:
        """The kind of each group; two of one group would count everything twice."""
        groups: dict[str, str] = {}
        for kind in self.kinds:
            group = group_of(kind)
            if group and group in groups:
                raise SettingError(f"{groups[group]} and {kind} tell the same; give one of them")
            if group == "bars" and kind != f"bars_{self.spec.bar_s}s":
                raise SettingError(f"{kind} do not fit rows of {self.spec.bar_s} s; give bars_{self.spec.bar_s}s")
            groups[group] = kind
        return groups

    def _front(self, group: str, kind: str, columns: tuple[str, ...]) -> BarFront | BookFront | TradeFront | RateFront:
        spec = self.spec
        if group == "bars":
            return BarFront(spec.bar_s)
        if group == "trades":
            return TradeFront(spec.bar_s)
        if group in RATE_CHANNELS:
            return RateFront(spec.bar_s, group)
        books = RecordedBooks if kind.startswith("book_snapshots") else RebuiltBooks
        return BookFront(books(spec.bar_s, spec.depth, spec.silence_s), spec.depth, columns)

    @property
    def tallies(self) -> dict[str, Tally]:
        """What each front met."""
        return {group: f.books.tally if isinstance(f, BookFront) else f.tally for group, f in self._fronts.items()}

    @property
    def takes_bars(self) -> bool:
        """Whether its rows are bars, which are known at their close."""
        return "bars" in self._fronts

    @property
    def clock_ns(self) -> int:
        """Time of the latest event of any kind but rates, which may be rare."""
        fronts = [f.books if isinstance(f, BookFront) else f for g, f in self._fronts.items() if g not in RATE_CHANNELS]
        return max(front.clock_ns for front in fronts)

    def take(self, kind: str, frame: pl.DataFrame) -> None:
        """Take rows of a canonical table in; those of no use are passed over."""
        group = group_of(kind)
        front = self._fronts.get(group)
        if front is None or not len(frame):
            return
        counted_ns = front.books.take(frame) if isinstance(front, BookFront) else front.take(frame)
        if group not in RATE_CHANNELS:
            self._note(counted_ns)

    def take_books(self, ts_ns: Ints, books: Floats) -> None:
        """Take recorded books in as arrays; see :meth:`features.online.Online.add_books`."""
        front = self._fronts.get("book")
        if isinstance(front, BookFront) and isinstance(front.books, RecordedBooks) and len(ts_ns):
            self._note(front.books.take_books(ts_ns, books))

    def _note(self, counted_ns: Ints) -> None:
        """Note in which rows something happened."""
        slots = distinct(counted_ns // (self.spec.bar_s * NS_PER_S))
        if not len(slots):
            return
        if not len(self._active) or slots[0] >= self._active[-1]:
            self._active = distinct(np.concatenate([self._active, slots]))
        else:
            self._active = distinct(np.sort(np.concatenate([self._active, slots]), kind="stable"))

    def close(self, stop: int) -> Iterator[tuple[int, Channels]]:
        """Give out the rows before ``stop``, in chunks without holes: the number of the first row, and the channels.

        After a pause, rows end and begin anew with the next event.
        """
        if stop <= self.next_slot:
            return
        for first, end in self._sessions(stop):
            if first != self.next_slot:
                self._log_mid = np.nan
            for at in range(first, end, CHUNK_ROWS):
                yield at, self._rows(at, min(at + CHUNK_ROWS, end))
            self.next_slot = end
        for front in self._fronts.values():
            if isinstance(front, RateFront):
                front.skip(stop)

    def _sessions(self, stop: int) -> list[tuple[int, int]]:
        """Stretches of rows before ``stop`` that were not given out: from an event on until a pause after the last."""
        pause = NEVER_PAUSE if "bars" in self._fronts else self.spec.pause_s // self.spec.bar_s
        cut = int(np.searchsorted(self._active, stop))
        open_ = np.array([self._last_active] if self._last_active >= 0 else [], dtype=np.int64)
        active = np.maximum.accumulate(np.concatenate([open_, self._active[:cut]]))  # what is late opens no session
        self._active = self._active[cut:]
        if not len(active):
            return []
        self._last_active = int(active.max())
        groups = np.split(active, np.flatnonzero(np.diff(active) > pause) + 1)
        spans = [(max(int(g[0]), self.next_slot), min(int(g[-1]) + pause + 1, stop)) for g in groups]
        return [(first, end) for first, end in spans if end > first]

    def _rows(self, first: int, stop: int) -> Channels:
        """Channels of rows ``first`` to ``stop - 1``."""
        channels: Channels = {}
        mid_before = np.full(stop - first, np.nan)
        book = self._fronts.get("book")
        if isinstance(book, BookFront):
            channels, mid_before = book.close(first, stop)
        for front in self._fronts.values():
            if isinstance(front, TradeFront):
                channels |= front.close(first, stop, mid_before)
            elif not isinstance(front, BookFront):
                channels |= front.close(first, stop)
        if self.spec.price == "mid":
            channels |= self._mid_prices(channels["mid"])
        return channels

    def _mid_prices(self, mid: Floats) -> Channels:
        """The mid as a price: it opens where it stood before."""
        close = np.log(mid)
        before = np.append(self._log_mid, close[:-1])
        open_ = np.where(np.isnan(before), close, before)
        self._log_mid = float(close[-1])
        prices = (
            open_,
            np.maximum(open_, close),
            np.minimum(open_, close),
            close,
            close - before,
            np.isnan(mid).astype(np.float64),
        )
        return dict(zip(PRICE_CHANNELS, prices, strict=True))

    def state(self) -> State:
        """Arrays to go on from after a restart."""
        own = {
            "slots": np.array([self.next_slot, self._last_active]),
            "active": self._active,
            "log_mid": np.array(self._log_mid),
        }
        fronts = {f"{group}.{name}": v for group, front in self._fronts.items() for name, v in front.state().items()}
        return {**own, **fronts}

    def restore(self, state: State) -> None:
        """Go on from the state of a feed of the same spec and kinds."""
        self.next_slot, self._last_active = (int(n) for n in state["slots"])
        self._active, self._log_mid = state["active"], float(state["log_mid"])
        for group, front in self._fronts.items():
            front.restore(below(state, f"{group}."))
