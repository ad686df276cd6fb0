"""How underlyings' histories are joined under each law: permutations, told apart by rank and by correlation."""

from itertools import combinations
from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from serving.margin.objects import Residuals
from serving.margin.paths import joint_paths
from serving.margin.policy import MarginPolicy, PathPolicy
from serving.margin.ranges import Ranges, ranges_of
from tests.serving.margin import markets

IntArray = NDArray[np.int64]
COINS: Final = markets.coins()


def ranges(*names: str) -> Ranges:
    return ranges_of(names, [markets.forecasts()], markets.AS_OF_NS, MarginPolicy(), 28_800)


def residuals(paths: int = 500) -> Residuals:
    found = markets.forecasts(paths=paths).residuals
    assert found is not None
    return found


def orders(paths: int, *names: str) -> dict[str, IntArray]:
    found = joint_paths(ranges(*names), residuals(paths), PathPolicy())
    assert found is not None
    return found.orders


@pytest.mark.parametrize("paths", [250, 499, 500, 512])
def test_every_law_takes_every_row_of_every_underlying_once(paths: int) -> None:
    found = orders(paths, *COINS)
    assert {name.split()[0] for name in found} == {"history", "comonotone", "independent"}
    for order in found.values():
        assert order.shape == (paths, 3)
        assert all(sorted(order[:, u].tolist()) == list(range(paths)) for u in range(3))


def test_history_keeps_dates_and_comonotone_ranks() -> None:
    found, drawn = orders(500, *COINS), np.array(residuals().rows)
    assert (found["history"] == np.arange(500)[:, None]).all()
    ranked = np.stack([drawn[found["comonotone"][:, u], u] for u in range(3)], axis=1)
    assert (np.diff(ranked, axis=0) >= 0).all()


def test_independent_laws_are_uncorrelated_and_differ() -> None:
    """Histories of correlation 0.7 and more; put out of step, within four standard errors of 0."""
    drawn, found = np.array(residuals().rows), orders(500, *COINS)
    assert np.corrcoef(drawn.T)[np.triu_indices(3, 1)].min() > 0.5
    laws = [order for law, order in found.items() if law.startswith("independent")]
    assert len(laws) >= 1
    for order in laws:
        mixed = np.stack([drawn[order[:, u], u] for u in range(3)], axis=1)
        assert np.abs(np.corrcoef(mixed.T)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(500)
    assert all((one != other).any() for one, other in combinations(laws, 2))


def test_what_else_is_listed_changes_no_underlying_s_rows() -> None:
    whole, part = orders(500, *COINS), orders(500, "SOL", "BTC")
    assert whole.keys() == part.keys()
    for law, order in whole.items():
        assert (part[law] == order[:, [2, 0]]).all()


def test_what_has_no_residuals_or_no_forecast_is_not_covered() -> None:
    two = residuals()
    two = replace(two, names=("SOL", "BTC"), rows=tuple((row[2], row[0]) for row in two.rows))
    found = joint_paths(ranges("BTC", "ETH", "SOL", "XRP"), two, PathPolicy())
    assert found is not None
    assert found.covered.tolist() == [True, False, True, False]
    assert not found.scenarios.move[:, [1, 3]].any()
    sigma = markets.DAILY_VOL["SOL"] / 3**0.5
    assert found.scenarios.move[:, 2].tolist() == pytest.approx([np.expm1(row[0] * sigma) for row in two.rows])


@pytest.mark.parametrize(("paths", "known"), [(249, False), (250, True)])
def test_too_few_paths_are_none(paths: int, known: bool) -> None:
    assert (joint_paths(ranges(*COINS), residuals(paths), PathPolicy()) is not None) is known
    assert joint_paths(ranges(*COINS), None, PathPolicy()) is None
