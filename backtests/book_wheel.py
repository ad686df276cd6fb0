"""One pinned wheel from the package registry: fetched by pip against its hash, read as an archive, never installed."""

import os
import shutil
import subprocess  # pip has no other interface
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from features.errors import DownloadError, FormatError, MissingFileError
from features.files import sha256_of_file, written_whole

LONGEST_WAIT_S = 300
FREE = {"PIP_REQUIRE_VIRTUALENV": "false"}  # what is downloaded is installed nowhere
REMEDY = "fetch it on a machine that can, and name the file with --wheel"


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel of the registry: project, version, file, and the SHA-256 of its bytes."""

    project: str
    version: str
    file: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The line that makes pip refuse any other bytes.

        Examples
        --------
        >>> PinnedWheel("a-b", "1.0", "a_b-1.0-py3-none-any.whl", "ff").requirement
        'a-b==1.0 --hash=sha256:ff'
        """
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


OB_ANALYTICS = PinnedWheel(
    "ob-analytics",
    "0.1.0",
    "ob_analytics-0.1.0-py3-none-any.whl",
    "0326a93aaee4ea08356d8dea59868d68592623a2434bbe4d9be379fa855c9c62",
)


def obtain(wheel: PinnedWheel, folder: Path, given: Path | None = None) -> tuple[Path, bool]:
    """The wheel's path, and whether it had to be fetched.

    Parameters
    ----------
    wheel : what is wanted.
    folder : where a fetched wheel is kept; one that is there already is used if its hash is right.
    given : a copy that the user has; it is used where it lies.

    Raises
    ------
    MissingFileError, FormatError
        If ``given`` is not there; if it is another file than the wheel.
    DownloadError
        If there is no pip, or it cannot get the file; ``folder`` then holds what it held before.
    """
    if given is not None:
        _check_given(wheel, given)
        return given, False
    kept = folder / wheel.file
    if kept.is_file() and sha256_of_file(kept) == wheel.sha256:
        return kept, False
    with TemporaryDirectory() as scratch:
        fetched = _fetch(wheel, Path(scratch), find_pip())
        with written_whole(kept) as part:
            shutil.copyfile(fetched, part)
    return kept, True


def _check_given(wheel: PinnedWheel, given: Path) -> None:
    if not given.is_file():
        raise MissingFileError(f"{given}: no such file; name a copy of {wheel.file}, or leave --wheel away to fetch it")
    found = sha256_of_file(given)
    if found != wheel.sha256:
        raise FormatError(
            f"{given}: is not {wheel.file} (SHA-256 {found[:16]}…, {wheel.sha256[:16]}… is expected); "
            "leave --wheel away to fetch the right one"
        )


def find_pip() -> list[str]:
    """A command that runs pip: this interpreter's, that of the one it was made from, or one on the path.

    Raises
    ------
    DownloadError
        If none runs.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    pythons = [sys.executable, base, *map(shutil.which, ("python3", "python"))]
    commands = [[python, "-m", "pip"] for python in dict.fromkeys(pythons) if python]
    commands += [[pip] for pip in map(shutil.which, ("pip3", "pip")) if pip]
    for command in commands:
        try:
            asked = subprocess.run([*command, "--version"], capture_output=True, timeout=LONGEST_WAIT_S, check=False)  # noqa: S603 - our own words
        except (OSError, subprocess.SubprocessError):
            continue
        if asked.returncode == 0:
            return command
    raise DownloadError(f"no pip found beside {sys.executable} nor on the path to fetch the session with; {REMEDY}")


def _fetch(wheel: PinnedWheel, scratch: Path, pip: Sequence[str]) -> Path:
    """Let pip fetch the wheel alone into an empty folder; it compares the hash, and so do we."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(wheel.requirement + "\n", encoding="utf-8")
    # The pip that is found may belong to another Python: what the wheel asks for is this one.
    python = ".".join(map(str, sys.version_info[:2]))
    asked = (
        "download", "--no-deps", "--only-binary", ":all:", "--python-version", python, "--require-hashes",
        "--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(scratch), "-r", str(requirements),
    )  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [*pip, *asked], capture_output=True, text=True, timeout=LONGEST_WAIT_S, check=False, env=os.environ | FREE
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"{wheel.file}: pip had not fetched it after {LONGEST_WAIT_S} s; {REMEDY}") from error
    path = scratch / wheel.file
    if done.returncode or not path.is_file() or sha256_of_file(path) != wheel.sha256:
        raise DownloadError(f"{wheel.file}: pip cannot fetch it with its SHA-256 ({_said(done.stderr)}); {REMEDY}")
    return path


def _said(errors: str) -> str:
    r"""What pip complains of, as one short line.

    Examples
    --------
    >>> _said("WARNING: slow\nERROR: No matching distribution found for x==1\n")
    'No matching distribution found for x==1'
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    worst = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    return worst[-1][:300] if worst else "it says nothing"


@contextmanager
def unpacked(wheel: Path, members: Sequence[str]) -> Iterator[list[Path]]:
    """Members of a wheel as files in a folder that goes away with the block.

    Raises
    ------
    FormatError
        If the wheel is damaged or lacks one of them.
    """
    with TemporaryDirectory() as scratch:
        try:
            with zipfile.ZipFile(wheel) as archive:
                paths = [_copied(archive, member, Path(scratch)) for member in members]
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
            raise FormatError(f"{wheel}: cannot be read as the wheel of the session ({error}); remove it") from error
        yield paths


def _copied(archive: zipfile.ZipFile, member: str, folder: Path) -> Path:
    path = folder / Path(member).name
    with archive.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path
