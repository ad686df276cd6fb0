"""One call of the program, as from a shell."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import margincast


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *front: str) -> Run:
    """Calls of ``margincast`` with ``front`` before the arguments, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["margincast", *front, *arguments])
            with pytest.raises(SystemExit) as ended:
                margincast.main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run
