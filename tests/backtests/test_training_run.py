"""``margincast train`` from the outside: what it leaves behind, what a second run re-uses, how a fault ends."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from mlflow import MlflowClient

from backtests import training_compared, training_network, training_run, training_scores
from backtests.outcomes import stored_outcomes
from backtests.scoring import score_file
from backtests.training_job import Asked
from backtests.training_network import Trained, trained_network
from backtests.training_period import period_of
from backtests.training_run import TrainingRun, run_training
from backtests.training_tracking import track
from features.clock import DAY_NS, parse_utc
from features.errors import DataError, SettingError
from features.files import sha256_of_file
from features.pipeline import Progress, build_panels, no_progress
from features.sources import sample
from features.specs import FOLDER as SPECS
from features.specs import find_spec
from features.store import Store
from models import artefact
from models.base import LEVELS
from tests.running import Done, Run, runner
from training.config import load_config
from training.tracking import Tracking

KNOWN_UNTIL, TEST_FROM, TEST_TO = "2020-05-01T00:00Z", "2020-05-20T00:00Z", "2020-06-14T23:00Z"
OTHER, SYMBOLS = "OTHERUSDT", ("BTCUSDT", "OTHERUSDT")
CONFIG = f"""
seeds = [0]
epochs = 1
batch_size = 256
validation_days = 10
[data]
symbols = ["BTCUSDT", "{OTHER}"]
spec = "SPEC"
fit_until = "{KNOWN_UNTIL}"
[network]
encoder = "mlp"
hidden = 8
[machine]
threads = 1
"""
FEW = ("har_log", "ewma_rv")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, bars: pd.DataFrame) -> Store:
    """The sample, and a second coin that moves 1.3 times as far."""
    first = bars[bars["ts_ns"] < parse_utc("2020-06-16")].reset_index(drop=True)
    prices = ["open", "high", "low", "close"]
    store = Store(tmp_path_factory.mktemp("two"))
    store.write(sample.SERIES, first)
    store.write(replace(sample.SERIES, symbol=OTHER), first.assign(**{p: first[p] ** 1.3 / 100 for p in prices}))
    return store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of this file are: two horizons, to be quick."""
    found = tmp_path_factory.mktemp("train")
    spec = (SPECS / "fifteen_minutes.toml").read_text().replace("14400, 28800, 86400", "86400")
    (found / "two.toml").write_text(spec)
    (found / "mine.toml").write_text(CONFIG.replace("SPEC", str(found / "two.toml")))
    return found


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Two classical models instead of five."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_scores, "COMPARED", FEW)
        yield


def silent(_step: str) -> Progress:
    return no_progress


@pytest.fixture(scope="module")
def whole(two: Store, folder: Path, quick: None) -> TrainingRun:
    """One run with a symbol left out."""
    del quick
    asked = Asked(TEST_FROM, TEST_TO, (OTHER,))
    return run_training(load_config(folder / "mine.toml"), two.root, folder / "out", silent, asked)


@pytest.fixture
def scores(whole: TrainingRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((whole.out / "scores.json").read_text())
    return found


@pytest.fixture
def run(
    folder: Path, two: Store, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Calls of the command; what an earlier one made is there."""
    del quick
    monkeypatch.chdir(folder)
    called = runner(monkeypatch, capsys, "train")

    def run(*arguments: str) -> Done:
        given = {"--config": "mine.toml", "--store": str(two.root), "--out": "out", "--tracking": "runs", "--jobs": "1"}
        given |= {"--from": TEST_FROM, "--to": TEST_TO} | dict(zip(arguments[::2], arguments[1::2], strict=True))
        return called(*(part for pair in given.items() for part in pair), "--no-onnx")

    return run


def test_what_is_scored_begins_after_training_and_has_every_model(scores: dict[str, Any], folder: Path) -> None:
    rows = pl.read_parquet(folder / "out/forecasts.parquet")
    assert rows["origin_ms"].min() == parse_utc(TEST_FROM) // 1_000_000
    assert rows["origin_ms"].max() == parse_utc(TEST_TO) // 1_000_000
    counts = dict(rows.group_by("model").len().iter_rows())
    assert counts == dict.fromkeys(("network", "network+track", *FEW), 2 * 2 * 26 * 24)
    assert {f"q_{p:g}" for p in LEVELS} | {"xdn_0.99", "xup_0.995"} <= set(rows.columns)
    assert scores["about"]["period"]["lead_days"] == 19
    assert scores["models"] == sorted(counts)


def test_the_skill_over_each_model_is_that_of_the_scorer_with_it_as_baseline(
    scores: dict[str, Any], folder: Path, two: Store
) -> None:
    span, horizons_s = (parse_utc(TEST_FROM), parse_utc(TEST_TO)), (3_600, 86_400)
    outcomes = stored_outcomes(two.root, SYMBOLS, *span, horizons_s, bar_s=900)
    for other in FEW:
        apart = score_file(folder / "out/forecasts.parquet", outcomes, baseline=other)
        for horizon_s in horizons_s:
            own, found = apart["horizons"][horizon_s]["pooled"]["network"], scores["skills"][str(horizon_s)][other]
            assert found["detail"]["vs"]["qlike"] == pytest.approx(own["detail"]["vs"]["qlike"])
            assert found["detail"]["vs"]["fz_tail"] == pytest.approx(own["detail"]["vs"]["fz_tail"])
            assert found["vs"]["qlike"]["dm_t"] == pytest.approx(own["vs"]["qlike"]["dm_t"])


def test_qlike_is_that_of_the_forecasts_and_of_what_came(scores: dict[str, Any], folder: Path, two: Store) -> None:
    rows = pl.read_parquet(folder / "out/forecasts.parquet").filter(model="network", horizon_s=3_600)
    losses = []
    for series in two.list():
        bars = two.scan(series)
        origin_ns = np.arange(parse_utc(TEST_FROM), parse_utc(TEST_TO) + 1, 3_600 * 10**9)
        last = np.searchsorted(bars["ts_ns"], origin_ns) - 1  # the bar that closes at the origin
        assert (np.diff(bars["ts_ns"].to_numpy()[last[0] : last[-1] + 5]) == 900 * 10**9).all()
        closes = np.array([bars["close"].to_numpy()[last + k] for k in range(5)])
        realised = np.square(np.diff(np.log(closes), axis=0)).sum(axis=0)
        forecast = rows.filter(instrument=series.symbol).sort("origin_ms")["variance"].to_numpy()
        losses.append(realised / forecast - np.log(realised / forecast) - 1)
    figures = scores["horizons"]["3600"]["pooled"]["network"]
    assert figures["n"] == 2 * len(origin_ns)
    assert figures["qlike"] == pytest.approx(np.mean(losses), rel=1e-6)


def test_nothing_later_than_the_end_of_training_reaches_a_weight(
    scores: dict[str, Any], folder: Path, two: Store, tmp_path: Path
) -> None:
    del scores
    other = Store(tmp_path / "store")
    for series in two.list():
        bars = two.scan(series)
        later = bars["ts_ns"] >= parse_utc(KNOWN_UNTIL)
        prices = ["open", "high", "low", "close"]
        noise = np.exp(np.random.default_rng(5).normal(0, 0.01, int(later.sum())))
        bars.loc[later, prices] = bars.loc[later, prices].mul(noise, axis=0).to_numpy()
        other.write(series, bars)
    config = load_config(folder / "mine.toml")
    spec = find_spec(str(folder / "two.toml"))
    panels = build_panels(other.root, None, ("BTCUSDT", OTHER), spec, tmp_path / "cache")
    assert config.data is not None
    period = period_of(config.data, panels, spec, TEST_FROM, TEST_TO)
    again = trained_network(config, panels, "other", period.fold, tmp_path / "model", no_progress).forecaster
    first = artefact.load(folder / "out/model")
    for mine, theirs in zip(first.nets[0].state_dict().items(), again.nets[0].state_dict().items(), strict=True):
        assert mine[0] == theirs[0]
        assert torch.equal(mine[1], theirs[1])


def test_the_symbol_left_out_is_forecast_by_a_network_without_it(scores: dict[str, Any], folder: Path) -> None:
    found = scores["unseen"][OTHER]
    assert found["models"] == sorted([*FEW, "network", "network, unseen"])
    assert found["instruments"] == [OTHER]
    assert artefact.read_card(folder / "out/unseen" / OTHER / "model")["provenance"]["instruments"] == ["BTCUSDT"]
    assert artefact.read_card(folder / "out/model")["provenance"]["instruments"] == ["BTCUSDT", OTHER]
    unseen, seen = (found["horizons"]["3600"]["pooled"][name]["qlike"] for name in ("network, unseen", "network"))
    assert unseen != seen
    assert seen == pytest.approx(scores["horizons"]["3600"]["per_instrument"][OTHER]["network"]["qlike"])
    assert f"Never seen in training: {OTHER}" in (folder / "out/report.html").read_text()


def test_a_run_is_logged_once_and_re_used(whole: TrainingRun, run: Run, folder: Path) -> None:
    names = ("scores.json", "report.html", "model_card.md", "forecasts.parquet", "forecasts.json")
    before = {name: (folder / "out" / name).read_bytes() for name in names}
    scores = before["scores.json"].decode()
    done = run("--unseen", OTHER)
    assert (done.code, done.err) == (0, "")
    assert "version 1, alias champion" in done.out
    assert "re-used  the network" in done.out
    assert "the lead of 19 days is short" in done.out
    assert f"{OTHER}, never seen in training" in done.out
    assert len(re.findall(r"^ *network, unseen ", done.out, re.MULTILINE)) == 2  # a line a horizon
    assert {name: (folder / "out" / name).read_bytes() for name in names} == before

    tracking = Tracking(folder / "runs")
    assert track(whole, tracking, 1) == (1, "champion")
    client = MlflowClient(f"sqlite:///{folder / 'runs/mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert len(runs) == 1
    told, data = json.loads(scores), runs[0].data
    assert data.params["data.symbols"] == "['BTCUSDT', 'OTHERUSDT']"
    assert data.params["optimiser.learning_rate"] == "0.001"
    assert {"model_id", "config_sha256", "data_sha256", "spec_sha256", "code_sha256"} <= set(data.params)
    own = told["horizons"]["86400"]["pooled"]["network"]
    assert data.metrics["24h/tercile/0.01/stormy"] == pytest.approx(own["tercile_trailing"]["0.01"][2])
    assert data.metrics["24h/hit_0.975"] == pytest.approx(own["hit_0.975"])
    skill = told["skills"]["86400"]["ewma_rv"]["detail"]["vs"]["qlike"]["skill"]
    assert data.metrics["24h/over_ewma_rv/qlike/skill"] == pytest.approx(skill)
    logged = client.get_metric_history(runs[0].info.run_id, "epoch/train_loss/seed_0")
    assert [m.value for m in logged] == [epoch["train_loss"] for epoch in whole.trained.histories[0]]
    kept = {a.path for a in client.list_artifacts(runs[0].info.run_id)}
    assert kept == {"model", "scores", "report", "card", "calibration-network", "calibration-network+track"}

    of_one = folder / "out/unseen" / OTHER / "model"  # another model
    other = Trained(artefact.load(of_one), artefact.read_card(of_one), of_one, 1.0)
    assert track(replace(whole, trained=other), tracking, 2) == (2, "challenger")
    assert tracking.registry.version("champion").number == 1


def test_inputs_are_weighed_on_what_was_held_out(whole: TrainingRun, folder: Path) -> None:
    assert whole.weighed.failures == ()
    assert [found.kind for found in whole.weighed.found] == ["permutation", "integrated gradients"]
    assert all("1,248 forecasts of BTCUSDT, OTHERUSDT on 26 days" in found.about for found in whole.weighed.found)
    assert "What the network looks at: permutation" in (folder / "out/report.html").read_text()


def test_the_model_card_tells_scores_and_hashes_of_the_files(scores: dict[str, Any], folder: Path) -> None:
    card = (folder / "out/model_card.md").read_text()
    for path in (folder / "out/model").iterdir():
        assert f"| `{path.name}` | `{sha256_of_file(path)}` |" in card
    assert scores["about"]["model_id"] in card
    qlike = scores["horizons"]["86400"]["pooled"]["network"]["qlike"]
    assert f"| 24 h, network | {qlike:.4f} |" in card
    assert "lead of the calibration | 2020-05-01T00:00:00Z to 2020-05-20T00:00:00Z, 19 days" in card
    assert "$" not in card
    assert "Where t and interval\ndisagree, t counts" in card
    assert "Where t and interval disagree, t counts" in (folder / "out/report.html").read_text()


def test_who_follows_the_card_finds_its_hashes_and_the_name_of_the_model(scores: dict[str, Any], folder: Path) -> None:
    card = (folder / "out/model_card.md").read_text()
    told = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", card, re.MULTILINE))
    assert {"model.json", "weights-0.safetensors", "forecasts.parquet"} <= set(told)
    printed = _shell("sha256sum model/* forecasts.parquet", folder / "out")
    assert {Path(line.split()[1]).name: line.split()[0] for line in printed.splitlines()} == told
    [command] = re.findall(r"```sh\n(.*?)\n```", card, re.DOTALL)
    with_this_python = command.replace("python", shlex.quote(sys.executable), 1)
    assert _shell(with_this_python, folder / "out").strip() == scores["about"]["model_id"]


def _shell(command: str, folder: Path) -> str:
    return subprocess.run(["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout


def keys(out: Path) -> set[str]:
    """Keys of the runs that the results in a folder say they are of."""
    about = json.loads((out / "scores.json").read_text())["about"]
    page, card = (re.findall("run `?([0-9a-f]{64})", (out / n).read_text()) for n in ("report.html", "model_card.md"))
    assert about["forecasts_sha256"] == sha256_of_file(out / "forecasts.parquet")
    assert about["model_id"] == artefact.read_card(out / "model")["model_id"]
    return {about["run"], json.loads((out / "forecasts.json").read_text())["run"], *page, *card}


def test_a_run_that_fails_leaves_the_former_results_and_a_whole_one_replaces_them_together(
    whole: TrainingRun, two: Store, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.out, out)
    config, asked = load_config(folder / "mine.toml", ["network.hidden=4"]), Asked(TEST_FROM, TEST_TO)
    before = {p: p.read_bytes() for n in ("*.json", "*.html", "*.md", "*.parquet", "model/*") for p in out.glob(n)}
    assert len(before) == 7
    for module, step in ((training_network, "_train"), (training_run, "weigh"), (training_run, "write_card")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, step, _killed)
            with pytest.raises(KeyboardInterrupt):
                run_training(config, two.root, out, silent, asked)
        assert {path: path.read_bytes() for path in before} == before
    assert keys(out) == {whole.key}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_network, "_train", _killed)  # what the killed runs made is not made again
        patch.setattr(training_compared, "_make", _killed)
        again = run_training(config, two.root, out, silent, asked)
    assert again.key != whole.key
    assert keys(out) == {again.key}
    assert again.trained.folder == out / "model"
    assert not (out / ".new").exists()


def _killed(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_a_damaged_artefact_is_made_again(whole: TrainingRun, two: Store, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.out, out)
    weights = out / "model/weights-0.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    asked = Asked(TEST_FROM, TEST_TO, (OTHER,))
    again = run_training(load_config(folder / "mine.toml"), two.root, out, silent, asked)
    assert again.trained.seconds > 0
    assert weights.read_bytes() == (whole.out / "model/weights-0.safetensors").read_bytes()
    assert keys(out) == {whole.key}


@pytest.mark.parametrize(
    ("changes", "asked", "told"),
    [
        (["data.symbols=['DOGEUSDT']"], Asked(), "holds nothing of DOGEUSDT; it has"),
        ([], Asked(unseen=("DOGEUSDT",)), "holds nothing of DOGEUSDT; it has"),
        (["data.fit_until='2024-01-01'"], Asked(), "leaves nothing to score; choose an earlier one"),
        (["data.fit_until='2020-01-20'"], Asked(), "nothing to train on"),
        (["data.fit_from='2020-06-01'"], Asked(), "is not before fit_until"),
        (["data.spec=nothing"], Asked(), "no such feature spec"),
        ([], Asked("2020-04-01"), "begins before training ends"),
        ([], Asked("2020-06-20"), "choose an earlier --from"),
        ([], Asked("2020-06-10", "2020-06-01"), "is empty; choose other dates"),
        ([], Asked(None, "2020-04-01"), "--to 2020-04-01 is not after the first forecast, 2020-05-01T00:00:00Z"),
    ],
)
def test_a_fault_is_told_before_the_work(
    changes: list[str], asked: Asked, told: str, folder: Path, two: Store, whole: TrainingRun
) -> None:
    del whole
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        run_training(load_config(folder / "mine.toml", changes), two.root, folder / "out", silent, asked)
    assert "\n" not in str(caught.value)


def test_the_only_symbol_cannot_be_left_out(whole: TrainingRun, two: Store) -> None:
    config = whole.config.changed({"data.symbols": ["BTCUSDT"]})
    with pytest.raises(SettingError, match="is the only symbol that is trained on"):
        run_training(config, two.root, whole.out.parent / "alone", silent, Asked(TEST_FROM, TEST_TO, ("BTCUSDT",)))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--config", "other.toml"), "no such file"),
        (("--config", "bare.toml"), "has no table [data]"),
        (("--config", "open.toml"), "data.fit_until is not given"),
        (("--store", "nowhere"), "no such folder; import bars first"),
        (("--set", "epoch=2"), "epoch: no such key"),
    ],
)
def test_a_fault_is_one_line(arguments: tuple[str, ...], told: str, run: Run, folder: Path) -> None:
    (folder / "bare.toml").write_text("epochs = 1\nbatch_size = 8\n")
    (folder / "open.toml").write_text((folder / "mine.toml").read_text().replace("fit_until", "fit_from"))
    done = run(*arguments)
    assert done.code == 2
    assert told in done.err
    assert done.err.strip().count("\n") == 0


def test_the_lead_is_a_third_of_what_was_held_out(two: Store, folder: Path) -> None:
    spec, data = find_spec(str(folder / "two.toml")), load_config(folder / "mine.toml").data
    panels = build_panels(two.root, None, ("BTCUSDT",), spec, folder / "out/cache")
    assert data is not None
    short = period_of(data, panels, spec, None, None)  # 46 days were held out
    assert (short.from_ns - short.fold.first_ns) / DAY_NS == 15
    assert short.to_ns == panels["BTCUSDT"].origin_ns[-1]
