"""What recorded sockets say twice: the same book over several channels, and past trades after a reconnection."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from features.intake.batch import Note

WINDOW = 1_000  # more than any venue sends of past trades


@dataclass(slots=True)
class FirstChannel:
    """Keeps the first of several channels that tell the same of one symbol: together they would disturb each other.

    Examples
    --------
    >>> books = FirstChannel("books")
    >>> books.keeps("ABC", "P0"), books.keeps("ABC", "P2"), books.keeps("ABC", "P0"), books.keeps("XYZ", "P2")
    (True, False, True, True)
    >>> [note.text for note in books.notes()]
    ['ABC: of several books P0 is kept and P2 left out']
    """

    what: str
    kept: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, None]] = field(default_factory=dict)

    def keeps(self, symbol: str, channel: str) -> bool:
        """Whether this channel is the symbol's first."""
        if self.kept.setdefault(symbol, channel) == channel:
            return True
        self.left_out.setdefault(symbol, {})[channel] = None
        return False

    def notes(self) -> Iterator[Note]:
        """Tell what was left out."""
        for symbol, channels in self.left_out.items():
            out = ", ".join(channels)
            yield Note(f"{symbol}: of several {self.what} {self.kept[symbol]} is kept and {out} left out")


@dataclass(slots=True)
class PastTrades:
    """Remembers the trades handed out last: venues repeat them when a socket connects again.

    Examples
    --------
    >>> trades = PastTrades()
    >>> [trades.is_new("ABC", number) for number in (7, 9, 9)]
    [True, True, False]
    >>> [trades.is_new("ABC", number, past=True) for number in (8, 9, 10)]
    [False, False, True]
    """

    _latest: dict[str, int] = field(default_factory=dict)
    _names: dict[str, OrderedDict[int | str, None]] = field(default_factory=dict)

    def is_new(self, symbol: str, at: int, name: int | str | None = None, *, past: bool = False) -> bool:
        """Whether a trade was not handed out before; if so it now is.

        Parameters
        ----------
        at : number or time, which tells the order.
        name : the trade's id if ``at`` is a time; empty if nothing tells it from others of that time.
        past : it stands in a list of past trades, which has nothing new from before the latest.
        """
        name = at if name is None else name
        latest, names = self._latest.get(symbol, -1), self._names.setdefault(symbol, OrderedDict())
        if name in names or (past and (at < latest or (at == latest and name == ""))):
            return False
        self._latest[symbol] = max(at, latest)
        if name != "":
            names[name] = None
        if len(names) > WINDOW:
            names.popitem(last=False)
        return True
