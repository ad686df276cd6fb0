"""The commands of the page, run as they stand: verification with jq, sha256sum and openssl alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from serving.audit_files import append
from serving.audit_keys import make_key
from tests.serving.margin.audit.records import draft

ROOT = Path(__file__).parents[4]
TOOLS = ("jq", "sha256sum", "openssl", "basenc")
PAIRS = 4  # of a hash that is computed and the one that is recorded

pytestmark = [
    pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed on this machine") for tool in TOOLS
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    key = make_key(tmp_path / "margin.pem")
    for quantity in ("1.5", "-2", "3"):
        append(tmp_path / "quotes.jsonl", draft(quantity), key)
    return tmp_path


def run(folder: Path) -> tuple[list[str], bool]:
    """Hashes that the commands print, in order, and whether the signature verifies."""
    text = (ROOT / "docs/audit.md").read_text().partition("```sh\n")[2].partition("```")[0]
    done = subprocess.run(["bash", "-c", text], cwd=folder, check=False, capture_output=True, text=True, timeout=60)
    hashes = re.findall(r"^([0-9a-f]{64})\b", done.stdout, re.MULTILINE)
    assert len(hashes) == 2 * PAIRS, done.stderr
    return hashes, "Signature Verified Successfully" in done.stdout and done.returncode == 0


def test_a_record_verifies(folder: Path) -> None:
    hashes, signed = run(folder)
    assert hashes[::2] == hashes[1::2]
    assert len(set(hashes)) == PAIRS
    assert signed


@pytest.mark.parametrize(
    ("old", "new", "pair"),
    [
        (rb"\"rule\":\"tenth\"", rb"\"rule\":\"fifth\"", 0),
        (rb"\"initial\":\"600\"", rb"\"initial\":\"500\"", 1),
    ],
)
def test_an_edit_shows(folder: Path, old: bytes, new: bytes, pair: int) -> None:
    log = folder / "quotes.jsonl"
    assert old in log.read_bytes()
    log.write_bytes(log.read_bytes().replace(old, new))
    hashes, signed = run(folder)
    assert [i for i in range(PAIRS) if hashes[2 * i] != hashes[2 * i + 1]] == [pair]
    assert signed  # the signature is of the recorded hash


def test_another_key_shows(folder: Path) -> None:
    make_key(folder / "other.pem")
    shutil.copy(folder / "other.pem.pub", folder / "margin.pem.pub")
    hashes, signed = run(folder)
    assert [i for i in range(PAIRS) if hashes[2 * i] != hashes[2 * i + 1]] == [3]
    assert not signed
