"""The ablation on markets whose law is known: what a feature tells is found, what it does not tell is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
import typer
from typer.testing import CliRunner

from backtests.ablation import run_ablation
from backtests.ablation_command import ablate
from backtests.ablation_market import START_NS, market_spec, truth
from backtests.ablation_models import answer_group
from backtests.ablation_plan import NETWORK, RIDGE, TRUTH, AblationPlan, AblationScore, Answered, Group
from backtests.ablation_recordings import recordings_of, split
from backtests.ablation_report import added_picture
from backtests.ablation_rungs import ladder_of, narrowed
from backtests.ablation_scores import difference, score_group
from backtests.ablation_tables import ablation_table, short_table
from features.clock import NS_PER_S
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import Progress, compute_panels, no_progress
from features.sources.synthetic import Feed, MarketSpec, draw_events, simulate
from features.sources.synthetic.plan import Plan
from features.sources.synthetic.writing import write_market
from features.spec import FeatureSpec
from features.specs import find_spec
from features.targets import Targets
from training.config import load_config

BRIEF = load_config(
    "book",
    [
        "seeds=[0]", "epochs=6", "batch_size=128", "network.encoder=mlp", "network.encoder_options={}",
        "network.hidden=8", "optimiser.learning_rate=1e-2", "optimiser.ema_decay=0.9",
    ],
)  # fmt: skip
PLANTED = FeatureSpec(
    bar_s=1, every_s=60, horizons_s=(60,), price="mid", features=("log_rv_60s", "signed_60s", "log_spread_60s")
)
PLAN = AblationPlan(specs=("short_windows",))


def silent(_step: str) -> Progress:
    return no_progress


def planted(name: str, seed: int, n: int = 1_000) -> Panel:
    """The spread tells the log variance, the returns of the past and the flow do not."""
    rng = np.random.default_rng(seed)
    log_variance = -14 + rng.standard_normal(n)
    returns = np.exp(log_variance / 2)[:, None] * rng.standard_normal((n, 60)) / np.sqrt(60)
    values = np.column_stack([rng.standard_normal(n), rng.standard_normal(n), log_variance / 2]).astype(np.float32)
    realised, total = (returns**2).sum(axis=1)[:, None], returns.sum(axis=1)[:, None]
    targets = Targets(realised, realised, total, np.abs(total), np.abs(total))
    origin_ns = START_NS + 60 * NS_PER_S * np.arange(n)
    return Panel(name, PLANTED, origin_ns, values, targets, np.zeros(n, dtype=bool))


@pytest.fixture(scope="module")
def group() -> Group:
    recordings = [
        split(p, PLAN, np.exp(2 * p.column("log_spread_60s"))[:, None]) for p in (planted("a", 1), planted("b", 2))
    ]
    return Group("planted", tuple(recordings))


@pytest.fixture(scope="module")
def answered(group: Group) -> list[Answered]:
    return answer_group(group, PLAN, BRIEF)


@pytest.fixture(scope="module")
def scores(group: Group, answered: list[Answered]) -> dict[tuple[str, str, str], AblationScore]:
    return {(s.recording, s.kind, s.rung): s for s in score_group(group, answered, PLAN)}


@pytest.mark.parametrize("kind", [RIDGE, NETWORK])
def test_the_feature_that_tells_the_variance_is_found_and_the_other_is_not(
    kind: str, scores: dict[tuple[str, str, str], AblationScore]
) -> None:
    for rung in ("book", "all"):
        high = scores["", kind, rung].added["qlike"].high
        assert high is not None
        assert high < -0.05
    flow = scores["", kind, "flow"].added["qlike"]
    assert abs(flow.mean) < 0.03


def test_the_truth_has_the_floor_of_qlike_and_the_ridge_that_sees_it_nearly_reaches_it(
    scores: dict[tuple[str, str, str], AblationScore],
) -> None:
    """Of sixty normal returns the floor is ln(n/2) less digamma(n/2), about 1/n (see models.scores.qlike_floor)."""
    floor = scores["", TRUTH, ""].loss["qlike"]
    assert floor == pytest.approx(1 / 60, abs=0.004)
    reached = scores["", RIDGE, "book"].reached
    assert reached is not None
    assert reached > 0.9
    assert scores["", RIDGE, "returns"].reached == pytest.approx(0.0, abs=0.1)
    assert scores["", TRUTH, ""].reached == 1.0


def test_figures_of_all_recordings_are_the_means_of_each(scores: dict[tuple[str, str, str], AblationScore]) -> None:
    for kind in (RIDGE, NETWORK):
        parts = [scores[name, kind, "all"] for name in ("a", "b")]
        weights = [p.windows for p in parts]
        for loss, mean in scores["", kind, "all"].loss.items():
            assert mean == pytest.approx(np.average([p.loss[loss] for p in parts], weights=weights), rel=1e-9)
    assert scores["", RIDGE, "all"].windows == sum(weights)
    # Every window ends where the next begins: all of them fit behind each other.
    assert scores["", RIDGE, "all"].apart == scores["", RIDGE, "all"].windows


def test_outcomes_after_an_origin_change_nothing_at_it(group: Group, answered: list[Answered]) -> None:
    cut = 800
    later = []
    for recording in group.recordings:
        targets = recording.panel.targets
        other = {
            name: np.where(np.arange(len(values))[:, None] >= cut, 3 * values, values)
            for name, values in targets.arrays.items()
        }
        later.append(replace(recording, panel=replace(recording.panel, targets=Targets(**other))))
    again = answer_group(Group("planted", tuple(later)), PLAN, BRIEF)
    for one, two in zip(answered, again, strict=True):
        for key, forecast in one.forecasts.items():
            np.testing.assert_array_equal(forecast.variance[: cut + 1], two.forecasts[key].variance[: cut + 1])
            np.testing.assert_array_equal(forecast.quantiles[: cut + 1], two.forecasts[key].quantiles[: cut + 1])
        assert (
            one.forecasts[RIDGE, "all"].variance[cut + 2 :] != two.forecasts[RIDGE, "all"].variance[cut + 2 :]
        ).all()


def test_training_knows_nothing_that_ended_in_the_test(group: Group) -> None:
    recording = group.recordings[0]
    ends_ns = recording.panel.origin_ns + 60 * NS_PER_S
    known = np.isfinite(recording.past.targets.log_return[:, 0])
    np.testing.assert_array_equal(known, ends_ns[: len(known)] <= recording.test_ns)
    assert (
        recording.panel.origin_ns[recording.first - 1] < recording.test_ns <= recording.panel.origin_ns[recording.first]
    )
    assert 0 < (~known).sum() <= 2


def test_the_interval_of_single_windows_is_that_of_newey_and_west() -> None:
    values = np.random.default_rng(5).standard_normal(40).cumsum() / 10
    fitted = sm.OLS(values, np.ones(40)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 1, "use_correction": True}, use_t=True
    )
    found = difference(values, np.arange(40))
    assert (found.low, found.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-9)


def test_the_interval_of_blocks_that_are_shared_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    block = np.repeat(np.arange(24), 30)
    held = 0
    for _ in range(1_000):
        found = difference(np.repeat(rng.standard_normal(24), 30) + 0.3 * rng.standard_normal(720), block)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.90 < held / 1_000 < 0.975  # Bartlett's weight on a lag of nothing costs a little of the 95 %
    assert difference(np.arange(4.0), np.arange(4)).low is None


def events(hours: float, seed: int = 3) -> dict[str, list[object]]:
    path = simulate(MarketSpec().first(1), START_NS, hours * 3600, 1.0, np.random.default_rng(seed))
    drawn = draw_events(path, "BTC-SYN", np.random.default_rng(seed), Feed(message_s=1.0))
    return {"trades": [drawn.trades], "book_deltas": [drawn.book_deltas]}


def test_a_rung_is_the_panel_that_its_own_spec_gives() -> None:
    tables, spec = events(0.1), find_spec("short_windows")
    whole = compute_panels({"BTC-SYN": tables}, ("BTC-SYN",), spec)["BTC-SYN"]  # type: ignore[dict-item]
    for features in ladder_of(spec).values():
        part = narrowed(whole, features)
        own = compute_panels({"BTC-SYN": tables}, ("BTC-SYN",), part.spec)["BTC-SYN"]  # type: ignore[dict-item]
        own = own.rows(own.first_row_from(int(part.origin_ns[0])), len(own))  # the longest look-back may be gone
        np.testing.assert_array_equal(part.origin_ns, own.origin_ns)
        np.testing.assert_array_equal(part.values, own.values)
        np.testing.assert_array_equal(part.targets.realised_variance, own.targets.realised_variance)
        assert part.spec.hash == own.spec.hash


@pytest.mark.parametrize("name", ["seconds", "short_windows"])
def test_packaged_rungs_part_returns_trades_and_book(name: str) -> None:
    rungs = ladder_of(find_spec(name))
    assert all(f.startswith(("log_rv", "log_bv", "log_kernel", "move")) for f in rungs["returns"])
    assert set(rungs["flow"]) & set(rungs["book"]) == set(rungs["returns"])
    assert set(rungs["all"]) - set(rungs["flow"]) - set(rungs["book"]) == {
        f for f in rungs["all"] if f.startswith(("effective_spread", "realised_spread"))
    }
    assert rungs["all"] == find_spec(name).features


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (("log_rv_60s", "funding_8h"), "none of returns, trades or the book"),
        (("log_rv_60s", "log_spread_60s"), "no feature of the flow"),
        (("log_bv_60s", "signed_60s", "log_spread_60s"), "needs a log_rv"),
    ],
)
def test_specs_without_a_ladder_are_refused(features: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        ladder_of(FeatureSpec(bar_s=1, every_s=60, horizons_s=(60,), features=features))


def test_the_truth_is_the_mean_of_what_comes_from_one_state() -> None:
    spec = market_spec(PLAN)
    rng = np.random.default_rng(9)
    begun = simulate(spec, START_NS, 60.0, 1.0, rng)
    panel = replace(planted("a", 1, 1), origin_ns=begun.ts_ns[:1], spec=replace(PLANTED, horizons_s=(600,)))
    expected = truth(begun, "ETH-SYN", panel)[0, 0]
    ends = [simulate(spec, START_NS, 600.0, 10.0, rng, begun.state(0)).log_price[1] for _ in range(600)]
    came = (np.diff(ends, axis=1) ** 2).sum(axis=1)
    assert expected == pytest.approx(came.mean(), abs=4 * came.std() / np.sqrt(600))
    assert 4 * came.std() / np.sqrt(600) < 0.1 * expected


def test_stretches_are_told_apart_and_short_ones_left_out() -> None:
    panel = planted("a", 1, 400)
    origin_ns = np.where(np.arange(400) < 300, panel.origin_ns, panel.origin_ns + 3600 * NS_PER_S)
    origin_ns[398:] += 3600 * NS_PER_S
    found = recordings_of(replace(panel, origin_ns=origin_ns), PLAN)
    assert [len(r.panel) for r in found] == [300, 98]
    assert len({r.name for r in found}) == 2
    for recording in found:
        np.testing.assert_allclose(np.nanmedian(recording.panel.values[: recording.first], axis=0), 0, atol=1e-5)
    with pytest.raises(ShortHistoryError, match="no unbroken stretch of origins holds 4 windows"):
        recordings_of(panel.rows(0, 4), PLAN)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recorded")
    write_market(Plan(MarketSpec().first(2), 5, 900), root, None, lambda _: None)
    return root


def test_recordings_of_a_store_make_a_page(store: Path, tmp_path: Path) -> None:
    """A quarter of an hour is too short for the first spec: the second is taken, and what fits none is told."""
    result = run_ablation(tmp_path, silent, BRIEF, store)
    assert [g.name for g in result.groups] == ["short_windows"]
    assert [r.name for r in result.groups[0].recordings] == ["synthetic/BTC-SYN", "synthetic/ETH-SYN"]
    told = json.loads((tmp_path / "scores.json").read_text())
    rungs = {(s["kind"], s["rung"]) for s in told["scores"] if s["recording"] == ""}
    assert rungs == {("flat", "")} | {(k, r) for k in ("ridge", "network") for r in ("returns", "flow", "book", "all")}
    assert all(s["reached"] is None for s in told["scores"])
    page = result.report.read_text()
    assert page.count("<section>") == 4
    assert "synthetic/ETH-SYN" in page
    assert "src=" not in page.split("</script>", 1)[1]


def test_a_recording_too_short_for_all_specs_is_refused_with_the_remedy(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ShortHistoryError, match=r"no recording can be used .*give a longer history"):
        run_ablation(tmp_path / "out", silent, BRIEF, store, AblationPlan(specs=("seconds",)))
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_command_prints_the_table(store: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(ablate)
    asked = ["--store", str(store), "--out", str(tmp_path), "--spec", "short_windows", "--set", "seeds=[0]"]
    done = CliRunner().invoke(app, [*asked, "--set", "epochs=1", "--set", "batch_size=64"])
    assert done.exit_code == 0, done.output
    assert "ridge book" in " ".join(done.output.split())
    assert (tmp_path / "report.html").is_file()
    missing = CliRunner().invoke(app, ["--store", str(tmp_path / "none")])
    assert isinstance(missing.exception, SettingError)


def test_tables_and_picture_show_the_figures(group: Group, scores: dict[tuple[str, str, str], AblationScore]) -> None:
    pooled = [s for s in scores.values() if not s.recording]
    table = short_table(pooled)
    starred = {row[0].text for row in table.rows if row[3].text.endswith("*")}
    assert {"1 min  ridge book", "1 min  network all"} <= starred
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert all(len(row) == len(ablation_table(pooled).headings) for row in ablation_table(pooled).rows)
    picture = added_picture(pooled)
    base, book = scores["", RIDGE, "returns"], scores["", RIDGE, "book"]
    shown = next(t for t in picture.data if t.legendgroup == "book" and t.xaxis == "x")
    assert shown.y[0] == pytest.approx(100 * (book.loss["qlike"] / base.loss["qlike"] - 1), rel=1e-9)
    high = book.added["qlike"].high
    assert high is not None
    assert shown.y[0] + shown.error_y.array[0] == pytest.approx(100 * high / base.loss["qlike"], rel=1e-9)


def test_few_blocks_have_no_interval() -> None:
    values = np.random.default_rng(7).standard_normal(8)
    assert difference(values[:7], np.arange(7)).high is None
    assert difference(values, np.arange(8)).high is not None
