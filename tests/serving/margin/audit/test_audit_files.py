"""The log on disk: every single-byte edit is found, crashes leave nothing hidden, processes take turns."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import MissingFileError, RecordError
from serving.audit_files import append, checkpoint, read_log, set_torn_aside, verify_file
from serving.margin.audit import LogVerification, after, check_chain, to_line
from tests.serving.margin.audit.records import KEY, chained, draft, replay

ROOT = Path(__file__).parents[4]
PUBLIC = [KEY.public_key()]
LOG = b"".join(to_line(record) for record in chained(3))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "quotes.jsonl"
    path.write_bytes(LOG)
    return path


def checked(path: Path) -> LogVerification:
    return verify_file(path, replay, PUBLIC, trusted=after(chained(3)[-1]))


def first_fault(done: LogVerification) -> int:
    """Index of the first record that something is said against."""
    failed = [i for i, record in enumerate(done.records) if not record.passed]
    return min([*failed, *([] if done.broken is None else [done.broken.index])])


def test_appended_records_are_read_back_chained_and_signed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "quotes.jsonl"
    written = [append(path, draft(f"{i}.25"), KEY) for i in range(3)]
    assert list(read_log(path)) == written
    assert check_chain(written, checkpoint(path)) is None
    assert path.read_bytes() == b"".join(to_line(record) for record in written)
    assert verify_file(path, replay, PUBLIC, checkpoint(path)).complete


def test_a_whole_log_passes(log: Path) -> None:
    assert checked(log).complete


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(LOG) - 1), byte=st.integers(0, 255))
def test_any_edit_of_one_byte_is_found_in_its_line(log: Path, at: int, byte: int) -> None:
    if LOG[at] == byte:
        return
    log.write_bytes(LOG[:at] + bytes([byte]) + LOG[at + 1 :])
    done = checked(log)
    assert not done.passed
    assert first_fault(done) == LOG[:at].count(b"\n")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(LOG) - 1))
def test_any_byte_lost_or_doubled_is_found(log: Path, at: int) -> None:
    for content in (LOG[:at] + LOG[at + 1 :], LOG[: at + 1] + LOG[at:]):
        log.write_bytes(content)
        done = checked(log)
        assert not done.passed
        assert first_fault(done) in (LOG[:at].count(b"\n"), LOG[:at].count(b"\n") + 1)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, len(LOG) - 1))
def test_any_truncation_is_found(log: Path, length: int) -> None:
    log.write_bytes(LOG[:length])
    done = checked(log)
    assert not done.passed
    assert done.broken is not None
    assert done.broken.index == LOG[:length].count(b"\n")
    torn = length > 0 and LOG[length - 1] != ord("\n")
    assert done.broken.kind == ("unreadable" if torn else "truncated")
    assert ("torn" in done.broken.detail) == torn


def test_a_torn_line_is_named_and_nothing_is_written_after_it(log: Path) -> None:
    with log.open("ab") as handle:
        handle.write(LOG[:100])
    with pytest.raises(RecordError, match=rf"line 4 \(from byte {len(LOG)}\): torn: 100 bytes"):
        list(read_log(log))
    with pytest.raises(RecordError, match=rf"last line \(from byte {len(LOG)}\): torn"):
        append(log, draft())
    with pytest.raises(RecordError, match="torn"):
        checkpoint(log)
    assert log.read_bytes() == LOG + LOG[:100]
    aside = set_torn_aside(log)
    assert aside is not None
    assert aside.read_bytes() == LOG[:100]
    assert log.read_bytes() == LOG
    assert set_torn_aside(log) is None
    assert append(log, draft(), KEY).head.sequence == 3
    assert checked(log).passed


def test_only_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(LOG[:7])
    aside = set_torn_aside(path)
    assert aside is not None
    assert aside.read_bytes() == LOG[:7]
    assert append(path, draft()).head.sequence == 0


def test_nothing_is_chained_to_an_altered_record(log: Path) -> None:
    altered = LOG[:-2000] + LOG[-2000:].replace(b"3000", b"3001")
    log.write_bytes(altered)
    with pytest.raises(RecordError, match=r"last line .* market altered"):
        append(log, draft())
    assert log.read_bytes() == altered


def test_a_long_last_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    big = draft()
    big.market["names"] = "x" * 200_000
    assert [append(path, d).head.sequence for d in (draft(), big, draft(), big)] == [0, 1, 2, 3]
    assert checkpoint(path) == after(list(read_log(path))[-1])


def test_a_single_record_is_verified_without_its_place(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(to_line(chained(3)[2]))
    done = verify_file(path, replay, PUBLIC)
    assert done.passed
    assert {s.name: s.outcome for s in done.records[0].steps}["chain"] == "not checked"
    path.write_bytes(b"".join(to_line(record) for record in chained(3)[1:]))
    done = verify_file(path, replay, PUBLIC)
    assert done.broken is not None
    assert done.broken.kind == "missing"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (checkpoint, verify_file, lambda path: list(read_log(path))):
        with pytest.raises(MissingFileError, match="no such log"):
            read(tmp_path / "none")
    assert not (tmp_path / "none").exists()


WRITER = """
import sys
from pathlib import Path
from serving.audit_files import append
from tests.serving.margin.audit.records import KEY, draft

path = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for i in range(15):
    append(path, draft(f"{sys.argv[2]}.{i + 1}"), KEY)
"""


def test_two_processes_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "12"
    ]
    for writer in writers:  # both have loaded before either begins
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    records = list(read_log(path))
    assert check_chain(records, checkpoint(path)) is None
    quantities = [record.text("account").split('"BTC-PERP":"')[1].split('"')[0] for record in records]
    for name in "12":  # nothing lost, nothing twice, each writer's in its own order
        assert [q for q in quantities if q.startswith(name)] == [f"{name}.{i + 1}" for i in range(15)]


KILLED = """
import os, sys
from pathlib import Path
import serving.audit_files as files
from tests.serving.margin.audit.records import KEY, draft

def half(handle, line):
    handle.write(line[: len(line) // 2])
    os._exit(9)

files._write = half
files.append(Path(sys.argv[1]), draft(), KEY)
"""


def test_a_writer_that_is_killed_in_the_middle_lets_go_and_leaves_a_torn_line(log: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(log)], cwd=ROOT, timeout=60, check=False)
    assert killed.returncode == 9
    assert len(log.read_bytes()) > len(LOG)
    done = checked(log)
    assert done.broken is not None
    assert "line 4" in done.broken.detail
    assert set_torn_aside(log) is not None
    assert append(log, draft()).head.sequence == 3


FULL = """
import resource, signal, sys
from pathlib import Path
from serving.audit_files import append
from tests.serving.margin.audit.records import KEY, draft

path = Path(sys.argv[1])
limit = path.stat().st_size + 100
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    append(path, draft(), KEY)
except OSError as error:
    print("refused", error.errno)
"""


def test_a_line_that_the_disk_does_not_take_is_taken_back(log: Path) -> None:
    full = subprocess.run(
        [sys.executable, "-c", FULL, str(log)], cwd=ROOT, timeout=60, check=True, capture_output=True, text=True
    )
    assert full.stdout.startswith("refused")
    assert log.read_bytes() == LOG
    assert append(log, draft()).head.sequence == 3
