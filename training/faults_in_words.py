"""What pydantic finds wrong with a configuration, in words that name a key and what to write there."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

WORDS = {
    "missing": "is missing",
    "finite_number": "{input!r} is not a finite number",
    "int_type": "{input!r} is no whole number",
    "int_parsing_size": "{input!r} is too large",
    "float_type": "{input!r} is no number",
    "bool_type": "{input!r} is neither true nor false",
    "string_type": "{input!r} is no text",
    "tuple_type": "{input!r} is no list; write [...] with commas between",
    "too_short": "is empty; give one at least",
    "dict_type": "{input!r} is no table of keys",
    "model_type": "{input!r} is no table of keys",
    "model_attributes_type": "{input!r} is no table of keys",
}


def in_words(error: ValidationError, settings: type[BaseModel], table: Mapping[str, Any]) -> str:
    """Every fault with the dotted key that it is of.

    Parameters
    ----------
    error : what was raised.
    settings : the model that refused.
    table : what it was given.

    Examples
    --------
    >>> class Size(BaseModel):
    ...     width: int = 1
    ...     names: tuple[str, ...] = ()
    >>> try:
    ...     Size.model_validate({"names": "A"})
    ... except ValidationError as error:
    ...     print(in_words(error, Size, {"names": "A"}))
    names: 'A' is no list; write ["A"]
    """
    told: dict[str, list[str]] = {}
    for fault in error.errors():
        key = _key(fault["loc"], table)
        words = _words(dict(fault), settings, key)
        if words not in told.setdefault(".".join(key), []):
            told[".".join(key)].append(words)
    # of a union each member says what it is not: one value, one line
    return "; ".join(f"{key}: {', and '.join(words)}" if key else "; ".join(words) for key, words in told.items())


def _key(loc: tuple[int | str, ...], table: object) -> list[str]:
    """Keys of a place, without the names that pydantic gives to members of unions."""
    key = []
    for i, part in enumerate(loc):
        if isinstance(table, Mapping) and part in table:
            table = table[part]
        elif isinstance(table, list | tuple) and isinstance(part, int):
            table = table[part] if part < len(table) else None
        elif not isinstance(table, Mapping) or i + 1 < len(loc):
            continue
        key.append(str(part))
    return key


def _words(fault: Mapping[str, Any], settings: type[BaseModel], key: list[str]) -> str:
    kind, given, message = fault["type"], fault.get("input"), str(fault["msg"])
    if kind == "extra_forbidden":
        return f"no such key; known: {', '.join(_known(settings, key[:-1]))}"
    if kind == "tuple_type" and isinstance(given, str):
        return f'{given!r} is no list; write ["{given}"]'
    if kind in WORDS:
        return WORDS[kind].format(input=given)
    if kind == "value_error":
        return message.removeprefix("Value error, ").removesuffix("; correct the option")
    return f"{given!r} {message.replace('Input should', 'should', 1)}"


def _known(settings: type[BaseModel], key: list[str]) -> list[str]:
    """Fields of the table that a key names."""
    for part in key:
        field = settings.model_fields.get(part)
        inner = [] if field is None else [*_models(field.annotation)]
        settings = inner[0] if inner else settings
    return list(settings.model_fields)


def _models(annotation: object) -> list[type[BaseModel]]:
    """Every model in an annotation, such as the one of ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
