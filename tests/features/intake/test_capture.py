"""Recorded sockets: framings, control lines, and what becomes of a message that cannot be read."""

import gzip
import json
from pathlib import Path

import pytest

from features.intake import capture
from features.intake.batch import Batch, Item, Note, Rejected, Rows
from features.intake.capture import Message, collect
from features.schema import RESET, SNAPSHOT

NS = 1_700_000_000_123_456_789


def messages(path: Path, *lines: str) -> tuple[list[Message], list[Rejected]]:
    """What the parser was given, and what was rejected."""
    path.write_text("".join(f"{line}\n" for line in lines))
    seen: list[Message] = []
    bad = [item for item in collect(path, lambda _, message: seen.append(message)) if isinstance(item, Rejected)]
    return seen, bad


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.mark.parametrize(
    ("line", "local_ns", "url"),
    [
        ('{"a": [1]}', 0, ""),
        (f'{NS} {{"a": [1]}}', NS, ""),
        (f'{NS // 1_000} {{"a": [1]}}', NS // 1_000 * 1_000, ""),
        (f'{NS // 1_000_000} {{"a": [1]}}', NS // 1_000_000 * 1_000_000, ""),
        ('1700000000.5: {"a": [1]}', 1_700_000_000_500_000_000, ""),
        ('1700000000.123456: {"a": [1]}', 1_700_000_000_123_456_000, ""),
        ('1700000000: {"a": [1]}', 1_700_000_000_000_000_000, ""),
        ('1700000000.1234567891: {"a": [1]}', 1_700_000_000_123_456_789, ""),
        ('https://x.y/z?q=1 -> 1700000000.25: {"a": [1]}', 1_700_000_000_250_000_000, "https://x.y/z?q=1"),
    ],
)
def test_every_framing_tells_time_address_and_message(line: str, local_ns: int, url: str, path: Path) -> None:
    assert messages(path, line) == ([Message(1, local_ns, url, {"a": [1]})], [])


def test_a_message_may_be_a_list(path: Path) -> None:
    seen, _ = messages(path, "[1, 2]", f"{NS} [3]")
    assert [message.body for message in seen] == [[1, 2], [3]]


@pytest.mark.parametrize(
    "line",
    [
        'wss://x.y/z <- 1700000000.1: {"op": "subscribe"}',
        "wss://x.y/z <-> 1700000000.1: not even JSON",
        'configuration: {"exchange": "X"}',
        "header: anything",
    ],
)
def test_what_the_recorder_sent_is_passed_over(line: str, path: Path) -> None:
    seen, bad = messages(path, line, "[1]")
    assert ([message.row for message in seen], bad) == ([2], [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "neither JSON nor '<time> <JSON>'"),
        ('{"a":', "Input data was truncated"),
        (f'{NS} {{"a":', "Input data was truncated"),
        ("1700000000.5:", "Input data was truncated"),
        ('12 {"a": 1}', "12 is no time between 1990 and 2200"),
        ('{"a": 1} {"a": 2}', "trailing characters"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected_and_the_rest_goes_on(line: str, reason: str, path: Path) -> None:
    seen, bad = messages(path, "[1]", "", line, "[4]")
    assert [message.row for message in seen] == [1, 4]
    assert [(fault.row, fault.text) for fault in bad] == [(3, line)]
    assert reason in bad[0].reason


def test_bytes_that_are_no_text_are_rejected(path: Path) -> None:
    path.write_bytes(b"[1]\n\xff\xfe\n")
    bad = [item for item in collect(path, lambda _rows, _message: None) if isinstance(item, Rejected)]
    assert [fault.row for fault in bad] == [2]


def test_answers_without_a_single_message_are_noted(path: Path) -> None:
    path.write_text("https://x.y/z -> 1700000000.25: [1]\n")
    assert [type(item) for item in collect(path, lambda _rows, _message: None)] == [Note]
    path.write_text("https://x.y/z -> 1700000000.25: [1]\n[2]\n")
    assert list(collect(path, lambda _rows, _message: None)) == []


def test_a_packed_capture_is_read_too(path: Path) -> None:
    path.write_bytes(gzip.compress(b"[1]\n[2]\n"))
    seen: list[object] = []
    assert list(collect(path, lambda _, message: seen.append(message.body))) == []
    assert seen == [[1], [2]]


def parse(rows: Rows, message: Message) -> None:
    """A feed of one's own: books under "book", numbered where they carry "n", then trades under "trades"."""
    body = message.body
    for book in body.get("books", []):
        rows.deltas(
            message.row, book["s"], 10 * message.row, 0, book["b"], book.get("a", []),
            seq=book.get("n", -1), snapshot=book.get("snap", False),
        )  # fmt: skip
    for trade in body.get("trades", []):
        rows.trade(message.row, trade["s"], 10 * message.row, 0, -1, trade["i"], 1, trade["p"], 1)


def feed(path: Path, *bodies: object) -> list[Item]:
    path.write_text("".join(f"{body if isinstance(body, str) else json.dumps(body)}\n" for body in bodies))
    return list(collect(path, parse))


def held(items: list[Item], kind: str, *columns: str) -> list[tuple[object, ...]]:
    frames = [item.frame for item in items if isinstance(item, Batch) and item.table.kind == kind]
    return [row for frame in frames for row in frame.select(columns).rows()]


def test_half_a_message_is_forgotten(path: Path) -> None:
    good = {"s": "A", "i": "1", "p": 5}
    items = feed(path, {"trades": [good]}, {"trades": [good, {"s": "A", "i": "2"}]}, {"trades": [good]})
    assert held(items, "trades", "row") == [(1,), (3,)]
    (fault,) = [item for item in items if isinstance(item, Rejected)]
    assert (fault.row, fault.reason) == (2, "the message has no field 'p'")


def test_half_a_message_of_a_table_not_seen_before_is_forgotten(path: Path) -> None:
    items = feed(path, {"books": [{"s": "A", "b": [["1", "2"]], "n": 1}], "trades": [{"s": "A"}]})
    assert held(items, "book_deltas", "row") == []


def test_messages_without_levels_still_count(path: Path) -> None:
    items = feed(path, {"books": [{"s": "A", "b": [], "n": 3, "snap": True}, {"s": "A", "b": [], "n": 4}]})
    assert held(items, "book_deltas", "seq", "flags", "side") == [(3, SNAPSHOT | RESET, 0), (4, 0, 0)]


def test_batches_of_any_size_hold_the_same_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [{"books": [{"s": "A", "b": [["1", str(i)]], "n": i}], "trades": [{"s": "A", "i": "x", "p": i}]}
              for i in range(1, 30)]  # fmt: skip
    bodies[7]["trades"] = [{"s": "A"}]
    whole = feed(path, *bodies)
    monkeypatch.setattr(capture, "BATCH_ROWS", 5)
    pieces = feed(path, *bodies)
    assert len(pieces) > len(whole)
    for kind in ("book_deltas", "trades"):
        assert held(pieces, kind, "row", "price", "size") == held(whole, kind, "row", "price", "size")
        assert [row for (row,) in held(whole, kind, "row")] == [row for row in range(1, 30) if row != 8]


def test_what_the_parser_held_back_comes_at_the_end(path: Path) -> None:
    path.write_text("[1]\n[2]\n")

    def finish(rows: Rows) -> None:
        rows.trade(2, "A", 1, 0, -1, "x", 1, 5.0, 1.0)

    assert held(list(collect(path, lambda _rows, _message: None, finish)), "trades", "row") == [(2,)]

    def fails(rows: Rows) -> None:
        raise KeyError("u")

    (fault,) = collect(path, lambda _rows, _message: None, fails)
    assert fault == Rejected(2, "the message has no field 'u'", "")


@pytest.mark.parametrize("depth", [1, 3])
def test_a_book_is_cut_or_filled_to_its_depth(depth: int) -> None:
    rows = Rows()
    rows.book(1, "A", 5, 0, [(10, 1), (9, 2)], [(11, 3)], depth=depth)
    (batch,) = rows.take()
    assert isinstance(batch, Batch)
    sides = [[batch.frame[f"{side}_px_{i}"][0] for i in range(depth)] for side in ("bid", "ask")]
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert sides == ([[10], [11]] if depth == 1 else [[10, 9, nan], [11, nan, nan]])
    assert list(rows.take()) == []
