"""Everything that can be wrong with market data or with a question about it.

DataError
├── MissingFileError        a file or a store that is not there
├── FormatError             a file that cannot be read as what it claims to be
├── SchemaError             a column that is missing, misnamed or of another type
├── TimeOrderError          timestamps unsorted, repeated or off the grid
├── RowError                a row of a vendor's file that breaks the rules of its table
├── SequenceError           events that are missing by the venue's own numbering
├── OverlapError            two recordings of the same stretch that cannot be told apart
├── DownloadError           a file that an archive does not give, or not as it publishes it
├── PriceError              NaN, infinite, non-positive or contradictory prices
├── ShortHistoryError       fewer bars than the question needs
├── SettingError            a configuration value or key that makes no sense
├── UnknownInstrumentError  an instrument that the store or the model does not hold
├── UnknownHorizonError     a horizon that was not forecast
├── StaleDataError          no fresh forecast exists; nothing older is used instead
├── ConvergenceError        an estimation that found no optimum
├── ForecastError           numbers that no forecast or margin may be made of
├── AccountError            an account that contradicts itself: duplicates, negative collateral
├── MarketError             a market snapshot without what a position needs, or that contradicts itself
├── ExpiredError            an instrument that had expired when the market was taken
└── RecordError             a margin record that is not what was written and signed

Each message says what was wrong, where (file, row, timestamp) and what to do.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class DataError(ValueError):
    """Market data that cannot be used; subclasses say why."""


class MissingFileError(DataError):
    """A file or a store that is not there."""


class FormatError(DataError):
    """A file that cannot be read as what it claims to be."""


class SchemaError(DataError):
    """A column that is missing, misnamed or of another type."""


class TimeOrderError(DataError):
    """Timestamps that are unsorted, repeated or off the grid."""


class RowError(DataError):
    """A row of a vendor's file that cannot be read or breaks the rules of its table."""


class SequenceError(DataError):
    """Events that are missing by the venue's own numbering."""


class OverlapError(DataError):
    """Two recordings of the same stretch of time whose rows cannot be told apart."""


class DownloadError(DataError):
    """A file that an archive does not give, or not as it publishes it."""


class PriceError(DataError):
    """Prices or volumes that are NaN, infinite, non-positive or contradictory."""


class ShortHistoryError(DataError):
    """Fewer bars than the question needs."""


class SettingError(DataError):
    """A configuration value or key that makes no sense."""


class UnknownInstrumentError(DataError):
    """An instrument that the store or the model does not hold."""


class UnknownHorizonError(DataError):
    """A horizon that was not forecast."""


class StaleDataError(DataError):
    """No fresh forecast exists; nothing older is used instead."""


class ConvergenceError(DataError):
    """An estimation that found no optimum; what it stopped at is used for nothing."""


class ForecastError(DataError):
    """Numbers that no forecast or margin may be made of: not finite, crossing, of a wrong shape."""


class AccountError(DataError):
    """An account that contradicts itself: a position twice, negative collateral, an absurd size."""


class MarketError(DataError):
    """A market snapshot that lacks what a position needs or contradicts itself."""


class ExpiredError(DataError):
    """An instrument that had expired when the market was taken."""


class RecordError(DataError):
    """A margin record that is not what was written and signed."""


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """Find an entry of a registration table by the name a config uses.

    Raises
    ------
    SettingError
        If the table has no such entry; the message lists those it has.

    Examples
    --------
    >>> lookup({"har": 1}, "gru", "forecaster")
    Traceback (most recent call last):
    features.errors.SettingError: unknown forecaster 'gru'; known: har
    """
    try:
        return table[name]
    except KeyError:
        known = ", ".join(sorted(table)) or "none"
        raise SettingError(f"unknown {kind} {name!r}; known: {known}") from None


def accepted(config: Callable[..., T], options: Mapping[str, Any], kind: str) -> T:
    """Build a configuration from named options; lists become tuples.

    Raises
    ------
    SettingError
        If an option is unknown or has the wrong type; the message says what the configuration takes.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Size:
    ...     width: int = 3
    >>> accepted(Size, {"height": 4}, "size")
    Traceback (most recent call last):
    features.errors.SettingError: size has no option 'height'; known: width
    """
    known = inspect.signature(config).parameters
    for name in options:
        if name not in known:
            raise SettingError(f"{kind} has no option {name!r}; known: {', '.join(known) or 'none'}")
    try:
        return config(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    except TypeError as error:
        raise SettingError(f"{kind} with {dict(options)}: {error}; correct the option") from error
