"""Experiments and the model registry; the only file that imports mlflow."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves this machine
os.environ.setdefault("DO_NOT_TRACK", "true")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from features.errors import FormatError, MissingFileError
from features.files import locked

MODEL, CHAMPION, EXPERIMENT = "margincast", "champion", "margincast"
BATCH = 1_000  # entries that MLflow takes in one call


DEFAULT_ROOT = Path("mlruns")  # below the current folder


@dataclass(frozen=True)
class RunRecord:
    """What a run leaves behind. ``key`` names its inputs: a run with the same key is not logged twice.

    ``series`` maps a metric to its values by step; ``files`` are folders or files of artefacts.
    """

    key: str
    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    series: Mapping[str, list[float]]
    files: Mapping[str, Path]
    time_ms: int


class Tracking:
    """An MLflow store below one folder: ``mlflow.db`` and ``artifacts``."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def check(self) -> None:
        """Open the store, or make it, before long work begins.

        Raises
        ------
        FormatError
            If it is there and cannot be read.
        """
        try:
            with locked(self.root / ".lock"):  # of two that make a store one does
                self._experiment(self._client())
        except (MlflowException, SQLAlchemyError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> FormatError:
        reason = str(error).splitlines()[0]
        return FormatError(f"{self.root / 'mlflow.db'}: cannot be read ({reason}); move it away to begin a new one")

    @property
    def uri(self) -> str:
        """SQLite address of the store."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def log(self, record: RunRecord) -> str:
        """Log a run unless its key is there already; answers the run's id."""
        client = self._client()
        experiment = self._experiment(client)
        found = client.search_runs([experiment], f"tags.key = '{record.key}' and attributes.status = 'FINISHED'")
        if found:
            return str(found[0].info.run_id)
        run_id = str(client.create_run(experiment, run_name=record.name, tags={"key": record.key}).info.run_id)
        params = [Param(k, str(v)) for k, v in record.params.items()]
        client.log_batch(run_id, params=params, tags=[RunTag("mlflow.source.name", "margincast")])
        metrics = [Metric(k, v, record.time_ms, 0) for k, v in record.metrics.items()]
        metrics += [
            Metric(k, v, record.time_ms, step) for k, values in record.series.items() for step, v in enumerate(values)
        ]
        for first in range(0, len(metrics), BATCH):  # a call costs milliseconds, however many it carries
            client.log_batch(run_id, metrics=metrics[first : first + BATCH])
        for name, path in record.files.items():
            if path.is_dir():
                client.log_artifacts(run_id, str(path), name)
            else:
                client.log_artifact(run_id, str(path), name)
        client.set_terminated(run_id)
        return run_id

    def register_champion(self, run_id: str, model_file: str) -> int:
        """Register a run's model folder, unless it is, and point the alias ``champion`` to it; answers the version."""
        client = self._client()
        try:
            client.create_registered_model(MODEL)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = list(client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'"))
        if not versions:
            source = f"{client.get_run(run_id).info.artifact_uri}/{model_file}"
            versions = [client.create_model_version(MODEL, source, run_id)]
        client.set_registered_model_alias(MODEL, CHAMPION, versions[0].version)
        return int(versions[0].version)

    def champion_folder(self) -> Path:
        """Artefact folder of the champion.

        Raises
        ------
        MissingFileError
            If the store is not there or has no champion.
        FormatError
            If it cannot be read.
        """
        remedy = "run `margincast demo` to train and register one, or name a model folder with --model"
        if not (self.root / "mlflow.db").exists():
            raise MissingFileError(f"{self.root}: no model registry; {remedy}")
        try:
            version = self._client().get_model_version_by_alias(MODEL, CHAMPION)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise MissingFileError(f"{self.root}: no model under alias {CHAMPION!r}; {remedy}") from error
            raise self._damaged(error) from error
        except SQLAlchemyError as error:
            raise self._damaged(error) from error
        return Path(mlflow.artifacts.download_artifacts(str(version.source), tracking_uri=self.uri))

    def _client(self) -> MlflowClient:
        self.root.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _experiment(self, client: MlflowClient) -> str:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(client.create_experiment(EXPERIMENT, artifact_location=(self.root / "artifacts").as_uri()))
