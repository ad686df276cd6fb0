"""The fast reader of partial books against the reader of whole captures, which parses them with ``json``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FormatError
from features.fronts.books import as_matrix
from features.sources import binance
from features.sources.binance.topbook import top_books
from tests.reading import frames

MS = 1_700_000_000_000
EXAMPLES = settings(max_examples=60, derandomize=True, database=None)
DEPTH = 20


def message(at: int = 0, **more: Any) -> dict[str, Any]:
    """A partial book of the futures as the venue documents it."""
    body = {
        "e": "depthUpdate",
        "E": MS + at + 3,
        "T": MS + at,
        "s": "BTCUSDT",
        "ps": "BTCUSDT",
        "U": 5,
        "u": 7,
        "pu": 4,
    }
    return {**body, "b": [["9.5", "1"]], "a": [["9.6", "2"]], **more}


@st.composite
def books(draw: st.DrawFn) -> dict[str, Any]:
    """Up to 20 levels a side of prices and sizes as Binance writes them."""
    mid = draw(st.integers(2_000, 10_000_000))
    size = st.decimals(0, 10**9, places=3).map(str)
    sides = {
        side: [
            [f"{(mid + sign * (i + 1)) / 100:.{places}f}", draw(size)] for i in range(draw(st.sampled_from([0, 1, 19, 20])))
        ]
        for side, sign, places in (("b", -1, draw(st.integers(2, 8))), ("a", 1, 2))
    }  # fmt: skip
    return message(draw(st.integers(0, 10**9)), u=draw(st.integers(0, 2**53)), **sides)


@EXAMPLES
@given(told=st.lists(books(), min_size=1, max_size=6))
def test_books_are_those_of_the_reader_of_captures(told: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    path: Path = tmp_path_factory.mktemp("capture") / "capture"
    lines = [f"{MS * 10**6} {json.dumps({'stream': 'btcusdt@depth20@100ms', 'data': data})}" for data in told]
    path.write_text("".join(f"{line}\n" for line in lines))
    slow = frames(binance.read, path)[f"book_snapshots_{DEPTH}"]
    ts_ns, seq, found = top_books([json.dumps(data).encode() for data in told], DEPTH)
    assert ts_ns.tolist() == slow["ts_ns"].to_list()
    assert seq.tolist() == slow["seq"].to_list()
    np.testing.assert_array_equal(found, as_matrix(slow, DEPTH))


def test_fewer_levels_than_asked_for_are_nan_and_more_are_cut() -> None:
    told = json.dumps(message(b=[["9.5", "1"], ["9.4", "3"]], a=[])).encode()
    _, _, found = top_books([told], 2)
    np.testing.assert_array_equal(found, [[9.5, 1, 9.4, 3, np.nan, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(top_books([told], 1)[2], [[9.5, 1, np.nan, np.nan]])


def test_no_messages_are_no_books() -> None:
    ts_ns, seq, found = top_books([], 5)
    assert ts_ns.dtype == seq.dtype == np.dtype(np.int64)
    assert found.shape == (0, 20)


BROKEN: dict[str, bytes] = {
    "torn": json.dumps(message()).encode()[:-3],
    "no JSON": b"ping",
    "empty": b"",
    "a list": b"[1,2]",
    "a change of spot, without T": b'{"e":"depthUpdate","E":1700000000000,"s":"X","U":1,"u":2,"b":[],"a":[]}',
    "no asks": b'{"T":1700000000000,"u":7,"b":[["9.5","1"]]}',
    "a time that is text": json.dumps(message(T="soon")).encode(),
    "a time beyond the clock": json.dumps(message(T=10**17)).encode(),
    "a number beyond its column": json.dumps(message(u=2**63)).encode(),
    "asks that are no array": json.dumps(message(a={"9.6": "2"})).encode(),
    "asks that are flat": json.dumps(message(a=["9.6", "2"])).encode(),
    "a level of one cell": json.dumps(message(a=[["9.6"]])).encode(),
    "a price with a comma": json.dumps(message(a=[["9,6", "2"]])).encode(),
    "a price of words": json.dumps(message(a=[["much", "2"]])).encode(),
    "no sides": json.dumps(message(a=None, b=None)).encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_partial_book_is_refused_whole(name: str) -> None:
    with pytest.raises(FormatError, match="no partial book of Binance futures"):
        top_books([json.dumps(message()).encode(), BROKEN[name]], 1)
