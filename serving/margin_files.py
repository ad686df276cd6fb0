"""Files of the margin commands: accounts, markets, forecasts (JSON), policies and rules' parameters (TOML)."""

import tomllib
from pathlib import Path
from typing import Any, Final, TypeVar

from features.errors import FormatError, MissingFileError, SettingError, lookup
from serving.margin.objects import Account, ForecastSet, MarginResult, MarketSnapshot
from serving.margin.objects.documents import read
from serving.margin.policy import MarginPolicy, policy_of
from serving.margin.rules import RULES
from serving.margin.rules.published import parameters

T = TypeVar("T")
DOCUMENTS: Final[dict[str, type]] = {
    "account": Account,
    "market": MarketSnapshot,
    "forecast": ForecastSet,
    "result": MarginResult,
}
LARGEST_BYTES: Final = 256 * 1024 * 1024


def read_document(path: Path, kind: type[T]) -> T:
    """An account, a market or a forecast from a JSON file.

    Raises
    ------
    MissingFileError, FormatError, SchemaError
        If the file is not there, is no text, or is refused.
    """
    return read(_text(path), kind, str(path))


def read_policy(path: Path | None) -> MarginPolicy:
    """A policy from a TOML file; the default one without a file.

    Raises
    ------
    MissingFileError, FormatError, SettingError
        If the file is not there, is no TOML, or is refused.
    """
    return MarginPolicy() if path is None else policy_of(_toml(path))


def read_parameters(rule: str, path: Path | None) -> Any:  # noqa: ANN401 - each rule has its own type
    """Parameters of a rule from a TOML file; those that the venue publishes without one."""
    book = lookup(RULES, rule, "rule")
    return book.published() if path is None else parameters(_text(path), book.parameters, str(path))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: not TOML: {error}; correct the file") from error


def _text(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; name an existing one")
    if path.stat().st_size > LARGEST_BYTES:
        raise FormatError(
            f"{path}: {path.stat().st_size:,} bytes are more than a margin document has; is it the right file?"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 text ({error}); is it the right file?") from error
