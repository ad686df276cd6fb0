"""The MLflow store as a file: opened, made, or named as damaged."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves this machine
os.environ.setdefault("DO_NOT_TRACK", "true")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from features.errors import FormatError
from features.files import locked

EXPERIMENT = "margincast"
ABSENT = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class Connection:
    """A store below one folder, of one experiment."""

    root: Path

    def __post_init__(self) -> None:
        """Quieten what MLflow tells of its own tables."""
        for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)

    @property
    def uri(self) -> str:
        """SQLite address of the store."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def is_there(self) -> bool:
        """Whether there is a store at all."""
        return (self.root / "mlflow.db").exists()

    def client(self) -> MlflowClient:
        """Open the store, or make it."""
        self.root.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def experiment(self, client: MlflowClient) -> str:
        """Id of the experiment, made where it is not there."""
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(client.create_experiment(EXPERIMENT, artifact_location=(self.root / "artifacts").as_uri()))

    def check(self) -> None:
        """Open the store, or make it; FormatError if it cannot be read."""
        with self.reading(), locked(self.root / ".lock"):  # of two that make a store one does
            self.experiment(self.client())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever MLflow and its database find wrong is said as a FormatError of the file."""
        try:
            yield
        except (MlflowException, SQLAlchemyError) as error:
            reason = str(error).splitlines()[0]
            path = self.root / "mlflow.db"
            raise FormatError(f"{path}: cannot be read ({reason}); move it away to begin a new one") from error
