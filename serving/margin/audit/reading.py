"""Canonical JSON read back: strictly, so that one text has one value and one value one text."""

import json
import math
from typing import Any, TypeVar

import msgspec

from features.errors import RecordError
from serving.margin.audit.canonical import MAX_DEPTH, canonical

S = TypeVar("S", bound=msgspec.Struct)


def parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON strictly: one value for one text.

    Raises
    ------
    RecordError
        If the text is no JSON, repeats a key, or holds NaN, an infinity or a number beyond the largest float.

    Examples
    --------
    >>> parse('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    features.errors.RecordError: key "a" occurs twice in one object; of two values none can be taken, remove one
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise RecordError(f"JSON is nested too deep to be read; {MAX_DEPTH} levels are allowed") from None
    except RecordError:
        raise
    except ValueError as error:  # json.JSONDecodeError, and an integer of thousands of digits
        raise RecordError(f"no JSON: {error}; restore the text as it was written") from None


def parse_canonical(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a text that must be canonical itself.

    Raises
    ------
    RecordError
        If the text cannot be read, or is another text than the canonical one of its value.

    Examples
    --------
    >>> parse_canonical('{"a": 1}')
    Traceback (most recent call last):
    features.errors.RecordError: not the canonical text of its value, from character 5:
    found ' 1}', canonical '1}'; restore the text as it was written
    """
    value = parse(text)
    written = canonical(value)
    if written != text:
        at = next((i for i, (a, b) in enumerate(zip(text, written, strict=False)) if a != b), len(written))
        raise RecordError(
            f"not the canonical text of its value, from character {at}: found {text[at : at + 40]!r}, "
            f"canonical {written[at : at + 40]!r}; restore the text as it was written"
        )
    return value


def as_recorded(document: S) -> S:
    """Read a structure as a replay will read it from its record: decimals without trailing zeros, keys in order.

    A requirement that is computed from documents which went through here is the replayed one by construction, also
    where a note tells a decimal as it was written or a sum follows the order of a mapping.

    Raises
    ------
    RecordError
        If the document has no canonical text, or the text is not read back as the same kind of structure.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from serving.margin.objects import Collateral
    >>> as_recorded(Collateral(asset="USDC", quantity=Decimal("250.00"))).quantity
    Decimal('250')
    """
    try:
        return msgspec.json.decode(canonical(document), type=type(document))
    except msgspec.MsgspecError as error:
        raise RecordError(f"{type(document).__name__} is not read back from its record: {error}") from error


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise RecordError(
                f"key {json.dumps(key)} occurs twice in one object; of two values none can be taken, remove one"
            )
        found[key] = value
    return found


def _refuse(constant: str) -> None:
    raise RecordError(f"{constant} is no JSON number; a record holds none, correct the input")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RecordError(f"number {text} is beyond the largest float; correct the input")
    return number
