"""Folds cover the test once, end before what they are tested on, and show a model nothing that came after."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests import fold_run
from backtests.config import Schedule
from backtests.fold_run import run_fold
from backtests.folds import Fold, plan_folds
from features.clock import DAY_NS, HOUR_NS, NS_PER_S, format_utc, parse_utc
from features.errors import ConvergenceError
from features.panel import Panel
from models import FORECASTERS, POOLED
from models.base import Forecast
from models.classical import law
from models.classical.log_har import LogHar

DAY_S = 86_400
FOLD = plan_folds(parse_utc("2020-06-01"), parse_utc("2020-06-30T23:00"), Schedule(window_months=4), DAY_S)[0]


@given(
    first=st.integers(0, 40_000),
    hours=st.integers(1, 30_000),
    refit=st.integers(1, 13),
    window=st.integers(0, 40),
    embargo_h=st.integers(0, 100),
)
def test_folds_cover_every_origin_once_and_are_purged(
    first: int, hours: int, refit: int, window: int, embargo_h: int
) -> None:
    first_ns = parse_utc("2019-01-01") + first * HOUR_NS
    last_ns = first_ns + hours * HOUR_NS
    schedule = Schedule(refit_months=refit, window_months=window, embargo_s=3_600 * embargo_h)
    folds = plan_folds(first_ns, last_ns, schedule, DAY_S)
    assert (folds[0].first_ns, folds[-1].stop_ns) == (first_ns, last_ns + 1)
    for before, after in pairwise(folds):
        assert before.stop_ns == after.first_ns
        assert format_utc(after.first_ns)[8:] == "01T00:00:00Z"
    for fold in folds:
        # The last training window had ended, and the embargo passed, when the first origin came.
        assert fold.fit_until_ns + DAY_S * NS_PER_S + schedule.embargo_s * NS_PER_S == fold.first_ns
        months = (fold.first_ns - fold.fit_from_ns) / DAY_NS / 30.4
        assert months == pytest.approx(window, abs=0.2) if window else fold.fit_from_ns == 0


def test_training_holds_ended_windows_of_its_months_only(panel: Panel) -> None:
    past = FOLD.training(panel)
    assert format_utc(int(past.origin_ns[0])) == "2020-02-01T00:00:00Z"
    assert format_utc(int(past.origin_ns[-1])) == "2020-05-31T00:00:00Z"
    rows = slice(panel.first_row_from(int(past.origin_ns[0])), panel.first_row_from(int(past.origin_ns[-1])) + 1)
    np.testing.assert_array_equal(past.targets.log_return, panel.targets.log_return[rows])
    assert np.isfinite(past.targets.log_return[-1]).all()


def test_the_purge_and_the_embargo_are_blind_to_windows_that_had_not_ended(panel: Panel) -> None:
    late = replace(FOLD, fit_until_ns=FOLD.first_ns, known_ns=FOLD.first_ns - 3 * HOUR_NS)
    past = late.training(panel)
    assert format_utc(int(past.origin_ns[-1])) == "2020-05-31T21:00:00Z"
    known = np.isfinite(past.targets.log_return)
    assert known[-2:].tolist() == [[True, False, False, False], [False] * 4]


def test_a_model_is_asked_without_any_outcome(panel: Panel) -> None:
    asked = FOLD.asked(panel)
    assert not any(np.isfinite(values).any() for values in asked.targets.arrays.values())
    assert asked.origin_ns[-1] < FOLD.stop_ns
    assert asked.origin_ns[0] == FOLD.first_ns - 90 * DAY_NS or asked.origin_ns[0] == panel.origin_ns[0]


def test_a_fold_forecasts_what_a_model_of_its_start_says(panel: Panel) -> None:
    result = run_fold("log_har", {}, FOLD, {"BTCUSDT": panel})
    forecast = result.forecasts["BTCUSDT"]
    first, stop = panel.first_row_from(FOLD.first_ns), panel.first_row_from(FOLD.stop_ns)
    expected = LogHar().fit(FOLD.training(panel)).forecast(panel).rows(first, stop)
    np.testing.assert_array_equal(forecast.origin_ns, expected.origin_ns)
    np.testing.assert_allclose(forecast.variance, expected.variance, rtol=1e-12)
    assert [(o.instrument, o.n_origins, o.failure) for o in result.outcomes] == [("BTCUSDT", 720, "")]


@dataclass(frozen=True)
class Peeking:
    """Tomorrow's variance today: the planted leak."""

    column: str = "log_rv_1h"
    shift: int = 1

    def fit(self, panel: Panel) -> "Peeking":
        assert len(panel)
        return self

    def forecast(self, panel: Panel) -> Forecast:
        hourly = np.exp(panel.column(self.column))
        seen = np.roll(hourly, -self.shift)
        return law.normal(panel, np.stack([seen * h / 3_600 for h in panel.spec.horizons_s], axis=1))


@dataclass(frozen=True)
class WholeSample(Peeking):
    """A subtler leak: standardised by a mean of the whole fold."""

    def forecast(self, panel: Panel) -> Forecast:
        level = np.exp(panel.column(self.column)).mean()
        return law.normal(panel, np.full((len(panel), 4), level))


@dataclass(frozen=True)
class Outcomes(Peeking):
    """It forecasts what came, from the outcomes themselves."""

    def forecast(self, panel: Panel) -> Forecast:
        return law.normal(panel, panel.targets.realised_variance)


@dataclass(frozen=True)
class Stuck(Peeking):
    """An estimation that finds no optimum."""

    def fit(self, panel: Panel) -> "Stuck":
        raise ConvergenceError(f"{panel.instrument}: no optimum after 100 steps; scale the returns")


@dataclass(frozen=True)
class Crossing(Peeking):
    """Quantiles that cross."""

    def forecast(self, panel: Panel) -> Forecast:
        honest = law.normal(panel, np.exp(panel.column("log_rv_1h"))[:, None] * np.ones(4))
        return replace(honest, quantiles=honest.quantiles[..., ::-1])


@dataclass(frozen=True)
class Broken(Peeking):
    """A fault of the program."""

    def fit(self, panel: Panel) -> "Broken":
        raise ZeroDivisionError(f"division by zero with {panel.instrument}")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Peeking, WholeSample, Outcomes, Stuck, Crossing, Broken):
        monkeypatch.setitem(FORECASTERS, model.__name__, model)
        monkeypatch.setitem(POOLED, f"pooled{model.__name__}", pooled(model))
    monkeypatch.setitem(FORECASTERS, "NoPeek", lambda: Peeking(shift=0))


def pooled(model: type[Peeking]) -> type:
    class Pooled:
        def fit(self, panels: list[Panel]) -> Peeking:
            return model().fit(panels[0])

    return Pooled


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("Peeking", "the model looks ahead"),
        ("WholeSample", "the model looks ahead"),
        ("Outcomes", "a forecast must be finite"),
        ("Stuck", "no optimum after 100 steps"),
        ("Crossing", "forecast quantiles cross"),
        ("Broken", "ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "pooled"])
@pytest.mark.usefixtures("planted")
def test_a_leak_or_a_fault_is_told_and_forecasts_nothing(model: str, told: str, prefix: str, panel: Panel) -> None:
    """A model that looks ahead, planted, is caught; so is one that fails; the others go on."""
    result = run_fold(prefix + model, {}, FOLD, {"A": panel, "B": replace(panel, instrument="B")})
    assert result.forecasts == {}
    assert len(result.outcomes) == 2
    assert all(told in outcome.failure for outcome in result.outcomes)


@pytest.mark.usefixtures("planted")
def test_the_same_model_without_the_leak_passes(panel: Panel) -> None:
    assert run_fold("NoPeek", {}, FOLD, {"A": panel}).outcomes[0].failure == ""


def test_an_instrument_that_starts_late_or_stops_is_told(panel: Panel) -> None:
    late = panel.rows(panel.first_row_from(parse_utc("2020-06-10")), len(panel))
    stopped = panel.rows(0, panel.first_row_from(parse_utc("2020-05-20")))
    result = run_fold(
        "log_har",
        {},
        FOLD,
        {"LATE": replace(late, instrument="LATE"), "STOPPED": replace(stopped, instrument="STOPPED")},
    )
    reasons = {o.instrument: o.failure for o in result.outcomes}
    assert "features begin at 2020-06-10T00:00:00Z, nothing to fit on before 2020-06-01" in reasons["LATE"]
    assert "no origin from 2020-06-01T00:00:00Z on" in reasons["STOPPED"]


def test_other_origins_than_asked_are_refused(panel: Panel) -> None:
    class Short(LogHar):
        def fit(self, panel: Panel) -> "Short":
            fitted = LogHar().fit(panel)
            return Short(fitted.intercept, fitted.slope, fitted.diurnal)

        def forecast(self, panel: Panel) -> Forecast:
            return super().forecast(panel).rows(1)

    with pytest.raises(ValueError, match="answered other origins"):
        fold_run.forecast_fold(Short().fit(FOLD.training(panel)), FOLD, panel)


def test_the_day_of_the_month_survives_short_months() -> None:
    folds: list[Fold] = plan_folds(parse_utc("2021-03-31"), parse_utc("2021-03-31T05:00"), Schedule(window_months=1), 0)
    assert format_utc(folds[0].fit_from_ns)[:10] == "2021-02-28"
