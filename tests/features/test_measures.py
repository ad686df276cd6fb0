"""What every measure of the table keeps: scale, gaps, batches, short windows, a price that stands still."""

import inspect
import re

import numpy as np
import pytest

from features.measures import MEASURES, Measure
from features.measures.window import FloatArray

SHAPE = (2, 3, 50)
NAMES = sorted(MEASURES)


def inputs_of(measure: Measure, scale: float = 1.0) -> list[FloatArray]:
    """Random returns, two aligned series of them, or bars of 8 points; all log prices start at 0."""
    moves = np.random.default_rng(11).normal(0.0, 0.01 * scale, (2, *SHAPE))
    if measure.inputs == "returns":
        return [moves[0]]
    if measure.inputs == "pair":
        return [moves[0], 0.3 * moves[0] + moves[1]]
    path = np.random.default_rng(12).normal(0.0, 0.01 * scale, (*SHAPE, 8)).reshape(2, 3, -1).cumsum(axis=-1)
    points = path.reshape(*SHAPE, 8)
    return [points[..., 0], points.max(axis=-1), points.min(axis=-1), points[..., -1]]


@pytest.mark.parametrize("name", NAMES)
def test_scaling_law(name: str) -> None:
    measure = MEASURES[name]
    plain, scaled = measure.compute(*inputs_of(measure)), measure.compute(*inputs_of(measure, 3.0))
    assert plain.shape == SHAPE[:-1]
    np.testing.assert_allclose(scaled, 3.0**measure.power * plain, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_nan_propagates_to_its_own_window_only(name: str) -> None:
    measure = MEASURES[name]
    clean = measure.compute(*inputs_of(measure))
    for position in (1, 20, 48):
        holed = [series.copy() for series in inputs_of(measure)]
        for series in holed:
            series[1, 2, position] = np.nan
        found = measure.compute(*holed)
        assert np.isnan(found).sum() == 1
        assert np.isnan(found[1, 2])
        np.testing.assert_allclose(found[0], clean[0], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if MEASURES[name].inputs == "pair"])
def test_nan_in_one_of_two_series_is_enough(name: str) -> None:
    first, second = inputs_of(MEASURES[name])
    first[0, 0, 0] = second[1, 1, 49] = np.nan
    assert np.argwhere(np.isnan(MEASURES[name].compute(first, second))).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("name", NAMES)
def test_batch_is_row_by_row(name: str) -> None:
    measure = MEASURES[name]
    series = inputs_of(measure)
    one_by_one = [[measure.compute(*(s[i, j] for s in series)) for j in range(3)] for i in range(2)]
    assert np.ndim(one_by_one[0][0]) == 0
    np.testing.assert_allclose(measure.compute(*series), one_by_one, rtol=1e-12)


def refusal(measure: Measure, n: int) -> str:
    """What a measure says to windows of ``n`` entries; empty if it answers with numbers."""
    try:
        found = measure.compute(*(series[..., :n] for series in inputs_of(measure)))
    except ValueError as error:
        return str(error)
    return "" if np.isfinite(found).all() else "not a number"


@pytest.mark.parametrize("name", NAMES)
def test_too_short_a_window_is_refused_with_its_size(name: str) -> None:
    messages = [refusal(MEASURES[name], n) for n in range(30)]
    fewest = messages.index("")
    assert 1 <= fewest < 10
    assert not any(messages[fewest:])
    for n, message in enumerate(messages[:fewest]):
        assert re.search(rf"needs at least \d+ (returns|bars), got {n}; use a longer window", message)


@pytest.mark.parametrize("name", NAMES)
def test_constant_price_is_zero_variance_and_no_number(name: str) -> None:
    measure = MEASURES[name]
    still = measure.compute(*(np.full(SHAPE, 0.0 if measure.inputs != "ohlc" else 9.2) for _ in inputs_of(measure)))
    np.testing.assert_array_equal(still, np.full(SHAPE[:-1], np.nan if measure.power == 0 else 0.0))


@pytest.mark.parametrize("name", [name for name in NAMES if MEASURES[name].inputs == "ohlc"])
def test_bars_at_another_price_level_are_as_variable(name: str) -> None:
    measure = MEASURES[name]
    series = inputs_of(measure)
    np.testing.assert_allclose(measure.compute(*(s + 10 for s in series)), measure.compute(*series), rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if MEASURES[name].inputs != "returns"])
def test_series_of_two_lengths_are_refused(name: str) -> None:
    *others, last = inputs_of(MEASURES[name])
    with pytest.raises(ValueError, match="one shape"):
        MEASURES[name].compute(*others, last[..., 1:])


@pytest.mark.parametrize("name", NAMES)
def test_entry_describes_itself(name: str) -> None:
    measure = MEASURES[name]
    assert measure.compute.__name__ == name
    required = [
        p for p in inspect.signature(measure.compute).parameters.values() if p.default is inspect.Parameter.empty
    ]
    assert len(required) == {"returns": 1, "pair": 2, "ohlc": 4}[measure.inputs]
    assert "=" in measure.formula or measure.formula.startswith("(")
    assert "\n" not in measure.formula
    assert ("squared" in measure.unit) == (measure.power == 4)
    assert ("varian" in measure.unit) == (measure.power > 0)
