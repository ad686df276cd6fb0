"""Instruments that start late, stop, or never move; models that fail: told with the reason, and the others go on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.clock import parse_utc
from features.sources import sample
from features.store import Store
from models import FORECASTERS
from models.classical.log_har import LogHar
from models.tails import TAILS
from tests.running import Run, runner

CONFIG = """
symbols = ["BTCUSDT", "ENDED", "FLAT", "GAPPED", "LATE"]
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
name = "ewma"
forecaster = "ewma"
[[models]]
name = "bad_tail"
forecaster = "ewma"
tail = "gpd"
[[models]]
name = "mean"
combine = ["har_log", "ewma"]
"""


@pytest.fixture
def market(bars: pd.DataFrame, tmp_path: Path) -> Store:
    """One good instrument and four that are not."""
    store = Store(tmp_path / "store")
    flat = bars.assign(**dict.fromkeys(("open", "high", "low", "close"), 100.0))
    gap = (bars["ts_ns"] >= parse_utc("2020-06-28")) & (bars["ts_ns"] < parse_utc("2020-07-03"))  # across a fold's edge
    parts = {
        "BTCUSDT": bars,
        "ENDED": bars[bars["ts_ns"] < parse_utc("2020-06-10")],
        "FLAT": flat,
        "GAPPED": bars[~gap],
        "LATE": bars[bars["ts_ns"] >= parse_utc("2020-05-26")],
    }
    for symbol, frame in parts.items():
        store.write(replace(sample.SERIES, symbol=symbol), frame.reset_index(drop=True))
    return store


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(CONFIG)
    return runner(monkeypatch, capsys, "backtest")


def scores_of(run: Run, store: Store, *more: str) -> tuple[str, dict[str, Any]]:
    arguments = ("--config", "mine.toml", "--store", str(store.root), "--out", "out", "--jobs", "1", *more)
    done = run(*arguments)
    assert (done.code, done.err) == (0, "")
    return done.out, json.loads(Path("out/scores.json").read_text())


def reasons(scores: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(m["model"], m["instrument"]): m["reason"] for m in scores["about"]["missing"] if not m["in_lead"]}


def test_a_market_of_bad_instruments(run: Run, market: Store) -> None:
    told, scores = scores_of(run, market)
    why = reasons(scores)
    assert "no origin from" in why["har_log", "ENDED"]
    assert why["mean", "ENDED"].startswith("its member ")
    assert "ENDED" not in scores["instruments"]
    assert "nothing to fit on before 2020-06-01" in why["har_log", "LATE"]
    assert "needs more than 50 ended windows" in why["har_log", "FLAT"]  # a price that never moved has no outcome
    assert "ENDED, FLAT: no model forecast it" in told
    # What began in the test is under 95 %: that is said, with the way out.
    assert "not scored  har_log" in told
    assert "leave one out with --symbols" in told
    page = Path("out/report.html").read_text()
    assert "no origin from" in page

    told, scores = scores_of(run, market, "--symbols", "BTCUSDT,FLAT,GAPPED")
    one_hour = scores["horizons"]["3600"]
    assert (scores["models"], scores["instruments"]) == (["bad_tail", "ewma", "har_log", "mean"], ["BTCUSDT", "GAPPED"])
    assert 0 < one_hour["scoreable"]["GAPPED"] < one_hour["scoreable"]["BTCUSDT"]
    assert one_hour["pooled"]["har_log"]["n"] == one_hour["scoreable"]["GAPPED"] + one_hour["scoreable"]["BTCUSDT"]


def failing_gpd(gpd: Any) -> Callable[..., Any]:
    class Failing:
        refit = gpd.refit

        def __call__(self, z: np.ndarray, *_: Any) -> Any:
            raise FloatingPointError(f"no tail of {len(z)} values")

    return Failing()


def test_a_tail_or_a_baseline_that_fails_leaves_the_others(
    run: Run, market: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TAILS, "gpd", failing_gpd(TAILS["gpd"]))
    told, scores = scores_of(run, market, "--symbols", "BTCUSDT")
    assert "FloatingPointError: no tail of" in reasons(scores)["bad_tail", "BTCUSDT"]
    assert scores["models"] == ["ewma", "har_log", "mean"]
    assert "not scored  bad_tail: forecast only 0.0%" in told

    def broken(**_: Any) -> LogHar:
        class Broken(LogHar):
            def fit(self, _panel: Any) -> LogHar:
                raise ArithmeticError("this model is broken")

        return Broken()

    broken.__module__ = LogHar.__module__
    monkeypatch.setitem(FORECASTERS, "log_har", broken)
    told, scores = scores_of(run, market, "--symbols", "BTCUSDT")
    assert "this model is broken" in reasons(scores)["har_log", "BTCUSDT"]
    assert scores["models"] == ["ewma"]
    assert "was not scored, so that nothing is held against it" in Path("out/report.html").read_text()


def test_when_nothing_can_be_forecast_the_reason_is_told(
    run: Run, market: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    Path("out/scores.json").write_text("{}")
    done = run(
        "--config", "mine.toml", "--store", str(market.root), "--out", "out", "--jobs", "1", "--symbols", "ENDED"
    )
    assert done.code == 2
    assert "no model forecast anything; the first reason: " in done.err or "no forecast" in done.err
    assert not Path("out/scores.json").exists()  # of a former comparison: it would be taken for this one's
