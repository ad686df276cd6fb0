"""The results of a training run: made beside the former ones, whose place they take together once all are whole."""

import json
import os
import shutil
from pathlib import Path

from features.files import discard, write_json

FRESH, LIST, FORMER = ".new", "whole.json", ".former"


class Results:
    """What a run makes in a folder, under ``.new/`` until it is published; a later run finds it there.

    Publishing first writes the list of what is whole, then moves it: a run that is killed before the list leaves the
    former results as they were, and what it left undone after the list, the next run finishes.

    Parameters
    ----------
    out : the folder; one process at a time may work in it.

    Examples
    --------
    >>> import tempfile
    >>> results = Results(Path(tempfile.mkdtemp()))
    >>> _ = results.fresh("report.html").write_text("of this run")
    >>> (results.out / "report.html").exists()
    False
    >>> results.add(results.fresh("report.html"))
    >>> results.publish()
    >>> [path.name for path in results.out.iterdir()]
    ['report.html']
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._made: list[str] = []
        self._finish()

    def fresh(self, name: str) -> Path:
        """Where to make the result of that name; an earlier run that was killed may have made it."""
        path = self.out / FRESH / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, *paths: Path) -> None:
        """Results of this run; one that is in its place already stays there."""
        fresh = self.out / FRESH
        self._made += [str(path.relative_to(fresh)) for path in paths if path.is_relative_to(fresh)]

    def publish(self) -> None:
        """Let what was added take the place of the former results; anything else under ``.new/`` goes."""
        write_json(self.out / FRESH / LIST, self._made)
        self._finish()

    def _finish(self) -> None:
        listed = self.out / FRESH / LIST
        if not listed.is_file():
            return
        for name in json.loads(listed.read_text(encoding="utf-8")):
            if (self.out / FRESH / name).exists():  # else it was moved before a kill
                self._move(name)
        listed.unlink()
        shutil.rmtree(self.out / FRESH)

    def _move(self, name: str) -> None:
        here, aside = self.out / name, self.out / FRESH / FORMER
        here.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():  # a folder that is not empty is not replaced
            discard(aside)
            here.rename(aside)
        os.replace(self.out / FRESH / name, here)  # noqa: PTH105 - replaces atomically on POSIX and Windows
