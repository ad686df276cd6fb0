"""A walk-forward is the same however it is cut: by processes, by being killed, by what was there already."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from backtests import walkforward
from backtests.code import _imports, code_of
from backtests.config import BacktestConfig
from backtests.fold_files import read_outcomes, read_raw
from backtests.fold_run import FoldResult, run_fold
from backtests.folds import Fold
from backtests.walkforward import ENGINE, Job, plan_jobs, run_jobs
from features.panel import Panel
from features.pipeline import save_panel
from models import FORECASTERS
from models.classical.log_har import LogHar

CONFIG = BacktestConfig.model_validate(
    {
        "symbols": ["BTCUSDT"],
        "spec": "any",
        "test_from": "2020-06-01",
        "test_to": "2020-08-10T23:00",
        "baseline": "har",
        "schedule": {"lead_days": 31, "window_months": 3, "recall_days": 40},
        "models": [
            {"name": "har", "forecaster": "log_har"},
            {"name": "har_t", "forecaster": "log_har", "tail": "student_t"},
            {"name": "ewma", "forecaster": "ewma", "schedule": {"refit_months": 2}},
        ],
    }
)


def test_a_change_of_the_networks_leaves_the_results_of_the_others_of_use() -> None:
    """The engine knows every model by a table, which is no part of what a fold depends on."""
    seen, waiting = set[str](), [FORECASTERS["log_har"].__module__, *ENGINE]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)
    assert "backtests.folds" in seen
    assert not [name for name in seen if name.startswith(("training", "models.neural"))]


@pytest.fixture(scope="module")
def panels(panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("panels") / "panel-BTCUSDT-0"
    save_panel(panel, folder)
    return {"BTCUSDT": folder}


def jobs(out: Path) -> list[Job]:
    return [job for entry in CONFIG.models for job in plan_jobs(entry, CONFIG, 86_400, "data", out)]


def test_rows_that_differ_in_their_tail_share_their_folds(tmp_path: Path) -> None:
    har, har_t, ewma = (plan_jobs(entry, CONFIG, 86_400, "data", tmp_path) for entry in CONFIG.models)
    assert har == har_t
    assert [job.fold.name for job in har] == ["2020-05-01", "2020-06-01", "2020-07-01", "2020-08-01"]
    assert [job.fold.name for job in ewma] == ["2020-05-01", "2020-07-01"]


def test_a_fold_belongs_to_its_data_and_its_code(tmp_path: Path) -> None:
    here = plan_jobs(CONFIG.models[0], CONFIG, 86_400, "data", tmp_path)
    there = plan_jobs(CONFIG.models[0], CONFIG, 86_400, "other data", tmp_path)
    assert not {job.folder for job in here} & {job.folder for job in there}
    assert code_of(FORECASTERS["log_har"]) == code_of(FORECASTERS["log_har"])
    assert code_of(FORECASTERS["log_har"]) != code_of(FORECASTERS["log_har"], "backtests.folds")
    plain, daily = (code_of(partial(LogHar, whole_week=flag)) for flag in (False, True))
    assert plain != daily
    assert code_of(FORECASTERS["log_har"]) != code_of(FORECASTERS["ewma"])


def test_two_processes_answer_what_one_does(panels: dict[str, Path], tmp_path: Path) -> None:
    alone, together = jobs(tmp_path / "1"), jobs(tmp_path / "2")
    told: list[tuple[int, int]] = []
    assert run_jobs(alone, panels, 1, lambda done, total: told.append((done, total))) == 0
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    run_jobs(together, panels, 2)
    for one, other in zip(alone, together, strict=True):
        a, b = (read_raw([job.folder], "BTCUSDT", (3_600, 14_400, 28_800, 86_400)) for job in (one, other))
        assert a is not None
        assert b is not None
        np.testing.assert_array_equal(a.variance, b.variance)
        np.testing.assert_array_equal(a.quantiles, b.quantiles)
        assert [o.failure for o in read_outcomes(one.folder)] == [""]


def test_a_killed_run_goes_on_at_the_next_fold(
    panels: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def killed_in_the_third(
        forecaster: str, options: Mapping[str, object], fold: Fold, of: Mapping[str, Panel]
    ) -> FoldResult:
        ran.append(forecaster)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return run_fold(forecaster, options, fold, of)

    monkeypatch.setattr(walkforward, "run_fold", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs(tmp_path), panels, 1)
    assert not list(tmp_path.rglob("*.part"))  # nothing half-written
    assert run_jobs(jobs(tmp_path), panels, 1) == 2
    assert len(ran) == 3 + 4
    assert run_jobs(jobs(tmp_path), panels, 1) == 6


def test_a_damaged_fold_is_made_again(panels: dict[str, Path], tmp_path: Path) -> None:
    plan = jobs(tmp_path)[:1]
    run_jobs(plan, panels, 1)
    (plan[0].folder / "forecasts.npz").write_bytes(b"damaged")
    assert run_jobs(plan, panels, 1) == 0
    assert read_raw([plan[0].folder], "BTCUSDT", (3_600, 14_400, 28_800, 86_400)) is not None


def test_a_worker_that_is_killed_is_told(panels: dict[str, Path], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    gone = {"BTCUSDT": panels["BTCUSDT"].with_name("gone")}
    with pytest.raises(ValueError, match="worker process was killed"):
        run_jobs(jobs(tmp_path), gone, 2)


def test_raw_forecasts_come_back_in_single_precision_of_their_shape(panels: dict[str, Path], tmp_path: Path) -> None:
    plan = jobs(tmp_path)[:2]
    run_jobs(plan, panels, 1)
    raw = read_raw([job.folder for job in plan], "BTCUSDT", (3_600, 14_400, 28_800, 86_400))
    assert raw is not None
    assert (np.diff(raw.origin_ns) == 3_600_000_000_000).all()
    shape = raw.quantiles / np.sqrt(raw.variance)[..., None]
    np.testing.assert_allclose(shape, np.broadcast_to(shape[0, 0], shape.shape), rtol=1e-6)
    assert read_raw([plan[0].folder], "OTHER", (3_600, 14_400, 28_800, 86_400)) is None
