"""The chain: each way of tampering with a log is found where it happened."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import RecordError
from serving.margin.audit import Checkpoint, MarginRecord, after, check_chain, require_chain
from serving.margin.audit.chain import GENESIS
from serving.margin.audit.record import NO_RECORD
from tests.serving.margin.audit.records import chained, draft

RECORDS = chained(6, key=None)
HEAD = after(RECORDS[-1])


def broken(records: list[MarginRecord], trusted: Checkpoint | None = None) -> tuple[int, str]:
    found = check_chain(records, trusted)
    assert found is not None
    return found.index, found.kind


def forged(index: int) -> MarginRecord:
    """A record of another content, with a hash of its own that fits it."""
    head = RECORDS[index].head
    return MarginRecord.of(draft("99"), head.sequence, head.previous_sha256)


def test_a_whole_chain_is_whole() -> None:
    assert check_chain(RECORDS) is None
    assert check_chain(RECORDS, HEAD) is None
    assert check_chain(iter(RECORDS), after(RECORDS[2])) is None  # it has grown since
    assert check_chain([]) is None
    assert RECORDS[0].head.previous_sha256 == NO_RECORD == GENESIS.sha256
    require_chain(RECORDS, HEAD)


@given(st.integers(0, 5))
def test_deletion(at: int) -> None:
    rest = RECORDS[:at] + RECORDS[at + 1 :]
    if at == len(RECORDS) - 1:
        assert check_chain(rest) is None  # the chain alone cannot know
        assert broken(rest, HEAD) == (at, "truncated")
    else:
        assert broken(rest) == (at, "missing")


@given(st.integers(0, 6), st.integers(0, 5))
def test_insertion_of_a_record_of_the_same_chain(at: int, which: int) -> None:
    index, kind = broken([*RECORDS[:at], RECORDS[which], *RECORDS[at:]])
    assert index == (at + 1 if which == at else at)
    assert kind == ("repeated" if which <= at else "out of order" if at < which else "missing")


@given(st.permutations(range(6)).filter(lambda order: order != list(range(6))))
def test_reordering(order: list[int]) -> None:
    first = next(i for i, k in enumerate(order) if i != k)
    assert broken([RECORDS[k] for k in order]) == (first, "out of order")


@given(st.integers(0, 5))
def test_another_record_in_place_of_one(at: int) -> None:
    changed = [*RECORDS[:at], forged(at), *RECORDS[at + 1 :]]
    if at == len(RECORDS) - 1:
        assert broken(changed, HEAD) == (at, "replaced")
    else:
        assert broken(changed) == (at + 1, "link")


def test_a_chain_written_anew_is_found_by_a_checkpoint() -> None:
    anew = [forged(0)]
    for i in range(1, 6):
        end = after(anew[-1])
        anew.append(MarginRecord.of(draft(f"{i}"), end.length, end.sha256))
    assert check_chain(anew) is None
    assert broken(anew, after(RECORDS[3])) == (3, "replaced")


@given(st.integers(0, 5))
def test_an_edit_that_keeps_the_hash(at: int) -> None:
    head = msgspec.structs.replace(RECORDS[at].head, as_of_ns=1)
    edited = msgspec.structs.replace(RECORDS[at], head=head)
    assert broken([*RECORDS[:at], edited, *RECORDS[at + 1 :]]) == (at, "altered")


def test_a_log_may_go_on_in_a_new_file() -> None:
    former, latter = RECORDS[:4], RECORDS[4:]
    assert check_chain(latter, HEAD, start=after(former[-1])) is None
    assert broken(latter) == (0, "missing")
    elsewhere = check_chain(latter, start=Checkpoint(4, "a" * 64))
    assert elsewhere is not None
    assert (elsewhere.index, elsewhere.kind) == (0, "link")


def test_messages_say_what_was_due_and_what_was_found() -> None:
    with pytest.raises(RecordError, match=r"index 2, missing: sequence 4 where 2 is due: records 2 to 3 not there"):
        require_chain(RECORDS[:2] + RECORDS[4:])
    with pytest.raises(RecordError, match=r"index 0, out of order: sequence 1 where 0 is due; 0 comes at index 1"):
        require_chain([RECORDS[1], RECORDS[0]])
    with pytest.raises(RecordError, match=r"index 4, truncated: 4 records, trusted are 6: the end was cut off"):
        require_chain(RECORDS[:4], HEAD)
