"""Runs: same seed, same numbers, also when they are ended and go on; faults stop them and say where."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from features.panel import Panel
from features.targets import Targets
from models.scores import qlike, qlike_floor
from tests.training.panels import small_panel, write_panel
from tests.training.program import BRIEF, hash_of
from training.checkpoints import CODE, LIBRARIES
from training.config import TrainingConfig, load_config
from training.fit import Trained, train
from training.recipe import NetworkRecipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def brief() -> TrainingConfig:
    return load_config("demo", (*BRIEF, "seeds=[0, 5]"))


@pytest.fixture(scope="module")
def small() -> Panel:
    return small_panel()


@pytest.fixture(scope="module")
def trained(small: Panel, brief: TrainingConfig) -> Trained:
    return train([small], brief)


def program(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.program", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(
    small: Panel, brief: TrainingConfig, trained: Trained
) -> None:
    torch.manual_seed(99)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    again = train([small], brief.changed({"seeds": [5, 1]}))
    first, second = trained.forecaster.nets
    assert hash_of([again.forecaster.nets[0]]) == hash_of([second])
    assert len({hash_of([net]) for net in (first, second, again.forecaster.nets[1])}) == 3
    assert again.histories[0] == trained.histories[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_progress_counts_the_steps_of_all_seeds(small: Panel, brief: TrainingConfig) -> None:
    seen: list[tuple[int, int]] = []
    train([small], brief, lambda *step: seen.append(step))
    steps = (len(small) - 240 - 24) // 64 * brief.epochs
    assert {total for _, total in seen} == {2 * steps}
    assert sorted({done for done, _ in seen}) == list(range(1, 2 * steps + 1))


class EndedError(Exception):
    """An end that a run does not expect."""


def test_a_run_that_was_ended_goes_on_to_the_same_weights(
    small: Panel, brief: TrainingConfig, trained: Trained, tmp_path: Path
) -> None:
    steps = 3 * ((len(small) - 240 - 24) // 64)

    def at(stop: int, seen: list[int]) -> None:
        def progress(done: int, _total: int) -> None:
            seen.append(done)
            if done == stop:
                raise EndedError

        train([small], brief, progress, tmp_path)

    for stop in (steps // 2, steps + steps // 2):  # in the second epoch of either seed
        with pytest.raises(EndedError):
            at(stop, [])
    seen: list[int] = []
    again = train([small], brief, lambda done, _: seen.append(done), tmp_path)
    assert min(seen) > steps + 1  # the first seed is not trained again, nor the second's first epoch
    assert hash_of(again.forecaster.nets) == hash_of(trained.forecaster.nets)
    assert again.histories == trained.histories
    kept = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert kept == {"seed-0.pt", "seed-5.pt"}


def test_what_another_configuration_or_other_data_computed_is_not_used(
    small: Panel, brief: TrainingConfig, tmp_path: Path
) -> None:
    one = brief.changed({"seeds": [0], "epochs": 1, "validation_days": 0})
    runs = [
        train([small], one, checkpoints=tmp_path),
        train([small], one.changed({"optimiser.learning_rate": 1e-3}), checkpoints=tmp_path),
        train([small.rows(0, 1_400)], one, checkpoints=tmp_path),
    ]
    assert len(list(tmp_path.iterdir())) == 3
    assert len({hash_of(run.forecaster.nets) for run in runs}) == 3


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends(small: Panel, brief: TrainingConfig) -> None:
    """QLIKE net of the floor, recomputed in double precision from forecasts of the days that were held back."""
    config = brief.changed({"seeds": [0], "epochs": 12, "patience": 2, "optimiser.learning_rate": 0.3})
    run = train([small], config)
    figures = [epoch["validation_qlike_net"] for epoch in run.histories[0]]
    assert len(figures) < 12
    assert figures.index(min(figures)) == len(figures) - 3
    variance = run.forecaster.forecast(small).variance[-240:]
    realised = small.targets.realised_variance[-240:]
    losses = np.nanmean(qlike(realised, variance), axis=0)
    floors = [qlike_floor(s // small.spec.bar_s) for s in small.spec.horizons_s]
    assert np.mean(losses - floors) == pytest.approx(min(figures), rel=1e-4)


def test_a_run_that_lost_patience_stays_ended(small: Panel, brief: TrainingConfig, tmp_path: Path) -> None:
    config = brief.changed({"seeds": [0], "epochs": 6, "patience": 1, "optimiser.learning_rate": 0.3})
    whole = train([small], config)
    assert len(whole.histories[0]) < 6

    def progress(done: int, total: int) -> None:
        if done == total:  # after the last epoch, before the weights are kept
            raise EndedError

    with pytest.raises(EndedError):
        train([small], config, progress, tmp_path)
    again = train([small], config, checkpoints=tmp_path)
    assert again.histories == whole.histories
    assert hash_of(again.forecaster.nets) == hash_of(whole.forecaster.nets)


def test_a_run_without_validation_keeps_the_last_epoch(small: Panel, brief: TrainingConfig) -> None:
    run = train([small], brief.changed({"seeds": [0], "validation_days": 0}))
    assert [set(epoch) for epoch in run.histories[0]] == [{"train_loss"}] * 3
    assert all(math.isfinite(epoch["train_loss"]) for epoch in run.histories[0])


def test_a_planted_law_is_learned(small: Panel, brief: TrainingConfig) -> None:
    """Variance is nine times as high after a fall; the anchor, a mean, cannot see which hours those are."""
    still = {"network.dropout": 0, "network.input_dropout": 0, "network.variance_bound": 2.0}
    encoder = {"network.encoder": "mlp", "network.encoder_options": {}}
    config = brief.changed({"seeds": [0], "epochs": 20, "optimiser.learning_rate": 0.02, **still, **encoder})
    forecaster = train([small], config).forecaster
    fresh = small_panel(seed=1)
    correction = np.log(forecaster.forecast(fresh).variance) - forecaster.reader.log_anchor(fresh)
    fell = fresh.column("move_1h") < -1
    learned = correction[fell].mean() - correction[~fell].mean()
    assert learned == pytest.approx(np.log(9), rel=0.35)


def test_several_instruments_in_one_network(small: Panel, brief: TrainingConfig) -> None:
    panels = [small, small_panel(1_200, seed=3, instrument="ETHUSDT")]
    run = train(panels, brief.changed({"seeds": [0], "network.embedding": 2}))
    assert run.forecaster.reader.instruments == ("BTCUSDT", "ETHUSDT")
    unseen = small_panel(900, seed=4, instrument="NEWUSDT")
    assert np.isfinite(run.forecaster.forecast(unseen).variance).all()


def test_a_recipe_trains_what_it_names(small: Panel, brief: TrainingConfig, trained: Trained) -> None:
    recipe = NetworkRecipe("demo", (*BRIEF, "seeds=[0, 5]"))
    assert hash_of(recipe.fit([small]).fitted[""].nets) == hash_of(trained.forecaster.nets)


def test_a_loss_that_is_not_finite_ends_the_run_and_its_batch_is_kept(
    small: Panel, brief: TrainingConfig, tmp_path: Path
) -> None:
    config = brief.changed({"seeds": [7], "optimiser.learning_rate": 1e30})
    with pytest.raises(ConvergenceError, match=r"seed 7, epoch 0, step \d+: .*nan") as caught:
        train([small], config, checkpoints=tmp_path)
    found = re.search(r"is in (\S+);", str(caught.value))
    assert found
    with np.load(found[1]) as saved:
        rows = saved["rows"]
        np.testing.assert_array_equal(saved["origin_ns"], small.origin_ns[rows])
        assert set(saved["instrument"]) == {"BTCUSDT"}
        assert saved["past_0"].shape == (64, 8, len(small.spec.features))
        realised = saved["full_ratio"] * np.exp(saved["anchor"])
        known = saved["weight"] > 0
        np.testing.assert_allclose(realised[known], small.targets.realised_variance[rows][known], rtol=1e-4)


def test_panels_that_cannot_be_trained_on_are_refused(small: Panel, brief: TrainingConfig) -> None:
    with pytest.raises(ShortHistoryError, match="less than one batch of 1400"):
        train([small], brief.changed({"batch_size": 1_400}))
    with pytest.raises(ShortHistoryError, match="give a longer history"):
        train([], brief)
    with pytest.raises(SettingError, match="two panels of one instrument"):
        train([small, small], brief)
    with pytest.raises(SettingError, match="horizon_weights has 2 numbers"):
        train([small], brief.changed({"loss.horizon_weights": [1, 2]}))
    blank = {name: values.copy() for name, values in small.targets.arrays.items()}
    for values in blank.values():
        values[-24 * brief.validation_days - 24 :] = np.nan
    with pytest.raises(ShortHistoryError, match="has an outcome to validate on"):
        train([replace(small, targets=Targets(**blank))], brief)


def test_a_run_of_other_libraries_is_another(small: Panel, brief: TrainingConfig, tmp_path: Path) -> None:
    """All that trains or fits a classical model counts: its numbers may change with its version."""
    distributions = {"sklearn": "scikit-learn"}
    computing = {"arch", "lightgbm", "lightning", "numba", "numpy", "scipy", "sklearn", "torch"}
    lines = [
        line
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text("utf-8").split("\n")
    ]
    words = [line.split() for line in lines if line.lstrip().startswith(("import ", "from "))]
    used = {word[1].partition(".")[0].rstrip(",") for word in words} & computing
    assert {distributions.get(name, name) for name in used} == set(LIBRARIES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_refused(small: Panel, brief: TrainingConfig) -> None:
    with pytest.raises(SettingError, match=r"0 CUDA devices; set machine.accelerator"):
        train([small], brief.changed({"machine.accelerator": "cuda"}))


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(small: Panel, tmp_path: Path) -> None:
    write_panel(small, tmp_path / "panel.npz")
    killed = program(tmp_path, "25")
    assert killed.returncode == -9, killed.stderr
    done = program(tmp_path, "0")
    assert done.returncode == 0, done.stderr
    whole = train([small], load_config("demo", BRIEF))
    assert done.stdout.split() == [hash_of(whole.forecaster.nets)]


@pytest.mark.slow
def test_two_processes_train_what_one_does(small: Panel, tmp_path: Path) -> None:
    """With nothing left to chance but the order, the mean of two halves of a batch is the batch's."""
    write_panel(small, tmp_path / "panel.npz")
    still = ("network.dropout=0", "network.input_dropout=0", "seeds=[0, 5]")
    done = program(tmp_path, "0", *still, "machine.devices=2", "machine.strategy=ddp")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1  # only the first process goes on
    alone = train([small], load_config("demo", (*BRIEF, *still)))
    both = torch.load(tmp_path / "weights.pt", weights_only=True)
    for net, weights in zip(alone.forecaster.nets, both, strict=True):
        torch.testing.assert_close(net.state_dict(), weights, rtol=1e-3, atol=1e-5)
