"""Who becomes champion: only one that is better beyond chance; whatever breaks, the champion stays."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

import margincast
from backtests.forecast_file import ForecastWriter
from backtests.outcomes import stored_outcomes
from backtests.promotion import Decision, force, promote
from backtests.promotion_forecasts import Contestant, check_overlap
from backtests.promotion_verdict import FZ0, HITS, QLIKE, Contest, judge
from backtests.promotion_windows import contest_of
from backtests.scoring_attendance import Market
from features.clock import parse_utc
from features.errors import FormatError, MissingFileError, SettingError, ShortHistoryError
from features.files import sha256_of
from features.pipeline import compute_panel
from features.sources import sample
from features.specs import find_spec
from features.store import Store
from models import artefact
from models.scores import qlike
from tests.backtests.trial_forecasts import trial
from training.config import load_config
from training.fit import train
from training.tracking import CHALLENGER, CHAMPION, Registry, RunRecord, Tracking

DAYS, PER_DAY, HORIZONS_S = 120, 4, (3_600, 86_400)
LEVELS = (0.01, 0.025, 0.025, 0.01)


def contest(
    seed: int, *, qlike_gain: float = 0.0, fz_gain: float = 0.0, rate: float = 1.0, days: int = DAYS
) -> Contest:
    """Losses with shocks that a day and both models share, and some of their own; hits ``rate`` times too often."""
    rng = np.random.default_rng(seed)
    shape = (days * PER_DAY, len(HORIZONS_S))
    day = np.repeat(np.arange(days), PER_DAY)
    shared = rng.gamma(2.0, 0.15, days)[day, None] + 0.1 * rng.random(shape)
    sides = []
    for gain, fz, times in ((qlike_gain, fz_gain, rate), (0.0, 0.0, 1.0)):
        own = 0.05 * rng.standard_normal(days)[day, None] + 0.05 * rng.standard_normal(shape)
        losses = {QLIKE: shared + own - gain, FZ0: 4 * shared + own[::-1] - fz}
        losses |= {n: (rng.random(shape) < times * p).astype(float) for n, p in zip(HITS, LEVELS, strict=True)}
        sides.append(losses)
    return Contest(day, HORIZONS_S, sides[0], sides[1])


def test_equal_models_are_promoted_no_more_often_than_the_size() -> None:
    wins = sum(judge(contest(seed)).wins for seed in range(300))
    assert wins <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_a_better_model_wins_and_its_p_agrees_with_its_interval() -> None:
    verdicts = [judge(contest(seed, qlike_gain=0.03)) for seed in range(100)]
    assert sum(v.wins for v in verdicts) >= 85  # sides that are alike are told to be worse at 5 % each
    for verdict in verdicts[:20]:
        for line in verdict.lines:
            assert line.p_better + line.p_worse == pytest.approx(1)
            assert (line.high < 0) == (line.p_better < 0.025)
            assert (line.low > 0) == (line.p_worse < 0.025)
            assert line.difference == pytest.approx(line.challenger - line.opponent, abs=1e-12)
    assert (verdicts[0].windows, verdicts[0].days) == (DAYS * PER_DAY * 2, DAYS)
    json.dumps(verdicts[0].to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qlike_gain": -0.03}, "no win: qlike over all horizons"),
        ({"qlike_gain": 0.03, "fz_gain": -0.1}, "worse: fz_tail over all horizons"),
        ({"qlike_gain": 0.03, "rate": 4.0}, "worse: hit_0.01 at"),
        ({"qlike_gain": 0.03, "rate": 0.0}, "worse: hit_0.0"),  # too wide is wrong as well
        ({"qlike_gain": 0.03, "days": 19}, "too few to tell: 14 of 14 comparisons"),
    ],
)
def test_harm_speaks_against_a_win(changes: dict[str, float], reason: str) -> None:
    verdict = judge(contest(1, **changes))  # type: ignore[arg-type]
    assert not verdict.wins
    assert any(told.startswith(reason) for told in verdict.reasons), verdict.reasons


def test_a_horizon_that_is_worse_or_missing_speaks_against_it() -> None:
    good = contest(2, qlike_gain=0.05)
    assert judge(good).wins
    losses = good.challenger[QLIKE] + np.array([-0.2, 0.12])  # better over both, worse at the second
    reasons = judge(replace(good, challenger={**good.challenger, QLIKE: losses})).reasons
    assert len(reasons) == 1
    assert reasons[0].startswith("worse: qlike at 24 h")
    verdict = judge(replace(good, missing=3, example="BTCUSDT, 2022-01-01T00:00:00Z, 1 h"))
    assert verdict.reasons == (
        "the challenger left out 3 scoreable windows, the first BTCUSDT, 2022-01-01T00:00:00Z, 1 h",
    )
    unknown = {name: np.where([True, False], values, np.nan) for name, values in good.challenger.items()}
    told = judge(replace(good, challenger=unknown)).reasons
    assert told[0].startswith("too few to tell: 8 of 14 comparisons cannot be made; ")
    assert not any("nan" in reason for reason in told)


def test_a_day_is_too_few_in_one_sentence() -> None:
    assert judge(contest(1, qlike_gain=0.5, days=1)).reasons == (
        "too few to tell: 14 of 14 comparisons cannot be made; qlike over all horizons has 4 windows on 1 day, "
        "20 days are needed: take a longer period",
    )


def test_distances_of_hit_rates_are_those_of_their_means() -> None:
    made = contest(3, rate=2.0)
    verdict = judge(made)
    for name, level in zip(HITS, LEVELS, strict=True):
        for h, horizon_s in enumerate(HORIZONS_S):
            ours, theirs = (abs(side[name][:, h].mean() - level) for side in (made.challenger, made.opponent))
            assert verdict.line(name, horizon_s).difference == pytest.approx(ours - theirs)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    frame = sample.read()
    return frame[frame["ts_ns"] < parse_utc("2020-04-20")].reset_index(drop=True)


@pytest.fixture(scope="module")
def store(bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    Store(root).write(sample.SERIES, bars)
    return root


@pytest.fixture(scope="module")
def market(store: Path) -> Market:
    return stored_outcomes(store, ["BTCUSDT"], parse_utc("2020-03-10"), parse_utc("2020-04-18"), HORIZONS_S, None, 900)


def test_losses_are_those_of_the_files(market: Market, tmp_path: Path) -> None:
    outcomes = market["BTCUSDT"]
    good, bad = trial(dict(outcomes), 0.1, seed=1), trial(dict(outcomes), 0.6, seed=2)
    with ForecastWriter(tmp_path / "f.parquet", is_double=True) as file:
        file.write("new", "BTCUSDT", good.rows(0, 700))
        file.write("old", "BTCUSDT", bad.rows(10))
    made = contest_of(tmp_path / "f.parquet", market, "new", "old")
    for h, by_horizon in enumerate(outcomes.values()):
        kept = np.flatnonzero(by_horizon.scoreable[:700])
        kept = kept[kept >= 10]
        both = np.isfinite(made.challenger[QLIKE][:, h])
        assert np.flatnonzero(both).tolist() == kept.tolist()
        expected = qlike(by_horizon.realised_variance[kept], good.variance[kept, h])
        np.testing.assert_allclose(made.challenger[QLIKE][kept, h], expected, rtol=1e-9)
        hits = by_horizon.log_return[kept] < bad.quantiles[kept, h, bad.level_index(0.01)]
        assert made.opponent["hit_0.01"][kept, h].tolist() == hits.tolist()
    lacking = sum(int(of.scoreable[700:].sum()) for of in outcomes.values())
    assert made.missing == lacking > 0
    assert made.example.startswith("BTCUSDT, 2020-04-08T04:00:00Z")
    with pytest.raises(SettingError, match="no forecasts of 'none'; the files have new, old"):
        contest_of(tmp_path / "f.parquet", market, "none", "old")
    with ForecastWriter(tmp_path / "g.parquet", is_double=True) as file:
        file.write("new", "BTCUSDT", good.rows(0, 100))
        file.write("old", "BTCUSDT", bad.rows(200))
    with pytest.raises(ShortHistoryError, match="no window together"):
        contest_of(tmp_path / "g.parquet", market, "new", "old")


def test_a_test_that_overlaps_with_training_is_refused() -> None:
    spec, until_ns = find_spec("fifteen_minutes"), parse_utc("2022-01-01")
    one = Contestant("challenger", spec, until_ns, lambda _panel: None)  # type: ignore[arg-type, return-value]
    other = replace(one, name="champion", trained_until_ns=parse_utc("2022-03-01"))
    check_overlap([one], parse_utc("2022-01-02"))
    with pytest.raises(SettingError, match=r"training of champion, .* begin at 2022-03-02T00:00:00Z"):
        check_overlap([one, other], parse_utc("2022-03-01T23:00"))


class Killed(BaseException):
    """A process that ends in between."""


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return Tracking(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def registry(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version a is champion, b is challenger; artefacts are a line of text each."""

    def checked(folder: Path) -> None:
        if (folder / "model.txt").read_text() != "whole":
            raise FormatError(f"{folder}: hash differs")

    monkeypatch.setattr(artefact, "load", checked)
    for alias in (CHAMPION, CHALLENGER):
        folder = tmp_path / alias / "model"
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text("whole")
        run_id = tracking.log(RunRecord(str(folder), alias, {}, {}, {}, {"model": folder}, 1))
        tracking.registry.register(run_id, "model", alias)
    return tracking.registry


def winning(_ours: Path, _theirs: Path | None) -> Contest:
    return contest(2, qlike_gain=0.05)


def losing(_ours: Path, _theirs: Path | None) -> Contest:
    return contest(1)


def champion_of(registry: Registry) -> int:
    return registry.version(CHAMPION).number


def test_a_challenger_that_wins_becomes_champion_with_its_evidence(registry: Registry, tracking: Tracking) -> None:
    old, new = champion_of(registry), registry.version(CHALLENGER)
    decision = promote(registry, winning, "log_har", 1_700_000_000_000, about={"store": "data"})
    assert decision.is_promoted
    assert champion_of(registry) == new.number != old
    assert registry.holder(CHALLENGER) is None
    tags = registry.version(CHAMPION).tags
    assert tags["decision"] == "won"
    assert (tags["opponent"], tags["former_champion"]) == (f"version {old}", str(old))
    assert tags["decided_at"] == "2023-11-14T22:13:20Z"
    client = MlflowClient(tracking_uri=tracking.uri)
    path = client.download_artifacts(new.run_id, f"promotion/version-{new.number}-1700000000000.json")
    told = json.loads(Path(path).read_text())
    assert told == json.loads(json.dumps(decision.to_json()))
    assert sha256_of(told) == tags["evidence_sha256"]
    assert told["verdict"]["wins"]
    with pytest.raises(MissingFileError, match="no model under alias 'challenger'"):
        promote(registry, winning, "log_har", 1)


def test_one_that_does_not_win_is_refused_with_its_figures(registry: Registry) -> None:
    old, new = champion_of(registry), registry.version(CHALLENGER).number
    decision = promote(registry, losing, "log_har", 1)
    assert not decision.is_promoted
    assert champion_of(registry) == old
    assert registry.version(CHALLENGER).number == new
    tags = registry.version(new).tags
    assert tags["decision"] == "lost"
    assert tags["reasons"].startswith("no win: qlike over all horizons")
    assert promote(registry, winning, "log_har", 2).is_promoted  # later, on more windows


@pytest.mark.parametrize("step", ["folder", "attach", "tag", "move", "load"])
def test_a_kill_before_the_end_keeps_the_champion(
    registry: Registry, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = champion_of(registry), registry.version(CHALLENGER).number

    def dying(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(artefact if step == "load" else Registry, step, dying)
        with pytest.raises(Killed):
            promote(registry, winning, "log_har", 1)
    assert champion_of(registry) == old
    assert registry.version(CHALLENGER).number == new
    assert promote(registry, winning, "log_har", 2).is_promoted


def test_a_kill_after_the_move_leaves_only_an_alias(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    new = registry.version(CHALLENGER).number

    def dying(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "drop", dying)
        with pytest.raises(Killed):
            promote(registry, winning, "log_har", 1)
    assert champion_of(registry) == new
    with pytest.raises(SettingError, match=f"version {new} is champion already"):
        promote(registry, winning, "log_har", 1)
    assert registry.holder(CHALLENGER) is None


def test_damage_keeps_the_champion(registry: Registry) -> None:
    old = champion_of(registry)
    path = registry.folder(CHALLENGER) / "model.txt"

    def damaging(ours: Path, _theirs: Path | None) -> Contest:
        (ours / "model.txt").write_text("damaged while it was tested")
        return contest(2, qlike_gain=0.05)

    with pytest.raises(FormatError, match="hash differs"):
        promote(registry, damaging, "log_har", 1)
    with pytest.raises(FormatError, match="hash differs"):
        promote(registry, winning, "log_har", 1)
    with pytest.raises(FormatError, match="hash differs"):
        force(registry, registry.version(CHALLENGER).number, "in a hurry", 1)
    assert champion_of(registry) == old
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(MissingFileError, match="restore the folder"):
        promote(registry, winning, "log_har", 1)
    assert champion_of(registry) == old


def test_a_champion_that_changed_meanwhile_stays(registry: Registry) -> None:
    def slow(_ours: Path, _theirs: Path | None) -> Contest:
        registry.move(CHAMPION, 1 if champion_of(registry) != 1 else 2)
        return contest(2, qlike_gain=0.05)

    new = registry.version(CHALLENGER).number
    with pytest.raises(SettingError, match=r"became champion while version \d+ was tested; promote again"):
        promote(registry, slow, "log_har", 1)
    assert champion_of(registry) != new


def test_rolling_back_keeps_the_reason(registry: Registry) -> None:
    old = champion_of(registry)
    promote(registry, winning, "log_har", 1)
    new = champion_of(registry)
    decision = force(registry, old, "its tails failed on 5 March", 2)
    assert isinstance(decision, Decision)
    assert champion_of(registry) == old
    assert registry.version(old).tags["forced"] == "its tails failed on 5 March"
    assert registry.version(old).tags["former_champion"] == str(new)
    with pytest.raises(SettingError, match="champion already"):
        force(registry, old, "again", 3)
    with pytest.raises(SettingError, match="only for a reason"):
        force(registry, new, " ", 3)
    with pytest.raises(MissingFileError, match="no model of version 999"):
        force(registry, 999, "why not", 3)


@pytest.mark.parametrize(
    ("contend", "untested", "word"), [(winning, False, "won"), (losing, False, "lost"), (losing, True, "untested")]
)
def test_the_first_beats_the_baseline_or_is_taken_untested(
    registry: Registry, contend: Callable[[Path, Path | None], Contest], untested: bool, word: str
) -> None:
    registry.drop(CHAMPION)
    decision = promote(registry, contend, "log_har", 1, untested=untested)
    assert decision.word == word
    assert decision.opponent == ("none" if untested else "log_har")
    assert (registry.holder(CHAMPION) is not None) == (word != "lost")


@pytest.mark.slow
def test_from_artefacts_to_the_alias_by_the_command(
    bars: pd.DataFrame, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trained networks: the first is taken, the second is the same model and does not win."""
    small = {
        "epochs": 1,
        "validation_days": 0,
        "network.hidden": 4,
        "network.encoder_options": {"fast": 8, "channels": 4},
    }
    panel = compute_panel(bars, "BTCUSDT", find_spec("fifteen_minutes"))
    forecaster = train([panel.until(parse_utc("2020-03-05"))], load_config("demo").changed(small)).forecaster
    tracking = Tracking(tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)

    def ran(*more: str) -> tuple[int, str]:
        result = CliRunner().invoke(margincast.app, ["promote", "--store", str(store), *more])
        return result.exit_code, result.output if result.exception is None else f"{result.output}{result.exception}"

    for name in ("first", "second"):
        provenance = {"trained_until": "2020-03-05T00:00:00Z", "name": name}
        artefact.save(forecaster, tmp_path / name, provenance)
        run_id = tracking.log(RunRecord(name, name, {}, {}, {}, {"model": tmp_path / name}, 1))
        tracking.registry.register(run_id, "model", CHALLENGER)
        if name == "first":
            code, told = ran("--first")
            assert code == 0, told
            assert "champion version 1, without a test" in told
    code, told = ran()
    assert code == 1, told
    assert "no win: qlike over all horizons +0.00000" in told
    assert "champion stays as it was: version 1" in told
    assert champion_of(tracking.registry) == 1
    code, told = ran("--from", "2020-03-01")
    assert code == 1
    assert "overlaps with the training of challenger" in told
    tracking.registry.drop(CHAMPION)
    code, told = ran()
    assert "version 2 against log_har" in told
    assert code == (0 if "champion version 2, by the test" in told else 1)
    assert (tracking.registry.holder(CHAMPION) is not None) == (code == 0)
