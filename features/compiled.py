"""One way to compile a loop: typed as it is written, cached on disk, without Python in it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

F = TypeVar("F", bound=Callable[..., Any])
ROOM = Path(__file__).parent
IMPORT = b"from features.compiled import"
ROOMS = ("features", "models", "serving")  # that compile anything


def _cache_folder() -> Path:
    """Where machine code is kept, by the hash of every loop's source: a loop that another calls may have changed."""
    files = (path for room in ROOMS for path in (ROOM.parent / room).rglob("*.py"))
    sources = sorted(path for path in files if IMPORT in path.read_bytes())
    hashed = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return ROOM / "__pycache__" / f"numba-{hashed[:12]}"


def _keep_apart() -> None:
    """Keep this code's machine code in a folder of its own, where the package's folder may be written to."""
    if config.CACHE_DIR:  # type: ignore[attr-defined]  # the user has chosen
        return
    folder = _cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # numba finds a folder of the user's
        return
    config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


_keep_apart()


def compiled(function: F) -> F:
    """Compile a function at its first call; the machine code is kept for the next process."""
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a function into its callers: for a few lines in the hottest loop."""
    return cast("F", njit(nogil=True, error_model="numpy", inline="always")(function))
