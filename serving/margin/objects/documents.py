"""JSON in and out of the engine's objects, and the JSON Schema that says what they look like."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import msgspec

from features.errors import SchemaError

T = TypeVar("T")
SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read(text: str | bytes, kind: type[T], name: str) -> T:
    """Parse a JSON document into an object.

    Money and quantities are decimal strings (``"0.5"``); numbers are read to every digit they are written with.

    Raises
    ------
    SchemaError
        If the text is not JSON, a key comes twice, a field is missing, unknown or of a wrong type, or a
        value is refused; the message names the document and the path.

    Examples
    --------
    >>> from serving.margin.objects import Collateral
    >>> read('{"asset": "USDC", "quantity": "-5"}', Collateral, "a.json")
    Traceback (most recent call last):
    features.errors.SchemaError: a.json: collateral USDC: quantity is -5; give what is owed as a debt; correct the file
    """
    try:
        json.loads(text, object_pairs_hook=_checked, parse_constant=_refused)
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise SchemaError(f"{name}: {_with_key(str(error), text, kind)}; correct the file") from error
    except (msgspec.DecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SchemaError(f"{name}: not JSON: {error}; correct the file") from error
    except RecursionError as error:
        raise SchemaError(f"{name}: nested too deeply to be a margin document; is it the right file?") from error
    except _Refused as error:
        raise SchemaError(f"{name}: {error}; correct the file") from error


class _Refused(Exception):  # noqa: N818 - turned into a SchemaError with the document's name
    """What JSON allows and a margin document does not."""


def _refused(constant: str) -> None:
    raise _Refused(f"{constant} is not a number of JSON")


def _checked(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A table without repeated keys, and without text that only looks like a decimal."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise _Refused(f"key {twice!r} comes twice")
    for key, value in pairs:
        if isinstance(value, str) and not plain_number(value):
            raise _Refused(f"{key} is {value!r}; write a number with digits and a point alone")
    return table


def plain_number(text: str) -> bool:
    """Whether text is either no decimal at all or one in ASCII digits: not 2_5, which Python reads as 25.

    Examples
    --------
    >>> plain_number("0.5"), plain_number("BTC"), plain_number("2_5"), plain_number(" 1")
    (True, True, False, False)
    """
    if NUMBER.fullmatch(text):
        return True
    try:
        return not Decimal(text).is_finite()
    except InvalidOperation:
        return True


def _with_key(message: str, text: str | bytes, kind: type) -> str:
    """Put the key that is wrong where the decoder only says that one of a table's is."""
    found = re.search(r"\$\.(\w+)\[\.\.\.\]", message)
    if found is None or not issubclass(kind, msgspec.Struct):
        return message
    field = next((f for f in msgspec.structs.fields(kind) if f.name == found[1]), None)
    table = json.loads(text).get(found[1])
    if field is None or not isinstance(table, Mapping):
        return message
    for key, value in table.items():
        try:
            msgspec.convert({key: value}, field.type)
        except msgspec.ValidationError:
            return message.replace("[...]", f"[{key}]")
    return message


def write(document: msgspec.Struct) -> str:
    """Format an object as JSON with two spaces of indentation; decimals are plain strings, what is None is left out."""
    plain = _plain(msgspec.to_builtins(document, builtin_types=(Decimal,)))
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()


def schema(kind: type) -> dict[str, Any]:
    """JSON Schema (2020-12) of a document."""
    return {"$schema": SCHEMA_DIALECT, **msgspec.json.schema(kind)}


def _plain(value: object) -> object:
    """Decimals as text without an exponent, inside lists and tables too."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
