"""From forecasts to ranges: the formula by hand, the ladder of fallbacks, the reasons that are given."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from features.errors import ForecastError
from serving.margin.objects import ForecastSet, Tail
from serving.margin.policy import MarginPolicy, StaticPolicy
from serving.margin.ranges import Ranges, ranges_of
from serving.margin.scan_policy import ScanPolicy
from tests.serving.margin import markets

NOW = markets.AS_OF_NS
HOURS_8 = 28_800


def tail(side: str = "down", horizon_s: int = HOURS_8, **fields: Any) -> Tail:
    """ES 0.06, VaR 0.05, stress 0.20, floor 0.03, long run 0.08."""
    made = Tail(
        underlying="X",
        side="down" if side == "down" else "up",
        horizon_s=horizon_s,
        variance=0.0004,
        loss_quantiles={"0.995": 0.05},
        shortfall={"0.99": 0.06},
        stress=0.20,
        floor=0.03,
        long_run=0.08,
    )
    return replace(made, **fields)


def forecast(*tails: Tail, **fields: int) -> ForecastSet:
    made = ForecastSet(model="m", model_hash="0", as_of_ns=NOW - 1, expires_ns=NOW + 1, tails=tails)
    return replace(made, **fields)


def found(*forecasts: ForecastSet, policy: MarginPolicy | None = None, horizon_s: int = HOURS_8) -> Ranges:
    return ranges_of(("X",), forecasts, NOW, policy or MarginPolicy(), horizon_s)


def test_a_calm_forecast_by_hand() -> None:
    one = found(forecast(tail(), tail("up")))
    # raw 0.06; blended 0.75 * 0.06 + 0.25 * 0.20 = 0.095; a quarter more as it is below the long run; 0.001 to close
    assert one.down.tolist() == pytest.approx([1.25 * 0.095 + 0.001])
    assert one.sigma.tolist() == pytest.approx([0.02])
    assert one.notes == ()


def test_the_buffer_is_used_up_as_the_forecast_rises_above_the_long_run() -> None:
    def width(loss: float) -> float:
        return float(found(forecast(tail(shortfall={"0.99": loss}, loss_quantiles={"0.995": 0.0}), tail("up"))).down[0])

    assert width(0.08) == pytest.approx(1.25 * (0.75 * 0.08 + 0.05) + 0.001)
    assert width(0.10) == pytest.approx(1.25 * (0.75 * 0.08 + 0.05) + 0.001)  # what is left of the buffer covers it
    assert width(0.15) == pytest.approx(0.75 * 0.15 + 0.05 + 0.001)
    assert width(0.30) == pytest.approx(0.30 + 0.001)  # above the stress the forecast stands alone
    assert width(-0.10) == pytest.approx(1.25 * 0.05 + 0.001)  # a forecast gain is no loss of 0
    widths = [width(x) for x in np.linspace(0.0, 0.5, 101)]
    assert all(b >= a for a, b in pairwise(widths))


def test_the_floor_and_the_value_at_risk_bind_by_hand() -> None:
    low = tail(stress=0.01, floor=0.05, shortfall={"0.99": 0.01}, loss_quantiles={"0.995": 0.02})
    assert found(forecast(low, tail("up"))).down[0] == pytest.approx(1.25 * 0.05 + 0.001)
    free = tail(stress=0.01, floor=0.0, shortfall={"0.99": 0.01}, loss_quantiles={"0.995": 0.04})
    assert found(forecast(free, tail("up"))).down[0] == pytest.approx(1.25 * 0.04 + 0.001)


@pytest.mark.parametrize(
    ("static", "least"),
    [
        (StaticPolicy(), 0.25 * 0.20),
        (StaticPolicy(ranges={"X": 0.4}), 0.25 * 0.4),
        (StaticPolicy(multiplier=3.0), 0.25 * 0.20),  # of the range itself, without the multiplier of a fallback
        (StaticPolicy(least_frac=0.5), 0.5 * 0.20),
        (StaticPolicy(least_frac=0.0), 0.0),
    ],
)
def test_a_range_is_never_below_a_share_of_the_static_one(static: StaticPolicy, least: float) -> None:
    """By hand: a forecast of 0.002 comes to 1.25 x 0.002 + 0.001; what raises it is said."""
    calm = tail(stress=0.001, floor=0.0, shortfall={"0.99": 0.002}, loss_quantiles={"0.995": 0.001})
    one = found(forecast(calm, tail("up", shortfall={"0.99": 0.5})), policy=MarginPolicy(static=static))
    assert one.down[0] == pytest.approx(max(1.25 * 0.002 + 0.001, least))
    assert one.up[0] == pytest.approx(0.501)
    assert one.notes == (
        (f"X down: a range of 0.0035 is implausibly small; raised to {least:.4f}",) if least > 0.0035 else ()
    )
    hour = found(
        forecast(replace(calm, horizon_s=3_600), tail("up", 3_600)), policy=MarginPolicy(static=static), horizon_s=3_600
    )
    assert hour.down[0] == pytest.approx(max(0.0035, 0.6 * least))  # maintenance: its share of the static range


def test_a_forecast_older_than_the_greatest_age_counts_as_expired_whatever_it_says() -> None:
    hour, six = 3_600 * 10**9, 6 * 3_600 * 10**9
    made = forecast(tail(), tail("up"), expires_ns=NOW + 48 * hour)
    for age_ns, static in ((six, False), (six + 1, True), (40 * hour, True)):
        one = found(replace(made, as_of_ns=NOW - age_ns))
        assert one.down[0] == pytest.approx(0.30 if static else 1.25 * 0.095 + 0.001)
        assert ("X" in one.fresh) is not static
        assert any("has expired" in note for note in one.notes) is static
    short = MarginPolicy(static=StaticPolicy(greatest_age_s=1.0))
    assert found(replace(made, as_of_ns=NOW - hour), policy=short).down[0] == pytest.approx(0.30)


def test_a_published_range_falls_slowly_and_rises_at_once() -> None:
    day = markets.DAY_NS
    target = 1.25 * 0.095 + 0.001
    for days, published, width in (
        (0, 0.3, 0.3),
        (1, 0.3, 0.27),
        (2, 0.3, 0.243),
        (30, 0.3, target),
        (0, 0.01, target),
    ):
        held = tail(published=published, published_ns=NOW - days * day)
        assert found(forecast(held, tail("up"))).down[0] == pytest.approx(width)


def test_no_forecast_is_the_static_range_times_its_multiplier_and_said() -> None:
    one = found()
    assert one.down.tolist() == one.up.tolist() == pytest.approx([0.30])
    assert np.isnan(one.sigma).all()
    assert one.notes == tuple(
        f"X {side}: no forecast covers it; static range times 1.5 is used" for side in ("down", "up")
    )
    own = MarginPolicy(static=StaticPolicy(ranges={"X": 0.1}, multiplier=2.0, maintenance_frac=0.5))
    assert found(policy=own).down[0] == pytest.approx(0.2)
    assert found(policy=own, horizon_s=3_600).down[0] == pytest.approx(0.1)
    assert found(policy=own, horizon_s=4 * HOURS_8).down[0] == pytest.approx(0.4)  # root of time beyond the period


def test_each_side_falls_back_alone() -> None:
    one = found(forecast(tail("down")))
    assert one.down[0] == pytest.approx(1.25 * 0.095 + 0.001)
    assert one.up[0] == pytest.approx(0.30)
    assert one.notes == ("X up: no forecast covers it; static range times 1.5 is used",)


def test_an_expired_forecast_counts_where_it_is_more_than_the_static_range() -> None:
    mild, wild = tail(), tail(shortfall={"0.99": 0.5})
    for made, width in ((mild, 0.30), (wild, 0.501)):
        for late in (NOW, NOW - 0):
            one = found(forecast(made, tail("up"), expires_ns=late))
            assert one.down[0] == pytest.approx(width)
            assert "X down: the forecast of m has expired; static range times 1.5 is used" in one.notes
    both = found(forecast(wild, tail("up"), expires_ns=NOW), forecast(mild, tail("up")))
    assert both.down[0] == pytest.approx(0.501)  # a fresh one does not let it fall either


def test_the_first_fresh_forecast_counts() -> None:
    first, second = forecast(tail(), tail("up")), forecast(tail(shortfall={"0.99": 0.5}), tail("up"))
    assert found(first, second).down[0] == pytest.approx(1.25 * 0.095 + 0.001)
    assert found(second, first).down[0] == pytest.approx(0.501)


def test_a_shorter_horizon_grows_by_the_root_of_time_and_a_longer_one_counts_whole() -> None:
    quarter = found(forecast(tail(horizon_s=HOURS_8 // 4), tail("up", HOURS_8 // 4)))
    assert quarter.down[0] == pytest.approx(2 * 1.25 * 0.095 + 0.001)
    assert quarter.sigma[0] == pytest.approx(0.04)
    assert any("over 7200 s is scaled by the root of time" in note for note in quarter.notes)
    day = found(forecast(tail(horizon_s=3 * HOURS_8), tail("up", 3 * HOURS_8)))
    assert day.down[0] == pytest.approx(1.25 * 0.095 + 0.001)
    assert any("over 86400 s is used whole" in note for note in day.notes)


def test_what_history_does_not_say_is_read_against_the_account() -> None:
    whole = float(found(forecast(tail(), tail("up"))).down[0])
    by_hand = {"stress": 1.25 * (0.75 * 0.06 + 0.25 * 0.30) + 0.001, "floor": 1.25 * 0.20 + 0.001, "long_run": whole}
    for field, width in by_hand.items():
        one = found(forecast(replace(tail(), **{field: None}), tail("up")))
        assert one.down[0] == pytest.approx(width)
        assert one.down[0] >= whole - 1e-15
        assert any(f"the forecast has no {field}" in note for note in one.notes)


def test_a_level_that_was_not_forecast_takes_the_next_higher_one() -> None:
    high = tail(shortfall={"0.975": 0.05, "0.999": 0.09}, loss_quantiles={"0.9": 0.01, "0.995": 0.05})
    assert found(forecast(high, tail("up"))).down[0] == pytest.approx(
        max(0.75 * 0.09 + 0.05, 1.25 * (0.75 * 0.08 + 0.05)) + 0.001
    )
    with pytest.raises(ForecastError, match=r"X down: shortfall has no level of 0\.99 or above.*known: 0\.975"):
        found(forecast(tail(shortfall={"0.975": 0.05}), tail("up")))


def test_a_fall_is_never_more_than_everything() -> None:
    deep = forecast(tail(shortfall={"0.99": 3.0}), tail("up", shortfall={"0.99": 3.0}))
    one = found(deep)
    assert (one.down[0], one.up[0]) == (1.0, 3.001)


def test_switches_of_the_policy_by_hand() -> None:
    bare = MarginPolicy(scan=ScanPolicy(stress_weight=0.0, buffer=0.0, liquidation_cost_frac=0.0))
    assert found(forecast(tail(), tail("up")), policy=bare).down[0] == pytest.approx(0.06)


def test_the_rise_of_volatility_is_the_largest_forecast_by_either_side_fresh_or_not() -> None:
    fresh = forecast(tail(vol_move=0.2), tail("up", vol_move=0.5))
    assert found(fresh).vol_up[0] == 0.5
    late = forecast(tail(vol_move=0.9), tail("up"), expires_ns=NOW)
    assert found(fresh, late).vol_up[0] == 0.9
    assert found().vol_up[0] == 0.0


def test_sigma_is_the_larger_side() -> None:
    one = found(forecast(tail(variance=0.0009), tail("up", variance=0.0016)))
    assert one.sigma[0] == pytest.approx(0.04)
    late = found(forecast(tail(variance=0.0009), tail("up"), expires_ns=NOW))
    assert (late.sigma[0], late.fresh) == (pytest.approx(0.03), frozenset())  # of an old forecast, for its paths alone
    assert one.fresh == {"X"}
    assert math.isnan(found().sigma[0])
    assert found(forecast(tail())).fresh == frozenset()  # both sides, or neither


def test_a_forecast_that_is_younger_than_the_market_is_refused() -> None:
    with pytest.raises(ForecastError, match="forecast of m is 1 s younger than the market"):
        found(forecast(tail(), as_of_ns=NOW + 10**9, expires_ns=NOW + 2 * 10**9))
