"""The whole job and the command line on a short slice of the real sample."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import margincast
from backtests.demo import run_demo
from backtests.demo_plan import DemoPlan, DemoResult
from backtests.demo_tracking import track
from features.clock import parse_utc
from features.errors import DataError, FormatError, MissingFileError, SettingError, ShortHistoryError
from features.pipeline import Progress, no_progress
from features.sources import sample
from features.store import Series, Store
from models.artefact import read_card
from models.calibration import Calibration
from serving.margin.requirement import require
from serving.margin.scan_policy import ScanPolicy
from serving.predictor import Predictor
from training.config import TrainingConfig
from training.tracking import Tracking

pytestmark = pytest.mark.slow


def silent(_step: str) -> Progress:
    return no_progress


@pytest.fixture(scope="module")
def plan(brief_calibration: Calibration) -> DemoPlan:
    return DemoPlan(
        test_from_ns=parse_utc("2020-07-05"),
        test_to_ns=parse_utc("2020-08-18T23:00"),
        falls={"2 August 2020": ("2020-07-31", "2020-08-05")},
        calibration=brief_calibration,
        policy=ScanPolicy(memory_days=20),
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def result(bars: pd.DataFrame, out: Path, brief_config: TrainingConfig, plan: DemoPlan) -> DemoResult:
    return run_demo(bars, sample.SERIES, out, brief_config, silent, plan)


@pytest.fixture(scope="module")
def tracking(result: DemoResult, plan: DemoPlan, brief_config: TrainingConfig, out: Path) -> Tracking:
    tracking = Tracking(out / "mlruns")
    assert track(result, plan, brief_config, tracking, now_ms=1_700_000_000_000) == (1, "champion")
    return tracking


def test_every_output_is_there_and_whole(result: DemoResult, out: Path) -> None:
    assert {p.name for p in out.iterdir()} >= {
        "store", "cache", "models", "forecasts.parquet", "scores.json", "margin_schedule.csv", "report.html",
    }  # fmt: skip
    assert not list(out.rglob("*.part"))
    scores = json.loads((out / "scores.json").read_text())["scores"]
    assert {(s["model"], s["horizon_s"]) for s in scores} == {
        (m, h) for m in ("network", "log_har", "garch_t", "ewma") for h in (3_600, 14_400, 28_800, 86_400)
    }
    assert all(0 < s["qlike"] < 5 for s in scores)
    forecasts = pd.read_parquet(out / "forecasts.parquet")
    assert forecasts["origin_ms"].min() * 1_000_000 == parse_utc("2020-07-05")
    schedule = pd.read_csv(out / "margin_schedule.csv")
    assert (schedule["im_long_usd"] >= schedule["mm_long_usd"]).all()
    assert schedule["im_short_usd"].between(0.01 * schedule["mark_price"], 0.9 * schedule["mark_price"]).all()


def test_the_report_is_one_file_that_fetches_nothing(result: DemoResult) -> None:
    page = result.report.read_text()
    assert page.count("<section>") == 6
    body = page[page.index("<body>") :]
    assert 'src="http' not in body
    assert "href=" not in body
    assert "<link" not in page[: page.index("<script>")]
    for words in ("Scoreboard", "Reliability", "Hits over time", "2 August 2020"):
        assert words in body


def test_a_second_run_re_uses_and_gives_the_same(
    result: DemoResult, bars: pd.DataFrame, out: Path, brief_config: TrainingConfig, plan: DemoPlan
) -> None:
    again = run_demo(bars, sample.SERIES, out, brief_config, silent, plan)
    assert again.re_used == ["training", *(f"forecasts of {m}" for m in ("network", "log_har", "garch_t", "ewma"))]
    assert again.scores == result.scores
    assert again.margins == result.margins


def test_changed_settings_are_not_re_used(
    result: DemoResult, bars: pd.DataFrame, out: Path, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    shutil.copytree(out, tmp_path / "copy")
    longer = replace(plan, calibration=replace(plan.calibration, bias_rows=24 * 15))
    changed = run_demo(bars, sample.SERIES, tmp_path / "copy", brief_config, silent, longer)
    assert changed.re_used == ["training"]  # the network does not depend on the calibration
    assert changed.scores != result.scores


def test_the_same_bars_of_another_instrument_are_not_re_used(
    result: DemoResult, bars: pd.DataFrame, out: Path, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    shutil.copytree(out, tmp_path / "copy")
    other = Series(venue="file", symbol="OTHER", bar_s=900)
    again = run_demo(bars, other, tmp_path / "copy", brief_config, silent, plan)
    assert again.re_used == []
    assert again.key != result.key
    assert read_card(again.model_folder)["provenance"]["instrument"] == "OTHER"


def test_an_interrupted_run_leaves_nothing_half_and_runs_again(
    result: DemoResult, bars: pd.DataFrame, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    def dies_at(word: str):  # type: ignore[no-untyped-def]
        def bar(step: str) -> Progress:
            def progress(done: int, total: int) -> None:
                if word in step:
                    raise KeyboardInterrupt

            return progress

        return bar

    handler = signal.getsignal(signal.SIGINT)
    for word in ("train", "GARCH", "report"):
        with pytest.raises(KeyboardInterrupt):
            run_demo(bars, sample.SERIES, tmp_path, brief_config, dies_at(word), plan)
        assert signal.getsignal(signal.SIGINT) is handler
        assert not list(tmp_path.rglob("*.part"))
        assert not (tmp_path / "report.html").exists()
    again = run_demo(bars, sample.SERIES, tmp_path, brief_config, silent, plan)
    assert "forecasts of log_har" in again.re_used
    assert again.scores == result.scores


def test_damaged_caches_and_stores_are_made_again(
    result: DemoResult, bars: pd.DataFrame, out: Path, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    values = next(copy.glob("cache/panel-*/values.npy"))
    array = np.load(values)
    array[3_000, 1] += 1.0
    np.save(values, array)
    next(copy.glob("cache/forecasts-log_har-*.parquet")).write_bytes(b"xx")
    next(copy.glob("store/**/part.parquet")).unlink()
    again = run_demo(bars, sample.SERIES, copy, brief_config, silent, plan)
    assert again.scores == result.scores
    assert "forecasts of log_har" not in again.re_used
    assert "forecasts of ewma" in again.re_used


def test_weeks_without_bars_do_not_stop_the_job(
    bars: pd.DataFrame, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    start, stop = parse_utc("2020-03-20"), parse_utc("2020-04-18")
    holed = bars[(bars["ts_ns"] < start) | (bars["ts_ns"] >= stop)].reset_index(drop=True)
    result = run_demo(holed, sample.SERIES, tmp_path, brief_config, silent, plan)
    best = {s.horizon_s: s.qlike for s in result.scores if s.model == "log_har"}
    assert all(0.5 * best[s.horizon_s] < s.qlike < 2 * best[s.horizon_s] for s in result.scores)
    assert all(m.mean_initial_frac < 0.5 for m in result.margins)


def test_prices_that_do_not_move_are_named(
    bars: pd.DataFrame, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    flat = bars.assign(open=7.0, high=7.0, low=7.0, close=7.0)
    with pytest.raises(ShortHistoryError, match="prices that do not move"):
        run_demo(flat, sample.SERIES, tmp_path, brief_config, silent, plan)
    with pytest.raises(SettingError, match="the demo needs 900 s bars"):
        run_demo(bars, Series("v", "X", 300), tmp_path, brief_config, silent, plan)


def test_a_damaged_registry_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(FormatError, match=r"mlflow\.db: cannot be read .*; move it away"):
        Tracking(tmp_path).check()
    with pytest.raises(FormatError, match="move it away"):
        Tracking(tmp_path).champion_folder()


def test_the_run_is_tracked_once_and_its_model_is_champion(
    result: DemoResult, plan: DemoPlan, brief_config: TrainingConfig, tracking: Tracking
) -> None:
    assert track(result, plan, brief_config, tracking, now_ms=1) == (1, "champion")
    client = MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)
    version = client.get_model_version_by_alias("margincast", "champion")
    run_id = str(version.run_id)
    run = client.get_run(run_id)
    assert run.data.metrics["network/8h/qlike"] == pytest.approx(
        next(s.qlike for s in result.scores if (s.model, s.horizon_s) == ("network", 28_800))
    )
    assert run.data.metrics["network/8h/kupiec_low"] <= 1
    assert run.data.metrics["network/reliability_8h/q_0.01"] == pytest.approx(0.01, abs=0.05)
    assert run.data.params["epochs"] == "1"
    assert run.data.params["data_sha256"] == Store(result.out / "store").fingerprint(sample.SERIES)
    assert len(client.get_metric_history(run_id, "epoch/validation_qlike_net")) == brief_config.epochs
    assert {a.path for a in client.list_artifacts(run_id)} == {"model", "report", "scores"}


def test_the_champion_serves_what_the_schedule_says(result: DemoResult, plan: DemoPlan, tracking: Tracking) -> None:
    """From registry to endpoint: the margin of the backtest's file, to the cent."""
    predictor = Predictor(Store(result.out / "store"), tracking.champion_folder(), plan.policy, plan.calibration)
    schedule = pd.read_csv(result.out / "margin_schedule.csv", dtype=str, index_col="origin")
    for origin in ("2020-07-15T12:00:00Z", "2020-08-02T06:00:00Z"):
        published = predictor.at("BTCUSDT", parse_utc(origin))
        row = schedule.loc[origin]
        assert str(published.mark_price) == row["mark_price"]
        for side in ("long", "short"):
            margin = require("BTCUSDT", Decimal(1), published.mark_price, published.rates[side])
            # Batches of different size differ in the last bits of a float32.
            assert float(margin.initial_usd) == pytest.approx(float(str(row[f"im_{side}_usd"])), abs=0.10)
            assert float(margin.maintenance_usd) == pytest.approx(float(str(row[f"mm_{side}_usd"])), abs=0.10)


def test_too_short_a_history_is_refused(
    bars: pd.DataFrame, brief_config: TrainingConfig, plan: DemoPlan, tmp_path: Path
) -> None:
    with pytest.raises(ShortHistoryError, match="95 are needed"):
        run_demo(bars.iloc[8_000:], sample.SERIES, tmp_path, brief_config, silent, plan)
    with pytest.raises(ShortHistoryError, match="less than 30 days"):
        run_demo(bars.iloc[:18_500], sample.SERIES, tmp_path, brief_config, silent, plan)


def test_no_registry_no_champion(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="margincast train"):
        Tracking(tmp_path / "none").champion_folder()
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(b"")
    with pytest.raises(MissingFileError, match="no model under alias"):
        Tracking(tmp_path / "mlruns").champion_folder()


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import margincast; margincast.main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_fault_ends_with_code_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("ts_ms,open,high,low,close\n0,1,1,1,1\n")
    cases = {
        ("demo", "--bars", "none.csv"): "none.csv: no such file",
        ("demo", "--bars", "bad.csv"): "bad.csv: no column volume",
        ("demo", "--symbol", "X"): "--symbol names the instrument of --bars",
        ("demo", "--test-from", "soon"): "'soon' is not an ISO-8601 time",
        ("demo", "--test-from", "2022-06-01", "--test-to", "2022-05-01"): "shorter than 30 days",
        ("demo", "--bars", "none.csv", "--symbol", "../x"): "none.csv",
        ("serve",): "no model registry",
        ("serve", "--model", "nowhere"): "nowhere/model.json: no such file",
    }
    for arguments, words in cases.items():
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_help_has_examples(tmp_path: Path) -> None:
    for command in ("demo", "serve"):
        done = run(command, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert f"margincast {command}" in done.stdout


def test_own_bars_run_from_the_command_line(
    bars: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's CSV, other dates, the shipped configuration: the whole way in one process."""
    bars.to_csv(tmp_path / "mine.csv", index=False)
    monkeypatch.chdir(tmp_path)
    arguments = ["--bars", "mine.csv", "--symbol", "XBT", "--test-from", "2020-07-05", "--test-to", "2020-08-18"]
    monkeypatch.setattr(sys, "argv", ["margincast", "demo", *arguments])
    with pytest.raises(SystemExit) as ended:
        margincast.main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert "XBT: forecasts of every full hour" in printed
    assert "alias champion" in printed
    assert (tmp_path / "demo" / "report.html").exists()
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
    assert max(len(line) for line in printed.splitlines()) <= 80


def test_every_error_of_ours_is_a_data_error() -> None:
    import features.errors as errors

    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(kinds) > 8
    assert all(issubclass(e, DataError) for e in kinds)
    assert all(e.__name__ in (errors.__doc__ or "") for e in kinds)
