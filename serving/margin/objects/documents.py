"""JSON in and out of the engine's objects, and the JSON Schema that says what they look like."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from features.errors import SchemaError

T = TypeVar("T")
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def read(text: str | bytes, kind: type[T], name: str) -> T:
    """Parse a JSON document into an object.

    Money and quantities are decimal strings (``"0.5"``); numbers are read to every digit they are written with.

    Raises
    ------
    SchemaError
        If the text is not JSON, a field is missing, unknown or of a wrong type, or a value is
        refused; the message names the document and the path.

    Examples
    --------
    >>> from serving.margin.objects import Collateral
    >>> read('{"asset": "USDC", "quantity": "-5"}', Collateral, "a.json")
    Traceback (most recent call last):
    features.errors.SchemaError: a.json: collateral USDC: quantity is -5; give what is owed as a debt
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise SchemaError(f"{name}: {error}") from error
    except msgspec.DecodeError as error:
        raise SchemaError(f"{name}: not JSON: {error}; correct the file") from error


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
