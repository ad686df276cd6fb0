"""The first difference of two documents, and the steps of a verification."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ForecastError, RecordError
from serving.margin.audit import (
    Code,
    MarginRecord,
    after,
    canonical,
    first_difference,
    parse,
    sign,
    verify,
    verify_all,
    without_documents,
)
from tests.serving.margin.audit.records import CODE, KEY, OTHER_KEY, chained, draft, replay
from tests.serving.margin.audit.test_canonical import VALUES

PUBLIC = [KEY.public_key()]


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (
            {"result": {"components": [{}, {}, {"initial": "12.31"}]}},
            {"result": {"components": [{}, {}, {"initial": "12.30"}]}},
            '$.result.components[2].initial: "12.31" recorded, "12.30" replayed',
        ),
        ({"a": 1, "b": 2}, {"a": 1}, "$.b: 2 recorded, nothing replayed"),
        ({"a": [1]}, {"a": [1, {"x": None}]}, '$.a[1]: nothing recorded, {"x":null} replayed'),
        ({"0.99": 1}, {"0.99": True}, '$["0.99"]: 1 recorded, true replayed'),
        ({"a": {}}, {"a": []}, "$.a: {} recorded, [] replayed"),
        ({"a": "1"}, {"a": 1}, '$.a: "1" recorded, 1 replayed'),
        (0.1 + 0.2, 0.3, "$: 0.30000000000000004 recorded, 0.3 replayed"),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, "$.a: 1 recorded, 2 replayed"),
        ("x" * 200, "y", f'$: "{"x" * 79}… recorded, "y" replayed'),
    ],
)
def test_first_difference(expected: object, found: object, told: str) -> None:
    assert str(first_difference(expected, found)) == told


@given(VALUES, VALUES)
def test_no_difference_means_the_same_text(one: object, other: object) -> None:
    assert first_difference(one, copy.deepcopy(one)) is None
    assert (first_difference(one, other) is None) == (canonical(one) == canonical(other))


def at_path(document: Any, path: str) -> Any:
    for part in path.removeprefix("$").replace("[", ".").replace("]", "").split(".")[1:]:
        document = document[int(part) if isinstance(document, list) else part]
    return document


@given(st.sampled_from(["$.a", "$.b[0].c", "$.b[1].c", "$.d"]), st.integers(100, 200))
def test_a_change_is_found_where_it_was_made(path: str, value: int) -> None:
    document = {"a": 1, "b": [{"c": 2}, {"c": 3}], "d": 4}
    changed = copy.deepcopy(document)
    holder, _, name = path.rpartition(".")
    at_path(changed, holder)[name] = value
    found = first_difference(document, changed)
    assert found is not None
    assert (found.path, found.recorded, found.replayed) == (path, str(at_path(document, path)), str(value))


def outcomes(record: MarginRecord, **options: Any) -> dict[str, str]:
    return {step.name: step.outcome for step in verify(record, **options).steps}


def test_everything_is_checked_and_passes() -> None:
    first, second = chained(2)
    done = verify(second, replay, PUBLIC, after(first), CODE)
    assert [(s.name, s.outcome) for s in done.steps] == [
        ("hashes", "passed"),
        ("chain", "passed"),
        ("signature", "passed"),
        ("code", "passed"),
        ("replay", "passed"),
    ]
    assert done.passed
    assert done.complete
    assert done.failure is None
    assert list(done.lines())[2].split()[:4] == ["chain", "passed", "follows", "record"]


def test_what_is_not_given_is_not_called_passed() -> None:
    done = verify(chained(2)[1])
    assert {s.name: s.outcome for s in done.steps if s.name != "hashes"} == dict.fromkeys(
        ("chain", "signature", "code", "replay"), "not checked"
    )
    assert done.passed
    assert not done.complete


def test_a_replay_that_differs_names_the_place() -> None:
    def cheaper(record: MarginRecord) -> object:
        result: Any = parse(canonical(replay(record)))
        result["components"][1]["initial"] = "599.99"
        return result

    done = verify(chained(1)[0], cheaper, PUBLIC)
    assert done.failure is not None
    assert done.failure.name == "replay"
    assert done.failure.detail == '$.components[1].initial: "600" recorded, "599.99" replayed'
    assert not done.passed


def test_an_altered_record_is_not_computed_again() -> None:
    record = chained(1)[0]
    documents = msgspec.structs.replace(record.documents, account='{"positions":{"BTC-PERP":"0"}}')
    found = outcomes(msgspec.structs.replace(record, documents=documents), replay=replay, public_keys=PUBLIC)
    assert (found["hashes"], found["signature"], found["replay"]) == ("failed", "failed", "not checked")


def test_a_replay_that_refuses_is_a_failure() -> None:
    def refuse(_: MarginRecord) -> object:
        raise ForecastError("forecast has expired")

    done = verify(chained(1)[0], refuse, PUBLIC)
    assert done.failure is not None
    assert done.failure.detail == "the replay refused the record: forecast has expired"


def test_a_record_made_with_a_false_result_fails_only_in_the_replay() -> None:
    record = sign(MarginRecord.of(msgspec.structs.replace(draft(), result={"initial": "1"})), KEY)
    assert outcomes(record, replay=replay, public_keys=PUBLIC, code=CODE) == {
        "hashes": "passed",
        "chain": "passed",
        "signature": "passed",
        "code": "passed",
        "replay": "failed",
    }


def test_other_code_is_told_and_decides_nothing() -> None:
    other = Code(version="0.2.0", sha256="0" * 64, libraries=CODE.libraries)
    done = verify(chained(1)[0], replay, PUBLIC, code=other)
    assert done.complete
    assert done.steps[3].outcome == "differs"
    assert done.steps[3].detail.startswith("$.sha256: ")


def test_without_its_documents_a_record_is_not_replayed() -> None:
    bare = without_documents(chained(1)[0], "market")
    done = verify(bare, replay, PUBLIC)
    assert (done.steps[4].outcome, done.steps[4].detail) == ("not checked", "kept elsewhere: market")


def test_a_key_that_did_not_sign_and_a_false_place_fail() -> None:
    first, second = chained(2)
    found = outcomes(second, public_keys=[OTHER_KEY.public_key()], previous=after(second))
    assert (found["signature"], found["chain"], found["hashes"]) == ("failed", "failed", "passed")
    assert outcomes(first)["chain"] == "passed"  # the first record shows its place itself


def test_a_log_is_verified_up_to_its_break() -> None:
    records = chained(4)
    whole = verify_all(records, replay, PUBLIC, trusted=after(records[-1]))
    assert whole.complete
    assert list(whole.lines()) == ["4 records, 0 failed, chain whole"]
    cut = verify_all(records[:3], replay, PUBLIC, trusted=after(records[-1]))
    assert not cut.passed
    assert cut.broken is not None
    assert (cut.broken.index, cut.broken.kind, len(cut.records)) == (3, "truncated", 3)
    holed = verify_all([*records[:1], *records[2:]], replay, PUBLIC)
    assert holed.broken is not None
    assert (holed.broken.index, holed.broken.kind, len(holed.records)) == (1, "missing", 2)
    assert list(holed.lines())[-1] == "2 records, 1 failed, chain broken"


def test_a_false_result_in_a_log_is_found_and_the_rest_still_verified() -> None:
    records = chained(3, None)
    false = msgspec.structs.replace(draft(), result={"initial": "1"})
    third = MarginRecord.of(false, 3, records[-1].sha256)
    done = verify_all([*records, third], replay)
    assert [record.passed for record in done.records] == [True, True, True, False]
    assert done.broken is None
    assert not done.passed


def test_a_reader_that_stops_is_the_end_of_the_chain() -> None:
    def torn() -> Any:
        yield from chained(2)
        raise RecordError("line 3 is torn")

    done = verify_all(torn(), replay, PUBLIC)
    assert done.broken is not None
    assert (done.broken.index, done.broken.kind, done.broken.detail) == (2, "unreadable", "line 3 is torn")
    assert [record.passed for record in done.records] == [True, True]
