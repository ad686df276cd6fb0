"""Shared fixtures: a slice of the packaged real sample, its panel, and a briefly trained network."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings

from features.clock import parse_utc
from features.panel import Panel
from features.pipeline import compute_panel
from features.sources import sample
from features.spec import FeatureSpec
from features.store import Store
from models import FORECASTERS, artefact
from models.calibration import Calibration
from models.neural.forecaster import NeuralForecaster
from tests import tiny_foundation
from tests.vectors.counts import pytest_runtest_logreport, pytest_terminal_summary  # noqa: F401  # hooks
from training.config import DEMO, TrainingConfig, load_config
from training.fit import train
from training.provenance import provenance

# The first example may compile a loop; the same examples every time, whoever runs them.
settings.register_profile("unhurried", deadline=None, derandomize=True, database=None)
settings.load_profile("unhurried")
# Workers of pytest-xdist are given a width, which a console made at import would keep.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

SLICE_END = "2020-08-20"
TRAINED_UNTIL = "2020-06-30T23:00"


@pytest.fixture(scope="session")
def first_states() -> dict[str, Any]:
    """State of each test module's generator before any test has drawn from it."""
    return {}


@pytest.fixture(autouse=True)
def same_draws(request: pytest.FixtureRequest, first_states: dict[str, Any]) -> None:
    """A module's ``RNG`` starts anew for each of its tests: what ran before, and in which process, changes no draw."""
    rng = getattr(getattr(request.node, "module", None), "RNG", None)
    if rng is not None:
        rng.bit_generator.state = first_states.setdefault(request.node.module.__name__, rng.bit_generator.state)


@pytest.fixture(scope="session", autouse=True)
def foundation_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The one entry that cannot be made without an option is given it."""
    path = tiny_foundation.write(tmp_path_factory.mktemp("foundation") / "tiny.onnx")
    ready = partial(FORECASTERS["foundation"], path=str(path), context=tiny_foundation.CONTEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORECASTERS, "foundation", ready)
        yield


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    """January to August 2020 of the sample, the COVID crash included."""
    frame = sample.read()
    return frame[frame["ts_ns"] < parse_utc(SLICE_END)].reset_index(drop=True)


@pytest.fixture(scope="session")
def panel(bars: pd.DataFrame) -> Panel:
    return compute_panel(bars, "BTCUSDT", FeatureSpec())


@pytest.fixture(scope="session")
def brief_config() -> TrainingConfig:
    config = load_config(DEMO)
    brief = {"network.encoder_options": {"fast": 8, "channels": 4}, "network.hidden": 8}
    return config.changed({"epochs": 1, "validation_days": 10, **brief})


@pytest.fixture(scope="session")
def brief_calibration() -> Calibration:
    return Calibration(bias_rows=24 * 20, tail_rows=24 * 40, least_rows=24 * 10)


@pytest.fixture(scope="session")
def model_folder(panel: Panel, brief_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "brief"
    past = [panel.until(parse_utc(TRAINED_UNTIL))]
    trained = train(past, brief_config)
    artefact.save(trained.forecaster, folder, provenance(past, brief_config, trained, data_sha256="slice"))
    return folder


@pytest.fixture(scope="session")
def network(model_folder: Path) -> NeuralForecaster:
    return artefact.load(model_folder)


@pytest.fixture(scope="session")
def store(bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    store.write(sample.SERIES, bars)
    return store
