"""A fitted model as plain JSON and back, exactly; a state can build the project's own frozen classes and nothing else.

A model is a tree of frozen dataclasses, tuples, mappings, numbers, texts and arrays. JSON has texts, whole numbers,
``true``, ``false``, ``null`` and finite fractions as they are; everything else is an object whose key says what it is::

    {"class": "models.diurnal.Diurnal", "fields": {"weight": ...}}
    {"array": "<f8", "shape": [168], "base64": "..."}     # bytes in row order
    {"tuple": [...]}, {"list": [...]}, {"mapping": [[key, value], ...]}, {"float": "inf"}

A class is looked up among the modules that are loaded: reading a state imports nothing and calls no constructor but
those of frozen dataclasses of :mod:`models` and :mod:`features`.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeGuard

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from features.errors import FormatError
from models.classical.forest_nodes import ForestNodes
from models.state_arrays import built_array, plain_array

VERSION = 1
ROOTS = ("features", "models")
REMEDY = "restore the file or train again"


def to_state(model: object) -> dict[str, Any]:
    """Plain JSON of a fitted model.

    Raises
    ------
    FormatError
        If some part of it is of a kind that a state cannot hold; the message says where.

    Examples
    --------
    >>> to_state((1, 0.5, "text"))
    {'version': 1, 'state': {'tuple': [1, 0.5, 'text']}}
    """
    return {"version": VERSION, "state": _plain(model, type(model).__name__)}


def from_state(value: object) -> Any:  # noqa: ANN401 - whatever was kept
    """Build what :func:`to_state` described.

    Raises
    ------
    FormatError
        If it is no state, of another version, names a class that is not the project's, has a field too many or too
        few, or values that the class refuses.

    Examples
    --------
    >>> from_state({"version": 1, "state": {"class": "os.path", "fields": {}}})
    Traceback (most recent call last):
    features.errors.FormatError: state: 'os.path' is no class that a state may name; restore the file or train again
    """
    if not isinstance(value, Mapping) or set(value) != {"version", "state"}:
        raise _refused("state", "has no version and state")
    if value["version"] != VERSION:
        raise _refused("state", f"is of version {value['version']!r}, this code reads version {VERSION}")
    try:
        return _built(value["state"], "state")
    except RecursionError as error:
        raise _refused("state", "is nested too deeply") from error


def _refused(place: str, reason: str) -> FormatError:
    return FormatError(f"{place}: {reason}; {REMEDY}")


def _plain(value: object, place: str) -> Any:  # noqa: ANN401 - JSON
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray | np.generic):
        try:
            return plain_array(np.asarray(value))
        except FormatError as error:
            raise FormatError(f"{place}: {error}") from error
    return _plain_tree(ForestNodes.of(value) if isinstance(value, RandomForestRegressor) else value, place)


def _plain_tree(value: object, place: str) -> dict[str, Any]:
    if type(value) in (tuple, list):
        parts: Any = value
        return {type(value).__name__: [_plain(part, f"{place}[{i}]") for i, part in enumerate(parts)]}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(k, place), _plain(v, f"{place}[{k!r}]")] for k, v in value.items()]}
    kind: object = type(value)
    if _is_ours(kind):
        held = {f.name: _plain(getattr(value, f.name), f"{place}.{f.name}") for f in fields(kind)}
        return {"class": f"{kind.__module__}.{kind.__qualname__}", "fields": held}
    raise FormatError(f"{place}: a state cannot hold a {type(value).__name__}; use frozen dataclasses, numbers, arrays")


def _is_ours(kind: object) -> TypeGuard[type[Any]]:
    """Whether a class is a frozen dataclass of the project."""
    if not isinstance(kind, type) or not is_dataclass(kind) or kind.__module__.partition(".")[0] not in ROOTS:
        return False
    return bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _built(value: object, place: str) -> Any:  # noqa: ANN401 - whatever was kept
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refused(place, f"holds a bare {value}")
        return value
    if isinstance(value, dict):
        build = BUILDERS.get(frozenset(value))
        if build is not None:
            return build(value, place)
        raise _refused(place, f"has the keys {sorted(map(str, value))}, which mean nothing")
    raise _refused(place, f"holds a bare {type(value).__name__}")


def _parts(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(place, f"holds a {type(value).__name__} where a list belongs")
    return [_built(part, f"{place}[{i}]") for i, part in enumerate(value)]


def _built_float(value: dict[str, Any], place: str) -> float:
    if value["float"] not in ("inf", "-inf", "nan"):
        raise _refused(place, f"has the float {value['float']!r}")
    return float(value["float"])


def _built_mapping(value: dict[str, Any], place: str) -> dict[Any, Any]:
    pairs = value["mapping"]
    if not isinstance(pairs, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        raise _refused(place, "has a mapping that is no list of pairs")
    built = [(_built(key, place), _built(part, f"{place}[{key!r}]")) for key, part in pairs]
    try:
        return dict(built)
    except TypeError as error:
        raise _refused(place, f"has a mapping whose key is none ({error})") from error


def _built_array(value: dict[str, Any], place: str) -> Any:  # noqa: ANN401 - an array, or a number of numpy
    try:
        return built_array(value)
    except FormatError as error:
        raise _refused(place, str(error)) from error


def _built_class(value: dict[str, Any], place: str) -> Any:  # noqa: ANN401 - the class named
    kind, parts = _named(value["class"], place), value["fields"]
    wanted = {f.name for f in fields(kind)}
    if not isinstance(parts, dict) or set(parts) != wanted:
        found = set(parts) if isinstance(parts, dict) else set()
        extra, missing = sorted(map(str, found - wanted)), sorted(wanted - found)
        raise _refused(place, f"{kind.__name__} has unknown fields {extra} and lacks {missing}")
    built = {name: _built(part, f"{place}.{name}") for name, part in parts.items()}
    try:
        return kind(**built)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise _refused(place, f"{kind.__name__} refuses its values ({error})") from error


def _named(name: object, place: str) -> type[Any]:
    """The class of a name, among the modules that are loaded."""
    module, _, qualified = str(name).rpartition(".")
    kind = vars(sys.modules[module]).get(qualified) if module in sys.modules else None
    if not _is_ours(kind) or f"{kind.__module__}.{kind.__qualname__}" != name:
        raise _refused(place, f"{name!r} is no class that a state may name")
    return kind


BUILDERS: dict[frozenset[str], Callable[[dict[str, Any], str], Any]] = {
    frozenset({"class", "fields"}): _built_class,
    frozenset({"array", "shape", "base64"}): _built_array,
    frozenset({"array", "shape", "base64", "by_column"}): _built_array,
    frozenset({"mapping"}): _built_mapping,
    frozenset({"tuple"}): lambda value, place: tuple(_parts(value["tuple"], place)),
    frozenset({"list"}): lambda value, place: _parts(value["list"], place),
    frozenset({"float"}): _built_float,
}
