"""Open orders against every subset of fills, and the laws of monotony."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.margin.aggregate import Holding, summed
from serving.margin.orders import order_losses

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Orders:
    """Open orders on one underlying."""

    instrument: NDArray[np.int64]
    quantity: FloatArray
    gap_loss: FloatArray

    def holding(self) -> Holding:
        return Holding(self.instrument, np.zeros_like(self.instrument), self.quantity)


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


def worst_losses(pnl: FloatArray, quantity: FloatArray, orders: Orders) -> FloatArray:
    """Loss of each scenario, as the engine adds it up."""
    held = Holding(np.arange(len(quantity)), np.zeros(len(quantity), np.int64), quantity)
    filled = order_losses(pnl, orders.holding(), orders.gap_loss, 1)
    loss: FloatArray = (filled - summed(pnl, held, 1))[:, 0]
    return loss


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
def test_mean_of_the_worst_scenarios_is_no_less_than_under_any_fills(seed: int) -> None:
    pnl, quantity, orders = drawn(seed, 7)
    exact = -np.inf
    for subset in subsets(7):
        filled, gap = after(quantity, orders, subset)
        exact = max(exact, float(np.sort(gap - pnl @ filled)[-3:].mean()))
    upper = float(np.sort(worst_losses(pnl, quantity, orders))[-3:].mean())
    none = float(np.sort(-pnl @ quantity)[-3:].mean())
    assert none < exact <= upper + 1e-12


def test_each_underlying_has_its_own_sum() -> None:
    unit = np.array([[-1.0, -2.0], [1.0, 2.0]])
    orders = Holding(np.array([0, 1, 1]), np.array([1, 0, 0]), np.array([3.0, 5.0, -1.0]))
    gap = np.array([0.5, 0.0, 0.25])
    assert order_losses(unit, orders, gap, 2).tolist() == [[10.0, 3.5], [2.25, 0.0]]


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
    assert (order_losses(pnl, orders.holding(), orders.gap_loss, 1) >= 0).all()


def test_what_is_no_number_stays_none() -> None:
    one = Holding(np.array([0]), np.array([0]), np.ones(1))
    assert np.isnan(order_losses(np.array([[np.nan]]), one, np.zeros(1), 1)).all()


def test_an_account_without_positions_or_orders() -> None:
    nothing = Orders(np.empty(0, np.int64), np.empty(0), np.empty(0))
    assert worst_losses(np.empty((2, 0)), np.empty(0), nothing).tolist() == [0.0, 0.0]
