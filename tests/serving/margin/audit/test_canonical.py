"""Canonical JSON against the figures of RFC 8785, laws, and what it refuses."""

import json
import random
import re
import struct
import unicodedata
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import RecordError
from serving.margin.audit.canonical import MAX_DEPTH, canonical, canonical_sha256, sha256_of_text
from serving.margin.audit.numbers import decimal_text, float_text
from serving.margin.audit.reading import as_recorded, parse, parse_canonical

# RFC 8785, appendix B: bits of a float and its text.
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]
# RFC 8785, sections 3.2.2 to 3.2.4: the input and its canonical bytes.
SECTION_3_INPUT = r"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
SECTION_3_BYTES = """
    7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73
    22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31
    65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c
    22 2f 22 7d"""
# RFC 8785, section 3.2.3, without its Hebrew key, which is not in form NFC.
SORTED_VALUES = [
    ("\r", "Carriage Return"),
    ("1", "One"),
    ("\u0080", "Control"),
    ("\u00f6", "Latin Small Letter O With Diaeresis"),
    ("\u20ac", "Euro Sign"),
    ("\U0001f600", "Emoji: Grinning Face"),
]

TEXT = st.text(max_size=8).map(lambda s: unicodedata.normalize("NFC", s))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**21) + 1, 10**21 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=4),
    TEXT,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


class Side(StrEnum):
    BUY = "buy"


class Leg(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    quantity: Decimal
    entry_price: Decimal | None = None
    vol: float = 0.5


class Tagged(msgspec.Struct, frozen=True, tag_field="kind", tag="option"):
    strike: Decimal


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_floats_of_rfc_8785(bits: str, text: str) -> None:
    assert float_text(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_no_numbers_of_rfc_8785(bits: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    with pytest.raises(RecordError, match=r"^\$\.tails\[1\]\.variance: (nan|-?inf) is no finite number"):
        canonical({"tails": [{}, {"variance": value}]})


def test_sample_of_rfc_8785() -> None:
    assert canonical(parse(SECTION_3_INPUT)).encode() == bytes.fromhex(SECTION_3_BYTES)


def test_key_order_of_rfc_8785_is_by_utf_16() -> None:
    shuffled = random.Random(3).sample(SORTED_VALUES, len(SORTED_VALUES))
    assert list(parse(canonical(dict(shuffled))).items()) == SORTED_VALUES
    assert list(parse(canonical({"\uff21": 1, "\U0001f600": 2}))) == ["\U0001f600", "\uff21"]  # not by code point


def test_where_it_departs_from_rfc_8785() -> None:
    with pytest.raises(RecordError, match="not in Unicode form NFC"):
        canonical({"\ufb33": "Hebrew Letter Dalet With Dagesh"})
    assert canonical(1_700_000_000_123_456_789) == "1700000000123456789"
    assert float_text(1_700_000_000_123_456_789.0) == "1700000000123456800"  # what the RFC makes of it


@given(VALUES)
def test_reading_and_writing_again_changes_nothing(value: object) -> None:
    text = canonical(value)
    assert canonical(parse(text)) == text
    assert parse_canonical(text) == parse(text)
    assert json.loads(text.encode()) == parse(text)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_keys_does_not_matter(value: object) -> None:
    assert canonical(reversed_keys(value)) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_to_the_same_bits_with_no_more_digits_than_repr(value: float) -> None:
    text = float_text(value)
    assert float(text) == value
    digits = [re.sub(r"e.*|\D", "", t).strip("0") for t in (text, repr(value))]
    assert digits[0] == digits[1]


@given(st.tuples(st.integers(-(10**50), 10**50), st.integers(-60, 60)).map(lambda t: Decimal(t[0]).scaleb(t[1])))
def test_equal_decimals_have_one_text_and_unequal_ones_two(value: Decimal) -> None:
    text = decimal_text(value)
    assert Decimal(text) == value
    with localcontext(prec=400):
        assert decimal_text(value * Decimal("1.000")) == text
        assert decimal_text(value + Decimal("1E-70")) != text
    with localcontext(prec=2):  # the context of a caller rounds nothing
        assert decimal_text(value) == text


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+300", "1E-300"])
def test_decimals_that_have_no_text(text: str) -> None:
    with pytest.raises(RecordError, match=r"^\$\.cash: "):
        canonical({"cash": Decimal(text)})


def test_zero_has_one_text() -> None:
    assert canonical([0, -0.0, 0.0, Decimal("-0.00"), Decimal("0E+999")]) == '[0,0,0,"0","0"]'


def test_structures_write_all_their_fields_by_their_json_names() -> None:
    text = canonical((Leg(quantity=Decimal("-2.50")), Tagged(Decimal(100)), Side.BUY))
    assert text == '[{"entryPrice":null,"quantity":"-2.5","vol":0.5},{"kind":"option","strike":"100"},"buy"]'
    assert as_recorded(Leg(quantity=Decimal("-2.50"))) == Leg(quantity=Decimal("-2.5"))


def test_a_structure_and_its_json_have_the_same_text() -> None:
    leg = Leg(quantity=Decimal("12.5"), entry_price=Decimal("0.025"), vol=1e-7)
    assert canonical(parse(msgspec.json.encode(leg).decode())) == canonical(leg)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [b"x"]}, r"\$\.a\[0\]: bytes has no canonical JSON"),
        ({"a b": {1, 2}}, r'\$\["a b"\]: set has no canonical JSON'),
        ({"a": np.zeros(2)}, r"\$\.a: ndarray has no canonical JSON"),
        ({"a": {1: 2}}, r"\$\.a: key 1 is no string"),
        ({"a": "e\u0301"}, r"\$\.a: 'e\\u0301' is not in Unicode form NFC"),
        ({"a": "\ud83d"}, r"\$\.a: '\\ud83d' holds half of a surrogate pair"),
        ({"\ud83d": 1}, r"\$: '\\ud83d' holds half of a surrogate pair"),
        ([10**21], r"\$\[0\]: an integer of more than 21 digits"),
    ],
)
def test_what_has_no_canonical_text_is_refused_by_its_path(value: object, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        canonical(value)


def test_depth_is_bounded() -> None:
    value: list[object] = []
    for _ in range(MAX_DEPTH):
        value = [value]
    with pytest.raises(RecordError, match="nested deeper than 64 levels"):
        canonical(value)
    assert canonical(value[0]).startswith("[[[")
    with pytest.raises(RecordError, match="nested"):
        canonical(parse("[" * 100_000 + "]" * 100_000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1, "b": 1}}', 'key "b" occurs twice'),
        ('{"a": NaN}', "NaN is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ("[1e999]", "1e999 is beyond the largest float"),
        ("[1,]", "no JSON: "),
        ("", "no JSON: "),
        ("9" * 5000, "no JSON: "),
    ],
)
def test_what_is_not_read(text: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        parse(text)


@pytest.mark.parametrize("text", ['{"b":1,"a":2}', '{"a": 2}', "1.0", "1E5", '"\\u0041"', "-0", "[1]\n", '"\\/"'])
def test_a_text_that_is_not_the_canonical_one_is_refused(text: str) -> None:
    assert canonical(parse(text)) != text
    with pytest.raises(RecordError, match="not the canonical text of its value"):
        parse_canonical(text)


def test_hash_of_a_value_is_the_hash_of_its_bytes() -> None:
    # FIPS 180-2, appendix B.1: the hash of "abc".
    assert sha256_of_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert canonical_sha256({"b": Decimal("1.0"), "a": "€"}) == sha256_of_text('{"a":"€","b":"1"}')


def test_a_structure_that_does_not_come_back_as_itself_is_refused() -> None:
    with pytest.raises(RecordError, match=r"Leg is not read back from its record: .*\$\.vol"):
        as_recorded(Leg(quantity=Decimal(1), vol="high"))  # type: ignore[arg-type]
