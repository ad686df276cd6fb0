"""Runs: logged at once when all is known, or told of while they go on; a parent may have many."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from training.tracking.connection import Connection

T = TypeVar("T")
METRICS, PARAMS = 1_000, 100  # entries that MLflow takes in one call
LONGEST_PARAM = 500  # characters of a parameter's value that are kept
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class RunRecord:
    """What a run leaves behind. ``key`` names its inputs: a run with the same key is not logged twice.

    ``series`` maps a metric to its values by step; ``files`` are folders or files of artefacts; ``figures`` are pages
    of HTML by name. ``parent`` is the id of the run that this one is a part of; ``status``: how it ended.
    """

    key: str
    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    series: Mapping[str, list[float]]
    files: Mapping[str, Path]
    time_ms: int
    figures: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    status: str = "FINISHED"


class Run:
    """A run that goes on: what it tells is gathered and written a thousand figures at a time.

    As a context it ends itself: finished, failed after an error, killed after an interrupt. A process that dies leaves
    it running, and the next one that begins a run of the same key goes on with it.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self.id = client, run_id
        self._waiting: list[Metric] = []

    def __enter__(self) -> Self:
        """Nothing more: the run has begun."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write what waits and end the run."""
        if kind is None:
            self.end()
        else:
            self.end("FAILED" if issubclass(kind, Exception) else "KILLED")

    def metrics(self, values: Mapping[str, float], time_ms: int, step: int = 0) -> None:
        """Tell figures of a step; they are written when there are many, or the run ends."""
        self._waiting += [Metric(name, float(value), time_ms, step) for name, value in values.items()]
        if len(self._waiting) >= METRICS:
            self.flush()

    def flush(self) -> None:
        """Write the figures that wait."""
        for some in _batches(self._waiting, METRICS):  # a call costs milliseconds, however many it carries
            self._client.log_batch(self.id, metrics=some)
        self._waiting = []

    def params(self, values: Mapping[str, Any]) -> None:
        """Tell what the run was made with; a name keeps its first value."""
        entries = [Param(name, str(value)[:LONGEST_PARAM]) for name, value in values.items()]
        for some in _batches(entries, PARAMS):
            self._client.log_batch(self.id, params=some)

    def tags(self, values: Mapping[str, str]) -> None:
        """Tell words that may change later."""
        for some in _batches([RunTag(name, value) for name, value in values.items()], PARAMS):
            self._client.log_batch(self.id, tags=some)

    def attach(self, name: str, path: Path) -> None:
        """Keep a file or a folder below ``name``."""
        (self._client.log_artifacts if path.is_dir() else self._client.log_artifact)(self.id, str(path), name)

    def figure(self, name: str, page: str) -> None:
        """Keep a page of HTML, such as a figure's, as ``NAME.html``."""
        self._client.log_text(self.id, page, f"{name}.html")

    def end(self, status: str = "FINISHED") -> None:
        """Write what waits and end the run."""
        self.flush()
        self._client.set_terminated(self.id, status)


def log(connection: Connection, record: RunRecord) -> str:
    """Log a run unless one of its key has finished; answers the run's id."""
    client = connection.client()
    found = _found(client, connection.experiment(client), f"{_keyed(record.key)} and attributes.status = 'FINISHED'")
    if found is not None:
        return found
    with _created(connection, client, record.name, record.key, record.parent) as run:
        run.params(record.params)
        run.tags(record.tags)
        run.metrics(record.metrics, record.time_ms)
        steps = max((len(values) for values in record.series.values()), default=0)
        for step in range(steps):
            at_step = {name: values[step] for name, values in record.series.items() if step < len(values)}
            run.metrics(at_step, record.time_ms, step)
        for name, path in record.files.items():
            run.attach(name, path)
        for name, page in record.figures.items():
            run.figure(name, page)
    if record.status != "FINISHED":
        run.end(record.status)
    return run.id


def begin(connection: Connection, name: str, key: str, parent: str | None) -> Run:
    """Begin a run, or go on with the newest of that key."""
    client = connection.client()
    found = _found(client, connection.experiment(client), _keyed(key))
    if found is None:
        return _created(connection, client, name, key, parent)
    client.update_run(found, status="RUNNING")
    return Run(client, found)


def _created(connection: Connection, client: MlflowClient, name: str, key: str, parent: str | None) -> Run:
    tags = {"key": key, "mlflow.source.name": "margincast"} | ({PARENT: parent} if parent else {})
    created = client.create_run(connection.experiment(client), run_name=name, tags=tags)
    return Run(client, str(created.info.run_id))


def _keyed(key: str) -> str:
    return f"tags.key = '{key}'"


def _found(client: MlflowClient, experiment: str, query: str) -> str | None:
    found = client.search_runs([experiment], query, max_results=1)
    return str(found[0].info.run_id) if found else None


def _batches(entries: list[T], size: int) -> Iterable[list[T]]:
    return (entries[first : first + size] for first in range(0, len(entries), size))
