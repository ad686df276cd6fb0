"""Carry and activity against the calendar, slow loops and published conventions."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import DAY_NS, HOUR_NS, parse_utc
from features.errors import SettingError, TimeOrderError
from features.orderflow import basis_frac, funding_annual, hour_of_week, open_interest_change, seasonal_volume

WEEK_NS = 7 * DAY_NS


def test_basis_by_hand() -> None:
    np.testing.assert_allclose(basis_frac(np.array([102.0, 99.0]), np.array([100.0, 100.0])), [0.02, -0.01])
    assert np.isnan(basis_frac(np.array([1.0, np.nan]), np.array([0.0, 1.0]))).all()


def test_funding_of_one_basis_point_every_eight_hours_is_eleven_percent() -> None:
    """0.01 % three times a day for 365 days, 10.95 %: the interest that the venues name as the usual rate."""
    assert funding_annual(np.array([1e-4]), 8 * 3_600.0) == pytest.approx(0.1095)
    np.testing.assert_allclose(
        funding_annual(np.array([1e-5, -1e-5, 1e-4]), np.array([3_600.0, 3_600.0, 0.0])), [0.0876, -0.0876, np.nan]
    )


def test_open_interest_changes_add_up() -> None:
    interest = np.array([100.0, 130.0, 90.0, 90.0])
    change = open_interest_change(interest)
    assert np.isnan(change[0])
    assert change[1:].sum() == pytest.approx(np.log(0.9))
    assert np.isnan(open_interest_change(np.array([1.0, 0.0, 1.0, np.nan, 1.0]))).all()


@given(st.datetimes(datetime(1990, 1, 1), datetime(2190, 1, 1)))  # noqa: DTZ001 - UTC is put on below
def test_hours_of_the_week_are_those_of_the_calendar(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    ts_ns = np.array([int(moment.timestamp()) * 1_000_000_000])
    assert hour_of_week(ts_ns).tolist() == [24 * moment.weekday() + moment.hour]


def test_monday_begins_the_week() -> None:
    monday = parse_utc("2022-11-07T00:00Z")
    assert hour_of_week(np.array([monday - 1, monday, monday + HOUR_NS - 1])).tolist() == [167, 0, 0]


def slow_seasonal(ts_ns: np.ndarray, volume: np.ndarray) -> list[float]:
    """Each row against all rows before it."""
    hours = [datetime.fromtimestamp(t / 1e9, tz=UTC).weekday() * 24 + int(t // HOUR_NS % 24) for t in ts_ns]
    weeks = [(t + 3 * DAY_NS) // WEEK_NS for t in ts_ns]
    out = []
    for i, (hour, week) in enumerate(zip(hours, weeks, strict=True)):
        past = [volume[j] for j in range(i) if hours[j] == hour and weeks[j] < week and not np.isnan(volume[j])]
        out.append(volume[i] / np.mean(past) if past and np.mean(past) > 0 else np.nan)
    return out


@given(seed=st.integers(0, 999), step_h=st.sampled_from([0.25, 1.0, 5.0, 24.0]), kept=st.sampled_from([1.0, 0.6]))
def test_seasonal_volume_against_a_slow_loop(seed: int, step_h: float, kept: float) -> None:
    rng = np.random.default_rng(seed)
    steps = np.flatnonzero(rng.random(300) < kept) * (1 if step_h > 0.5 else 4)
    rows = np.concatenate([steps, steps + 1, steps + round(168 / step_h)]) if step_h < 0.5 else steps
    ts_ns = parse_utc("2022-11-05T13:00Z") + np.sort(rows) * int(step_h * HOUR_NS)
    volume = rng.exponential(1.0, len(ts_ns)) * (rng.random(len(ts_ns)) < 0.8)
    volume[rng.random(len(ts_ns)) < 0.1] = np.nan
    np.testing.assert_allclose(seasonal_volume(ts_ns, volume), slow_seasonal(ts_ns, volume), rtol=1e-12)


def test_a_week_that_repeats_itself_is_usual() -> None:
    week = np.random.default_rng(0).exponential(1.0, 168)
    found = seasonal_volume(np.arange(5 * 168) * HOUR_NS, np.tile(week, 5))
    assert np.isnan(found[:168]).all()
    np.testing.assert_allclose(found[168:], 1.0)


@pytest.mark.parametrize("cut", [1, 200, 400])
def test_seasonal_volume_does_not_see_the_future_nor_its_own_week(cut: int) -> None:
    ts_ns = np.arange(3 * 168 * 2) * (HOUR_NS // 2)  # two rows an hour
    past = np.random.default_rng(1).exponential(1.0, len(ts_ns))
    other = past.copy()
    other[cut:] *= 7.0
    np.testing.assert_array_equal(seasonal_volume(ts_ns, past)[:cut], seasonal_volume(ts_ns, other)[:cut])
    doubled = past.copy()
    doubled[800] *= 2.0  # the first half of an hour in the third week
    changed = np.flatnonzero(seasonal_volume(ts_ns, past) != seasonal_volume(ts_ns, doubled))
    assert changed[~np.isnan(seasonal_volume(ts_ns, past)[changed])].tolist() == [800]


def test_a_gap_does_not_void_an_hour_for_ever() -> None:
    ts_ns = np.arange(4) * WEEK_NS
    np.testing.assert_array_equal(seasonal_volume(ts_ns, np.array([2.0, np.nan, 4.0, 6.0])), [np.nan, np.nan, 2.0, 2.0])
    assert np.isnan(seasonal_volume(ts_ns, np.array([0.0, 0.0, 0.0, 1.0]))).all()  # against nothing


def test_rows_without_order_are_refused() -> None:
    with pytest.raises(TimeOrderError, match="ts_ns steps back at index 1"):
        seasonal_volume(np.array([2, 1]), np.ones(2))
    with pytest.raises(SettingError, match=r"a time and a volume, got \(2,\) and \(3,\)"):
        seasonal_volume(np.array([1, 2]), np.ones(3))
