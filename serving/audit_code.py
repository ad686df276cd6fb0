"""Which code computed a margin: the sources that an import of the engine reaches, and their hash."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from features.files import sha256_of, sha256_of_file
from serving.margin.audit.record import Code

ROOT = Path(__file__).parent.parent  # the packages of the project stand side by side
OURS = ("features", "models", "training", "serving", "backtests")
LIBRARIES = ("cryptography", "msgspec", "numba", "numpy", "scipy")


@cache
def code_now() -> Code:
    """What computes margins in this process: package, sources, libraries; no paths, nothing of the machine."""
    hashes = [f"{name}:{sha256_of_file(path)}" for name, path in sorted(margin_sources().items())]
    libraries = {name: version(name) for name in LIBRARIES}
    return Code(version=version("margincast"), sha256=sha256_of(hashes), libraries=libraries)


def margin_sources() -> dict[str, Path]:
    """Source files of ``serving.margin`` and of every module of ours that they import, by module name.

    With a module come the packages that it is in, as Python runs them, and what these import.
    """
    folder = ROOT / "serving" / "margin"
    waiting = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in folder.rglob("*.py")]
    waiting += ["serving.margin_job", "serving.margin_records"]  # which finish what is recorded
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop().removesuffix(".__init__")
        path = _source(name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imports(path)]
    return found


def _source(name: str) -> Path | None:
    """File of a module of ours; None for what is no module, or somebody else's."""
    if name.partition(".")[0] not in OURS:
        return None
    place = ROOT.joinpath(*name.split("."))
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Names that may be modules in a file's imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
