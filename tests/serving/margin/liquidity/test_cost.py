"""The liquidity charge against grids, pure strategies, laws of convexity and missing data."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from features.errors import AccountError, ForecastError, MarketError, SettingError
from serving.margin.liquidity import LiquidityPolicy, StressedSide, liquidation_cost, liquidation_costs, stressed_side
from serving.margin.liquidity.cost import slice_cost, slice_horizon_days, slice_marginal

POLICY = LiquidityPolicy()
LAW = (POLICY.impact, POLICY.risk_z, POLICY.participation)
# The second law meets every region: free, held at a day, held by participation.
LAWS = [LAW, (1.3, 0.9, 0.8), (0.7, 3.0, 0.05), (1.0, 2.0, 1.0)]
BIDS = np.array([[99.9, 2.0], [99.5, 3.0], [99.0, 4.0], [96.0, 10.0]])
ASKS = np.array([[100.1, 2.0], [100.4, 3.0], [102.0, 4.0]])


def side(**changed: Any) -> StressedSide:
    given: dict[str, Any] = {
        "closing": "sell", "bids": BIDS, "asks": ASKS, "price": 100.0, "vol_day": 0.04,
        "volume_usd": 2e5, "depth_frac": 0.5, "policy": POLICY,
    }  # fmt: skip
    return stressed_side(**{**given, **changed})


def per_unit(days: float, volumes: float, law: tuple[float, float, float]) -> float:
    return law[0] * math.sqrt(volumes / min(days, 1.0)) + law[1] * math.sqrt(days / 3.0)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("volumes", [1e-6, 1e-3, 0.02, 0.055, 0.3, 0.5, 0.79, 2.0, 40.0])
def test_slices_take_the_horizon_that_costs_least(volumes: float, law: tuple[float, float, float]) -> None:
    least = volumes / law[2]
    grid = np.geomspace(max(least, 1e-8), max(least, 1e-8) * 1e9, 400_001)
    grid = np.append(grid, max(least, 1.0))  # the square-root law stops falling at a day
    cheapest = min(per_unit(least, volumes, law), float(np.min(
        law[0] * np.sqrt(volumes / np.minimum(grid, 1.0)) + law[1] * np.sqrt(grid / 3.0)
    )))  # fmt: skip
    assert slice_cost(volumes, law) == pytest.approx(volumes * cheapest, rel=1e-7)
    assert per_unit(slice_horizon_days(volumes, law), volumes, law) == pytest.approx(cheapest, rel=1e-7)


def test_risk_of_even_slices_is_that_of_almgren_and_chriss() -> None:
    # Almgren & Chriss (2000), equation 5: variance is sigma^2 times the integral of the squared holdings.
    for volumes in (0.001, 0.2):
        days = slice_horizon_days(volumes, LAW)
        waiting, _ = quad(lambda t, days=days: (1.0 - t / days) ** 2, 0.0, days)
        impact = POLICY.impact * math.sqrt(volumes / min(days, 1.0))
        assert slice_cost(volumes, LAW) == pytest.approx(volumes * (impact + POLICY.risk_z * math.sqrt(waiting)))


def test_small_slices_follow_the_closed_form() -> None:
    for volumes in (1e-5, 1e-3, 0.005):
        best = minimize_scalar(lambda x, v=volumes: per_unit(math.exp(x), v, LAW), bounds=(-20, 0), method="bounded")
        assert slice_horizon_days(volumes, LAW) == pytest.approx(math.exp(best.x), rel=1e-3)
        assert slice_cost(volumes, LAW) == pytest.approx(2 * math.sqrt(2.326 / math.sqrt(3)) * volumes**1.25)
    assert slice_cost(16e-4, LAW) / slice_cost(1e-4, LAW) == pytest.approx(32.0)  # 16^(5/4)


@pytest.mark.parametrize("law", LAWS)
def test_marginal_is_the_derivative_and_never_falls(law: tuple[float, float, float]) -> None:
    at = np.geomspace(1e-6, 30.0, 500)
    marginal = np.array([slice_marginal(v, law) for v in at])
    assert (np.diff(marginal) >= -1e-12).all()
    between = [quad(slice_marginal, a, b, args=(law,), limit=200)[0] for a, b in pairwise(at)]
    np.testing.assert_allclose(
        np.cumsum(between), [slice_cost(v, law) - slice_cost(at[0], law) for v in at[1:]], rtol=1e-6
    )


def slow(market: StressedSide, quantity: float) -> float:
    """Integrate, unit by unit, the cheaper of the book and of slices."""
    ends = np.concatenate([[0.0], np.cumsum(market.size)])

    def marginal(x: float) -> float:
        level = int(np.searchsorted(ends, x, side="right")) - 1
        book = market.distance[level] if level < len(market.size) else math.inf
        slices = market.half_spread + market.price * market.vol_day * slice_marginal(x / market.volume_day, LAW)
        return float(min(book, slices))

    marks = [0.0, *(float(e) for e in ends[1:] if e < quantity), quantity]
    return float(sum(quad(marginal, a, b, limit=400)[0] for a, b in pairwise(marks)))


@pytest.mark.parametrize("volume_usd", [3e3, 2e5, 1e8])
@pytest.mark.parametrize("quantity", [0.3, 1.0, 2.2, 4.4, 9.0, 30.0])
def test_unit_by_unit_the_cheaper_of_book_and_slices(quantity: float, volume_usd: float) -> None:
    market = side(volume_usd=volume_usd)
    assert liquidation_cost(market, quantity).total == pytest.approx(slow(market, quantity), rel=1e-6)


def test_charge_lies_between_best_split_and_cheaper_pure_way() -> None:
    market = side()
    move = market.price * market.vol_day

    def walk(q: float) -> float:
        return float(np.diff(np.minimum(np.concatenate([[0.0], np.cumsum(market.size)]), q)) @ market.distance)

    def slices(q: float) -> float:
        return market.half_spread * q + move * market.volume_day * slice_cost(q / market.volume_day, LAW)

    for quantity in (0.5, 2.0, 5.0, 9.0):
        split = min(walk(b) + slices(quantity - b) for b in np.linspace(0.0, quantity, 2001))
        got = liquidation_cost(market, quantity).total
        assert split - 1e-9 <= got <= min(walk(quantity), slices(quantity)) + 1e-9
    assert liquidation_cost(market, 9.0).total < min(walk(9.0), slices(9.0))  # both ways were used


def test_deep_volume_less_market_walks_the_book_by_hand() -> None:
    # Half of 2, 3 and 4 units remain; 4 units sell 1 at 0.1, 1.5 at 0.5, 1.5 at 1.0 below the mark.
    market = side(vol_day=10.0)  # slices cost more than any level here
    cost = liquidation_cost(market, 4.0)
    assert cost.half_spread == pytest.approx(0.4)
    assert cost.half_spread + cost.walk == pytest.approx(0.1 * 1 + 0.5 * 1.5 + 1.0 * 1.5)
    assert (cost.slices, cost.horizon_s) == (0.0, 0.0)
    buying = liquidation_cost(side(closing="buy", vol_day=10.0), 2.0)
    assert buying.total == pytest.approx(0.1 * 1 + 0.4 * 1)


def test_book_away_from_the_mark_costs_the_difference_and_never_earns() -> None:
    assert side(price=101.0).distance.tolist() == pytest.approx([1.1, 1.5, 2.0, 5.0])
    assert side(price=90.0).distance.tolist() == pytest.approx([0.1] * 4)


def test_without_book_everything_is_impact_with_the_multiplier() -> None:
    none = side(bids=np.empty((0, 2)))
    volumes = 7.0 * 100.0 / 2e5
    expected = 0.01 * 100 * 7.0 + 2.0 * 0.04 * 100 * 2e3 * slice_cost(volumes, LAW)
    cost = liquidation_cost(none, 7.0)
    assert cost.total == pytest.approx(expected)
    assert cost.horizon_s == pytest.approx(86_400 * slice_horizon_days(volumes, LAW))
    assert any("no depth" in note for note in cost.notes)
    assert side(depth_frac=0.0).vol_day == 0.08
    assert side(depth_frac=0.0).half_spread == 1.0  # a tight spread without depth is none


def test_arrays_are_the_single_figures() -> None:
    quantities = np.array([0.0, 0.5, 3.0, 80.0])
    rows = liquidation_costs(side(), quantities)
    for quantity, row in zip(quantities, rows, strict=True):
        cost = liquidation_cost(side(), float(quantity))
        assert row.tolist() == [cost.half_spread, cost.walk, cost.slices, cost.horizon_s]
    assert rows[0].tolist() == [0.0, 0.0, 0.0, 0.0]


sizes = st.floats(0.01, 50.0)
books = st.lists(st.tuples(st.floats(0.01, 3.0), sizes), min_size=1, max_size=6)


def built(steps: list[tuple[float, float]], best: float, sign: int) -> NDArray[np.float64]:
    distances = best + np.cumsum([0.0, *(step for step, _ in steps[1:])])
    return np.column_stack([100.0 + sign * distances, [size for _, size in steps]])


@settings(max_examples=150, deadline=None)
@given(steps=books, best=st.floats(0.01, 1.0), volume=st.floats(1e3, 1e8), frac=st.floats(0.02, 1.0))
def test_charge_is_convex_rising_and_never_below_the_half_spread(
    steps: list[tuple[float, float]], best: float, volume: float, frac: float
) -> None:
    market = side(bids=built(steps, best, -1), asks=built(steps, best, 1), volume_usd=volume, depth_frac=frac)
    quantities = np.linspace(0.0, 60.0, 121)
    rows = liquidation_costs(market, quantities)
    total = rows[:, :3].sum(axis=1)
    assert (rows >= 0).all()
    assert (np.diff(total) > 0).all()
    assert (np.diff(total, 2) >= -1e-9 * total[-1]).all()
    assert (total >= market.half_spread * quantities * (1 - 1e-12)).all()


@settings(max_examples=150, deadline=None)
@given(
    steps=books, best=st.floats(0.01, 1.0), volume=st.floats(1e5, 1e8), frac=st.floats(0.1, 1.0),
    quantity=st.floats(0.01, 200.0), drop=st.integers(0, 5), less=st.floats(0.0, 1.0),
)  # fmt: skip
def test_what_is_missing_never_lowers_the_charge(
    steps: list[tuple[float, float]], best: float, volume: float, frac: float, quantity: float, drop: int, less: float
) -> None:
    # Best distance <= 1 and volume >= 100 000 USD and depth >= 0.1: what is known is no worse than the defaults.
    good: dict[str, Any] = {
        "bids": built(steps, best, -1), "asks": built(steps, best, 1), "volume_usd": volume, "depth_frac": frac,
    }  # fmt: skip
    full = liquidation_cost(side(**good), quantity).total
    holes = np.delete(good["bids"], min(drop, len(steps) - 1), axis=0)
    worse = [
        {"bids": np.empty((0, 2))}, {"asks": np.empty((0, 2))}, {"bids": holes},
        {"volume_usd": None}, {"volume_usd": 0.0}, {"volume_usd": max(1.0, volume * less)},
        {"depth_frac": None}, {"depth_frac": frac * less}, {"vol_day": 0.04 * (1 + less)},
    ]  # fmt: skip
    for change in worse:
        assert liquidation_cost(side(**{**good, **change}), quantity).total >= full * (1 - 1e-9), change
    assert liquidation_cost(side(**{**good, "depth_frac": 7.0}), quantity).total == pytest.approx(
        liquidation_cost(side(**{**good, "depth_frac": 1.0}), quantity).total
    )


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"bids": np.array([[100.2, 1.0]])}, MarketError),
        ({"bids": np.array([[np.nan, 1.0]])}, MarketError),
        ({"bids": BIDS[::-1]}, MarketError),
        ({"asks": np.array([[100.1, -1.0]])}, MarketError),
        ({"price": math.nan}, MarketError),
        ({"volume_usd": math.nan}, MarketError),
        ({"volume_usd": -1.0}, MarketError),
        ({"vol_day": math.nan}, ForecastError),
        ({"vol_day": 0.0}, ForecastError),
        ({"depth_frac": math.nan}, ForecastError),
        ({"depth_frac": -0.1}, ForecastError),
    ],
)
def test_numbers_that_are_none_are_refused(changed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        side(**changed)


@pytest.mark.parametrize("quantity", [-1.0, math.nan, math.inf])
def test_quantities_that_are_none_are_refused(quantity: float) -> None:
    with pytest.raises(AccountError):
        liquidation_cost(side(), quantity)


@pytest.mark.parametrize("field", LiquidityPolicy.__dataclass_fields__)
def test_policy_refuses_what_would_lower_a_charge(field: str) -> None:
    for value in (-1.0, math.nan):
        with pytest.raises(SettingError, match=field):
            LiquidityPolicy(**{field: value})
