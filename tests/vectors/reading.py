"""Published figures, read where they are: the folder of MARGINCAST_VECTORS, by default ../shared/vectors."""

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def folder() -> Path:
    """Where the published figures are."""
    return Path(os.environ.get("MARGINCAST_VECTORS", ROOT.parent / "shared" / "vectors"))


@functools.cache
def document(stem: str) -> Any:
    """One file, parsed."""
    return json.loads((folder() / f"{stem}.json").read_text())


def cases(stem: str, pick: Callable[[Any], Iterable[tuple[str, Any]]]) -> list[Any]:
    """Parameters of a test, one a case; one skipped parameter where the file is absent.

    ``pick`` gives names and cases of a parsed file.
    """
    path = folder() / f"{stem}.json"
    if not path.is_file():
        reason = f"{path} is absent: set MARGINCAST_VECTORS to the folder of published figures"
        return [pytest.param(None, id=f"{stem}.json absent", marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(case, id=f"{stem}.json {name}") for name, case in pick(document(stem))]
