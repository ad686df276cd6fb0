"""Scenario families: their moves by hand, and what every family keeps to."""

import numpy as np
import pytest

from features.errors import SettingError
from serving.margin.policy import Hypothetical, MarginPolicy, ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios import SCENARIOS, scenarios_of
from serving.margin.scenarios.named import NAMED_DAYS
from serving.margin.scenarios.scenario_set import ScenarioSet, dampened, joined, scenario_set
from serving.margin.scenarios.vol import term_scale, vol_moves
from tests.serving.margin import changed_markets as changed

SHOCKS = (
    Hypothetical(name="exchange fails", moves={"BTC": -0.4, "*": -0.6}, vol=1.0),
    Hypothetical(name="squeeze", moves={"ETH": 0.5}, vol=0.2),
)
POLICY = ScenarioPolicy(hypothetical=SHOCKS)


def ranges(horizon_s: int = 28_800, vol_up: float = 0.0) -> Ranges:
    """BTC 10 % down and 8 % up, ETH 20 % and 25 %, DOGE 50 % and 40 %."""
    down, up = np.array([0.10, 0.20, 0.50]), np.array([0.08, 0.25, 0.40])
    return Ranges(("BTC", "ETH", "DOGE"), horizon_s, down, up, np.full(3, vol_up), np.full(3, np.nan), ())


def row(found: ScenarioSet, name: str) -> int:
    return found.names.index(name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_family_gives_scenarios_that_can_be_margined(name: str) -> None:
    found = SCENARIOS[name](ranges(), POLICY)
    assert found.size == len(set(found.names)) > 0
    for field in ("move", "vol", "weight"):
        assert getattr(found, field).shape == (found.size, 3)
    for field in ("tilt", "wing"):
        assert getattr(found, field).shape == (found.size,)
    for field in ("move", "vol", "weight", "tilt", "wing"):
        assert np.isfinite(getattr(found, field)).all()
    assert (found.move >= -1.0).all()
    assert ((found.weight > 0) & (found.weight <= 1)).all()
    assert (found.vol >= -1.0).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_family_is_one_line_of_the_table(name: str) -> None:
    alone = scenarios_of(ranges(), ScenarioPolicy(families=(name,), hypothetical=SHOCKS))
    found = SCENARIOS[name](ranges(), POLICY)
    assert alone.names == found.names
    assert np.array_equal(alone.move, found.move)


def test_a_new_family_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(own: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
        del policy
        return scenario_set(["all to nothing"], np.full((1, len(own.underlyings)), -1.0), np.zeros((1, 3)))

    monkeypatch.setitem(SCENARIOS, "crash", crash)
    found = scenarios_of(ranges(), ScenarioPolicy(families=("grid", "crash")))
    assert found.names[-1] == "all to nothing"
    assert found.size == 28


def test_families_come_in_the_order_of_the_policy_and_unknown_ones_are_named() -> None:
    found = scenarios_of(ranges(), ScenarioPolicy(families=("skew", "grid")))
    assert found.names[0] == "smile tilts to calls"
    with pytest.raises(SettingError, match=r"unknown scenario family 'spam'; known: calm, grid, hypothetical"):
        scenarios_of(ranges(), ScenarioPolicy(families=("spam",)))


def test_the_grid_by_hand() -> None:
    found = SCENARIOS["grid"](ranges(), POLICY)
    assert found.size == 27
    at = row(found, "price -75% of range, vol up")
    assert found.move[at].tolist() == pytest.approx([-0.075, -0.15, -0.375], rel=1e-15)
    assert found.vol[at].tolist() == [0.45] * 3
    at = row(found, "price +100% of range, vol down")
    assert found.move[at].tolist() == [0.08, 0.25, 0.40]
    assert found.vol[at].tolist() == [-0.25] * 3
    assert found.move[row(found, "price +0% of range, vol same")].tolist() == [0.0] * 3
    assert (found.weight == 1).all()


def test_calm_moves_by_hand() -> None:
    """One, two and four per cent on both sides, volatility down; none beyond a range of 8 %, 10 % or more."""
    found = SCENARIOS["calm"](ranges(), POLICY)
    assert found.move[:, 0].tolist() == [-0.01, 0.01, -0.02, 0.02, -0.04, 0.04]
    assert (found.vol == -0.25).all()
    assert (found.weight == 1).all()
    own = ScenarioPolicy(calm_moves=(0.05, 0.09))
    assert SCENARIOS["calm"](ranges(), own).move[:, 0].tolist() == [-0.05, 0.05, -0.09, 0.08]
    for bad in (0.0, 1.0, -0.01, float("nan")):
        with pytest.raises(SettingError, match="calm_moves"):
            ScenarioPolicy(calm_moves=(bad,))


def test_tails_by_hand() -> None:
    found = SCENARIOS["tails"](ranges(), POLICY)
    assert found.move[:, 0].tolist() == [-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert found.weight[0].tolist() == pytest.approx([0.10 / 0.66, 0.20 / 0.66, 0.50 / 0.66])
    assert found.weight[1].tolist() == pytest.approx([0.10 / 0.33, 0.20 / 0.33, 1.0])  # within DOGE's range: whole
    assert found.weight[4].tolist() == pytest.approx([0.04, 0.125, 0.20])
    assert (found.vol == 0.45).all()


def test_a_linear_position_loses_its_range_in_every_tail() -> None:
    found = SCENARIOS["tails"](ranges(), POLICY)
    lost = -np.minimum(found.move * found.weight, 0.0)
    assert lost[0].tolist() == pytest.approx([0.10, 0.20, 0.50])


def test_dampening_by_hand() -> None:
    down, up = np.array([0.1]), np.array([0.2])
    moves = np.array([[-0.05], [-0.1], [-0.4], [0.1], [0.8]])
    assert dampened(moves, down, up, 1.0).ravel().tolist() == pytest.approx([1.0, 1.0, 0.25, 1.0, 0.25])
    assert dampened(moves, down, up, 2.0).ravel().tolist() == pytest.approx([1.0, 1.0, 0.5, 1.0, 0.5])


def test_skew_moves_the_smile_and_nothing_else() -> None:
    found = SCENARIOS["skew"](ranges(), POLICY)
    assert not found.move.any()
    assert not found.vol.any()
    assert found.tilt.tolist() == [0.15, -0.15, 0.0, 0.0]
    assert found.wing.tolist() == [0.0, 0.0, 0.15, -0.15]


def test_span_by_hand() -> None:
    found = SCENARIOS["span"](ranges(), POLICY)
    thirds = [0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3, 9, -9]
    assert found.move[:, 0].tolist() == pytest.approx([t / 3 * (0.08 if t > 0 else 0.10) for t in thirds])
    assert found.move[15].tolist() == pytest.approx([-0.3, -0.6, -1.0])  # no further than to nothing
    assert found.weight[:, 0].tolist() == [1.0] * 14 + [0.33] * 2
    assert np.sign(found.vol[:, 0]).tolist() == [1, -1] * 7 + [0, 0]


MARCH = {3_600: (-0.247, -0.268, -0.312), 28_800: (-0.383, -0.393, -0.477), 86_400: (-0.512, -0.540, -0.597)}


@pytest.mark.parametrize(
    ("horizon_s", "span_s"), [(1, 3_600), (7_200, 28_800), (172_800, 86_400), *((h, h) for h in MARCH)]
)
def test_a_named_day_over_the_shortest_span_that_holds_the_period(horizon_s: int, span_s: int) -> None:
    found = SCENARIOS["named"](ranges(horizon_s), POLICY)
    assert tuple(found.move[row(found, "12-13 March 2020, fall")]) == MARCH[span_s]  # DOGE: as BNB, the worst listed


def test_named_days_by_hand() -> None:
    found = SCENARIOS["named"](ranges(), POLICY)
    assert found.size == 10
    at = row(found, "19 May 2021, rise")
    assert found.move[at].tolist() == [0.344, 0.517, 0.517]
    assert found.weight[at].tolist() == pytest.approx([0.08 / 0.344, 0.25 / 0.517, 0.40 / 0.517])
    at = row(found, "10 October 2025, fall")
    assert found.move[at].tolist() == [-0.12, -0.20, -0.246]
    assert found.weight[at].tolist() == pytest.approx([0.10 / 0.12, 1.0, 1.0])
    assert (found.vol == 0.45).all()


def test_named_days_are_what_they_say() -> None:
    assert len(NAMED_DAYS) == 5
    for day in NAMED_DAYS:
        for coin, falls in day.falls.items():
            assert 0 > falls[0] >= falls[1] >= falls[2] > -1  # a longer window falls no less
            assert all(rise > 0 for rise in day.rises[coin])


def test_hypothetical_by_hand() -> None:
    found = SCENARIOS["hypothetical"](ranges(), POLICY)
    assert found.names == ("exchange fails", "squeeze")
    assert found.move.tolist() == [[-0.4, -0.6, -0.6], [0.0, 0.5, 0.0]]
    assert found.vol.tolist() == [[1.0] * 3, [0.2] * 3]
    assert found.weight.ravel().tolist() == pytest.approx([0.25, 1 / 3, 0.5 / 0.6, 1.0, 0.5, 1.0])
    assert SCENARIOS["hypothetical"](ranges(), ScenarioPolicy()).size == 0


def test_a_hypothetical_shock_is_met_by_what_it_names() -> None:
    whole = MarginPolicy(
        scenarios=ScenarioPolicy(
            hypothetical=(Hypothetical(name="SOL halves", moves={"SOL": -0.5}),), hypothetical_cover=10.0
        )
    )
    before, after = (
        changed.quoted(changed.holding(("SOL-PERP", 100)), policy=policy) for policy in (MarginPolicy(), whole)
    )
    mark = changed.small_market().quotes["SOL-PERP"].mark
    assert float(changed.component(after, "scan")) == pytest.approx(50 * float(mark) * 1.0001, abs=0.01)
    assert after.worst_scenario == "SOL: SOL halves"
    assert before.initial < after.initial


def test_a_forecast_rise_of_volatility_counts_where_it_is_more() -> None:
    turns = np.array([-1.0, 0.0, 1.0])
    assert vol_moves(turns, ranges(vol_up=0.3), POLICY)[:, 0].tolist() == [-0.25, 0.0, 0.45]
    assert vol_moves(turns, ranges(vol_up=0.8), POLICY)[:, 0].tolist() == [-0.25, 0.0, 0.8]


def test_volatility_moves_more_near_expiry() -> None:
    scale = term_scale(np.array([0.01, 1.0, 15.0, 30.0, 60.0, 365.0]) / 365, POLICY)
    by_hand = [30**0.30, 30**0.30, 2**0.30, 1.0, 0.5**0.13, (30 / 365) ** 0.13]
    assert scale.tolist() == pytest.approx(by_hand, rel=1e-12)


def test_sets_are_joined_in_order() -> None:
    one, other = SCENARIOS["skew"](ranges(), POLICY), SCENARIOS["span"](ranges(), POLICY)
    both = joined([one, other])
    assert both.names == one.names + other.names
    assert np.array_equal(both.weight, np.concatenate([one.weight, other.weight]))
    assert np.array_equal(both.tilt, np.concatenate([one.tilt, other.tilt]))
