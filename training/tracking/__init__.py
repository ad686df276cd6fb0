"""Experiments and the model registry; the only place that imports mlflow."""

from pathlib import Path

from training.tracking.connection import Connection
from training.tracking.registry import CHALLENGER, CHAMPION, MODEL, Registry, Version
from training.tracking.runs import Run, RunRecord, begin, log

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "DEFAULT_ROOT",
    "MODEL",
    "Registry",
    "Run",
    "RunRecord",
    "Tracking",
    "Version",
]

DEFAULT_ROOT = Path("mlruns")  # below the current folder


class Tracking:
    """An MLflow store below one folder: ``mlflow.db`` and ``artifacts``.

    Parameters
    ----------
    root : folder; made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self._connection = Connection(root.resolve())
        self.root = self._connection.root
        self.registry = Registry(self._connection)

    @property
    def uri(self) -> str:
        """SQLite address of the store."""
        return self._connection.uri

    def check(self) -> None:
        """Open the store, or make it, before long work begins.

        Raises
        ------
        FormatError
            If it is there and cannot be read.
        """
        self._connection.check()

    def log(self, record: RunRecord) -> str:
        """Log a whole run unless its key is there already; answers the run's id."""
        return log(self._connection, record)

    def begin(self, name: str, key: str, parent: str | None = None) -> Run:
        """Begin a run that is told of while it goes on, or go on with the one of that key; see :class:`Run`."""
        return begin(self._connection, name, key, parent)

    def champion_folder(self) -> Path:
        """Artefact folder of the champion; see :meth:`Registry.folder`."""
        return self.registry.folder(CHAMPION)
