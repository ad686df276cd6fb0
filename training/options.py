"""Options of parts that are built from keys: of the kind that the part takes, finite, of a size that can be built."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from features.errors import DataError, SettingError, accepted
from models.neural.network import Network, NetworkConfig

LARGEST = 65_536  # of any size in a network
MOST_WEIGHTS = 100_000_000  # 0.4 GB in single precision, and AdamW keeps three times that beside
MOST_LAYERS = 64
PLAIN = (bool, int, float, str)


def check_finite(options: object, name: str) -> None:
    """Refuse a number that is not finite, however deep.

    Raises
    ------
    SettingError
        With the dotted name of the option.
    """
    if isinstance(options, float) and not math.isfinite(options):
        raise SettingError(f"{name} = {options} is not a finite number")
    if isinstance(options, list | tuple):
        options = dict(enumerate(options))
    if isinstance(options, Mapping):
        for key, value in options.items():
            check_finite(value, f"{name}.{key}")


def check_sizes(options: object, name: str) -> None:
    """Refuse a size above :data:`LARGEST`, or more than :data:`MOST_LAYERS` layers.

    Raises
    ------
    SettingError
        With the dotted name of the option.
    """
    if isinstance(options, Mapping):
        for key, value in options.items():
            check_sizes(value, f"{name}.{key}")
    elif isinstance(options, list | tuple):
        if len(options) > MOST_LAYERS:
            raise SettingError(f"{name} names {len(options)} sizes; choose {MOST_LAYERS} at most")
        for i, value in enumerate(options):
            check_sizes(value, f"{name}.{i}")
    elif isinstance(options, int | float):
        most = MOST_LAYERS if name.endswith(".layers") else LARGEST
        if options > most:
            raise SettingError(f"{name} = {options}; choose {most} at most")


def check_model(factory: Callable[..., object], options: Mapping[str, Any], kind: str, name: str) -> None:
    """Build a classical model that is not fitted: refuse options that it has not, or that are of another kind.

    Raises
    ------
    SettingError
        With what the model takes; what it holds only when it is fitted is none of its options.
    """
    check_finite(options, name)
    defaults = {key: given.default for key, given in inspect.signature(factory).parameters.items()}
    known = [key for key, default in defaults.items() if _is_plain(default)]
    for key, value in options.items():
        if key not in known:
            raise SettingError(f"{kind} has no option {key!r}; known: {', '.join(known) or 'none'}")
        if not _is_alike(value, defaults[key]):
            raise SettingError(f"{name}.{key} = {value!r}; {kind} takes one like {_written(defaults[key])}")
    accepted(factory, options, kind)


def check_network(config: NetworkConfig) -> None:
    """Build a network without its numbers: the parts refuse what they cannot take, and no memory is asked for.

    Raises
    ------
    SettingError
        If a part refuses its options, or the network has more than :data:`MOST_WEIGHTS` weights.
    """
    for name in ("encoder_options", "head_options"):
        check_finite(getattr(config, name), name)
        check_sizes(getattr(config, name), name)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            weights = sum(parameter.numel() for parameter in Network(config).parameters())
    except DataError:
        raise
    except (TypeError, ValueError, RuntimeError, OverflowError, AttributeError, AssertionError) as error:
        told = f"{config.encoder} with {dict(config.encoder_options)}, {config.head} with {dict(config.head_options)}"
        raise SettingError(f"no network can be built of {told} ({str(error).splitlines()[0]})") from error
    if weights > MOST_WEIGHTS:
        raise SettingError(f"{weights:,} weights, more than {MOST_WEIGHTS:,}; choose smaller sizes")


def _is_plain(value: object) -> bool:
    """Whether a default is a value that a file can hold; a factory's is what a fit fills in."""
    if value == ():
        return False
    return isinstance(value, PLAIN) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _is_alike(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(_is_alike(item, default[0]) for item in value)
    if isinstance(value, bool) or isinstance(default, bool | str):
        return type(value) is type(default)
    return isinstance(value, int if isinstance(default, int) else int | float)


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else repr(default)
