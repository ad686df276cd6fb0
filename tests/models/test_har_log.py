"""Log-HAR against plain least squares, daily refits against cold ones, clock and outages against what was planted."""

from dataclasses import replace

import numpy as np
import pytest

from features.clock import DAY_NS, HOUR_NS, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.classical.log_har import LogHar
from models.classical.log_har_daily import LogHarDaily, summed_hours
from models.classical.lookbacks import FROZEN, LOOKBACKS_H, available, check_spec, log_rates, usual_hours
from models.diurnal import Diurnal

FIT = "2020-06-01"


def with_column(panel: Panel, name: str, values: np.ndarray) -> Panel:
    """The panel with other values of one feature."""
    changed = panel.values.copy()
    changed[:, panel.spec.features.index(name)] = values
    return replace(panel, values=changed)


@pytest.mark.parametrize("whole_week", [False, True])
def test_log_har_equals_plain_least_squares(panel: Panel, whole_week: bool) -> None:
    model = LogHar(whole_week=whole_week).fit(panel)
    for h, hours in enumerate((1, 4, 8, 24)):
        x = np.column_stack([np.ones(len(panel)), log_rates(panel, model.diurnal)])
        usual = hours * model.diurnal.ahead(panel.origin_ns, hours)
        y = np.log(panel.targets.realised_variance[:, h] / usual)
        known = np.isfinite(y)
        beta, *_ = np.linalg.lstsq(x[known], y[known], rcond=None)
        smear = np.exp(y[known] - x[known] @ beta).mean()
        np.testing.assert_allclose(model.slope[h], beta[1:], rtol=1e-6, atol=1e-9)
        assert model.intercept[h] == pytest.approx(beta[0] + np.log(smear))
        forecast = np.exp(model.log_variance(panel)[:, h])
        np.testing.assert_allclose(forecast, smear * np.exp(x @ beta) * usual, rtol=1e-6)


def test_an_outage_is_read_as_the_longer_look_back(panel: Panel) -> None:
    flat = Diurnal.flat()
    rates = log_rates(panel, flat)
    raw = np.stack([panel.column(f"log_rv_{k}h") for k in LOOKBACKS_H], axis=1)
    frozen = raw[:, 0] < -20
    assert 5 < frozen.sum() < 20  # the tape of early 2020 stood still now and then
    np.testing.assert_array_equal(rates[~frozen], raw[~frozen])  # calm stays calm
    for row in np.flatnonzero(frozen):
        assert rates[row, 0] == raw[row][raw[row] > raw[row, 3] - FROZEN][0]
    fitted = LogHar().fit(panel)
    calmest = fitted.log_variance(panel)[~frozen, 0].min()
    assert fitted.log_variance(panel)[frozen, 0].min() > calmest


def test_a_price_that_never_moved_has_no_clock(panel: Panel) -> None:
    still = with_column(panel, "log_rv_1h", np.full(len(panel), -20.7))
    with pytest.raises(ShortHistoryError, match="moved in no hour"):
        Diurnal.fit(still)


def test_the_whole_week_finds_what_hour_and_day_do_not(panel: Panel) -> None:
    """One hour of one day four times as lively as its hour and its day say."""
    rng = np.random.default_rng(3)
    hour = (panel.origin_ns // HOUR_NS - 1) % 168
    planted = -10 + 0.5 * rng.normal(size=len(panel)) + np.log(4.0) * (hour == 100)
    noisy = with_column(with_column(panel, "log_rv_1h", planted), "log_rv_168h", np.full(len(panel), -10.0))
    plain, whole = (Diurnal.fit(noisy, whole_week=w).weight for w in (False, True))
    others = np.arange(168) != 100
    weeks = (hour == 100).sum()
    assert plain[100] / plain[others].mean() < 1.5
    expected = np.log(4.0) * weeks / (weeks + 30)  # and the rest of it in the hour's and the day's factors
    assert np.log(whole[100] / whole[others].mean()) == pytest.approx(expected, abs=0.25)
    assert np.abs(np.log(whole[others] / whole[others].mean())).max() < 0.4


def test_another_step_between_origins_is_refused(panel: Panel) -> None:
    daily = replace(panel, spec=replace(panel.spec, every_s=86_400, horizons_s=(86_400,)))
    with pytest.raises(SettingError, match=r"every 86400 s; set every_s = 3600"):
        LogHar().fit(daily)


def test_missing_features_are_named_at_once(panel: Panel) -> None:
    kept = tuple(n for n in panel.spec.features if n not in ("log_rv_4h", "log_rv_168h"))
    poor = replace(panel, spec=replace(panel.spec, features=kept))
    with pytest.raises(SettingError, match=r"log-HAR needs log_rv_4h, log_rv_168h, x_1h; add to the feature spec"):
        check_spec(poor, "log-HAR", ("x_1h",))
    assert available(panel, "downside", "it") == (4, 24, 168)
    assert available(panel, "downside", "it", 24) == (4, 24)
    with pytest.raises(SettingError, match="it needs at least one of kurtosis_1h, kurtosis_4h, kurtosis_24h"):
        available(panel, "kurtosis", "it")


def test_hours_add_up_to_the_outcome(panel: Panel) -> None:
    hours = summed_hours(panel, 4)
    outcome = panel.targets.realised_variance[:, 1]
    both = np.isfinite(hours) & np.isfinite(outcome)
    assert both.mean() > 0.98
    np.testing.assert_allclose(hours[both], outcome[both], rtol=1e-5)


def test_a_daily_refit_equals_a_cold_one(panel: Panel) -> None:
    """The clock held, as of the training; the window as long, ended when the last outcome was known."""
    past = panel.until(parse_utc(FIT))
    model = LogHarDaily().fit(past)
    variance = model.forecast(panel).variance
    np.testing.assert_allclose(variance[: len(past)], LogHar(whole_week=True).fit(past).forecast(past).variance)
    refit = panel.first_row_from(parse_utc("2020-07-20"))
    for h, hours in enumerate((1, 4, 8, 24)):
        x = np.column_stack([np.ones(refit + 24), log_rates(panel, model.fitted.diurnal)[: refit + 24]])
        y = np.log(panel.targets.realised_variance[:, h] / usual_hours(panel, model.fitted.diurnal)[:, h])[: refit + 24]
        y[len(past) - hours : len(past)] = np.nan  # had not ended when the training stopped
        window = np.arange(len(y)) > refit - hours - len(past)
        known = window & (np.arange(len(y)) <= refit - hours) & np.isfinite(y)
        beta, *_ = np.linalg.lstsq(x[known], y[known], rcond=None)
        smear = np.exp(y[known] - x[known] @ beta).mean()
        day = slice(refit, refit + 24)
        expected = smear * np.exp(x[day] @ beta) * usual_hours(panel, model.fitted.diurnal)[day, h]
        np.testing.assert_allclose(
            variance[day, h], expected, rtol=2e-3
        )  # seven hours beside gaps are outcomes here only
        assert np.abs(variance[day, h] / np.exp(model.fitted.log_variance(panel)[day, h]) - 1).max() > 1e-3


def test_daily_refits_begin_at_the_first_midnight(panel: Panel) -> None:
    past = panel.until(parse_utc("2020-06-01T09:00"))
    model = LogHarDaily().fit(past)
    variance, fitted = model.forecast(panel).variance, model.fitted.forecast(panel).variance
    midnight = panel.first_row_from(parse_utc("2020-06-02"))
    assert panel.origin_ns[midnight] % DAY_NS == 0
    np.testing.assert_allclose(variance[:midnight], fitted[:midnight])
    assert (variance[midnight:, 0] != fitted[midnight:, 0]).all()  # a day ahead nothing new is known until the second
    same_day = panel.rows(0, len(past) + 3)
    np.testing.assert_allclose(model.forecast(same_day).variance, fitted[: len(same_day)])


@pytest.mark.parametrize("model", [LogHar(), LogHarDaily()])
def test_a_panel_without_outcomes_is_refused(model: LogHar | LogHarDaily, panel: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        model.fit(panel.until(int(panel.origin_ns[0]) + 1))
