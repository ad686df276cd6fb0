"""One way to compile a loop: typed as it is written, cached on disk, without Python in it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call; the machine code is kept beside it for the next process.

    What is kept is renewed when the function's own file changes, not when a function that it calls does:
    after a change of a loop that others call, remove ``features/__pycache__``.
    """
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a function into its callers: for a few lines in the hottest loop."""
    return cast("F", njit(nogil=True, error_model="numpy", inline="always")(function))
