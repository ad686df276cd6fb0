"""Walk-forward: refitted on the past of each fold, whole, and readable again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtests.demo_walk import read_forecasts, walk_forward, write_forecasts
from backtests.margin import realised_loss, score_margin
from backtests.scoreboard import reliability, score_all
from features.clock import HOUR_NS, format_utc, parse_utc
from features.errors import ShortHistoryError
from features.panel import Panel
from models import FORECASTERS
from models.base import LEVELS, Forecast
from models.calibration import Calibration, calibrate
from models.classical import law
from models.classical.log_har import LogHar
from models.neural.forecaster import Frozen, NeuralForecaster
from models.tails import normal_quantiles
from serving.margin.scan_policy import ScanPolicy
from serving.schedule import publish
from tests.conftest import TRAINED_UNTIL

FROM, TO = parse_utc("2020-05-20"), parse_utc("2020-07-10T05:00")


@pytest.fixture(scope="module")
def forecast(panel: Panel, brief_calibration: Calibration) -> Forecast:
    return walk_forward(LogHar(), panel, FROM, TO, brief_calibration)


def test_each_fold_is_fitted_on_what_had_ended_at_its_start(panel: Panel, brief_calibration: Calibration) -> None:
    seen: list[Panel] = []

    class Watching(LogHar):
        def fit(self, panel: Panel) -> "Watching":
            seen.append(panel)
            fitted = LogHar().fit(panel)
            return Watching(fitted.intercept, fitted.slope, fitted.diurnal)

    forecast = walk_forward(Watching(), panel, FROM, TO, brief_calibration)
    assert [format_utc(int(p.origin_ns[-1]))[:10] for p in seen] == ["2020-05-20", "2020-06-01", "2020-07-01"]
    for past in seen:
        ends = past.origin_ns[:, None] + np.array(past.spec.horizons_s) * 1_000_000_000
        assert np.isnan(past.targets.log_return[ends > past.origin_ns[-1]]).all()
    np.testing.assert_array_equal(np.diff(forecast.origin_ns), HOUR_NS)
    assert (forecast.origin_ns[0], forecast.origin_ns[-1]) == (FROM, TO)


def test_a_fold_forecasts_what_a_model_of_its_start_would(
    forecast: Forecast, panel: Panel, brief_calibration: Calibration
) -> None:
    alone = walk_forward(LogHar(), panel, parse_utc("2020-07-01"), TO, brief_calibration)
    np.testing.assert_allclose(forecast.variance[-len(alone.variance) :], alone.variance, rtol=1e-9)
    np.testing.assert_allclose(forecast.quantiles[-len(alone.variance) :], alone.quantiles, rtol=1e-9)


def test_a_frozen_network_is_calibrated_on_its_anchors_training(
    network: NeuralForecaster, panel: Panel, brief_calibration: Calibration
) -> None:
    """Month by month or in one piece, up to the end of the training as the anchor's and then as the network's."""
    until_ns, from_ns = parse_utc(TRAINED_UNTIL), parse_utc("2020-06-20")
    past = panel.until(TO)
    found = walk_forward(Frozen(network, until_ns), panel, from_ns, TO, brief_calibration)
    first, history = past.first_row_from(from_ns), network.history(past, until_ns)
    whole = calibrate(history, past, brief_calibration, first, handover_ns=until_ns)
    own = calibrate(network.forecast(past), past, brief_calibration, first)
    anchor = calibrate(network.anchor_forecast(past), past, brief_calibration, first)
    for name in ("variance", "quantiles", "shortfall"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-4)
        trained = int(found.origin_ns.searchsorted(until_ns, side="right"))
        np.testing.assert_allclose(getattr(found, name)[:trained], getattr(anchor, name)[:trained], rtol=1e-4)
    assert np.abs(found.variance[trained:] / anchor.variance[trained:] - 1).max() > 1e-3
    assert np.abs(found.quantiles[trained:] / own.quantiles[trained:] - 1).max() > 1e-3


def test_a_period_outside_the_panel_is_refused(panel: Panel, brief_calibration: Calibration) -> None:
    for start, stop in (("2020-01-31", "2020-02-10"), ("2021-01-01", "2021-02-01")):
        with pytest.raises(ShortHistoryError, match="choose other dates"):
            walk_forward(LogHar(), panel, parse_utc(start), parse_utc(stop), brief_calibration)


def test_forecasts_survive_their_file(forecast: Forecast, tmp_path: Path) -> None:
    path = tmp_path / "forecasts.parquet"
    write_forecasts({"a": forecast, "b": forecast.rows(5)}, "BTCUSDT", path)
    again = read_forecasts(path, "a")
    assert again.horizons_s == forecast.horizons_s
    for name in ("origin_ns", "variance", "quantiles", "shortfall"):
        np.testing.assert_array_equal(getattr(again, name), getattr(forecast, name))
    columns = set(pd.read_parquet(path).columns)
    assert columns >= {"instrument", "origin_ms", "horizon_s", "model", "variance", "q_0.005", "q_0.5", "es_0.99"}


def test_scores_of_a_perfect_and_of_a_doubled_forecast(panel: Panel) -> None:
    """On outcomes drawn from the forecast itself the scores are those of the law."""
    rng = np.random.default_rng(9)
    n, bars_in = len(panel), np.array(panel.spec.horizons_s) // 900
    variance = np.exp(panel.column("log_rv_24h"))[:, None] * np.array(panel.spec.horizons_s) / 3_600
    realised = variance * np.stack([rng.chisquare(k, n) / k for k in bars_in], axis=1)
    returns = rng.standard_normal((n, 4)) * np.sqrt(variance)
    drawn = Panel(
        panel.instrument,
        panel.spec,
        panel.origin_ns,
        panel.values,
        replace(panel.targets, realised_variance=realised, log_return=returns),
        panel.blind,
    )
    models = {"truth": law.normal(drawn, variance), "doubled": law.normal(drawn, 2 * variance)}
    scores = {(s.model, s.horizon_s): s for s in score_all(models, drawn, "truth")}
    for horizon_s in panel.spec.horizons_s:
        truth, doubled = scores["truth", horizon_s], scores["doubled", horizon_s]
        assert truth.qlike_net == pytest.approx(0.0, abs=0.01)
        assert truth.realised_over_forecast == pytest.approx(1.0, abs=0.03)
        assert doubled.qlike > truth.qlike
        assert doubled.qlike_t > 2
        assert doubled.fz0_tail > truth.fz0_tail
        assert doubled.pinball_tail_bp > truth.pinball_tail_bp
        assert doubled.crps_bp > truth.crps_bp
        assert truth.hit_low == pytest.approx(1.0, abs=0.6)
        assert doubled.hit_low < truth.hit_low
        assert truth.kupiec_low > 0.01
    share = reliability(models["truth"], drawn)[0]
    np.testing.assert_allclose(share, LEVELS, atol=0.03)
    assert len(normal_quantiles(LEVELS)) == len(share)


def test_no_ended_window_no_score(forecast: Forecast, panel: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="choose a longer one"):
        score_all({"a": forecast}, panel.until(FROM), "a")


def test_margin_scores_count_what_they_say(forecast: Forecast, panel: Panel) -> None:
    policy = ScanPolicy(memory_days=2)
    schedule = publish(forecast, panel, policy)
    long, short = score_margin("log_har", schedule, panel, policy.mpor_s)
    loss = realised_loss(panel, schedule, policy.mpor_s, "long")
    row = panel.first_row_from(FROM) + 100
    assert loss[100] == pytest.approx(1 - np.exp(panel.targets.log_return[row, 2]))
    initial = schedule.sides["long"].initial_frac
    assert long.breaches == sum(1 for x, m in zip(loss, initial, strict=True) if x > m)
    assert long.n == np.isfinite(loss).sum()
    assert long.mean_initial_frac == pytest.approx(initial.mean())
    assert long.peak_to_trough == pytest.approx(initial.max() / initial.min())
    assert long.largest_daily_rise == pytest.approx(max(initial[t + 24] / initial[t] for t in range(len(initial) - 24)))
    assert short.side == "short"


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_every_forecaster_walks(name: str, panel: Panel, brief_calibration: Calibration) -> None:
    forecast = walk_forward(FORECASTERS[name](), panel, parse_utc("2020-06-20"), TO, brief_calibration)
    scores = score_all({name: forecast}, panel, name)
    assert all(np.isfinite(list(s.to_json().values())[2:]).all() for s in scores)
