"""Training: same seed, same numbers; settings refused by name; faults stop it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import parse_utc
from features.errors import MissingFileError, SettingError, ShortHistoryError
from features.files import sha256_of_file
from features.panel import Panel
from models import artefact
from models.classical.log_har import LogHar
from training.config import DEMO, TrainingConfig, load_config
from training.data import WindowData
from training.fit import train

UNTIL = parse_utc("2020-05-31T23:00")


def test_the_same_seed_gives_the_same_weights_and_another_others(
    panel: Panel, brief_config: TrainingConfig, tmp_path: Path
) -> None:
    past = panel.until(UNTIL)
    hashes = []
    for i, seed in enumerate((0, 0, 1)):
        config = brief_config.model_copy(update={"seed": seed})
        train(past, config, tmp_path / str(i), data_sha256="x")
        hashes.append(sha256_of_file(tmp_path / str(i) / artefact.WEIGHTS))
    assert hashes[0] == hashes[1] != hashes[2]


def test_progress_and_history_are_whole(panel: Panel, brief_config: TrainingConfig, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    train(panel.until(UNTIL), brief_config, tmp_path / "m", "x", lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1] > 5
    history = artefact.read_card(tmp_path / "m")["provenance"]["history"]
    assert len(history) == brief_config.epochs
    assert all(math.isfinite(v) for epoch in history for v in epoch.values())
    assert set(history[0]) == {"train_loss", "validation_qlike"}


@pytest.mark.slow
def test_the_network_learns_what_its_anchor_cannot_see(
    panel: Panel, brief_config: TrainingConfig, tmp_path: Path
) -> None:
    """A planted law that log-HAR cannot see, variance tripled after every fall, is learned."""
    values = np.array(panel.values)
    fell = panel.column("move_1h") < -0.5
    targets = panel.targets
    realised = np.where(fell[:, None], 3.0, 1.0) * targets.realised_variance
    seen = replace(targets, realised_variance=realised)
    planted = Panel(panel.instrument, panel.spec, panel.origin_ns, values, seen, panel.blind)
    network = brief_config.network.model_copy(update={"dropout": 0.0})
    config = brief_config.model_copy(update={"epochs": 30, "batch_size": 64, "network": network})
    past, later = planted.until(UNTIL), planted.rows(planted.first_row_from(UNTIL), len(planted))
    model = train(past, config, tmp_path / "m", "x")
    correction = np.log(model.forecast(later).variance) - LogHar().fit(past).log_variance(later)
    fell_later = fell[planted.first_row_from(UNTIL) :]
    learned = correction[fell_later].mean() - correction[~fell_later].mean()
    assert learned > 0.4 * np.log(3)


def test_validation_rows_come_after_a_purge(panel: Panel) -> None:
    data = WindowData(panel, np.zeros((len(panel), 4)), 8, 64, validation_rows=240, seed=0)
    assert data.train_rows == len(panel) - 240 - 24
    assert len(data.validation_set) == 240
    np.testing.assert_array_equal(data.validation_set.windows[-1, -1], panel.values[-1])
    np.testing.assert_array_equal(data.validation_set.windows[0], panel.values[-247:-239])


def test_a_run_without_validation(panel: Panel, brief_config: TrainingConfig, tmp_path: Path) -> None:
    train(panel.until(UNTIL), brief_config.model_copy(update={"validation_days": 0}), tmp_path / "m", "x")
    history = artefact.read_card(tmp_path / "m")["provenance"]["history"]
    assert set(history[0]) == {"train_loss"}


def test_too_short_a_history_is_refused(panel: Panel, brief_config: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        train(panel.rows(0, 300), brief_config, tmp_path / "m", "x")
    assert not (tmp_path / "m").exists()


def test_a_loss_that_is_not_finite_stops_the_run(panel: Panel, brief_config: TrainingConfig, tmp_path: Path) -> None:
    values = np.array(panel.values)
    values[1_000:, 3] = np.nan
    broken = Panel(panel.instrument, panel.spec, panel.origin_ns, values, panel.targets, panel.blind)
    with pytest.raises((FloatingPointError, ValueError)):
        train(broken, brief_config, tmp_path / "m", "x")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("epochs = 6", "epoch = 6"), ["epoch", "epochs"]),
        (("epochs = 6", "epochs = 0"), ["epochs", "greater than 0"]),
        (("dropout = 0.3", "dropout = 1.5"), ["network.dropout"]),
        (("seed = 0", "seed ="), ["not TOML"]),
    ],
)
def test_a_wrong_setting_is_named(change: tuple[str, str], words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(DEMO.read_text().replace(*change))
    with pytest.raises(SettingError) as caught:
        load_config(path)
    for word in ["run.toml", *words]:
        assert word in str(caught.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        load_config(tmp_path / "none.toml")
