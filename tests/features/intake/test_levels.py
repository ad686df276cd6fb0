"""The compiled reader of JSON levels against ``json`` and ``float``, bit for bit, and what it must refuse."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.intake.levels import MOST_DIGITS, parse_levels

Floats = NDArray[np.float64]
EXAMPLES = settings(max_examples=150, derandomize=True, database=None)

DIGITS = st.text("0123456789", min_size=1, max_size=20)
WHOLE = DIGITS.map(lambda text: text.lstrip("0") or "0")
PLAIN = st.one_of(WHOLE, st.tuples(WHOLE, DIGITS).map(".".join))
NUMBER = st.one_of(PLAIN, st.tuples(PLAIN, st.integers(-30, 30)).map(lambda parts: f"{parts[0]}e{parts[1]:+d}"))
QUOTED = st.one_of(NUMBER, st.tuples(st.sampled_from(["", "-"]), DIGITS).map("".join), st.just(".5"), st.just("7."))
CELL = st.one_of(NUMBER, QUOTED.map(lambda text: f'"{text}"'))
EXTRA = st.one_of(CELL, st.sampled_from(["null", '"x"', "[]", '{"n":[1,2]}', "true", '"]]"']))
GAP = st.sampled_from(["", " ", "\n", "\t "])
DEPTH = st.integers(1, 4)


@st.composite
def sides(draw: st.DrawFn) -> str:
    """A valid JSON array of levels of two numbers and, at times, more cells."""
    gap = draw(GAP)
    levels = []
    for _ in range(draw(st.integers(0, 6))):
        cells = [draw(CELL), draw(CELL), *draw(st.lists(EXTRA, max_size=2))]
        levels.append(f"[{gap}{f'{gap},{gap}'.join(cells)}{gap}]")
    return f"[{gap}{f'{gap},{gap}'.join(levels)}{gap}]"


def slow(text: str, depth: int) -> Floats:
    """Best levels by the standard library; ``ValueError`` if the text is no array of levels of finite numbers."""
    levels = json.loads(text)
    if not isinstance(levels, list):
        raise ValueError(text)
    cells = [cell for level in levels for cell in two_of(level)][: 2 * depth]
    out = np.full(2 * depth, np.nan)
    out[: len(cells)] = cells
    if not np.isfinite(cells).all():
        raise ValueError(text)
    return out


def two_of(level: Any) -> tuple[float, float]:
    """Price and size of a level."""
    if not isinstance(level, list) or len(level) < 2:
        raise ValueError(level)
    try:
        return float(level[0]), float(level[1])
    except TypeError as error:
        raise ValueError(level) from error


def bits(values: Floats) -> list[Any]:
    """What a double is made of: apart -0 from 0, and the last bit."""
    same_nan: Floats = np.where(np.isnan(values), np.nan, values)
    return list(same_nan.view(np.int64))


@EXAMPLES
@given(texts=st.lists(sides(), max_size=5), depth=DEPTH)
@example(texts=['[["0.1","0.3"],["999999999999999.9","1e23"]]'], depth=2)
@example(texts=['[["9007199254740993","0.000000000000000000000005"]]', "[]"], depth=1)
@example(texts=['[["1","2","3"]]', '[["1","2"],["3","4",5]]'], depth=2)
@example(texts=['[["00.10","1"]]', '[[123456789012345.6,"12345678901234567890"]]'], depth=1)
def test_every_number_is_the_double_that_python_reads(texts: list[str], depth: int) -> None:
    found = parse_levels([text.encode() for text in texts], depth)
    assert found.shape == (len(texts), 2 * depth)
    for row, text in zip(found, texts, strict=True):
        assert bits(row) == bits(slow(text, depth)), text


@pytest.mark.parametrize("whole", range(1, MOST_DIGITS + 4))
@pytest.mark.parametrize("decimals", [0, 1, 7, 8, 15, 21, 22, 23])
def test_digits_around_the_limits_of_the_exact_quotient(whole: int, decimals: int) -> None:
    """Fifteen digits over a power of ten up to the 22nd are exact; one more of either must be noticed."""
    rng = np.random.default_rng([whole, decimals])
    numbers = []
    for _ in range(50):
        digits = "".join(str(d) for d in rng.integers(0, 10, max(whole, decimals)))
        point = len(digits) - decimals
        numbers.append(f"{digits[:point] or '0'}.{digits[point:]}" if decimals else digits)
        few = str(rng.integers(1, 10 ** min(whole, 15)))[:decimals]
        numbers += [f"0.{few.rjust(decimals, '0')}"] if decimals else []
    texts = [json.dumps([[number, number]]) for number in numbers]  # one by one: a slow one would take all along
    for row, text in zip(parse_levels([text.encode() for text in texts], 1), texts, strict=True):
        assert bits(row) == bits(slow(text, 1)), text


JSON = st.recursive(
    st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats(0, 1e6), st.text("0159.,[]\" -e", max_size=5), CELL),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text("a1", max_size=2), inner, max_size=2)),
    max_leaves=12,
)  # fmt: skip


@EXAMPLES
@given(value=JSON, spaced=st.booleans(), depth=DEPTH)
@example(value=[["9,5", "1"]], spaced=False, depth=1)
@example(value=[["1 2", "3"]], spaced=False, depth=1)
@example(value=[["", "1", "2"]], spaced=False, depth=1)
@example(value=[["1", "2]"]], spaced=False, depth=1)
@example(value=[[["1", "2"], ["3", "4"]]], spaced=False, depth=1)
@example(value=["9.5", "1"], spaced=False, depth=1)
@example(value=["12", "34"], spaced=True, depth=1)
@example(value=[[1], [2]], spaced=False, depth=2)
@example(value=[[]], spaced=False, depth=1)
@example(value=[["5", "1"], ["x", "2"]], spaced=False, depth=1)
@example(value=[["1e999", "1"]], spaced=False, depth=1)
@example(value=[["nan", "1"]], spaced=False, depth=1)
@example(value=5, spaced=False, depth=1)
@example(value="12", spaced=False, depth=1)
@example(value={}, spaced=False, depth=1)
@example(value="", spaced=False, depth=1)
def test_any_json_is_read_as_python_reads_it_or_refused(value: Any, spaced: bool, depth: int) -> None:
    text = json.dumps(value, separators=(", ", ": ") if spaced else (",", ":"), ensure_ascii=False)
    try:
        expected = slow(text, depth)
    except ValueError:
        with pytest.raises(ValueError, match=r"side 1 (is no array of levels|has a number that is none)"):
            parse_levels([b'[["1","2"]]', text.encode()], depth)
        return
    assert bits(parse_levels([text.encode()], depth)[0]) == bits(expected), text


@pytest.mark.parametrize("text", ["", "[", '[["1","2"]', '[["1","2"]]]', "][", "[['1','2']]", '[["1","2",]]', "\xff"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="side 0 is no array of levels"):
        parse_levels([text.encode("latin-1")], 1)


def test_a_bad_side_leaves_nothing_of_the_others_and_none_is_none() -> None:
    with pytest.raises(ValueError, match="side 2"):
        parse_levels([b"[]", b'[["1","2"]]', b'[["1","x"]]'], 1)
    assert parse_levels([], 3).shape == (0, 6)


def test_levels_beyond_the_depth_are_left_out_and_missing_ones_are_nan() -> None:
    text = b'[["5","1"],["4","2","extra"],["3","3"]]'
    np.testing.assert_array_equal(parse_levels([text], 2), [[5, 1, 4, 2]])
    np.testing.assert_array_equal(parse_levels([text], 4), [[5, 1, 4, 2, 3, 3, np.nan, np.nan]])
