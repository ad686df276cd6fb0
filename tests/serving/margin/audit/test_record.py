"""Records: what they hold, what their hashes cover, and the line they are written as."""

import hashlib
import json

import msgspec
import pytest

from features.errors import RecordError
from serving.margin.audit import (
    Code,
    MarginRecord,
    canonical,
    check_hashes,
    from_line,
    sign,
    to_line,
    with_documents,
    without_documents,
)
from serving.margin.audit.record import PARTS
from tests.serving.margin.audit.records import KEY, chained, draft


def test_hashes_are_those_of_the_texts_by_hand() -> None:
    record = MarginRecord.of(draft())
    head = json.loads(canonical(record.head))
    market = '{"BTC-PERP":"30000.01","ETH-PERP":"2000","vol":0.30000000000000004}'
    assert record.text("market") == market
    assert head["documents_sha256"]["market"] == hashlib.sha256(market.encode()).hexdigest()
    assert head["documents_sha256"]["forecast"] is None
    assert head["previous_sha256"] == "0" * 64
    assert record.sha256 == hashlib.sha256(json.dumps(head, separators=(",", ":"), sort_keys=True).encode()).hexdigest()
    check_hashes(record)


@pytest.mark.parametrize("part", ["account", "market", "policy", "result"])
def test_an_altered_document_is_named(part: str) -> None:
    record = MarginRecord.of(draft())
    documents = msgspec.structs.replace(record.documents, **{part: record.text(part).replace("0", "1", 1) + " "})
    with pytest.raises(RecordError, match=f"^record 0: {part} altered: its SHA-256 is [0-9a-f]+, the head says"):
        check_hashes(msgspec.structs.replace(record, documents=documents))


def test_a_document_that_the_rule_did_not_take_cannot_be_slipped_in() -> None:
    record = MarginRecord.of(draft())
    documents = msgspec.structs.replace(record.documents, forecast="{}")
    with pytest.raises(RecordError, match=r"forecast altered: .* the head says None"):
        check_hashes(msgspec.structs.replace(record, documents=documents))


@pytest.mark.parametrize("field", ["sequence", "as_of_ns", "rule", "previous_sha256", "code", "documents_sha256"])
def test_the_hash_covers_every_field_of_the_head(field: str) -> None:
    code = Code(version="0.2.0", sha256="0" * 64)
    other = MarginRecord.of(msgspec.structs.replace(draft("9"), rule="fifth", as_of_ns=1, code=code))
    record = chained(2)[1]
    head = msgspec.structs.replace(record.head, **{field: getattr(other.head, field)})
    assert head != record.head
    with pytest.raises(RecordError, match="head altered"):
        check_hashes(msgspec.structs.replace(record, head=head))


def test_a_text_that_is_not_canonical_is_refused_even_where_its_hash_fits() -> None:
    record = MarginRecord.of(draft())
    text = json.dumps(json.loads(record.text("policy")), indent=1)
    hashes = msgspec.structs.replace(record.head.documents_sha256, policy=hashlib.sha256(text.encode()).hexdigest())
    head = msgspec.structs.replace(record.head, documents_sha256=hashes)
    documents = msgspec.structs.replace(record.documents, policy=text)
    forged = MarginRecord(head=head, sha256=hashlib.sha256(canonical(head).encode()).hexdigest(), documents=documents)
    with pytest.raises(RecordError, match="record 0: policy: not the canonical text"):
        check_hashes(forged)


def test_documents_may_be_kept_elsewhere() -> None:
    record = sign(MarginRecord.of(draft()), KEY)
    bare = without_documents(record)
    check_hashes(bare)
    assert bare.has("market")
    assert not bare.has("forecast")
    with pytest.raises(RecordError, match="holds no market: it is kept elsewhere, give the one with SHA-256"):
        bare.text("market")
    with pytest.raises(RecordError, match="holds no forecast: the rule took none"):
        record.text("forecast")
    texts = {part: record.text(part) for part in PARTS if part != "forecast"}
    assert with_documents(bare, texts) == record
    with pytest.raises(RecordError, match="account altered"):
        with_documents(bare, {"account": texts["market"]})


def test_a_line_is_read_back_and_written_the_same() -> None:
    for record in (*chained(2), MarginRecord.of(draft()), without_documents(chained(1)[0], "market")):
        line = to_line(record)
        assert from_line(line) == record
        assert to_line(from_line(line)) == line
        assert line.count(b"\n") == 1


def test_a_line_holds_the_hashed_texts_byte_for_byte() -> None:
    record = chained(1)[0]
    line = json.loads(to_line(record))
    assert list(line) == ["documents", "head", "key_id", "sha256", "signature"]
    assert hashlib.sha256(line["head"].encode()).hexdigest() == line["sha256"]
    head = json.loads(line["head"])
    for part, text in line["documents"].items():
        assert head["documents_sha256"][part] == (None if text is None else hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\n", b"", "torn: "),
        (b'"sha256"', b'"sha256" ', "line: not the canonical text"),
        (b'"head":', b'"heap":', "line is no margin record"),
        (b'"key_id":', b'"key_id":null,"key_id":', 'key "key_id" occurs twice'),
        (b"record/1", b"record/2", "format 'margincast.margin.record/2' is not known"),
        (rb"\"rule\":\"tenth\",", b"", "head is no margin record: .*missing required field `rule`"),
        (rb"\"sequence\":0", rb"\"sequence\":-1", "head is no margin record: .*>= 0"),
        (rb"\"libraries\":{\"numpy\":\"2.2.0\"},", b"", "head: a field is left out"),
        (b"\xe2\x80\x93", b"\xe2\x80", r"byte \d+ is no UTF-8"),
    ],
)
def test_a_line_that_is_no_record_is_refused(old: bytes, new: bytes, message: str) -> None:
    line = to_line(chained(1)[0])
    assert old in line
    with pytest.raises(RecordError, match=message):
        from_line(line.replace(old, new))


def test_a_document_without_a_canonical_text_is_not_recorded() -> None:
    with pytest.raises(RecordError, match=r"\$\.vol: nan is no finite number"):
        MarginRecord.of(msgspec.structs.replace(draft(), market={"vol": float("nan")}))
