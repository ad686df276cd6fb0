"""The code that a result depends on: the sources of a model and of all of ours that they import."""

import ast
import importlib.util
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from features.files import sha256_of, sha256_of_file

# Whose numbers ours are made of.
LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "numba", "torch", "lightning")
TABLES = ("models", "backtests.forecasters")  # they import every model; one that is made is hashed by itself
ROOMS = ("features", "models", "training", "serving", "backtests")


def code_of(maker: Callable[..., Any], *modules: str) -> str:
    """SHA-256 over a model, its module, the named ones, all of ours that they import, and the libraries' versions.

    A change of one model leaves the results of the others of use.

    Examples
    --------
    >>> from models import FORECASTERS
    >>> code_of(FORECASTERS["ewma"]) == code_of(FORECASTERS["garch_t"])
    False
    """
    made = maker.func if isinstance(maker, partial) else maker
    waiting, seen = [made.__module__, *modules], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)
    chosen = [maker.args, maker.keywords] if isinstance(maker, partial) else []
    sources = {name: sha256_of_file(_source(name)) for name in sorted(seen)}
    return sha256_of([made.__qualname__, repr(chosen), sources, {name: version(name) for name in LIBRARIES}])


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {module!r} to hash")
    return Path(spec.origin)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Our modules that a module names in its imports, wherever in it they stand; ``from a import b`` may mean a.b."""
    found = []
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    ours = (name for name in found if name.split(".")[0] in ROOMS)
    return tuple(name for name in ours if name not in TABLES and _is_module(name))


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False
