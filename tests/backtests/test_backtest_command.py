"""``margincast backtest`` from the outside: what it prints, what it leaves behind, how a fault ends."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient

from backtests.forecast_file import EXCURSIONS
from features.clock import parse_utc
from features.panel import Panel
from features.store import Store
from models.base import LEVELS
from tests.running import Done, Run, runner

CONFIG = """
symbols = ["BTCUSDT"]
spec = "fifteen_minutes"
test_from = "2020-06-20"
test_to = "2020-07-31T23:00"
baseline = "har_log"
[schedule]
lead_days = 70
window_months = 0
[calibration]
least_rows = 240
[[models]]
name = "har_log"
forecaster = "log_har"
[[models]]
name = "ewma+gpd"
forecaster = "ewma"
tail = "gpd"
track = true
[[models]]
name = "mean"
combine = ["har_log", "ewma+gpd"]
[[models]]
name = "cut"
forecaster = "garch_t"
schedule = { window_months = 0, embargo_s = 8640000 }
"""

WHOLE = ("--config", "mine.toml", "--out", "out", "--jobs", "1", "--tracking", "runs")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(CONFIG)
    return runner(monkeypatch, capsys, "backtest")


@pytest.fixture
def whole(run: Run, store: Store) -> Done:
    """The whole comparison."""
    return run(*WHOLE, "--store", str(store.root))


def test_help_has_examples(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert "margincast backtest --config mine.toml" in done.out


def test_a_comparison_leaves_forecasts_scores_a_page_and_runs(
    whole: Done, run: Run, store: Store, tmp_path: Path
) -> None:
    assert whole.err == ""
    assert whole.code == 0
    rows = pl.read_parquet(tmp_path / "out/forecasts.parquet")
    assert {"instrument", "origin_ms", "horizon_s", "model", "variance", *(f"q_{p:g}" for p in LEVELS)} <= set(
        rows.columns
    )
    assert set(EXCURSIONS) <= set(rows.columns)
    assert rows.select(pl.all_horizontal(pl.col(name) > 0 for name in EXCURSIONS).all()).item()
    hours = (parse_utc("2020-07-31T23:00") - parse_utc("2020-06-20")) // 3_600_000_000_000 + 1
    counts = dict(rows.group_by("model").len().iter_rows())
    assert counts["har_log"] == counts["mean"] == counts["ewma+gpd"] == 4 * hours
    assert counts.get("cut", 0) < 4 * hours
    variances = rows.filter(pl.col("model") != "cut").pivot(
        on="model", index=["origin_ms", "horizon_s"], values="variance"
    )
    one, other, mean = (variances[name].to_numpy() for name in ("har_log", "ewma+gpd", "mean"))
    ratio = mean / np.sqrt(one * other)  # debiased once more, hence not between them to the digit
    assert 0.7 < ratio.min() < ratio.max() < 1.4

    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert scores["models"] == ["ewma+gpd", "har_log", "mean"]
    for of_horizon in scores["horizons"].values():
        for figures in of_horizon["pooled"].values():
            assert all(0 <= figures[f"xhit_{name[1:]}"] < 0.06 for name in EXCURSIONS)
    assert "Adverse excursions" in (tmp_path / "out/report.html").read_text()
    assert scores["horizons"]["3600"]["pooled"]["har_log"]["vs"]["qlike"]["skill"] == 0
    assert "cut" in scores["not_scored"]
    reasons = {missing["reason"] for missing in scores["about"]["missing"] if missing["model"] == "cut"}
    assert any("GARCH needs 500 hours" in reason or "nothing to fit on" in reason for reason in reasons)
    assert "missing" in whole.out
    assert "not scored  cut" in whole.out
    assert all(cost["fit_s"] >= 0 for cost in scores["about"]["costs"].values())

    page = (tmp_path / "out/report.html").read_text()
    assert "ewma+gpd" in page
    assert "GARCH needs 500 hours" in page or "nothing to fit on" in page
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs/mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert {r.info.run_name for r in runs} == {"backtest har_log", "backtest ewma+gpd", "backtest mean"}
    logged = next(r for r in runs if r.info.run_name == "backtest har_log")
    assert logged.data.metrics["1h/qlike"] == pytest.approx(scores["horizons"]["3600"]["pooled"]["har_log"]["qlike"])
    assert {a.path for a in client.list_artifacts(logged.info.run_id)} == {"scores", "calibration"}

    again = run(
        "--config", "mine.toml", "--store", str(store.root), "--out", "out", "--jobs", "1", "--tracking", "runs"
    )
    assert "re-used  " in again.out
    assert len(client.search_runs([e.experiment_id for e in client.search_experiments()])) == 3
    assert json.loads((tmp_path / "out/scores.json").read_text())["horizons"] == scores["horizons"]


def test_a_narrowed_comparison_is_that_part_of_the_whole(run: Run, store: Store, panel: Panel, tmp_path: Path) -> None:
    del panel
    common = ("--config", "mine.toml", "--store", str(store.root), "--jobs", "1", "--tracking", "runs")
    done = run(*common, "--out", "part", "--models", "har_log", "--from", "2020-07-01", "--to", "2020-07-20T23:00")
    assert done.code == 0
    scores: dict[str, Any] = json.loads((tmp_path / "part/scores.json").read_text())
    assert scores["models"] == ["har_log"]
    assert scores["horizons"]["3600"]["pooled"]["har_log"]["n"] == 20 * 24


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--config", "other.toml"), "no such configuration"),
        (("--models", "harlog"), "unknown model 'harlog'; known: "),
        (("--symbols", "DOGEUSDT"), "DOGEUSDT"),
        (("--from", "2023-01-01"), "is empty"),
        (("--from", "2020-06-20T00:30"), "no origin"),
        (("--to", "2022-06-20"), "har_log"),
        (("--store", "nowhere"), "no such folder"),
    ],
)
def test_a_fault_is_one_line(arguments: tuple[str, ...], told: str, run: Run, store: Store) -> None:
    given = {"--config": "mine.toml", "--store": str(store.root), "--models": "har_log", "--jobs": "1"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    done = run(*(part for pair in given.items() for part in pair))
    if told == "har_log":  # the bars end before the test does: what is there is scored, and the rest is told
        assert done.code == 0
        assert "missing" in done.out
    else:
        assert done.code == 2
        assert told in done.err
        assert "Traceback" not in done.err
