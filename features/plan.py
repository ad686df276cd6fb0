"""What a spec needs, each thing once however many features share it: channels, terms, windows."""

from dataclasses import dataclass
from functools import cached_property

from features.catalogue import Feature, parse
from features.errors import SettingError
from features.families.family import Sum
from features.rolling import Window
from features.spec import FeatureSpec
from features.terms import Term

LEADER = "leader."


@dataclass(frozen=True, slots=True)
class Placed:
    """A term of an instrument or of its leader, as it was ``ago`` rows before."""

    leader: str
    term: Term
    ago: int

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels; a term of both instruments has its leader's marked."""
        if any(name.startswith(LEADER) for name in self.term.channels):
            return tuple(n.replace(LEADER, f"{self.leader}.") for n in self.term.channels)
        return tuple(of_leader(name, self.leader) for name in self.term.channels)


def of_leader(channel: str, leader: str) -> str:
    """A channel's name among those of an instrument and its leaders.

    Examples
    --------
    >>> of_leader("log_return", "BTCUSDT"), of_leader("log_return", "")
    ('BTCUSDT.log_return', 'log_return')
    """
    return f"{leader}.{channel}" if leader else channel


@dataclass(frozen=True)
class Plan:
    """The computation behind a spec's features.

    Raises
    ------
    SettingError
        If a feature's name means nothing or its look-back is too short for it.
    """

    spec: FeatureSpec

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The columns."""
        return tuple(parse(name, self.spec.bar_s) for name in self.spec.features)

    def __post_init__(self) -> None:
        """Refuse ranges of a price that is seen at the ends of rows only."""
        ranged = ("log_high", "log_low")
        for feature in self.features if self.spec.price == "mid" else ():
            if any(name in ranged for part in feature.family.sums for name in part.term.channels):
                raise SettingError(
                    f"feature {feature.name!r} needs highs and lows, which a mid has not; take price = 'trade'"
                )

    @cached_property
    def sums(self) -> tuple[tuple[tuple[Placed, int, int], ...], ...]:
        """For every feature its sums: the term, the number of its values, the operation."""
        return tuple(tuple(self._sum(feature, part) for part in feature.family.sums) for feature in self.features)

    @cached_property
    def terms(self) -> tuple[Placed, ...]:
        """Every term that is rolled."""
        return tuple(dict.fromkeys(placed for sums in self.sums for placed, _, _ in sums))

    @cached_property
    def term_channels(self) -> tuple[tuple[str, ...], ...]:
        """For every term the names of its channels."""
        return tuple(placed.channels for placed in self.terms)

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Every window that is rolled."""
        return tuple(dict.fromkeys(window for windows in self._windows for window in windows))

    @cached_property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """For every feature the numbers of its windows."""
        return tuple(tuple(self.windows.index(window) for window in windows) for windows in self._windows)

    @cached_property
    def _windows(self) -> tuple[tuple[Window, ...], ...]:
        number = {placed: i for i, placed in enumerate(self.terms)}
        return tuple(tuple(Window(number[placed], rows, op) for placed, rows, op in sums) for sums in self.sums)

    @cached_property
    def memory(self) -> dict[str, int]:
        """For every channel the rows before a chunk that are needed with it."""
        needs = [(name, placed.term.memory + placed.ago) for placed in self.terms for name in placed.channels]
        for feature in self.features:
            names = feature.family.direct[0] if feature.family.direct else ()
            needs += [(of_leader(name, feature.leader), feature.look.rows - 1) for name in names]
        return {name: max(rows for other, rows in needs if other == name) for name, _ in needs}

    @cached_property
    def history_rows(self) -> int:
        """Rows that the longest look-back needs, and the one before them that the first return is from."""
        rolled = [placed.ago + placed.term.memory + rows for sums in self.sums for placed, rows, _ in sums]
        return 1 + max([*rolled, *(feature.look.rows for feature in self.features if feature.family.direct), 0])

    @cached_property
    def leaders(self) -> tuple[str, ...]:
        """Symbols of the instruments whose channels are needed beside the own."""
        return tuple(dict.fromkeys(feature.leader for feature in self.features if feature.leader))

    def channels_of(self, leader: str = "") -> tuple[str, ...]:
        """Channels that are needed of a leader, or of the instrument itself."""
        found = [name.rpartition(".") for name in self.memory]
        return tuple(name for owner, _, name in found if owner == leader)

    def _sum(self, feature: Feature, part: Sum) -> tuple[Placed, int, int]:
        bar_s, term = self.spec.bar_s, part.term
        crosses = any(name.startswith(LEADER) for other in feature.family.sums for name in other.term.channels)
        own = crosses and not any(name.startswith(LEADER) for name in term.channels)
        rows = (part.over_s // bar_s if part.over_s else feature.look.rows) - term.span + 1
        if rows < 1:
            raise SettingError(
                f"feature {feature.name!r}: a look-back of {feature.look.rows} rows is too short; lengthen it"
            )
        return Placed("" if own else feature.leader, term, part.ago_s // bar_s), rows, part.op
