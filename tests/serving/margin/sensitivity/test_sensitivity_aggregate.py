"""One measure: against plain loops, closed forms and laws."""

import math
from fractions import Fraction
from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ForecastError, SettingError
from serving.margin.sensitivity.aggregate import measure_margin, quadratic
from serving.margin.sensitivity.calibration import Matrix, Rules
from serving.margin.sensitivity.records import Sensitivity, net
from tests.serving.margin.sensitivity import slow_twin
from tests.serving.margin.sensitivity.portfolios import of, rules, sensitivities

FEW = settings(max_examples=60, deadline=None)


def _margin(own: list[Sensitivity], how: Rules, curvature: bool = False) -> float:
    return measure_margin(net(own, how.labels), how, curvature)[0]


@FEW
@given(sensitivities("delta"), st.sampled_from(["name", "bucket"]), st.booleans())
def test_loops_agree(own: list[Sensitivity], by: str, thresholds: bool) -> None:
    how = rules(thresholds, by)
    assert _margin(own, how) == pytest.approx(slow_twin.margin(own, how), rel=1e-9, abs=1e-6)


@FEW
@given(sensitivities("curvature"))
def test_loops_agree_on_curvature(own: list[Sensitivity]) -> None:
    how = rules(thresholds=False, curvature=True)
    assert _margin(own, how, True) == pytest.approx(slow_twin.margin(own, how, True), rel=1e-9, abs=1e-5)


@FEW
@given(sensitivities("delta"), st.randoms(use_true_random=False))
def test_order_changes_no_bit(own: list[Sensitivity], shuffle: Random) -> None:
    other = list(own)
    shuffle.shuffle(other)
    assert _margin(own, rules()) == _margin(other, rules())


@FEW
@given(sensitivities("delta"), st.floats(0.01, 100))
def test_homogeneous_of_degree_one_without_thresholds(own: list[Sensitivity], scale: float) -> None:
    how = rules(thresholds=False)
    larger = _margin(_scaled(own, scale), how)
    assert larger == pytest.approx(scale * _margin(own, how), rel=1e-9, abs=1e-5)


@FEW
@given(sensitivities("delta"), st.floats(1, 100))
def test_grows_at_least_in_proportion_with_thresholds(own: list[Sensitivity], scale: float) -> None:
    single = [one for one in own if one.bucket == own[0].bucket and one.qualifier == own[0].qualifier]
    assert _margin(_scaled(single, scale), rules()) >= scale * _margin(single, rules()) * (1 - 1e-9) - 1e-6


@FEW
@given(sensitivities("delta"))
def test_sign_symmetry_of_delta(own: list[Sensitivity]) -> None:
    assert _margin(_scaled(own, -1), rules()) == _margin(own, rules())


@FEW
@given(sensitivities("delta"), sensitivities("delta"))
def test_sub_additive_within_a_bucket_where_correlations_are_those_of_a_law(
    one: list[Sensitivity], other: list[Sensitivity]
) -> None:
    """The root of a positive semi-definite form is a norm; clamps across buckets and concentration are not."""
    how = Rules({("a", "*"): 2.0}, Matrix(("a",), np.array([[0.3]])), Matrix.lower(["a"], []))
    mine, yours = ([s for s in own if s.bucket == "a"] for own in (one, other))
    assert _margin([*mine, *yours], how) <= _margin(mine, how) + _margin(yours, how) + 1e-6


def _scaled(own: list[Sensitivity], scale: float) -> list[Sensitivity]:
    return [of(s.measure, s.bucket, s.qualifier, s.amount * scale, s.label1, s.label2) for s in own]


def test_two_names_by_hand() -> None:
    how = Rules({("a", "*"): 2.0}, Matrix(("a",), np.array([[0.5]])), Matrix.lower(["a"], []))
    own = [of("delta", "a", "x", 3.0), of("delta", "a", "y", -4.0)]
    assert _margin(own, how) == pytest.approx(2 * math.sqrt(9 + 16 - 12))


def test_concentration_by_hand() -> None:
    """Four times the threshold doubles the weight; both names are as concentrated, so that their ratio is 1."""
    how = Rules({("a", "*"): 2.0}, Matrix(("a",), np.array([[0.0]])), Matrix.lower(["a"], []), thresholds={"a": 25.0})
    assert _margin([of("delta", "a", "x", 100.0)], how) == pytest.approx(400.0)
    assert _margin([of("delta", "a", "x", 16.0)], how) == pytest.approx(32.0)


def test_curvature_of_one_name_is_the_square_of_the_quantile() -> None:
    """Long the loss: CVR + (q^2 - 1) CVR; short it: lambda is 1 and nothing is left."""
    how = Rules({("a", "*"): 0.5}, Matrix.lower(["a"], []), Matrix.lower(["a"], []))
    assert _margin([of("curvature", "a", "x", 10.0)], how, True) == pytest.approx(
        5.0 * NormalDist().inv_cdf(0.995) ** 2
    )
    assert _margin([of("curvature", "a", "x", -10.0)], how, True) == pytest.approx(0.0, abs=1e-12)


def test_residual_bucket_does_not_diversify() -> None:
    how = rules(thresholds=False)
    usual, residual = [of("delta", "a", "x", 7.0)], [of("delta", "rest", "x", 4.0)]
    assert _margin([*usual, *residual], how) == pytest.approx(_margin(usual, how) + _margin(residual, how))


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20))
def test_net_amount_is_the_exact_sum_rounded_once(amounts: list[float]) -> None:
    exact = float(sum((Fraction(a) for a in amounts), Fraction(0)))
    found = net([of("delta", "a", "x", a) for a in amounts], frozenset())
    assert list(found.values()) == [exact]


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
def test_amount_that_is_no_number_is_refused(amount: float) -> None:
    with pytest.raises(ForecastError, match=r"one delta a/x/1m/: amount is .*not a finite number"):
        of("delta", "a", "x", amount)


def test_overflow_is_refused_not_made_a_margin() -> None:
    with pytest.raises(ForecastError, match="overflow"):
        net([of("delta", "a", "x", 1.7e308), of("delta", "a", "x", 1.7e308)], frozenset())
    with pytest.raises(ForecastError, match="overflow"), np.errstate(over="ignore"):
        quadratic(np.array([1e200, 1e200]), np.eye(2))


def test_correlations_that_are_no_law_give_zero_not_a_fault() -> None:
    assert quadratic(np.array([1.0, 1.0]), np.array([[1.0, -1.1], [-1.1, 1.0]])) == 0.0


@pytest.mark.parametrize(
    ("bucket", "label", "message"),
    [("c", "1m", "no weight for 'c'"), ("a", "5y", "tenor '5y' has no correlation")],
)
def test_what_the_calibration_does_not_know_is_refused(bucket: str, label: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        _margin([of("delta", bucket, "x", 1.0, label)], rules())


def test_missing_threshold_is_refused_not_taken_as_none() -> None:
    how = Rules({("a", "*"): 1.0}, Matrix.lower(["a"], []), Matrix.lower(["a"], []), thresholds={"b": 1.0})
    with pytest.raises(SettingError, match="no threshold for 'a'"):
        _margin([of("delta", "a", "x", 1.0)], how)


@pytest.mark.parametrize(
    "wrong",
    [np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 0.1], [0.2, 1.0]]), np.eye(3), np.full((2, 2), np.nan)],
)
def test_table_that_is_no_correlation_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(SettingError, match="correlations of"):
        Matrix(("a", "b"), wrong)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weight_that_could_lower_a_margin_is_refused(weight: float) -> None:
    with pytest.raises(SettingError, match="weights of"):
        Rules({("a", "*"): weight}, Matrix.lower(["a"], []), Matrix.lower(["a"], []))


@pytest.mark.parametrize("options", [{"curves": 1.5}, {"multiplier": 0.0}, {"thresholds": {"a": 0.0}}])
def test_other_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="calibration"):
        Rules({}, Matrix.lower(["a"], []), Matrix.lower(["a"], []), **options)  # type: ignore[arg-type]
