"""Searches: what a trial is judged by, that the best is found, that a killed one goes on as if it had not been."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from scipy.special import digamma
from typer.testing import CliRunner

import margincast
from features.clock import NS_PER_S, parse_utc
from features.errors import ConvergenceError, FormatError, MissingFileError, SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import compute_panel
from features.sources import sample
from features.specs import find_spec
from features.store import Store
from models.base import LEVELS, Forecast
from models.calibration import PATIENT
from models.tails import normal_quantiles, normal_shortfall
from training.config import TrainingConfig, load_config
from training.fit import Trained
from training.toml_text import toml_text
from training.tracking import Tracking
from training.tune import Search, tune
from training.tune_config import TuneConfig, load_tune
from training.tune_score import validation_loss

FROM, MIDDLE, UNTIL = "2020-02-20", "2020-03-01", "2020-03-10"
BEST_RATE = 1e-3


@pytest.fixture(scope="module")
def months() -> Panel:
    """January to March 2020 of the packaged bars."""
    frame = sample.read()
    return compute_panel(frame[frame["ts_ns"] < parse_utc("2020-03-15")], "BTCUSDT", find_spec("fifteen_minutes"))


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return Tracking(tmp_path_factory.mktemp("runs"))


@dataclass(frozen=True)
class Noisy:
    """The last day's variance, off by a factor up or down in turn: the larger it is, the larger the loss."""

    log_factor: float

    def forecast(self, panel: Panel) -> Forecast:
        hours = np.array(panel.spec.horizons_s) / 3_600
        turn = np.where((panel.origin_ns // (3_600 * NS_PER_S)) % 2, 1.0, -1.0)
        variance = np.exp(panel.column("log_rv_24h") + self.log_factor * turn)[:, None] * hours
        scale = np.sqrt(variance)[..., None]
        quantiles, shortfall = scale * normal_quantiles(LEVELS), scale * normal_shortfall(LEVELS)
        return Forecast(panel.origin_ns, panel.spec.horizons_s, variance, LEVELS, quantiles, shortfall)


def stand_in(panels: Sequence[Panel], config: TrainingConfig) -> Trained:
    """Trains nothing: the further the rate is from the best one, the worse."""
    assert all(np.isnan(panel.targets.log_return[-1]).all() for panel in panels), "sees what had not ended"
    model = Noisy(float(np.log(config.optimiser.learning_rate / BEST_RATE)))
    return Trained(model, ([{"train_loss": 2.0}, {"train_loss": 1.0}],))  # type: ignore[arg-type]


def config_of(**changes: Any) -> TuneConfig:
    table: dict[str, Any] = {
        "base": "demo", "trials": 6, "startup_trials": 3,
        "data": {"symbols": ["BTCUSDT"], "spec": "fifteen_minutes"},
        "space": {"optimiser.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        "folds": [{"fit_until": FROM, "score_until": UNTIL}],
    }  # fmt: skip
    return TuneConfig.model_validate(table | changes)


def search_of(config: TuneConfig, panel: Panel, folder: Path, trained: Callable[..., Trained] = stand_in) -> Search:
    return Search(config, [panel], "bars", folder / "study.db", folder / "best.toml", trained)


def trials_of(tracking: Tracking, search: Search) -> list[Any]:
    """Runs of a search's trials, oldest first."""
    client = MlflowClient(tracking_uri=tracking.uri)
    runs = client.search_runs(["1"], f"tags.key = '{search.key}'")
    assert len(runs) == 1
    found = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{runs[0].info.run_id}'")
    return sorted(found, key=lambda run: int(run.info.run_name.split()[1]))


def test_the_loss_is_that_of_a_loop(months: Panel) -> None:
    """Bias of the windows that had ended, QLIKE, less the expected loss of the truth: hour by hour."""
    from_ns, until_ns = parse_utc(FROM), parse_utc(UNTIL)
    told = Noisy(0.3).forecast(months)
    expected = []
    for h, horizon_s in enumerate(months.spec.horizons_s):
        losses, ratios = [], dict[int, float]()
        for i in np.flatnonzero((months.origin_ns >= from_ns) & (months.origin_ns <= until_ns)):
            now = int(months.origin_ns[i])
            ended = [ratio for end, ratio in ratios.items() if end <= now]
            bias = (PATIENT.prior_rows + sum(ended)) / (PATIENT.prior_rows + len(ended))
            bias = min(max(bias, 0.5), 2.0)
            realised, end = months.targets.realised_variance[i, h], now + horizon_s * NS_PER_S
            if np.isfinite(realised) and end <= until_ns:
                ratio = realised / told.variance[i, h]
                ratios[end] = ratio
                losses.append(ratio / bias - np.log(ratio / bias) - 1)
        half = horizon_s / 900 / 2
        expected.append(np.mean(losses) - (np.log(half) - digamma(half)))
    found = validation_loss(Noisy(0.3), [months], from_ns, until_ns)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert validation_loss(Noisy(0.3), [months, months], from_ns, until_ns) == pytest.approx(found)


def test_the_truth_has_no_loss_above_the_floor(months: Panel) -> None:
    """Realised variance of m normal returns: QLIKE of their true variance is the floor, in the mean."""
    rng, truth = np.random.default_rng(1), Noisy(0.0).forecast(months).variance
    returns = np.array(months.spec.horizons_s) // months.spec.bar_s
    realised = truth * rng.chisquare(returns, truth.shape) / returns
    panel = replace(months, targets=replace(months.targets, realised_variance=realised))
    settled = replace(PATIENT, prior_rows=1e9)  # type: ignore[arg-type] # no bias, as there is none
    net = validation_loss(Noisy(0.0), [panel], parse_utc(FROM), parse_utc(UNTIL), settled)
    spread = np.sqrt(2) / returns / np.sqrt(19 * 24) * 1.6  # of a mean of (chi-square - 1)^2 / 2 and a little
    assert (np.abs(net) < 4 * spread).all()
    worse = validation_loss(Noisy(0.5), [panel], parse_utc(FROM), parse_utc(UNTIL), settled)
    assert worse == pytest.approx(np.cosh(0.5) - 1, rel=0.2)  # E[exp(-/+ c) + (+/- c)] - 1


def test_a_fold_without_windows_is_named(months: Panel) -> None:
    with pytest.raises(ShortHistoryError, match="no scoreable window from 2021-01-01"):
        validation_loss(Noisy(0.0), [months], parse_utc("2021-01-01"), parse_utc("2021-02-01"))
    with pytest.raises(ShortHistoryError, match="no scoreable window"):  # no day-long window ends within half a day
        validation_loss(Noisy(0.0), [months], parse_utc(FROM), parse_utc(f"{FROM}T12:00"))


def test_the_best_is_found_written_and_logged(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    search, lines = search_of(config_of(trials=5), months, tmp_path), list[str]()
    steps = list[tuple[int, int]]()
    found = tune(search, tracking, 1, lambda *step: steps.append(step), lines.append)
    runs = trials_of(tracking, search)
    rates = [float(run.data.params["optimiser.learning_rate"]) for run in runs]
    losses = [run.data.metrics["validation_qlike_net"] for run in runs]
    distance = np.abs(np.log(np.array(rates) / BEST_RATE))
    assert np.argsort(distance).tolist() == np.argsort(losses).tolist()  # the stand-in's law
    assert found.number == int(distance.argmin())
    assert load_config(search.out) == found.config == search.config.training().changed(found.values)
    assert found.counts == (5, 0, 0)
    assert len(lines) == 5
    assert f"best {found.loss:.5f} of trial {found.number}" in lines[-1]
    assert steps[0] == (0, 5)
    assert steps[-1] == (5, 5)
    history = MlflowClient(tracking_uri=tracking.uri).get_metric_history(
        runs[0].info.run_id, "fold_0/network_0/train_loss"
    )
    assert [entry.value for entry in history] == [2.0, 1.0]


class Killed(BaseException):
    """A process that ends in the middle of a trial."""


def test_a_killed_search_goes_on_as_if_it_had_not_been(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    whole = search_of(config_of(seed=1, trials=4), months, tmp_path / "whole")
    expected = tune(whole, tracking, 1)
    calls = 0

    def dying(panels: Sequence[Panel], config: TrainingConfig) -> Trained:
        nonlocal calls
        calls += 1
        if calls in (2, 3, 5):  # the second trial, and again when it is tried again
            raise Killed
        return stand_in(panels, config)

    other = Tracking(tmp_path / "other")
    broken = search_of(config_of(seed=1, trials=4), months, tmp_path / "broken", dying)
    for _ in range(3):
        with pytest.raises(Killed):
            tune(broken, other, 1)
        assert not broken.out.exists()
    found = tune(broken, other, 1)
    assert (found.values, found.loss, found.counts) == (expected.values, expected.loss, expected.counts)
    params = [[run.data.params for run in trials_of(t, s)] for t, s in ((tracking, whole), (other, broken))]
    assert params[0] == params[1]
    assert tune(broken, other, 1) == found  # nothing is left to do
    assert calls == 7
    longer = replace(broken, config=config_of(seed=1, trials=5))
    assert tune(longer, other, 1).counts.all == 5


def test_a_trial_that_is_worse_than_half_is_stopped(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    folds = [{"fit_until": FROM, "score_until": MIDDLE}, {"fit_until": MIDDLE, "score_until": UNTIL}]
    rates, trained = [1e-3, 1e-3, 9e-3, 1.1e-3], list[float]()

    def telling(panels: Sequence[Panel], config: TrainingConfig) -> Trained:
        trained.append(rates[int(config.epochs) - 1])
        return stand_in(panels, config.changed({"optimiser.learning_rate": trained[-1]}))

    space = {"epochs": [1, 2, 3, 4]}
    config = config_of(folds=folds, space=space, trials=8, startup_trials=2, seed=3)
    found = tune(search_of(config, months, tmp_path, telling), tracking, 1)
    assert found.counts.pruned > 0
    assert found.counts.complete + found.counts.pruned == 8
    assert len(trained) == 2 * found.counts.complete + found.counts.pruned
    assert rates[found.values["epochs"] - 1] == 1e-3


def test_what_cannot_be_trained_is_left_out(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    def failing(panels: Sequence[Panel], config: TrainingConfig) -> Trained:
        if config.optimiser.learning_rate > 1e-3:
            raise ConvergenceError("the loss is NaN")
        return stand_in(panels, config)

    search = search_of(config_of(seed=2), months, tmp_path, failing)
    lines = list[str]()
    found = tune(search, tracking, 1, tell=lines.append)
    assert found.counts.failed > 0
    assert found.counts.all == 6
    assert found.config.optimiser.learning_rate <= 1e-3
    ended = [(run.info.status, run.data.tags["ended"]) for run in trials_of(tracking, search)]
    assert ended.count(("FAILED", "failed")) == found.counts.failed
    assert sum("the loss is NaN" in line for line in lines) == found.counts.failed

    high = {"optimiser.learning_rate": {"low": 5e-3, "high": 1e-2}}
    hopeless = search_of(config_of(space=high, trials=2), months, tmp_path / "hopeless", failing)
    with pytest.raises(ConvergenceError, match=r"none of 2 trials .* the loss is NaN"):
        tune(hopeless, tracking, 1)
    assert not hopeless.out.exists()


def test_a_study_of_something_else_is_refused(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    search = search_of(config_of(trials=1), months, tmp_path)
    tune(search, tracking, 1)
    for other in (replace(search, data_sha256="other"), replace(search, config=config_of(seed=5))):
        with pytest.raises(SettingError, match=r"another search, data or code .* --study"):
            tune(other, tracking, 1)
    (tmp_path / "bad.db").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(FormatError, match=r"bad\.db: is no study .*; move it away"):
        tune(replace(search, study=tmp_path / "bad.db"), tracking, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"optimiser.learning_rat": {"low": 1, "high": 2}}}, "learning_rat"),
        ({"space": {"network.dropout": {"low": 0.0, "high": 1.5}}}, r"network\.dropout"),
        ({"space": {"network.head": ["pareto", "no_such"]}}, "no_such"),
        ({"base": "no_such"}, "no_such: no such file"),
    ],
)
def test_a_space_that_no_training_takes_is_refused_before_the_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((SettingError, MissingFileError), match=message):
        config_of(**changes).training()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("space.a = { low = 2, high = 1 }", "low 2 is not below high 1"),
        ("space.a = { low = 0, high = 1, log = true }", "begins above 0"),
        ("space.a = { low = 1, high = 2, step = 5 }", "step 5 does not fit"),
        ("space.a = [1]", "two or more choices"),
        ("space.a = [1, 2]\nfold = 3", "fold: no such key; known: base, trials"),
        (
            "space.a = { low = 2, top = 1 }",
            r"bad\.toml: space\.a\.high: is missing; space\.a\.top: no such key;",
        ),
        ("space.a = 3", r"space\.a: 3 is no list"),
        ("space.a = [inf, 1.0]", r"space\.a\.0: .*inf is not a finite number"),
        ("seed = true\nspace.a = [1, 2]", "seed: True is no whole number"),
        ("trials = ", "is no TOML"),
        ("space.a = [1, 2]\n[[folds]]\nfit_until = '2021-01-01'\nscore_until = '2020-01-01'", "is not after"),
    ],
)
def test_bad_searches_are_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    fold = "" if "folds" in line else "[[folds]]\nfit_until = '2020-01-01'\nscore_until = '2021-01-01'\n"
    path.write_text(f"base = 'demo'\ntrials = 1\n{line}\n{fold}")
    with pytest.raises(SettingError, match=message):
        load_tune(path)
    with pytest.raises(MissingFileError, match="one of tune_demo, tune_referee"):
        load_tune("none")


def test_a_wrong_key_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()  # what the demo leaves
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(
        "base = 'demo'\ntrials = 1\nspace.'optimiser.nonsense' = [1, 2]\n"
        "data = { symbols = ['A'], spec = 'referee' }\n"
        "[[folds]]\nfit_until = '2020-01-01'\nscore_until = '2021-01-01'\n"
    )
    with pytest.raises(SettingError, match=r"mine\.toml: space of demo: optimiser\.nonsense: no such key; known:"):
        load_tune(path).training()
    with pytest.raises(MissingFileError, match="is a folder"):
        load_tune(tmp_path)
    with pytest.raises(SettingError, match=r"demo: is no search; `margincast train` takes it"):
        load_tune("demo")


def test_folds_beyond_the_data_are_refused_with_their_date(months: Panel, tracking: Tracking, tmp_path: Path) -> None:
    """The sample is cut at 2020-03-15: what ends there is taken, what ends at the next origin is not."""
    untrained = search_of(config_of(), months, tmp_path, pytest.fail)
    late = {"fit_until": FROM, "score_until": "2020-03-15T01:00"}
    lacking = (
        r"folds\.1\.score_until 2020-03-15T01:00 is after the end of the data: features reach to 2020-03-15T00:00:00Z"
    )
    with pytest.raises(ShortHistoryError, match=lacking):
        tune(replace(untrained, config=config_of(folds=[{"fit_until": FROM, "score_until": UNTIL}, late])), tracking, 1)
    data = {"symbols": ["BTCUSDT"], "spec": "fifteen_minutes", "fit_until": "2030-01-01"}
    with pytest.raises(ShortHistoryError, match=r"data\.fit_until 2030-01-01 is after"):
        tune(replace(untrained, config=config_of(data=data)), tracking, 1)
    assert list(tmp_path.iterdir()) == []
    last = config_of(folds=[{"fit_until": FROM, "score_until": "2020-03-15"}], trials=1)
    assert tune(search_of(last, months, tmp_path), tracking, 1).counts.complete == 1


@pytest.mark.parametrize("name", ["tune_demo", "tune_referee"])
def test_packaged_searches_fit_their_base(name: str) -> None:
    config = load_tune(name)
    data = config.training().data
    assert data is not None
    assert data.fit_until is not None
    ends = [fold.until_ns for fold in config.folds]
    assert max(ends) <= parse_utc(data.fit_until)  # what is trained in the end knows no more than the search saw
    assert find_spec(data.spec).horizons_s


WORDS = st.text('aé. "\\\n-', max_size=3)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.text('ab-_é. "', max_size=3), VALUES, max_size=4))
def test_written_toml_is_read_back_as_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(table)) == table


@pytest.mark.slow
def test_a_real_search_by_the_command(months: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = sample.read()
    Store(tmp_path / "data").write(sample.SERIES, frame[frame["ts_ns"] < parse_utc("2020-03-15")])
    (tmp_path / "tiny.toml").write_text(
        f"""base = "demo"
trials = 2
overrides = {{ epochs = 1, validation_days = 5, "network.encoder_options" = {{ fast = 8, channels = 4 }} }}
[data]
symbols = ["BTCUSDT"]
spec = "fifteen_minutes"
[space]
"network.hidden" = {{ low = 4, high = 8 }}
"optimiser.learning_rate" = {{ low = 1e-3, high = 1e-2, log = true }}
[[folds]]
fit_until = "{FROM}"
score_until = "{UNTIL}"
"""
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(margincast.app, ["tune", "--config", "tiny.toml", "--store", "data"])
    assert result.exit_code == 0, result.output
    assert "trials   2 complete, 0 pruned, 0 failed" in result.output
    best = load_config("tune/tiny.toml")
    assert 4 <= best.network.hidden <= 8
    assert best.epochs == 1
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
