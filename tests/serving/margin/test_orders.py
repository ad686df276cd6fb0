"""Open orders against every subset of fills, and the laws of monotony."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import AccountError, MarketError
from serving.margin.orders import (
    Orders,
    candidate_quantities,
    fills,
    gap_losses,
    order_losses,
    worst_losses,
    worst_quantities,
)

FloatArray = NDArray[np.float64]


def drawn(
    seed: int, n_orders: int, n_positions: int = 4, n_scenarios: int = 9
) -> tuple[FloatArray, FloatArray, Orders]:
    rng = np.random.default_rng(seed)
    pnl = rng.normal(size=(n_scenarios, n_positions)) * 10
    orders = Orders(
        rng.integers(0, n_positions, n_orders),
        rng.normal(size=n_orders) * 3,
        np.maximum(rng.normal(size=n_orders) * 5, 0.0),
    )
    return pnl, rng.normal(size=n_positions) * 5, orders


def after(quantity: FloatArray, orders: Orders, subset: tuple[int, ...]) -> tuple[FloatArray, float]:
    """Position and loss at the fills, order by order."""
    filled, gap = quantity.copy(), 0.0
    for o in subset:
        filled[orders.instrument[o]] += orders.quantity[o]
        gap += orders.gap_loss[o]
    return filled, gap


def subsets(n: int) -> list[tuple[int, ...]]:
    return [c for size in range(n + 1) for c in itertools.combinations(range(n), size)]


@pytest.mark.parametrize("seed", range(6))
def test_worst_of_all_subsets_in_every_scenario_and_over_all(seed: int) -> None:
    pnl, quantity, orders = drawn(seed, 8)
    losses = []
    for subset in subsets(8):
        filled, gap = after(quantity, orders, subset)
        losses.append(gap - pnl @ filled)
    np.testing.assert_allclose(worst_losses(pnl, quantity, orders), np.max(losses, axis=0), atol=1e-10)
    # The requirement of a scenario rule, worst fills of the whole book: max over fills of max over scenarios.
    assert worst_losses(pnl, quantity, orders).max() == pytest.approx(max(loss.max() for loss in losses))


@pytest.mark.parametrize("seed", range(6))
def test_mean_of_the_worst_scenarios_is_bounded_from_both_sides(seed: int) -> None:
    pnl, quantity, orders = drawn(seed, 7)
    exact = orders.gap_loss[0] * 0 - np.inf
    for subset in subsets(7):
        filled, gap = after(quantity, orders, subset)
        exact = max(exact, float(np.sort(gap - pnl @ filled)[-3:].mean()))
    upper = float(np.sort(worst_losses(pnl, quantity, orders))[-3:].mean())
    free = Orders(orders.instrument, orders.quantity, np.zeros(7))
    rows = candidate_quantities(quantity, free, np.array([0, 0, 1, 1]))
    lower = max(float(np.sort(-pnl @ row)[-3:].mean()) for row in rows)
    assert lower - 1e-12 <= exact <= upper + 1e-12
    assert upper > lower


@pytest.mark.parametrize("seed", range(4))
def test_fills_are_those_of_the_worst_subset(seed: int) -> None:
    pnl, quantity, orders = drawn(seed, 6)
    for s in range(len(pnl)):
        chosen = tuple(np.flatnonzero(fills(pnl[s], orders)).tolist())
        filled, gap = after(quantity, orders, chosen)
        assert gap - pnl[s] @ filled == pytest.approx(worst_losses(pnl, quantity, orders)[s])


@pytest.mark.parametrize("seed", range(4))
def test_largest_position_of_all_subsets(seed: int) -> None:
    _, quantity, orders = drawn(seed, 8)
    every = np.array([after(quantity, orders, subset)[0] for subset in subsets(8)])
    np.testing.assert_allclose(np.abs(worst_quantities(quantity, orders)), np.abs(every).max(axis=0))
    inside = {row.round(9).tobytes() for row in every}
    for row in candidate_quantities(quantity, orders, np.array([0, 0, 1, 1])):
        assert row.round(9).tobytes() in inside  # a candidate is a possible set of fills


def test_by_hand() -> None:
    # Long 1; a buy of 2 one dollar above the mark; a sell of 1 at the mark; 10 dollars down and up.
    pnl = np.array([[-10.0], [10.0]])
    orders = Orders(np.array([0, 0]), np.array([2.0, -1.0]), np.array([2.0, 0.0]))
    assert worst_losses(pnl, np.array([1.0]), orders).tolist() == [10.0 + 22.0, -10.0 + 10.0]


def test_orders_that_only_reduce_are_free_until_they_overshoot() -> None:
    pnl = np.array([[-10.0], [10.0]])
    bare = worst_losses(pnl, np.array([3.0]), Orders(np.empty(0, np.int64), np.empty(0), np.empty(0))).max()
    for size, expected in ((1.0, bare), (3.0, bare), (6.0, bare), (7.0, 40.0)):
        sell = Orders(np.array([0]), np.array([-size]), np.zeros(1))
        assert worst_losses(pnl, np.array([3.0]), sell).max() == expected
        assert abs(worst_quantities(np.array([3.0]), sell)[0]) == max(3.0, size - 3.0)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), drop=st.integers(0, 5), factor=st.floats(0.0, 1.0))
def test_cancelling_shrinking_or_better_prices_never_raise_the_loss(seed: int, drop: int, factor: float) -> None:
    pnl, quantity, orders = drawn(seed, 6)
    whole = worst_losses(pnl, quantity, orders)
    kept = np.arange(6) != drop
    cancelled = Orders(orders.instrument[kept], orders.quantity[kept], orders.gap_loss[kept])
    assert (worst_losses(pnl, quantity, cancelled) <= whole + 1e-9).all()
    smaller = Orders(orders.instrument, orders.quantity * factor, orders.gap_loss * factor)
    assert (worst_losses(pnl, quantity, smaller) <= whole + 1e-9).all()
    assert (order_losses(pnl, orders) >= 0).all()
    assert (np.abs(worst_quantities(quantity, cancelled)) <= np.abs(worst_quantities(quantity, orders)) + 1e-12).all()


def test_gap_counts_only_what_is_lost() -> None:
    quantity, price = np.array([2.0, 2.0, -2.0, -2.0]), np.array([103.0, 97.0, 103.0, 97.0])
    assert gap_losses(quantity, price, np.full(4, 100.0), np.full(4, 0.5)).tolist() == [3.0, 0.0, 0.0, 3.0]
    with pytest.raises(MarketError):
        gap_losses(quantity, price * np.nan, np.full(4, 100.0), np.ones(4))


def test_numbers_that_are_none_are_refused() -> None:
    one, none = np.array([0]), np.zeros(1)
    for bad in (np.nan, np.inf):
        with pytest.raises(AccountError):
            Orders(one, np.array([bad]), none)
        with pytest.raises(MarketError):
            worst_losses(np.array([[bad]]), np.ones(1), Orders(one, np.ones(1), none))
        with pytest.raises(MarketError):
            order_losses(np.array([[bad]]), Orders(one, -np.ones(1), none))
    with pytest.raises(AccountError):
        Orders(one, np.ones(1), -np.ones(1))
    with pytest.raises(AccountError):
        Orders(one, np.ones(2), none)
    for at in (-1, 1):
        stray = Orders(np.array([at]), np.ones(1), none)
        with pytest.raises(AccountError):
            order_losses(np.ones((1, 1)), stray)
        with pytest.raises(AccountError):
            worst_quantities(np.ones(1), stray)
    with pytest.raises(AccountError):
        worst_quantities(np.array([np.nan]), Orders(one, np.ones(1), none))


def test_an_account_without_positions_or_orders() -> None:
    nothing = Orders(np.empty(0, np.int64), np.empty(0), np.empty(0))
    assert worst_losses(np.empty((2, 0)), np.empty(0), nothing).tolist() == [0.0, 0.0]
    assert candidate_quantities(np.array([1.0]), nothing, np.array([0])).tolist() == [[1.0]]
