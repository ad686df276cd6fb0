"""Nested tables as TOML text: what :mod:`tomllib` reads back as the same."""

import json
from collections.abc import Mapping
from typing import Any

from features.errors import SettingError


def toml_text(table: Mapping[str, Any], path: str = "") -> str:
    """Write values first, then tables below their headings; None is left out, as TOML has no word for it.

    Examples
    --------
    >>> print(toml_text({"seeds": (0, 1), "loss": {"ratio_cap": 8.0, "note": None}}))
    seeds = [0, 1]
    <BLANKLINE>
    [loss]
    ratio_cap = 8.0
    <BLANKLINE>
    """
    values = {k: v for k, v in table.items() if v is not None and not isinstance(v, Mapping)}
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in values.items()]
    text = "".join(f"{line}\n" for line in lines)
    for name, inner in tables.items():
        place = f"{path}.{_key(name)}" if path else _key(name)
        text += f"\n[{place}]\n{toml_text(inner, place)}"
    return text


def _key(name: str) -> str:
    """A key, quoted where it must be."""
    is_bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if is_bare else json.dumps(name)


def _value(value: Any) -> str:  # noqa: ANN401 - any value that TOML has
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML string
    if isinstance(value, float):
        return repr(value)  # all digits; inf and nan are TOML's words, too
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items() if v is not None)} }}"
    raise SettingError(f"{value!r} is no value that TOML has")
