"""The stream against the batch path, its memory written and read in the middle, and what it refuses."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.clock import HOUR_NS, NS_PER_S
from features.errors import ForecastError, SettingError, TimeOrderError, UnknownHorizonError, UnknownInstrumentError
from models.base import LEVELS, Forecast, outward
from models.calibration import CONFORMAL, OnlineCalibrator
from models.calibration.conformal import Conformal, Series, Tracker, Weighted
from models.calibration.kept import SEAL, sealed
from models.calibration.standard import tracked
from models.tails import normal_quantiles, normal_shortfall

FloatArray = NDArray[np.float64]
HORIZONS_S = (3_600, 14_400)
METHODS: dict[str, Conformal] = {**CONFORMAL, "weighted": Weighted(100, 150, 20.0)}  # short enough to forget
N = 260


class Market:
    """Forecasts and returns of three instruments; one begins late, one has holes, some returns stay unknown."""

    def __init__(self, n: int = N) -> None:
        rng = np.random.default_rng(12)
        self.present = {name: np.ones(n, dtype=bool) for name in ("BTC", "ETH", "NEW")}
        self.present["NEW"][: n // 2] = False
        self.present["ETH"][rng.random(n) < 0.2] = False
        self.origin_ns = HOUR_NS * (1_000 + np.arange(n))
        self.returns, self.forecasts = {}, {}
        for name in self.present:
            variance = np.exp(rng.normal(-9, 0.5, (n, 2)))
            sigma = np.sqrt(variance)[..., None] * rng.uniform(0.6, 1.0, (n, 2, 1))
            quantiles, shortfall = (sigma * f(LEVELS) for f in (normal_quantiles, normal_shortfall))
            self.forecasts[name] = Forecast(self.origin_ns, HORIZONS_S, variance, LEVELS, quantiles, shortfall)
            self.returns[name] = rng.standard_t(4, (n, 2)) * np.sqrt(variance)
            self.returns[name][rng.random((n, 2)) < 0.05] = np.nan

    def batch(self, method: Conformal, pool: float) -> dict[str, FloatArray]:
        """Quantiles of each instrument by the batch path, shape (n, h, q); NaN where absent."""
        found = {name: np.full((N, 2, len(LEVELS)), np.nan) for name in self.present}
        for h, horizon_s in enumerate(HORIZONS_S):
            sigma = {name: np.sqrt(f.variance[:, h]) for name, f in self.forecasts.items()}
            z = np.stack([np.where(self.present[i], self.returns[i][:, h] / sigma[i], np.nan) for i in sigma], axis=1)
            shape = np.stack([self.forecasts[i].quantiles[:, h] / sigma[i][:, None] for i in sigma], axis=1)
            present = np.stack(list(self.present.values()), axis=1)
            log_sd = np.log(np.stack(list(sigma.values()), axis=1))
            series = Series(self.origin_ns, horizon_s * NS_PER_S, z, shape, present, log_sd)
            told = tracked(method, series, LEVELS, 3_600 * NS_PER_S, pool)
            for i, name in enumerate(sigma):
                found[name][:, h] = told[:, i] * sigma[name][:, None]
        return found

    def stream(
        self, calibrator: OnlineCalibrator, first: int = 0, stop: int = N, awaited: dict[Any, list[int]] | None = None
    ) -> tuple[dict[str, dict[int, Forecast]], dict[Any, list[int]]]:
        """Events of hours ``first`` to ``stop - 1``; answers by row, and the rows whose outcome is awaited."""
        answers: dict[str, dict[int, Forecast]] = defaultdict(dict)
        awaited = defaultdict(list) if awaited is None else awaited
        for t in range(first, stop):
            now_ns = int(self.origin_ns[t])
            for (name, h), rows in awaited.items():
                while rows and self.origin_ns[rows[0]] + HORIZONS_S[h] * NS_PER_S <= now_ns:
                    s = rows.pop(0)
                    outcome = float(self.returns[name][s, h])
                    calibrator.update(name, HORIZONS_S[h], int(self.origin_ns[s]), outcome, now_ns)
            for name, present in self.present.items():
                if present[t]:
                    answers[name][t] = calibrator.answer(name, self.forecasts[name].rows(t, t + 1))
                    for h in range(2):
                        awaited[name, h].append(t)
        return answers, awaited


MARKET = Market()


def fresh(method: str | Conformal = "tracker", pool: float = 0.0) -> OnlineCalibrator:
    return OnlineCalibrator(method, HORIZONS_S, LEVELS, 3_600, pool)


@pytest.mark.parametrize("pool", [0.0, 60.0])
@pytest.mark.parametrize("name", list(METHODS))
def test_the_stream_gives_the_numbers_of_the_batch(name: str, pool: float) -> None:
    expected = MARKET.batch(METHODS[name], pool)
    answers, _ = MARKET.stream(fresh(METHODS[name], pool))
    for instrument, rows in answers.items():
        assert len(rows) == MARKET.present[instrument].sum()
        for t, forecast in rows.items():
            np.testing.assert_allclose(forecast.quantiles[0], expected[instrument][t], rtol=1e-12, atol=1e-15)
            assert (outward(LEVELS) * (forecast.shortfall - forecast.quantiles) >= 0).all()


@pytest.mark.parametrize("pool", [0.0, 60.0])
@pytest.mark.parametrize("name", list(METHODS))
def test_a_restart_in_the_middle_changes_not_a_bit(name: str, pool: float) -> None:
    whole, _ = MARKET.stream(fresh(METHODS[name], pool))
    first = fresh(METHODS[name], pool)
    _, awaited = MARKET.stream(first, 0, 170)
    text = json.dumps(first.to_json())
    second = fresh(METHODS[name], pool).restored(json.loads(text))
    assert json.dumps(second.to_json()) == text
    assert second.instruments == first.instruments == ("BTC", "ETH", "NEW")
    late, _ = MARKET.stream(second, 170, N, awaited)
    for instrument, rows in late.items():
        for t, forecast in rows.items():
            np.testing.assert_array_equal(forecast.quantiles, whole[instrument][t].quantiles)
            np.testing.assert_array_equal(forecast.shortfall, whole[instrument][t].shortfall)


def test_a_shortfall_keeps_its_distance_from_its_quantile() -> None:
    calibrator = fresh(Tracker(0.5))
    answers, _ = MARKET.stream(calibrator, 0, 40)
    told, raw = answers["BTC"][39], MARKET.forecasts["BTC"].rows(39, 40)
    assert not np.allclose(told.quantiles, raw.quantiles)
    np.testing.assert_allclose(told.shortfall - told.quantiles, raw.shortfall - raw.quantiles, atol=1e-12)


def test_an_unknown_outcome_is_passed_over_and_the_next_one_counts() -> None:
    calibrator, now_ns = fresh(Tracker(0.5)), int(MARKET.origin_ns[4])
    MARKET.stream(calibrator, 0, 4)
    before = calibrator.to_json()["cells"]["BTC"][1]["memory"]
    calibrator.update("BTC", 14_400, int(MARKET.origin_ns[0]), np.nan, now_ns)
    assert calibrator.to_json()["cells"]["BTC"][1]["memory"] == before
    calibrator.update("BTC", 14_400, int(MARKET.origin_ns[1]), -1.0, now_ns + HOUR_NS)
    assert calibrator.to_json()["cells"]["BTC"][1]["memory"] != before


@pytest.mark.parametrize("outcome", [-np.inf, np.inf])
def test_a_loss_without_bounds_is_not_taken_for_one_that_is_not_known(outcome: float) -> None:
    calibrator, now_ns = fresh(Tracker(0.5)), int(MARKET.origin_ns[4])
    MARKET.stream(calibrator, 0, 4)
    before = calibrator.to_json()
    with pytest.raises(ForecastError, match="is none; report what the price moved"):
        calibrator.update("BTC", 14_400, int(MARKET.origin_ns[0]), outcome, now_ns)
    assert calibrator.to_json() == before


def test_outcomes_out_of_order_or_too_early_are_refused() -> None:
    calibrator = fresh()
    MARKET.stream(calibrator, 0, 3)
    origins = [int(t) for t in MARKET.origin_ns[:8]]
    with pytest.raises(TimeOrderError, match="next outcome due is that from"):
        calibrator.update("BTC", 14_400, origins[1], 0.0, origins[6])
    with pytest.raises(TimeOrderError, match="before it has ended"):
        calibrator.update("BTC", 14_400, origins[0], 0.0, origins[3])
    with pytest.raises(TimeOrderError, match="due is that"):
        calibrator.update("BTC", 3_600, origins[0], 0.0, origins[3])  # a second time
    calibrator.update("BTC", 3_600, origins[2], 0.0, origins[3])
    with pytest.raises(TimeOrderError, match="due is none"):
        calibrator.update("BTC", 3_600, origins[3], 0.0, origins[4])
    with pytest.raises(UnknownInstrumentError, match="DOGE"):
        calibrator.update("DOGE", 3_600, origins[2], 0.0, origins[3])
    with pytest.raises(UnknownHorizonError, match="60"):
        calibrator.update("BTC", 60, origins[2], 0.0, origins[3])


def test_forecasts_of_the_past_or_of_another_kind_are_refused() -> None:
    calibrator, forecast = fresh(), MARKET.forecasts["BTC"]
    calibrator.answer("BTC", forecast.rows(5, 6))
    with pytest.raises(TimeOrderError, match="in the order of time"):
        calibrator.answer("BTC", forecast.rows(5, 6))
    with pytest.raises(TimeOrderError, match="in the order of time"):
        calibrator.answer("ETH", forecast.rows(4, 5))
    with pytest.raises(ForecastError, match="2 origins"):
        calibrator.answer("BTC", forecast.rows(6, 8))
    other = OnlineCalibrator("tracker", (3_600,), LEVELS, 3_600)
    with pytest.raises(ForecastError, match="make another one"):
        other.answer("BTC", forecast.rows(6, 7))
    with pytest.raises(SettingError, match="unknown tracking 'pid'; known: aci"):
        fresh("pid")


def test_a_state_of_another_calibration_is_refused() -> None:
    state = fresh().to_json()
    others = {
        "method": fresh(Tracker(0.01)),
        "pool_windows": fresh("tracker", 5.0),
        "horizons_s": OnlineCalibrator("tracker", (3_600,), LEVELS, 3_600),
        "levels": OnlineCalibrator("tracker", HORIZONS_S, LEVELS[1:], 3_600),
        "every_s": OnlineCalibrator("tracker", HORIZONS_S, LEVELS, 900),
    }
    for name, other in others.items():
        with pytest.raises(SettingError, match=f"is of {name}"):
            other.restored(state)


Cell = dict[str, Any]
FAULTS: dict[str, Callable[[Cell, dict[str, Any]], Any]] = {
    "part gone": lambda cell, _: cell["memory"].pop("windows"),
    "cells gone": lambda _, state: state.pop("cells"),
    "level gone": lambda cell, _: cell["memory"]["theta"].pop(),
    "horizon gone": lambda _, state: state["cells"]["BTC"].pop(),
    "word": lambda cell, _: cell["memory"]["theta"].__setitem__(0, "wide"),
    "negative count": lambda cell, _: cell["memory"].update(windows=-1.0),
    "too many hits": lambda cell, _: cell["memory"]["excess"].__setitem__(0, -1e6),
    "crossing": lambda cell, _: cell["awaited"][0]["answer"].reverse(),
    "no scale": lambda cell, _: cell["awaited"][0].update(scale=0.0),
    "repeated window": lambda cell, _: cell["awaited"].append(cell["awaited"][0]),
}


def damaged(state: dict[str, Any], fault: Callable[[Cell, dict[str, Any]], Any]) -> dict[str, Any]:
    """A copy with one fault, and a seal that fits it, as if the fault had been there when it was sealed."""
    value = json.loads(json.dumps(state))
    fault(value["cells"]["BTC"][0], value)
    value.pop(SEAL)
    return sealed(value)


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_state_that_no_run_could_have_left_is_refused(name: str) -> None:
    calibrator = fresh()
    MARKET.stream(calibrator, 0, 20)
    state = calibrator.to_json()
    calibrator.restored(damaged(state, lambda *_: None))  # the way of damaging damages nothing itself
    with pytest.raises(ForecastError, match="damaged"):
        calibrator.restored(damaged(state, FAULTS[name]))


def test_damage_shows_in_the_hash() -> None:
    calibrator = fresh()
    MARKET.stream(calibrator, 0, 20)
    for value in (0.0, float("nan")):
        state = json.loads(json.dumps(calibrator.to_json()))
        state["cells"]["BTC"][0]["memory"]["theta"][0] = value  # zeroed: the tail would be narrower
        with pytest.raises(ForecastError, match="damaged"):
            calibrator.restored(state)
    with pytest.raises(ForecastError, match="damaged"):
        calibrator.restored({})


@pytest.mark.parametrize("fault", [{"size": 999_999}, {"score": None}])
def test_scores_that_no_run_could_have_left_are_refused(fault: dict[str, Any]) -> None:
    calibrator = fresh(METHODS["weighted"])
    MARKET.stream(calibrator, 0, 60)
    state = json.loads(json.dumps(calibrator.to_json()))
    memory = state["cells"]["BTC"][0]["memory"]
    memory |= {"score": memory["score"][::-1]} if "score" in fault else fault
    state.pop(SEAL)
    with pytest.raises(ForecastError, match="damaged"):
        calibrator.restored(sealed(state))
