"""Results that replace the former ones together, whenever their run is killed."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from backtests.training_results import Results

NAMES = ("model", "forecasts.parquet", "unseen/OTHERUSDT/model", "report.html")


def make(results: Results, word: str) -> None:
    """All results, folders and files, each with a word in it."""
    for name in NAMES:
        path = results.fresh(name)
        if name.endswith("model"):
            path.mkdir()
            (path / f"{word}.txt").touch()
        else:
            path.write_text(word)
        results.add(path)


def words(out: Path) -> set[str]:
    models = [path.stem for name in NAMES if name.endswith("model") for path in (out / name).iterdir()]
    return {*models, *((out / name).read_text() for name in NAMES if not name.endswith("model"))}


class Kill:
    """Ends the process, as it were, at the n-th renaming."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        rename, replace = Path.rename, os.replace

        def renamed(here: Path, there: Path) -> Path:
            self.count()
            return rename(here, there)

        def replaced(here: Path, there: Path) -> None:
            self.count()
            replace(here, there)

        patch.setattr(Path, "rename", renamed)
        patch.setattr(os, "replace", replaced)

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", range(7))
def test_a_kill_while_publishing_leaves_all_or_none(at: int, tmp_path: Path) -> None:
    first = Results(tmp_path)
    make(first, "former")
    first.publish()
    second = Results(tmp_path)
    make(second, "new")
    assert words(tmp_path) == {"former"}
    with pytest.MonkeyPatch.context() as patch:
        Kill(patch, at)
        with pytest.raises(KeyboardInterrupt):
            second.publish()
    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        Kill(patch, 1)  # nor does another kill, of the run that goes on with it
        Results(tmp_path)
    Results(tmp_path)
    assert words(tmp_path) == ({"former"} if at == 0 else {"new"})  # the first renaming is that of the list


def test_what_another_run_left_is_not_published(tmp_path: Path) -> None:
    Results(tmp_path).fresh("scores.json").write_text("of a killed run")
    results = Results(tmp_path)
    results.fresh("report.html").write_text("mine")
    results.add(results.fresh("report.html"), tmp_path / "model")  # one that is in its place stays there
    results.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
