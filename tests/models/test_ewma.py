"""Exponential averages against slow loops."""

from collections.abc import Callable

import numpy as np
import pytest

from features.clock import parse_utc
from features.errors import ShortHistoryError
from features.panel import Panel
from models.classical.ewma import Ewma, average, hourly_variance
from models.classical.ewma_r2 import EwmaR2, squared_returns
from models.diurnal import Diurnal


@pytest.mark.parametrize("measure", [hourly_variance, squared_returns])
def test_the_average_equals_a_slow_loop(panel: Panel, measure: Callable[[Panel, Diurnal], np.ndarray]) -> None:
    diurnal = Diurnal.fit(panel)
    raw = np.exp(panel.column("log_rv_1h")) if measure is hourly_variance else panel.column("log_return_1h") ** 2
    hour = panel.origin_ns // 3_600_000_000_000 - 1
    value = np.exp(panel.column("log_rv_168h")[0])
    decay = 0.5 ** (1 / 8.0)
    slow, held, stood = [], 0, False
    for i in range(1_000):
        stood_before, stood = stood, panel.column("log_rv_1h")[i] <= -20
        if not stood and not stood_before:
            value = decay * value + (1 - decay) * raw[i] / diurnal.weight[hour[i] % 168]
        else:  # the tape stood still, or begins with the whole move: neither calm nor news
            held += 1
        slow.append(value)
    assert held > 2
    np.testing.assert_allclose(average(panel, measure(panel, diurnal), 8.0)[:1_000], slow)


@pytest.mark.parametrize("model", [Ewma(), Ewma(whole_week=True), EwmaR2()])
def test_the_half_life_with_the_least_loss_is_preferred(panel: Panel, model: Ewma | EwmaR2) -> None:
    past = panel.until(parse_utc("2020-06-01"))
    fitted = model.fit(past)
    measure = hourly_variance if isinstance(model, Ewma) else squared_returns
    hourly = measure(past, fitted.diurnal)
    for h, hours in enumerate((1, 4, 8, 24)):
        realised = past.targets.realised_variance[:, h]
        known = np.isfinite(realised)
        losses = []
        for half_life in model.half_lives_h:
            usual = hours * fitted.diurnal.ahead(past.origin_ns, hours)
            f = (average(past, hourly, half_life) * usual)[known]
            ratio = realised[known] / (f * (realised[known] / f).mean())
            losses.append((ratio - np.log(ratio) - 1).mean())
        assert fitted.chosen_h[h] == model.half_lives_h[int(np.argmin(losses))]
        assert max(losses) > 1.01 * min(losses)
        np.testing.assert_allclose(
            fitted.forecast(past).variance[:, h], average(past, hourly, fitted.chosen_h[h]) * usual, rtol=1e-12
        )


@pytest.mark.parametrize("model", [Ewma(), EwmaR2()])
def test_a_panel_without_outcomes_is_refused(panel: Panel, model: Ewma | EwmaR2) -> None:
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        model.fit(panel.until(int(panel.origin_ns[0]) + 1))


def test_a_capped_hour_moves_the_average_by_so_much_and_no_more(panel: Panel) -> None:
    flat = panel.rows(0, 200)
    hourly = np.full(200, np.exp(flat.column("log_rv_168h")[0]))  # what the average begins with
    hourly[100] *= 1_000.0
    plain, capped = (average(flat, hourly, 8.0, cap) for cap in (np.inf, 10.0))
    before, weight = plain[99], 1 - 0.5 ** (1 / 8)
    np.testing.assert_allclose(capped[:100], plain[:100])
    assert capped[100] == pytest.approx((1 - weight) * before + weight * 10 * before)
    assert plain[100] > 20 * capped[100]
