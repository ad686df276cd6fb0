"""Two documents side by side: the first place where they say something else."""

from collections.abc import Iterator
from typing import Any

import msgspec

from serving.margin.audit.canonical import canonical, step
from serving.margin.audit.reading import parse

ABSENT = "nothing"
SHOWN = 80  # characters of a value in a message


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A path and the canonical text of what stands there in each document; ``nothing`` where it has no such place."""

    path: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        """One line for people.

        Examples
        --------
        >>> print(Difference(path="$.initial", recorded='"12.31"', replayed='"12.3"'))
        $.initial: "12.31" recorded, "12.3" replayed
        """
        return f"{self.path}: {_short(self.recorded)} recorded, {_short(self.replayed)} replayed"


def first_difference(expected: object, found: object) -> Difference | None:
    """First difference of two documents in the order of the canonical text, or None if their texts are equal.

    Parameters
    ----------
    expected, found : structures or plain values
        What was recorded and what was computed now.

    Raises
    ------
    RecordError
        If one of them has no canonical text.

    Examples
    --------
    >>> recorded = {"components": [{"initial": "7"}, {"initial": "12.31"}], "notes": []}
    >>> replayed = {"components": [{"initial": "7"}, {"initial": "12.3"}], "notes": ["mark is old"]}
    >>> print(first_difference(recorded, replayed))
    $.components[1].initial: "12.31" recorded, "12.3" replayed
    """
    return next(_differences(parse(canonical(expected)), parse(canonical(found)), "$"), None)


def _differences(expected: object, found: object, path: str) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}, key=lambda k: k.encode("utf-16-be")):
            yield from _members(expected, found, key, f"{path}{step(key)}")
    elif isinstance(expected, list) and isinstance(found, list):
        left, right = dict(enumerate(expected)), dict(enumerate(found))
        for i in range(max(len(expected), len(found))):
            yield from _members(left, right, i, f"{path}[{i}]")
    elif canonical(expected) != canonical(found):
        yield Difference(path=path, recorded=canonical(expected), replayed=canonical(found))


def _members(expected: dict[Any, object], found: dict[Any, object], key: str | int, path: str) -> Iterator[Difference]:
    if key in expected and key in found:
        yield from _differences(expected[key], found[key], path)
    else:
        texts = [canonical(side[key]) if key in side else ABSENT for side in (expected, found)]
        yield Difference(path=path, recorded=texts[0], replayed=texts[1])


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
