"""Delimited text: the fast way and the slow way read the same, and a bad line is told by its number."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FormatError, SchemaError
from features.intake import csvfile, stream
from features.intake.batch import Rejected
from features.intake.csvfile import Dtypes, header_of, require_columns, typed_blocks

Row = dict[str, object]
MIXED: Dtypes = {"n": pl.Int64, "x": pl.Float64, "flag": pl.Boolean, "word": pl.String}
TEXTS: Dtypes = {"a": pl.String, "b": pl.String}
NUMBERS: Dtypes = {"a": pl.Int64, "b": pl.Float64}


def read(
    path: Path,
    content: bytes,
    dtypes: Dtypes,
    names: Sequence[str] | None = None,
    separator: str = ",",
) -> tuple[list[Row], list[Rejected]]:
    """Rows by name, and rejected lines, both by their number."""
    path.write_bytes(content)
    rows: list[Row] = []
    bad: list[Rejected] = []
    for item in typed_blocks(path, dtypes, names, separator):
        if isinstance(item, Rejected):
            bad.append(item)
        else:
            assert {name: item.schema[name] for name in dtypes} == dtypes
            rows += [dict(sorted(row.items())) for row in item.to_dicts()]
    return sorted(rows, key=lambda row: int(str(row["row"]))), sorted(bad, key=lambda fault: fault.row)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.blocks, "__defaults__", (7,))


def in_small_blocks(path: Path, content: bytes, dtypes: Dtypes, size: int) -> tuple[list[Row], list[Rejected]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream.blocks, "__defaults__", (size,))
        return read(path, content, dtypes)


words = st.text(st.sampled_from('ab1 ;.:-"é'), min_size=1, max_size=6).filter(lambda text: text.strip() == text)
tables = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.booleans(),
        words,
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)


def written(rows: Sequence[Sequence[object]], end: str = "\n") -> bytes:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator=end)
    writer.writerow(("n", "x", "flag", "word", "unwanted"))
    writer.writerows(rows)
    return held.getvalue().encode()


@settings(max_examples=50, deadline=None)
@given(tables, st.sampled_from(["\n", "\r\n"]), st.integers(1, 60))
def test_the_fast_way_the_slow_way_and_small_blocks_read_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[object, ...]], end: str, size: int
) -> None:
    """A blank line at the end sends a block the slow way."""
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    content = written(table, end)
    expected = [dict(zip(MIXED, cells, strict=False)) | {"row": i} for i, cells in enumerate(table, start=2)]
    assert read(path, content, MIXED) == (expected, [])
    assert read(path, content + b"\n", MIXED) == (expected, [])
    assert in_small_blocks(path, content, MIXED, size) == (expected, [])


cells = st.sampled_from(
    ["1", "-7", "2.5", "1e3", "", "x", "0x1", "99999999999999999999", "1_0", "true", "NA", "-", "+5"]
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=8), st.integers(1, 30))
def test_good_and_bad_lines_are_the_same_whichever_lines_share_a_block(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], size: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    content = ("a,b\n" + "".join(",".join(line) + "\n" for line in table)).encode()
    assert in_small_blocks(path, content, NUMBERS, size) == read(path, content, NUMBERS)


@pytest.mark.parametrize(
    "cell", ["1", "+1", "007", "-0", "1e3", ".5", "5.", "nan", "inf", "1_0", "0x1", "NA", "x", "-"]
)
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_a_cell_means_the_same_in_the_fast_and_the_slow_way(cell: str, dtype: type[pl.DataType], path: Path) -> None:
    content, dtypes = f"a,b\n{cell},2\n".encode(), {**NUMBERS, "a": dtype}
    fast, slow = read(path, content, dtypes), read(path, content + b"\n", dtypes)
    assert repr(fast) == repr(slow)


@pytest.mark.parametrize("cell", [" 1", " "])
def test_blanks_around_a_number_mean_the_same_in_the_fast_and_the_slow_way(cell: str, path: Path) -> None:
    content = f"a,b\n{cell},2\n".encode()
    assert read(path, content, NUMBERS) == read(path, content + b"\n", NUMBERS)


def test_a_quoted_nothing_means_the_same_in_the_fast_and_the_slow_way(path: Path) -> None:
    content = b'a,b\n"",2\n'
    assert read(path, content, TEXTS) == read(path, content + b"\n", TEXTS)


def test_frames_of_both_ways_can_be_put_together(path: Path) -> None:
    path.write_bytes(b"b,a\n1,2\n\n3,4\n5,6\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream.blocks, "__defaults__", (9,))
        frames = [item for item in typed_blocks(path, NUMBERS) if isinstance(item, pl.DataFrame)]
    assert len(frames) > 1
    assert pl.concat(frames)["row"].to_list() == [2, 4, 5]


@pytest.mark.parametrize("flag", ["true", "True", "TRUE", "false"])
def test_booleans_in_any_case(flag: str, path: Path) -> None:
    content = f"flag,b\n{flag},2\n".encode()
    expected: tuple[list[Row], list[Rejected]] = ([{"flag": flag.lower() == "true", "row": 2}], [])
    assert read(path, content, {"flag": pl.Boolean}) == expected
    assert read(path, content + b"\n", {"flag": pl.Boolean}) == expected


@pytest.mark.usefixtures("small_blocks")
def test_line_numbers_are_right_across_small_blocks(path: Path) -> None:
    content = b"a,b\n1,2\n\n3\n4,5\n6,7,8\nx,9\n10,11"
    rows, bad = read(path, content, NUMBERS)
    assert [(row["row"], row["a"]) for row in rows] == [(2, 1), (5, 4), (8, 10)]
    assert [(fault.row, fault.text) for fault in bad] == [(4, "3"), (6, "6,7,8"), (7, "x,9")]


def test_reasons_are_told_in_words(path: Path) -> None:
    _, bad = read(path, b"a,b\n3\n6,7,8\n1.5,9\n2,z\n", NUMBERS)
    assert [fault.reason for fault in bad] == [
        "1 fields where the header has 2",
        "3 fields where the header has 2",
        "a is '1.5', which is no Int64",
        "b is 'z', which is no Float64",
    ]


def test_fields_in_quotes_may_hold_the_separator(path: Path) -> None:
    rows, bad = read(path, b'"a","b"\n"x,y","1 ""2"""\nz,\n', TEXTS)
    assert (rows, bad) == ([{"a": "x,y", "b": '1 "2"', "row": 2}, {"a": "z", "b": None, "row": 3}], [])


@pytest.mark.parametrize(("line", "bad_rows"), [(b"z", [3]), (b"", [])])
def test_a_comma_in_quotes_does_not_make_up_for_one_that_is_missing(
    line: bytes, bad_rows: list[int], path: Path
) -> None:
    rows, bad = read(path, b'a,b\n"x,y",2\n' + line + b"\n", TEXTS)
    assert ([row["a"] for row in rows], [fault.row for fault in bad]) == (["x,y"], bad_rows)


@pytest.mark.parametrize("dtypes", [NUMBERS, {"b": pl.Float64}])
def test_a_header_that_comes_again_is_passed_over(dtypes: Dtypes, path: Path) -> None:
    rows, bad = read(path, b"a,b\n1,2\na,b\n3,4\n", dtypes)
    assert ([row["row"] for row in rows], [row["b"] for row in rows], bad) == ([2, 4], [2.0, 4.0], [])


def test_a_header_that_comes_again_is_passed_over_among_texts(path: Path) -> None:
    rows, bad = read(path, b"a,b\n1,2\na,b\n3,4\n", TEXTS)
    assert ([row["row"] for row in rows], bad) == ([2, 4], [])


def test_a_blank_line_of_one_column_is_passed_over(path: Path) -> None:
    assert [row["row"] for row in read(path, b"a\n1\n\n3\n", {"a": pl.Int64})[0]] == [2, 4]


@pytest.mark.usefixtures("small_blocks")
def test_the_header_may_stand_after_blocks_of_blank_lines(path: Path) -> None:
    rows, _ = read(path, b"\n" * 20 + b"a,b\n1,2\n", NUMBERS)
    assert rows == [{"a": 1, "b": 2.0, "row": 22}]


def test_a_file_without_a_header_begins_in_row_one(path: Path) -> None:
    rows, _ = read(path, b"1,2\n3,4\n", NUMBERS, names=("a", "b"))
    assert rows == [{"a": 1, "b": 2.0, "row": 1}, {"a": 3, "b": 4.0, "row": 2}]


def test_columns_are_found_by_name_in_any_order_and_by_any_separator(path: Path) -> None:
    rows, _ = read(path, b"b;x;a\n1.5;y;7\n", {"a": pl.Int64, "b": pl.Float64}, separator=";")
    assert rows == [{"a": 7, "b": 1.5, "row": 2}]


def test_a_missing_column_is_told_with_those_that_are_there(path: Path) -> None:
    with pytest.raises(SchemaError, match=r"table\.csv: no column c, d; found a, b"):
        read(path, b"a,b\n1,2\n", {"a": pl.Int64, "c": pl.Int64, "d": pl.Int64})
    with pytest.raises(SchemaError, match="no column b; found a"):
        require_columns(path, ["a"], ["a", "b"])


def test_a_column_that_is_named_twice_is_told(path: Path) -> None:
    with pytest.raises((SchemaError, FormatError), match=r"table\.csv"):
        read(path, b"a,b,a\n1,2,3\n", TEXTS)


@pytest.mark.parametrize("line", [b"1\r2,3", b"x" * 200_000 + b",1"])
def test_a_line_that_the_slow_way_cannot_take_apart_is_rejected_or_read(line: bytes, path: Path) -> None:
    rows, bad = read(path, b"a,b\n" + line + b"\nshort\n", TEXTS)
    assert len(rows) + len(bad) == 2


def test_bytes_that_are_no_utf8_spoil_their_cell_only(path: Path) -> None:
    rows, bad = read(path, b"a,b\n1,\xff\n2,x\n", TEXTS)
    assert ([row["a"] for row in rows], bad) == (["1", "2"], [])


def test_the_first_line_names_the_columns(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf\n "a", b\n1,2\n')
    assert header_of(path) == ["a", " b"]
    path.write_bytes(b"\n \n")
    with pytest.raises(FormatError, match=r"table\.csv: the file is empty"):
        header_of(path)
    path.write_bytes(b"\xff\xfe\x00,b\n")
    with pytest.raises(FormatError, match="is no delimited text"):
        header_of(path)
    with pytest.raises(FormatError, match="is no delimited text"):
        list(csvfile.typed_blocks(path, TEXTS))
