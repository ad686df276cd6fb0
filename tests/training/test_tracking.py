"""Runs and the registry, read back through MLflow's own client."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from features.errors import FormatError, MissingFileError, SettingError
from training.tracking import CHALLENGER, CHAMPION, MODEL, Registry, RunRecord, Tracking
from training.tracking.runs import METRICS


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    tracking = Tracking(tmp_path_factory.mktemp("runs"))
    tracking.check()
    return tracking


@pytest.fixture(scope="module")
def client(tracking: Tracking) -> MlflowClient:
    return MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.txt").write_text("1 2 3")
    return folder


def record(key: str, model: Path, parent: str | None = None) -> RunRecord:
    return RunRecord(
        key=key,
        name=f"run {key}",
        params={f"p{i}": i for i in range(130)} | {"long": "x" * 9_000},
        metrics={"qlike": 0.25},
        series={"epoch/loss": [3.0, 2.0, 1.0], "epoch/net": [0.5]},
        files={"model": model, "weights": model / "weights.txt"},
        time_ms=1_700_000_000_000,
        figures={"reliability": "<p>figure</p>"},
        tags={"kind": "trial"},
        parent=parent,
    )


def test_a_run_keeps_all_that_it_was_told(tracking: Tracking, client: MlflowClient, model: Path) -> None:
    run_id = tracking.log(record("whole", model))
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert {name: run.data.params[name] for name in ("p0", "p129")} == {"p0": "0", "p129": "129"}
    assert len(run.data.params["long"]) == 500
    assert run.data.metrics["qlike"] == 0.25
    history = client.get_metric_history(run_id, "epoch/loss")
    assert [(entry.step, entry.value, entry.timestamp) for entry in history] == [
        (0, 3.0, 1_700_000_000_000), (1, 2.0, 1_700_000_000_000), (2, 1.0, 1_700_000_000_000),
    ]  # fmt: skip
    assert run.data.tags["kind"] == "trial"
    assert {a.path for a in client.list_artifacts(run_id)} == {"model", "weights", "reliability.html"}
    assert [a.path for a in client.list_artifacts(run_id, "model")] == ["model/weights.txt"]
    assert tracking.log(record("whole", model)) == run_id


def test_children_name_their_parent(tracking: Tracking, client: MlflowClient, model: Path) -> None:
    with tracking.begin("study", "study") as parent:
        children = {tracking.log(record(f"child {i}", model, parent.id)) for i in range(2)}
    found = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{parent.id}'")
    assert {run.info.run_id for run in found} == children


def test_figures_are_written_a_thousand_at_a_time(
    tracking: Tracking, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[int]()
    written = MlflowClient.log_batch

    def counting(self: MlflowClient, run_id: str, metrics: list[object] = [], **rest: object) -> None:  # noqa: B006
        sizes.append(len(metrics))
        written(self, run_id, metrics=metrics, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(MlflowClient, "log_batch", counting)
    with tracking.begin("long", "long") as run:
        for step in range(1_250):
            run.metrics({"a": step, "b": 2 * step}, 1, step)
    assert sizes == [METRICS, METRICS, 500]
    assert client.get_run(run.id).data.metrics == {"a": 1_249.0, "b": 2_498.0}
    assert len(client.get_metric_history(run.id, "a")) == 1_250


def test_a_run_says_how_it_ended_and_goes_on(tracking: Tracking, client: MlflowClient) -> None:
    run = tracking.begin("r", "ends")
    run.metrics({"a": 1.0}, 1)
    with pytest.raises(ValueError, match="broken"), run:
        raise ValueError("broken")
    assert client.get_run(run.id).info.status == "FAILED"
    assert client.get_run(run.id).data.metrics == {"a": 1.0}  # what was told before is kept
    with pytest.raises(KeyboardInterrupt), tracking.begin("r", "ends") as again:
        raise KeyboardInterrupt
    assert again.id == run.id
    assert client.get_run(run.id).info.status == "KILLED"
    with tracking.begin("r", "ends"):
        assert client.get_run(run.id).info.status == "RUNNING"
    assert client.get_run(run.id).info.status == "FINISHED"


def test_aliases_point_to_versions(tracking: Tracking, client: MlflowClient, model: Path) -> None:
    registry = tracking.registry
    assert registry.holder(CHAMPION) is None
    with pytest.raises(MissingFileError, match="no model under alias 'champion'; run `margincast train`"):
        registry.folder(CHAMPION)
    with (
        pytest.raises(MissingFileError, match=r"no model registry; run `margincast train`, .* with --tracking$"),
        Tracking(model / "empty").registry.alone(),
    ):
        pass
    runs = [tracking.log(record(f"model {i}", model)) for i in range(2)]
    assert registry.register(runs[0], "model", CHAMPION) == 1
    assert registry.register(runs[0], "model", CHAMPION) == 1
    assert registry.register(runs[1], "model", CHALLENGER, {"qlike": "0.2"}) == 2
    assert (registry.folder(CHALLENGER) / "weights.txt").read_text() == "1 2 3"
    assert registry.folder(2) == registry.folder(CHALLENGER) != registry.folder(CHAMPION)
    assert [v.aliases for v in registry.versions()] == [("champion",), ("challenger",)]
    assert registry.version(2).tags == {"qlike": "0.2"}
    assert registry.version(2).run_id == runs[1]
    registry.move(CHAMPION, 2)
    assert client.get_model_version_by_alias(MODEL, CHAMPION).version in (2, "2")
    registry.drop(CHALLENGER)
    registry.drop(CHALLENGER)
    assert registry.holder(CHALLENGER) is None
    with pytest.raises(MissingFileError, match="no model of version 9"):
        registry.move(CHAMPION, 9)
    with pytest.raises(SettingError, match="no alias 'best'; known: champion, challenger"):
        registry.move("best", 1)
    assert registry.version(CHAMPION).number == 2
    registry.attach(2, "promotion", model / "weights.txt")
    assert [a.path for a in client.list_artifacts(runs[1], "promotion")] == ["promotion/weights.txt"]


def test_a_folder_that_is_gone_is_named(tmp_path: Path, model: Path) -> None:
    tracking = Tracking(tmp_path / "runs")
    run_id = tracking.log(record("gone", model))
    assert tracking.registry.register(run_id, "model", CHAMPION) == 1
    folder = tracking.champion_folder()
    (folder / "weights.txt").unlink()
    folder.rmdir()
    with pytest.raises(MissingFileError, match=r"version 1 keeps its model in .* restore the folder"):
        tracking.champion_folder()


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    registry: Registry = Tracking(tmp_path / "none").registry
    assert registry.versions() == []
    with pytest.raises(MissingFileError, match="no model registry"):
        registry.folder(CHALLENGER)
    with pytest.raises(MissingFileError, match="no model registry"), registry.alone():
        pass
    assert not (tmp_path / "none").exists()
    (tmp_path / "mlflow.db").write_bytes(bytes(range(256)) * 20)
    for call in (Tracking(tmp_path).check, lambda: Tracking(tmp_path).registry.folder(CHAMPION)):
        with pytest.raises(FormatError, match=r"mlflow\.db: cannot be read .*; move it away"):
            call()
