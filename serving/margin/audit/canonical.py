r"""One text for one value: canonical JSON, on which hashes and signatures rest.

The text is that of RFC 8785 (JSON Canonicalization Scheme): no white space, UTF-8, object keys sorted by their UTF-16
code units, strings escaped as little as JSON allows, floats by their shortest digits that read back to the same bits.
It goes beyond the RFC, or stays behind it, in five places:

* ``Decimal`` is a string, in plain notation without trailing zeros: 1.0, 1.00 and 1E0 are all ``"1"``, and minus
  zero is ``"0"``.
* An integer is written with all its digits, up to 21 of them. The RFC reads every number as a float, which would round
  a time in nanoseconds; below 2**53 the texts agree.
* A string that is not in Unicode's form NFC is refused; the RFC takes it as it is. Two texts that look alike must not
  have two hashes, and a string is never altered here.
* Nesting deeper than 64 is refused.
* Duplicate keys are refused on reading, as the RFC asks through I-JSON.

What the RFC's reader makes of such a text is therefore the same text again, long integers apart.

JSON has one kind of number: 1 and 1.0 have the same text. A ``msgspec.Struct`` is an object with all its fields, those
with their default value too, so that a change of a default never changes what an old record says.

References
----------
Rundgren, Jordan, Erdtman (2020), "JSON Canonicalization Scheme (JCS)", RFC 8785.
Bray (2015), "The I-JSON Message Format", RFC 7493.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import msgspec

from features.errors import RecordError
from serving.margin.audit.numbers import decimal_text, float_text, integer_text

MAX_DEPTH: Final = 64


def canonical(value: object) -> str:
    r"""Write a value as its one canonical JSON text.

    Parameters
    ----------
    value : None, bool, int, float, Decimal, str, Enum, sequence, mapping with string keys, or msgspec.Struct
        Any nesting of these. Bytes, sets, dates and arrays are refused: they have no one text.

    Returns
    -------
    str
        The text; its UTF-8 bytes are what is hashed.

    Raises
    ------
    RecordError
        If a value has no canonical text; the message names its path.

    Examples
    --------
    >>> canonical({"b": [Decimal("1.50"), 1e-7, -0.0], "a": None})
    '{"a":null,"b":["1.5",1e-7,0]}'
    >>> canonical({"legs": [{"vol": float("nan")}]})
    Traceback (most recent call last):
    features.errors.RecordError: $.legs[0].vol: nan is no finite number; a record holds none, correct the input
    """
    return "".join(_pieces(value, "$", MAX_DEPTH))


def sha256_of_text(text: str) -> str:
    """Hexadecimal SHA-256 of a text's UTF-8 bytes.

    Examples
    --------
    >>> sha256_of_text("abc")
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_sha256(value: object) -> str:
    """Hexadecimal SHA-256 of a value's canonical text.

    Examples
    --------
    >>> canonical_sha256({"b": 1, "a": Decimal("2.0")}) == canonical_sha256({"a": Decimal(2), "b": 1.0})
    True
    """
    return sha256_of_text(canonical(value))


def _pieces(value: object, path: str, depth: int) -> Iterator[str]:
    if depth == 0:
        raise RecordError(f"{path}: nested deeper than {MAX_DEPTH} levels; flatten it")
    if isinstance(value, msgspec.Struct):
        value = _fields(value)
    if isinstance(value, Mapping):
        yield from _object(value, path, depth)
    elif isinstance(value, list | tuple):
        yield from _array(value, path, depth)
    else:
        yield _scalar(value.value if isinstance(value, Enum) else value, path)


def _object(value: Mapping[Any, object], path: str, depth: int) -> Iterator[str]:
    for key in value:
        if not isinstance(key, str):
            raise RecordError(f"{path}: key {key!r} is no string; a JSON object has only such")
        _string(key, path)
    mark = "{"
    for key in sorted(value, key=lambda k: k.encode("utf-16-be")):
        yield f"{mark}{_string(key, path)}:"
        yield from _pieces(value[key], f"{path}{step(key)}", depth - 1)
        mark = ","
    yield "}" if mark == "," else "{}"


def _array(value: "list[object] | tuple[object, ...]", path: str, depth: int) -> Iterator[str]:
    mark = "["
    for i, item in enumerate(value):
        yield mark
        yield from _pieces(item, f"{path}[{i}]", depth - 1)
        mark = ","
    yield "]" if mark == "," else "[]"


def _scalar(value: object, path: str) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value, path)
        case Decimal():
            return f'"{decimal_text(value, path)}"'
        case int():
            return integer_text(value, path)
        case float():
            return float_text(value, path)
    raise RecordError(f"{path}: {type(value).__name__} has no canonical JSON; give numbers, strings, lists or objects")


def _string(value: str, path: str) -> str:
    if not unicodedata.is_normalized("NFC", value):
        raise RecordError(f"{path}: {value!a} is not in Unicode form NFC; normalise it before it is used")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise RecordError(f"{path}: {value!a} holds half of a surrogate pair; correct the text")
    return json.dumps(value, ensure_ascii=False)


def _fields(value: msgspec.Struct) -> dict[str, object]:
    """A structure's fields by their names in JSON, with its tag where it has one."""
    config = value.__struct_config__
    tag = {} if config.tag_field is None else {config.tag_field: config.tag}
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    return {**tag, **{encoded: getattr(value, name) for encoded, name in names}}


def step(key: str) -> str:
    """One step of a path into an object.

    Examples
    --------
    >>> step("initial"), step("0.99")
    ('.initial', '["0.99"]')
    """
    return f".{key}" if key.isidentifier() and key.isascii() else f"[{json.dumps(key)}]"
