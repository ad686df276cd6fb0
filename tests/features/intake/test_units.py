"""Units of time against the standard library's calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.intake.units import UNITS_NS, iso_ns, unit_ns
from features.schema import FIRST_NS, LAST_NS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(datetime(1990, 1, 2), datetime(2199, 12, 30))  # noqa: DTZ001 - hypothesis wants them naive


def exact_ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


def test_the_span_is_that_of_the_calendar() -> None:
    assert exact_ns(datetime(1990, 1, 1, tzinfo=UTC)) == FIRST_NS
    assert exact_ns(datetime(2200, 1, 1, tzinfo=UTC)) == LAST_NS


@settings(deadline=None)
@given(st.integers(FIRST_NS, LAST_NS), st.sampled_from(list(UNITS_NS.values())))
def test_a_time_of_our_age_has_the_unit_that_it_was_written_in(ts_ns: int, scale: int) -> None:
    stamp = ts_ns // scale
    if stamp * scale >= FIRST_NS:
        assert unit_ns(stamp) == scale


@settings(deadline=None)
@given(st.integers(FIRST_NS, LAST_NS))
def test_no_stamp_has_two_units(ts_ns: int) -> None:
    fitting = [scale for scale in UNITS_NS.values() if FIRST_NS <= ts_ns * scale <= LAST_NS]
    assert fitting == [1]


@pytest.mark.parametrize("stamp", [0, -1_700_000_000, 631_151_999, 7_258_118_401, 20_240_101, 1.7e20, float("nan")])
def test_what_is_no_time_in_any_unit_is_refused(stamp: float) -> None:
    with pytest.raises(ValueError, match="is no time between 1990 and 2200 in s, ms, us or ns"):
        unit_ns(stamp)


@settings(deadline=None)
@given(moments, st.integers(-14 * 60, 14 * 60))
def test_an_offset_shifts_an_iso_time_to_utc(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert iso_ns(local.isoformat()) == exact_ns(local)
    assert iso_ns(local.isoformat(timespec="milliseconds")) == exact_ns(local) // 1_000_000 * 1_000_000


@settings(deadline=None)
@given(moments)
def test_without_an_offset_it_is_utc(moment: datetime) -> None:
    expected = exact_ns(moment.replace(tzinfo=UTC))
    assert iso_ns(moment.isoformat()) == expected
    assert iso_ns(moment.isoformat(sep=" ")) == expected
    assert iso_ns(moment.isoformat() + "Z") == expected


@settings(deadline=None)
@given(moments, st.text("0123456789", min_size=1, max_size=12))
def test_up_to_nine_decimals_are_kept_and_the_rest_is_cut(moment: datetime, decimals: str) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    text = f"{whole:%Y-%m-%dT%H:%M:%S}.{decimals}Z"
    assert iso_ns(text) - exact_ns(whole) == int(decimals[:9].ljust(9, "0"))


def test_a_date_is_its_midnight() -> None:
    assert iso_ns("2024-01-01") == exact_ns(datetime(2024, 1, 1, tzinfo=UTC))


def test_a_decimal_comma_is_iso_too() -> None:
    assert iso_ns("2021-07-22T22:36:10,014Z") == iso_ns("2021-07-22T22:36:10.014Z")


@pytest.mark.parametrize("text", ["", "soon", "1.5", "2021-13-01T00:00:00.5Z", "2021-07-22T22:36:10.abcZ", "24:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        iso_ns(text)
