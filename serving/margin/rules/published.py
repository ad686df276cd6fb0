"""Parameters as venues publish them: one TOML file a rule, each with the address it was taken from."""

import tomllib
from decimal import Decimal
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from features.errors import SettingError

T = TypeVar("T")
FOLDER = "presets"


def preset(rule: str, kind: type[T]) -> T:
    """Published parameters of a rule.

    Raises
    ------
    SettingError
        If there are none.

    Examples
    --------
    >>> from serving.margin.rules import fixed_rate
    >>> preset("fixed_rate", fixed_rate.Parameters).initial_rate
    Decimal('0.10')
    """
    file = files("serving.margin.rules") / FOLDER / f"{rule}.toml"
    if not file.is_file():
        raise SettingError(f"there is no preset of rule {rule!r}; give its parameters in a file")
    return parameters(file.read_text(encoding="utf-8"), kind, f"{rule}.toml")


def parameters(text: str, kind: type[T], name: str) -> T:
    """Parameters of a rule from a TOML document; decimals keep every digit they are written with.

    Raises
    ------
    SettingError
        If the text is no TOML, a key is unknown or missing, or a value is refused; the message says which.

    Examples
    --------
    >>> from serving.margin.rules import fixed_rate
    >>> parameters("initial_rat = 0.1", fixed_rate.Parameters, "mine.toml")
    Traceback (most recent call last):
    features.errors.SettingError: mine.toml: Object contains unknown field `initial_rat`; correct the file
    """
    try:
        document: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        return msgspec.convert(document, kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingError(f"{name}: {error}; correct the file") from error
