"""Windows by blocks against pandas and exact sums; blindness against a slow loop."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.clock import DAY_S
from features.errors import SettingError
from features.plan import Plan
from features.rolling import MAX, MIN, SUM, Roller, Window
from features.sight import BLIND_AFTER, Sight, sight_of
from features.spec import MAX_CARRY_S, FeatureSpec

Floats = NDArray[np.float64]
LENGTHS = (1, 2, 3, 7, 16, 50)
WINDOWS = tuple(Window(term, rows, op) for term in range(2) for rows in LENGTHS for op in (SUM, MAX, MIN))


def terms(seed: int, n: int, *, nan_share: float = 0.0) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, (2, n))
    values[rng.random((2, n)) < nan_share] = np.nan
    return values


def in_pieces(values: Floats, slot: int, sizes: list[int], windows: tuple[Window, ...] = WINDOWS) -> Floats:
    """Roll over chunks of the given sizes, and what is left; a roller is restored from its state before each."""
    roller, parts, at = Roller(windows), [], 0
    for size in [*sizes, values.shape[1]]:
        state = {name: array.copy() for name, array in roller.state().items()}
        roller = Roller(windows)
        roller.restore(state)
        if at < values.shape[1]:
            parts.append(roller.add(values[:, at : at + size], slot + at))
        at += size
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("slot", [0, 1, 27_777_777])
@pytest.mark.parametrize("nan_share", [0.0, 0.1])
def test_every_window_is_the_one_of_pandas(slot: int, nan_share: float) -> None:
    values = terms(3, 400, nan_share=nan_share)
    found = Roller(WINDOWS).add(values, slot)
    for window, row in zip(WINDOWS, found, strict=True):
        rolling = pd.Series(values[window.term]).rolling(window.rows)
        expected = {SUM: rolling.sum, MAX: rolling.max, MIN: rolling.min}[window.op]()
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, derandomize=True, database=None)
@given(
    seed=st.integers(0, 1_000),
    slot=st.integers(0, 10**10),
    sizes=st.lists(st.integers(1, 60), max_size=6),
    late=st.integers(0, 60),
)
def test_a_value_depends_on_its_window_and_the_clock_alone(seed: int, slot: int, sizes: list[int], late: int) -> None:
    """To the last bit: cut anywhere, restarted anywhere, begun later."""
    values = terms(seed, 150, nan_share=0.02)
    expected = Roller(WINDOWS).add(values, slot)
    np.testing.assert_array_equal(in_pieces(values, slot, sizes), expected)
    begun_late = Roller(WINDOWS).add(values[:, late:], slot + late)
    full = max(LENGTHS) - 1  # from here on every window is full
    np.testing.assert_array_equal(begun_late[:, full:], expected[:, late + full :])


def test_a_window_is_nan_until_it_is_full_and_again_after_a_hole_in_the_rows() -> None:
    values = np.ones((1, 12))
    roller = Roller((Window(0, 4), Window(0, 3, MAX)))
    first, second = roller.add(values, 5), roller.add(values, 18)  # row 17 never came
    for found in (first, second):
        np.testing.assert_array_equal(found[0], [np.nan] * 3 + [4.0] * 9)
        np.testing.assert_array_equal(found[1], [np.nan] * 2 + [1.0] * 10)


def test_what_lay_before_the_first_row_may_be_given() -> None:
    found = Roller((Window(0, 4), Window(0, 4, MAX)), before=0.0).add(np.full((1, 6), 2.0), 9)
    np.testing.assert_array_equal(found, [[2.0, 4.0, 6.0, 8.0, 8.0, 8.0], [2.0] * 6])


@pytest.mark.parametrize("rows", [2, 5, 9, 64])
@pytest.mark.parametrize("slot", [0, 3, 10**9 + 1])
def test_nothing_cancels(rows: int, slot: int) -> None:
    """A huge value leaves nothing behind: windows after it are exact, as summed by ``math.fsum``."""
    rng = np.random.default_rng(5)
    values = np.abs(rng.standard_normal(300)) * 1e-20
    values[[20, 150]] = 1e20
    found = Roller((Window(0, rows),)).add(values[None, :], slot)[0]
    for i in range(rows - 1, len(values)):
        exact = math.fsum(values[i - rows + 1 : i + 1])
        assert found[i] == pytest.approx(exact, rel=rows * 2**-52)
    assert (found[rows - 1 :] > 0).all()  # a running sum with subtraction would answer 0 or less here
    assert found[20 + rows] < 1e-18


def test_infinity_leaves_with_its_row() -> None:
    values = np.array([[1.0, np.inf, 1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(Roller((Window(0, 2),)).add(values, 0)[0], [np.nan, np.inf, np.inf, 2.0, 2.0])


@pytest.mark.parametrize("rows", [0, -3])
def test_a_window_without_rows_is_refused(rows: int) -> None:
    with pytest.raises(SettingError, match="at least one row"):
        Roller((Window(0, rows),))


def sight(bar_s: int, feature: str = "weekend") -> Sight:
    """The rules of a spec of rows of ``bar_s`` seconds."""
    return sight_of(Plan(FeatureSpec(bar_s=bar_s, features=(feature,), silence_s=20)))


def blind_loop(missing: list[int], bar_s: int) -> list[bool]:
    """Row after row from the words: gaps are known when they are half an hour old, and count in whole from then on."""
    limit, out = MAX_CARRY_S // bar_s, []
    gap_known: list[tuple[int, int]] = []  # (row in which it is told, rows that it adds)
    run = 0
    for i, flag in enumerate(missing):
        run = run + 1 if flag else 0
        if run > limit:
            gap_known.append((i, limit + 1 if run == limit + 1 else 1))
        blind = run > limit
        for days, share in BLIND_AFTER:
            rows = days * DAY_S // bar_s
            told = sum(added for row, added in gap_known if i - rows < row)
            blind |= told > share * rows
        out.append(blind)
    return out


@pytest.mark.parametrize("bar_s", [900, 1_800, 3_600])
def test_blindness_is_that_of_a_slow_loop_however_the_rows_are_cut(bar_s: int) -> None:
    rng = np.random.default_rng(7)
    flags = np.concatenate([np.repeat(rng.random(70) < 0.3, rng.integers(1, 12, 70)), np.zeros(2 * DAY_S // bar_s)])
    missing = np.concatenate([flags, np.repeat([1.0, 0.0], [300, 2_900 * 900 // bar_s]), flags[:90]])
    whole = sight(bar_s).add(missing, 1_777_777)
    assert whole.tolist() == blind_loop(missing.astype(int).tolist(), bar_s)
    assert {True, False} == set(whole.tolist())
    cuts = np.sort(rng.choice(len(missing), 40, replace=False))
    eyes, parts = sight(bar_s), []
    for first, part in zip([0, *cuts], np.split(missing, cuts), strict=True):
        state = {name: array.copy() for name, array in eyes.state().items()}
        eyes = sight(bar_s)
        eyes.restore(state)
        parts.append(eyes.add(part, 1_777_777 + int(first)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_on_a_fine_grid_a_silence_blinds_until_the_look_back_is_nearly_free_of_it() -> None:
    missing = np.concatenate([np.zeros(10), np.ones(20), [0.0], np.ones(23), np.zeros(100)])
    found = np.flatnonzero(sight(1, "log_rv_30s").add(missing, 3))
    assert found.tolist() == list(range(51, 52 + 30))  # known in row 51; of row 53 alone a thirtieth of 82 is left


def test_a_run_of_missing_rows_ends_with_its_session() -> None:
    """Before the first row of a session nothing is missing: a run is not carried over the pause."""
    eyes = sight(900)
    eyes.add(np.array([0.0, 1.0, 1.0]), 100)  # half an hour is carried
    blind = eyes.add(np.array([1.0, 1.0, 0.0]), 500)
    assert not blind.any()
