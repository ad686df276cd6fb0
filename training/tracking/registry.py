"""The model registry: versions, their evidence, and two aliases, ``champion`` and ``challenger``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from features.errors import MissingFileError, SettingError
from features.files import locked
from training.tracking.connection import ABSENT, Connection

MODEL, CHAMPION, CHALLENGER = "margincast", "champion", "challenger"
REMEDY = {
    CHAMPION: "run `margincast train`, which registers what it trains, or name a model folder with --model",
    CHALLENGER: "run `margincast train`, which registers what it trains as the challenger",
}
STORE = "run `margincast train`, which registers what it trains, or name its store with --tracking"


@dataclass(frozen=True, slots=True)
class Version:
    """One registered model: its number, the run that made it, its tags, the aliases that point to it."""

    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


class Registry:
    """Registered models of a store. A version never changes; an alias moves in one transaction or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, run_id: str, model_file: str, alias: str, tags: Mapping[str, str] | None = None) -> int:
        """Register a run's artefact folder, unless it is, and point an alias to it; answers the version.

        Parameters
        ----------
        run_id : of the run that the folder belongs to.
        model_file : name below which the run keeps the folder.
        alias : ``champion`` or ``challenger``.
        tags : evidence to keep with the version.
        """
        with self._connection.reading():
            client = self._connection.client()
            try:
                client.create_registered_model(MODEL)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{client.get_run(run_id).info.artifact_uri}/{model_file}"
            with locked(self._connection.root / ".lock"):  # of two that register a folder one does
                versions = client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
                found = next((v for v in versions if v.source == source), None)
                found = found or client.create_model_version(MODEL, source, run_id)
        number = int(found.version)
        self.tag(number, tags or {})
        self.move(alias, number)
        return number

    def versions(self) -> list[Version]:
        """Every registered model, oldest first; none where there is no store."""
        if not self._connection.is_there:
            return []
        with self._connection.reading():
            found = self._connection.client().search_model_versions(f"name = '{MODEL}'")
        numbers = sorted(int(version.version) for version in found)
        return [self.version(number) for number in numbers]

    def version(self, wanted: str | int) -> Version:
        """The model that an alias points to, or that has a number.

        Raises
        ------
        MissingFileError
            If the store is not there or has no such alias or version.
        FormatError
            If it cannot be read.
        """
        found = self._entry(wanted)
        return Version(int(found.version), str(found.run_id), dict(found.tags), tuple(map(str, found.aliases)))

    def holder(self, alias: str) -> Version | None:
        """The model that an alias points to; None where it points to none."""
        try:
            return self.version(alias)
        except MissingFileError:
            return None

    def folder(self, wanted: str | int) -> Path:
        """Artefact folder of the model that an alias points to, or of a version.

        Raises
        ------
        MissingFileError
            If the store is not there, has no such alias or version, or the folder is gone.
        FormatError
            If it cannot be read.
        """
        entry = self._entry(wanted)
        try:
            path = mlflow.artifacts.download_artifacts(str(entry.source), tracking_uri=self._connection.uri)
        except (MlflowException, OSError) as error:
            raise MissingFileError(
                f"{self._connection.root}: version {entry.version} keeps its model in {entry.source}, which is gone "
                "or cannot be read; restore the folder, or move the alias to another version"
            ) from error
        return Path(path)

    def move(self, alias: str, number: int) -> None:
        """Point an alias to a version; in one transaction, so that it is never without one that it had.

        Raises
        ------
        SettingError
            If there is no such alias.
        MissingFileError
            If there is no such version.
        """
        _check_alias(alias)
        self.version(number)
        with self._connection.reading():
            self._connection.client().set_registered_model_alias(MODEL, alias, str(number))

    def drop(self, alias: str) -> None:
        """Point an alias to no version; one that points to none stays so."""
        _check_alias(alias)
        with self._connection.reading():
            self._connection.client().delete_registered_model_alias(MODEL, alias)

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Keep words with a version; those of the same name are replaced."""
        with self._connection.reading():
            client = self._connection.client()
            for name, value in tags.items():
                client.set_model_version_tag(MODEL, str(number), name, value)

    def attach(self, number: int, name: str, path: Path) -> None:
        """Keep a file with a version: below ``name`` among the artefacts of the run that made it."""
        entry = self.version(number)
        with self._connection.reading():
            self._connection.client().log_artifact(entry.run_id, str(path), name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the registry: of several processes that would change who is champion, one at a time is inside."""
        if not self._connection.is_there:
            raise MissingFileError(f"{self._connection.root}: no model registry; {STORE}")
        with locked(self._connection.root / ".promotion.lock"):
            yield

    def _entry(self, wanted: str | int) -> ModelVersion:
        root = self._connection.root
        if not self._connection.is_there:
            raise MissingFileError(f"{root}: no model registry; {REMEDY[CHAMPION] if wanted == CHAMPION else STORE}")
        with self._connection.reading():
            found = _looked_up(self._connection.client(), wanted)
        if found is None:
            told = f"under alias {wanted!r}" if isinstance(wanted, str) else f"of version {wanted}"
            raise MissingFileError(f"{root}: no model {told}; {_remedy(wanted)}")
        return found


def _looked_up(client: MlflowClient, wanted: str | int) -> ModelVersion | None:
    """A version by its alias or number; None where there is none."""
    try:
        if isinstance(wanted, str):
            return client.get_model_version_by_alias(MODEL, wanted)
        return client.get_model_version(MODEL, str(wanted))
    except MlflowException as error:
        # an alias that is not there is told as a bad parameter when the model is
        if error.error_code in (ABSENT, "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _remedy(wanted: str | int) -> str:
    return REMEDY.get(str(wanted), "name a version that the registry has")


def _check_alias(alias: str) -> None:
    if alias not in REMEDY:
        raise SettingError(f"no alias {alias!r}; known: {', '.join(REMEDY)}")
