"""The network of a training run, trained once: kept with everything that it depends on, and asked about a fold."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from backtests.code import code_of
from backtests.fold_files import Outcome, is_finished, write_fold
from backtests.fold_run import MACHINE, forecast_fold, reason_of
from backtests.folds import Fold
from backtests.walkforward import ENGINE
from features.clock import format_utc
from features.errors import DataError, ShortHistoryError
from features.files import discard, sha256_of
from features.panel import Panel
from features.pipeline import Progress
from models import FORECASTERS, POOLED, artefact
from models.base import Forecast
from models.neural.forecaster import NeuralForecaster
from training.config import TrainingConfig
from training.fit import train
from training.provenance import provenance


@dataclass(frozen=True)
class Trained:
    """A network with its card; ``seconds`` that its training took now, 0 if it was there already."""

    forecaster: NeuralForecaster
    card: Mapping[str, Any]
    folder: Path
    seconds: float

    @property
    def model_id(self) -> str:
        """Hash of everything in the artefact."""
        return str(self.card["model_id"])

    @property
    def histories(self) -> list[list[dict[str, float]]]:
        """Figures by seed and epoch."""
        return list(self.card["provenance"]["histories"])


def trained_network(
    config: TrainingConfig,
    panels: Mapping[str, Panel],
    data: str,
    fold: Fold,
    folder: Path,
    progress: Progress,
    *,
    former: Path | None = None,
    checkpoints: Path | None = None,
    with_onnx: bool = False,
) -> Trained:
    """Train on what was known, or find the artefact of the same inputs; a killed training goes on.

    An artefact of other inputs, or a damaged one, is made again.

    Parameters
    ----------
    config : the run.
    panels : whole; they are cut here, as of ``fold.known_ns``.
    data : hash of the panels.
    fold : what is trained on, and until when.
    folder : for the artefact.
    former : of an earlier run, left as it is: taken if it is of the same inputs.
    checkpoints : folder of finished epochs; beside ``folder`` if not given.
    with_onnx : keep the networks in their exported form, too.

    Raises
    ------
    ShortHistoryError
        If no instrument has any row to train on.
    """
    key = _key(config, data, fold, with_onnx=with_onnx)
    places = [folder] if former is None else [former, folder]
    found = next((there for place in places if (there := _whole(place, key))), None)
    if found is None:
        started = time.perf_counter()
        kept = checkpoints or folder.parent / "checkpoints"
        _train(config, panels, data, fold, folder, kept, key, progress, with_onnx=with_onnx)
        seconds = time.perf_counter() - started
        found = Trained(artefact.load(folder), artefact.read_card(folder), folder, seconds)
    progress(1, 1)
    return found


def _train(
    config: TrainingConfig,
    panels: Mapping[str, Panel],
    data: str,
    fold: Fold,
    folder: Path,
    checkpoints: Path,
    key: str,
    progress: Progress,
    *,
    with_onnx: bool,
) -> None:
    past = [cut for panel in panels.values() if len(cut := fold.training(panel))]
    if not past:
        raise ShortHistoryError(
            f"{', '.join(panels)}: no row before {format_utc(fold.known_ns)} to train on; choose a later data.fit_until"
        )
    made = train(past, config, progress, checkpoints)
    told = provenance(past, config, made, data) | {
        "trained_until": format_utc(fold.known_ns),  # the last origins were known to it, if not their outcomes
        "rows": {panel.instrument: len(panel) for panel in past},
        "code_version": metadata.version("margincast"),
        "inputs_sha256": key,
    }
    discard(folder)  # of other inputs, or damaged
    artefact.save(made.forecaster, folder, told, with_onnx=with_onnx)


def _key(config: TrainingConfig, data: str, fold: Fold, *, with_onnx: bool) -> str:
    """Hash of all that the weights depend on: settings, rows, the sources of training and of the classical models."""
    read = [{**FORECASTERS, **POOLED}[name] for name in (config.inputs.anchor, *config.inputs.companions)]
    code = [code_of(made) for made in (train, *read)]
    rows = [fold.fit_from_ns, fold.fit_until_ns, fold.known_ns]
    settings = config.model_dump(mode="json", exclude={"data"})
    return sha256_of([settings, data, rows, code, metadata.version("torch"), with_onnx])


def _whole(folder: Path, key: str) -> Trained | None:
    """The artefact that is there, if it is of these inputs and every file of it is what it was."""
    try:
        card = artefact.read_card(folder)
        if card["provenance"].get("inputs_sha256") != key:
            return None
        return Trained(artefact.load(folder), card, folder, 0.0)
    except DataError:
        return None


def network_fold(
    trained: Trained, fold: Fold, panels: Mapping[str, Panel], data: str, out: Path, progress: Progress
) -> Path:
    """Folder of the network's raw forecasts of the fold, made where they are not there; watched for a look ahead."""
    key = sha256_of([trained.model_id, asdict(fold), data, code_of(NeuralForecaster, *ENGINE)])
    folder = out / f"{fold.name}-{key[:16]}"
    if not is_finished(folder):
        outcomes: list[Outcome] = []
        forecasts: dict[str, Forecast] = {}
        for done, panel in enumerate(panels.values(), 1):
            outcomes.append(_forecast(trained, fold, panel, trained.seconds / len(panels), forecasts))
            progress(done, len(panels))
        write_fold(folder, {"model_id": trained.model_id, "fold": asdict(fold)}, outcomes, forecasts)
    progress(1, 1)
    return folder


def _forecast(trained: Trained, fold: Fold, panel: Panel, fit_s: float, forecasts: dict[str, Forecast]) -> Outcome:
    """Add an instrument's forecasts; one that fails leaves the others, with the reason."""
    started = time.perf_counter()
    try:
        forecasts[panel.instrument] = forecast_fold(trained.forecaster, fold, panel)
    except MACHINE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model does, it is reported and the others go on
        return Outcome(panel.instrument, 0, fit_s, 0.0, failure=reason_of(error))
    n = len(forecasts[panel.instrument].origin_ns)
    return Outcome(panel.instrument, n, fit_s, time.perf_counter() - started)
