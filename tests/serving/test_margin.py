"""Margin: laws, slow loops, cents; and no fault ever lowers it."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import parse_utc
from features.errors import ForecastError, SettingError, ShortHistoryError, UnknownHorizonError
from features.panel import Panel
from models import FORECASTERS
from models.base import Forecast
from models.calibration import Calibration, calibrate
from serving.margin.requirement import Position, Rates, net, require
from serving.margin.scan import PARTS, History, buffered, held_through, limited, scan, summarise
from serving.margin.scan_policy import ScanPolicy
from serving.schedule import SIDES, loss_forecast, loss_frac, publish, stressed_days

POLICY = ScanPolicy()
RNG = np.random.default_rng(4)
POSITIVE = st.floats(1e-4, 0.9)


def history(n: int, stress: float = 0.2, floor: float = 0.03, long_run: float = 0.08) -> History:
    return History(np.full(n, stress), np.full(n, floor), np.full(n, long_run))


def seen(n: int) -> np.ndarray:
    return np.zeros(n, dtype=bool)


def test_a_worked_example_part_by_part() -> None:
    """raw .04, w .25, stress .2 -> .04 x .75 + .05 = .08; calm buffer 25 % -> .10."""
    parts = scan(np.array([0.04]), seen(1), history(1), POLICY)
    found = {name: float(getattr(parts, name)[0]) for name in PARTS}
    assert found == pytest.approx(
        {"forecast": 0.04, "gap_hold": 0.0, "stress": 0.04, "floor": 0.0, "buffer": 0.02, "limiter": 0.0}
    )


@given(st.lists(POSITIVE, min_size=1, max_size=60), POSITIVE, POSITIVE, POSITIVE)
def test_parts_are_never_negative_and_cover_forecast_floor_and_blend(
    raw: list[float], stress: float, floor: float, long_run: float
) -> None:
    values = np.array(raw)
    parts = scan(values, seen(len(raw)), history(len(raw), stress, floor, long_run), POLICY)
    assert all((getattr(parts, name) >= -1e-15).all() for name in PARTS)
    assert (parts.published >= values - 1e-12).all()
    assert (parts.published >= floor - 1e-12).all()
    assert (parts.published >= 0.75 * values + 0.25 * stress - 1e-12).all()


@given(
    st.lists(POSITIVE, min_size=2, max_size=40),
    st.integers(0, 39),
    st.floats(1.0, 3.0),
    st.tuples(POSITIVE, POSITIVE, POSITIVE, st.floats(0, 1), st.floats(0, 2)),
)
def test_a_riskier_forecast_never_lowers_a_margin_under_any_policy(
    raw: list[float], at: int, factor: float, rest: tuple[float, float, float, float, float]
) -> None:
    stress, floor, long_run, weight, buffer = rest
    before = np.array(raw)
    after = before.copy()
    after[at % len(raw)] *= factor
    policy = replace(POLICY, stress_weight=weight, buffer=buffer)
    h = history(len(raw), stress, floor, long_run)
    rates = [scan(values, seen(len(raw)), h, policy).published for values in (before, after)]
    assert (rates[1] >= rates[0] - 1e-12).all()


@given(st.lists(POSITIVE, min_size=2, max_size=40), st.data())
def test_a_blind_hour_never_falls_below_the_last_that_was_not(raw: list[float], data: st.DataObject) -> None:
    blind = np.array(data.draw(st.lists(st.booleans(), min_size=len(raw), max_size=len(raw))))
    values, h = np.array(raw), history(len(raw))
    held = held_through(values, blind, h.stress)
    last = 0.2  # before any good hour: the stress
    for t in range(len(raw)):
        last = last if blind[t] else values[t]
        assert held[t] == (max(last, values[t]) if blind[t] else values[t])
    with_gaps, without = scan(values, blind, h, POLICY), scan(values, seen(len(raw)), h, POLICY)
    assert (with_gaps.published >= without.published - 1e-12).all()
    np.testing.assert_allclose(with_gaps.forecast + with_gaps.gap_hold, held)


def test_limiter_equals_a_slow_loop_and_rises_at_once() -> None:
    target = RNG.lognormal(-2.5, 0.5, 400)
    policy = replace(POLICY, memory_days=3)
    keep = 0.9 ** (1 / 24)
    slow = [max(target[t - k] * keep**k for k in range(min(t, 72) + 1)) for t in range(400)]
    found = limited(target, policy)
    np.testing.assert_allclose(found, slow)
    assert (found >= target).all()
    daily = limited(np.array([1.0] + [0.01] * 48), POLICY)
    assert daily[24] == pytest.approx(0.9)
    assert daily[48] == pytest.approx(0.81)


def test_the_buffer_is_whole_in_calm_and_used_up_in_a_storm() -> None:
    h, policy = history(4, stress=0.0, floor=0.0, long_run=0.08), replace(POLICY, stress_weight=0.0)
    raw = np.array([0.04, 0.08, 0.09, 0.2])
    assert buffered(raw, raw, h, policy) == pytest.approx([0.05, 0.10, 0.10, 0.2])


def test_summary_of_a_history() -> None:
    losses = np.linspace(-0.5, 0.5, 1_001)
    stress, floor, long_run = summarise(losses, losses > 0.2, POLICY)
    assert floor == pytest.approx(0.49)
    assert long_run == pytest.approx(losses[losses >= 0.49].mean())
    stressed = losses[losses > 0.2]
    assert stress == pytest.approx(stressed[stressed >= np.quantile(stressed, 0.99)].mean())
    assert summarise(-np.ones(10), np.zeros(10, bool), POLICY) == (0.0, 0.0, 0.0)
    assert summarise(losses, losses < 0, POLICY)[0] == long_run  # a mild stress does not count below the long run


@pytest.mark.parametrize("field", ["raw", "stress", "floor", "long_run"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_number_stops_a_margin_and_does_not_lower_it(field: str, value: float) -> None:
    numbers = {"raw": np.array([0.05, 0.05]), "stress": np.full(2, 0.2), "floor": np.full(2, 0.1)}
    numbers["long_run"] = np.full(2, 0.1)
    numbers[field][1] = value
    raw = numbers.pop("raw")
    with pytest.raises(ValueError, match="finite"):
        scan(raw, seen(2), History(**numbers), POLICY)


@pytest.mark.parametrize(
    "change",
    [
        {"mpor_s": 600},
        {"liquidation_s": 0},
        {"es_level": 1.0},
        {"var_level": 0.4},
        {"stress_weight": -0.1},
        {"buffer": -0.25},
        {"buffer": float("inf")},
        {"least_history_days": 0},
        {"daily_fall_frac": 1.0},
        {"memory_days": 0},
        {"liquidation_cost_frac": float("nan")},
    ],
)
def test_a_senseless_policy_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(change)) if "mpor_s" not in change else "liquidation_s"):
        replace(POLICY, **change)  # type: ignore[arg-type]


def test_every_field_of_a_policy_is_in_its_hash() -> None:
    assert replace(POLICY, buffer=0.26).hash != POLICY.hash == ScanPolicy().hash


RATES = Rates(
    initial={"forecast": 0.0512345, "stress": 0.01, "buffer": 0.0123456, "liquidation_cost": 0.001},
    maintenance={"forecast": 0.0212345, "liquidation_cost": 0.001},
)


@given(
    st.decimals("-1e6", "1e6", places=8, allow_nan=False),
    st.decimals("0.01", "1e6", places=2, allow_nan=False),
)
def test_money_adds_up_to_the_cent_and_rounds_up(quantity: Decimal, price: Decimal) -> None:
    margin = require("X", quantity, price, RATES)
    assert sum(margin.initial.values()) == margin.initial_usd
    assert sum(margin.maintenance.values()) == margin.maintenance_usd
    for usd, rates in ((margin.initial_usd, RATES.initial), (margin.maintenance_usd, RATES.maintenance)):
        exact = abs(quantity) * price * sum(Decimal(repr(r)) for r in rates.values())
        assert exact <= usd <= exact + Decimal("0.01") * len(rates)
        assert usd == usd.quantize(Decimal("0.01"))
    assert margin.maintenance_usd <= margin.initial_usd


def test_maintenance_above_initial_raises_initial() -> None:
    rates = Rates({"forecast": 0.02}, {"forecast": 0.05})
    margin = require("X", Decimal(1), Decimal(1_000), rates)
    assert margin.maintenance_usd == margin.initial_usd == Decimal("50.00")
    assert margin.initial["maintenance_floor"] == Decimal("30.00")


def test_positions_in_one_instrument_net() -> None:
    positions = [Position("A", Decimal("1.5")), Position("B", Decimal(1)), Position("A", Decimal(-2))]
    assert net(positions) == {"A": Decimal("-0.5"), "B": Decimal(1)}
    flat = require("A", Decimal(0), Decimal(100), RATES)
    assert flat.initial_usd == flat.maintenance_usd == Decimal("0.00")


@pytest.mark.parametrize(
    ("price", "rate"), [("0", 0.05), ("-100", 0.05), ("NaN", 0.05), ("100", -0.01), ("100", float("nan"))]
)
def test_senseless_prices_and_rates_are_refused(price: str, rate: float) -> None:
    with pytest.raises(ForecastError, match="no margin"):
        require("A", Decimal(1), Decimal(price), Rates({"forecast": rate}, {"forecast": 0.01}))


@pytest.mark.parametrize("quantity", ["NaN", "Infinity"])
def test_a_quantity_that_is_no_number_is_refused(quantity: str) -> None:
    with pytest.raises(SettingError, match="not a finite number"):
        Position("A", Decimal(quantity))


def test_losses_are_of_the_price_and_not_of_its_log() -> None:
    assert loss_frac(np.log(np.array([0.5])), "long") == pytest.approx(0.5)
    assert loss_frac(np.log(np.array([2.0])), "short") == pytest.approx(1.0)


@pytest.fixture(scope="module")
def forecast(panel: Panel, brief_calibration: Calibration) -> Forecast:
    raw = FORECASTERS["log_har"]().fit(panel.until(int(panel.origin_ns[2_500]))).forecast(panel)
    return calibrate(raw, panel, brief_calibration, first_row=2_500)


def test_the_larger_of_shortfall_and_quantile_counts(forecast: Forecast) -> None:
    raw = loss_forecast(forecast, 28_800, "long", POLICY)
    es = -np.expm1(forecast.shortfall[:, 2, 1])
    var = -np.expm1(forecast.quantiles[:, 2, 0])
    np.testing.assert_allclose(raw, np.maximum(es, var))
    short = loss_forecast(forecast, 28_800, "short", POLICY)
    np.testing.assert_allclose(short, np.expm1(np.maximum(forecast.shortfall[:, 2, 9], forecast.quantiles[:, 2, 10])))


def test_a_schedule_is_the_same_from_wherever_it_starts(forecast: Forecast, panel: Panel) -> None:
    """Finite memory and month-start history: what the endpoint publishes is what the backtest did."""
    policy = replace(POLICY, memory_days=5)
    whole = publish(forecast, panel, policy)
    late = publish(forecast.rows(900), panel, policy, first_row=120)
    for side in SIDES:
        np.testing.assert_allclose(late.sides[side].initial_frac, whole.sides[side].initial_frac[1_020:], rtol=1e-12)


def test_stressed_days_are_the_days_of_the_largest_moves(panel: Panel, bars: pd.DataFrame) -> None:
    days = stressed_days(panel, 0.02)
    assert len(days) == pytest.approx(0.02 * len(panel) / 24, abs=1)
    daily = bars.assign(r2=np.log(bars["close"]).diff() ** 2, day=bars["ts_ns"] // (86_400 * 10**9))
    inside = daily[daily["day"] >= panel.origin_ns[0] // (86_400 * 10**9)].groupby("day")["r2"].sum()
    assert set(days) == set(inside.nlargest(len(days)).index)
    assert parse_utc("2020-03-12") // (86_400 * 10**9) in days


def test_the_stress_of_a_schedule_is_that_of_the_crash(forecast: Forecast, panel: Panel) -> None:
    """Without its stressed days a history has a milder stress: the COVID crash is in the published rate."""
    parts = publish(forecast, panel, POLICY).sides["long"].initial
    losses = loss_frac(panel.targets.log_return[: panel.first_row_from(parse_utc("2020-08-01")), 2], "long")
    worst = np.nanquantile(losses, 0.99)
    assert parts.stress[-1] == pytest.approx(0.25 * (stress_of(panel) - parts.forecast[-1]), rel=1e-6)
    assert stress_of(panel) > 1.5 * np.nanmean(losses[losses >= worst])


def stress_of(panel: Panel) -> float:
    past = panel.until(parse_utc("2020-08-01"))
    inside = np.isin(past.origin_ns // (86_400 * 10**9), stressed_days(past, POLICY.stressed_days_frac))
    losses = loss_frac(past.targets.log_return[:, 2], "long")
    losses = losses[inside & np.isfinite(losses)]
    return float(losses[losses >= np.quantile(losses, 0.99)].mean())


def test_history_is_cut_at_the_months_start(forecast: Forecast, panel: Panel) -> None:
    """What happens within a month changes no stress, floor or long run before the next one begins."""
    now = len(panel) - 1
    past = panel.until(int(panel.origin_ns[now - 200]))
    kept = forecast.rows(0, len(past) - 2_500)
    one, other = publish(kept, panel, POLICY), publish(kept, past, POLICY)
    for side in SIDES:
        np.testing.assert_array_equal(one.sides[side].initial_frac, other.sides[side].initial_frac)


def test_maintenance_is_never_above_initial(forecast: Forecast, panel: Panel) -> None:
    schedule = publish(forecast, panel, POLICY)
    for side in schedule.sides.values():
        assert (side.maintenance_frac <= side.initial_frac).all()
        assert (side.maintenance_frac > POLICY.liquidation_cost_frac).all()
        rates = side.rates(-1)
        assert sum(rates.initial.values()) == pytest.approx(side.initial_frac[-1])
        assert sum(rates.maintenance.values()) == pytest.approx(side.maintenance_frac[-1])


def test_a_policy_beyond_the_forecast_is_refused(forecast: Forecast, panel: Panel) -> None:
    with pytest.raises(UnknownHorizonError, match="horizon_s=7200"):
        publish(forecast, panel, replace(POLICY, mpor_s=7_200))
    with pytest.raises(SettingError, match=r"no forecast at level 0\.02"):
        publish(forecast, panel, replace(POLICY, es_level=0.98))
    with pytest.raises(ShortHistoryError, match="stress and floor"):
        publish(forecast, panel.rows(2_400, len(panel)), POLICY)
