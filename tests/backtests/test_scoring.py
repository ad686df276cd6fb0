"""Scores against the scoring program on every number, and against loops and another library where it is not there."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scoringrules
from rich.console import Console
from statsmodels.stats.multitest import multipletests

from backtests.coverage import kupiec_p
from backtests.forecast_file import EXCURSIONS, ForecastWriter
from backtests.outcomes import HORIZONS_S, Outcomes, bars_file, grid_of_file, hours_of, outcomes_of
from backtests.scoring import score_file
from backtests.scoring_days import days_of
from backtests.scoring_inference import difference_interval, rejection_rates
from backtests.scoring_tables import print_scores
from features.clock import HOUR_NS, parse_utc
from features.errors import SchemaError, SettingError, ShortHistoryError, UnknownInstrumentError
from features.files import write_json
from features.grid import of_bars
from models.base import LEVELS
from tests.backtests.trial_forecasts import trial
from tests.references.referee import SCORE, load_referee

DATA = SCORE.parents[1] / "data"
Market = dict[str, dict[int, Outcomes]]
TAILS = tuple(p for p in LEVELS if not 0.1 < p < 0.9)


def differences(theirs: Any, ours: Any, at: str = "") -> list[str]:
    """Every value of one tree that the other does not have to 1e-9, by its path; not a number is None."""
    if isinstance(theirs, dict):
        absent = [f"{at}/{key} absent" for key in theirs if key not in ours]
        return absent + [d for k in theirs if k in ours for d in differences(theirs[k], ours[k], f"{at}/{k}")]
    if isinstance(theirs, list | tuple):
        pairs = zip(theirs, ours, strict=True)
        return [d for k, (x, y) in enumerate(pairs) for d in differences(x, y, f"{at}[{k}]")]
    if isinstance(theirs, float) and not np.isfinite(theirs):
        theirs = None
    same = theirs == pytest.approx(ours, rel=1e-9, abs=1e-12) if isinstance(theirs, float) else theirs == ours
    return [] if same else [f"{at}: {theirs} and {ours}"]


def count(tree: Any) -> int:
    """Leaves of a tree."""
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else None
    return 1 if parts is None else sum(count(part) for part in parts)


def write_trials(folder: Path, market: Market) -> list[Path]:
    """Two files: good models, one with holes, one with excursions, one that leaves out too much; and every defect."""
    with ForecastWriter(folder / "1.parquet") as file:
        for k, (symbol, outcomes) in enumerate(market.items()):
            file.write("base", symbol, trial(outcomes, 0.8, k))
            file.write("student", symbol, trial(outcomes, 0.6, 10 + k, 4.0))
            holed = trial(outcomes, 0.7, 20 + k)
            file.write("late", symbol, holed.rows(len(holed.origin_ns) // 40))
            file.write("absent", symbol, holed.rows(len(holed.origin_ns) // 10 if k else 0))
    with ForecastWriter(folder / "2.parquet", has_excursions=True) as file:
        for k, (symbol, outcomes) in enumerate(market.items()):
            forecast = trial(outcomes, 0.9, 30 + k, 6.0)
            sd = np.sqrt(forecast.variance)
            file.write(
                "odd", symbol, forecast, dict(zip(EXCURSIONS, (2 * sd, 2.5 * sd, 2.2 * sd, 3 * sd), strict=True))
            )
    frame = pl.read_parquet(folder / "2.parquet")
    rng = np.random.default_rng(3)
    fate = pl.Series(rng.choice(9, len(frame), p=[0.986] + [0.002] * 7 + [0.0]))
    odd = frame.with_columns(
        pl.when(fate == 1).then(float("nan")).otherwise(pl.col("q_0.5")).alias("q_0.5"),
        pl.when(fate == 2).then(-1.0).otherwise(pl.col("variance")).alias("variance"),
        pl.when(fate == 3).then(-pl.col("es_0.01")).otherwise(pl.col("es_0.01")).alias("es_0.01"),
        pl.when(fate == 4).then(pl.col("q_0.99") + 0.1).otherwise(pl.col("q_0.95")).alias("q_0.95"),
        pl.when(fate == 5).then(pl.col("origin_ms") + 60_000).otherwise(pl.col("origin_ms")).alias("origin_ms"),
        pl.when(fate == 6).then(7_200).otherwise(pl.col("horizon_s")).cast(pl.Int32).alias("horizon_s"),
    )
    pl.concat([odd, odd.filter(fate == 7).with_columns(pl.col("variance") * 2)]).write_parquet(folder / "2.parquet")
    return [folder / "1.parquet", folder / "2.parquet"]


def test_every_number_is_the_scoring_programs(tmp_path: Path) -> None:
    referee = load_referee()
    first, last = parse_utc("2021-03-01"), parse_utc("2021-05-05T23:00")
    grids = {s: grid_of_file(bars_file(DATA / "bars_5m", s)) for s in ("BTCUSDT", "SOLUSDT")}
    market = {s: outcomes_of(grid, hours_of(first, last), HORIZONS_S) for s, grid in grids.items()}
    files = write_trials(tmp_path, market)
    ours = score_file(files, market, baseline="base")

    lo, hi = first // 1_000_000, last // 1_000_000
    rows, defects = referee.read_forecasts([str(path) for path in files], lo, hi, None)
    theirs = referee.score(rows, str(DATA), lo, hi, "base")
    for model in theirs["models"]:
        counts = [(scored["coverage"][model][s], n) for scored in theirs["horizons"].values()
                  for s, n in scored["scoreable"].items()]  # fmt: skip
        defects[model]["missing_origins"] = int(sum(round((1 - share) * n) for share, n in counts))
    theirs["defects"] = defects
    assert differences(theirs, ours) == []
    assert count(theirs) > 3_000

    assert ours["models"] == ["base", "late", "odd", "student"]
    assert set(ours["not_scored"]) == {"absent"}
    assert set(ours["not_scored"]["absent"]) == {f"SOLUSDT/{h}" for h in HORIZONS_S}
    assert all(n > 0 for name, n in ours["defects"]["odd"].items())
    assert ours["horizons"][3_600]["coverage"]["late"]["BTCUSDT"] == pytest.approx(39 / 40, abs=1e-3)


@pytest.fixture(scope="module")
def market(bars: pd.DataFrame) -> Market:
    """The sample twice: as it is, and its first months again as another instrument."""
    hours = hours_of(parse_utc("2020-02-01"), parse_utc("2020-03-31T23:00"))
    of = {"BTCUSDT": bars, "TWINUSDT": bars[bars["ts_ns"] < parse_utc("2020-03-30")].reset_index(drop=True)}
    return {symbol: outcomes_of(of_bars(frame, 900), hours, (3_600, 86_400)) for symbol, frame in of.items()}


@pytest.fixture(scope="module")
def path(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trials") / "trials.parquet"
    with ForecastWriter(path, is_double=True) as file:
        for k, (symbol, outcomes) in enumerate(market.items()):
            forecast = trial(outcomes, 0.5, k)
            file.write("sharp", symbol, forecast)
            file.write("same", symbol, forecast)
            file.write("dull", symbol, trial(outcomes, 1.0, 5 + k).rows(20))
    return path


@pytest.fixture(scope="module")
def scores(path: Path, market: Market) -> dict[str, Any]:
    return score_file(path, market, baseline="dull")


def windows(path: Path, market: Market, model: str, horizon_s: int) -> list[dict[str, Any]]:
    """Forecast and outcome of every window that all models have, found row by row."""
    rows = {(r["model"], r["instrument"], r["origin_ms"], r["horizon_s"]): r for r in pl.read_parquet(path).to_dicts()}
    found = []
    for symbol, by_horizon in market.items():
        outcomes = by_horizon[horizon_s]
        for k, origin_ns in enumerate(outcomes.origin_ns.tolist()):
            keys = [(name, symbol, origin_ns // 1_000_000, horizon_s) for name in ("sharp", "dull", model)]
            if outcomes.scoreable[k] and all(key in rows for key in keys):
                more = {"y": outcomes.log_return[k], "rv": outcomes.realised_variance[k], "origin_ns": origin_ns}
                found.append(rows[keys[-1]] | more)
    return found


@pytest.mark.parametrize("horizon_s", [3_600, 86_400])
def test_pooled_figures_are_those_of_a_loop(scores: dict[str, Any], path: Path, market: Market, horizon_s: int) -> None:
    found = windows(path, market, "sharp", horizon_s)
    pooled = scores["horizons"][horizon_s]["pooled"]["sharp"]
    assert pooled["n"] == len(found) > 1_800
    qlikes = [w["rv"] / w["variance"] - np.log(w["rv"] / w["variance"]) - 1 for w in found]
    assert pooled["qlike"] == pytest.approx(np.mean(qlikes), rel=1e-12)
    assert pooled["vs"]["qlike"]["skill"] > 0.3
    y = np.array([w["y"] for w in found])
    for level in LEVELS:
        q = np.array([w[f"q_{level:g}"] for w in found])
        pins = scoringrules.quantile_score(y, q, level)
        assert pooled[f"pin_{level:g}_bp"] == pytest.approx(1e4 * pins.mean(), rel=1e-6)  # kept in single precision
        share = np.mean([w["y"] <= w[f"q_{level:g}"] for w in found])
        assert pooled["detail"]["reliability"][LEVELS.index(level)] == share
    for low, name in ((0.25, "0.5"), (0.05, "0.9"), (0.025, "0.95"), (0.01, "0.98"), (0.005, "0.99")):
        ends = [np.array([w[f"q_{p:g}"] for w in found]) for p in (low, round(1 - low, 3))]
        expected = 1e4 * scoringrules.interval_score(y, *ends, 2 * low).mean()
        assert pooled["detail"]["interval_score_bp"][name] == pytest.approx(expected, rel=1e-9)


def test_conditional_hits_are_those_of_a_loop(scores: dict[str, Any], path: Path, market: Market) -> None:
    found = windows(path, market, "dull", 3_600)
    scored = scores["horizons"][3_600]
    detail = scored["pooled"]["dull"]["detail"]
    for level in TAILS:
        sign = 1 if level > 0.5 else -1
        hits = [(w["origin_ns"], w["instrument"], sign * (w["y"] - w[f"q_{level:g}"]) > 0) for w in found]
        for hour in (0, 7, 23):
            of_hour = [hit for t, _, hit in hits if t // HOUR_NS % 24 == hour]
            assert detail["hits_by_hour"][f"{level:g}"][hour] == pytest.approx(np.mean(of_hour))
        rate = np.mean([hit for *_, hit in hits])
        tail = min(level, 1 - level)
        assert detail["hits_by_side"][f"{tail:g}"]["down" if sign < 0 else "up"] == pytest.approx(rate)
        assert detail["hits_by_year"][2020][f"{level:g}"] == pytest.approx(rate)
        own = np.mean([hit for _, symbol, hit in hits if symbol == "TWINUSDT"])
        assert detail["coverage_error_pp"]["TWINUSDT"][f"{level:g}"] == pytest.approx(100 * (own - tail))
    below = [(w["origin_ns"] // (24 * HOUR_NS), w["y"] < w["q_0.01"]) for w in found]
    days = sorted({day for day, _ in below})
    assert detail["cumulative_hits"]["0.01"] == [sum(hit for d, hit in below if d <= day) for day in days]
    assert scored["detail"]["cumulative_windows"] == [sum(d <= day for d, _ in below) for day in days]
    assert scored["detail"]["days"][0] == "2020-02-01"


def test_shortfall_light_and_densities_are_those_of_a_loop(scores: dict[str, Any], path: Path, market: Market) -> None:
    found = windows(path, market, "dull", 86_400)
    detail = scores["horizons"][86_400]["pooled"]["dull"]["detail"]
    ratios = [w["y"] / w["es_0.975"] for w in found if w["y"] > w["q_0.975"]]
    assert detail["z1"]["0.975"] == pytest.approx(1 - np.mean(ratios))
    for symbol in market:
        nights = [w for w in found if w["instrument"] == symbol and w["origin_ns"] // HOUR_NS % 24 == 0]
        light = detail["basel"][symbol]["0.01"]
        assert (light["days"], light["exceptions"]) == (len(nights), sum(w["y"] < w["q_0.01"] for w in nights))
        assert light["zone"] in ("green", "yellow", "red")
    inside = np.mean([w["q_0.25"] <= w["y"] < w["q_0.5"] for w in found])
    assert detail["pit"]["density"][5] == pytest.approx(inside / 0.25)
    assert scores["horizons"][3_600]["pooled"]["dull"]["detail"]["basel"] == {}
    curve = detail["murphy"]["q_0.01"][20]
    theta = scores["horizons"][86_400]["detail"]["murphy_thresholds"]["q_0.01"][20]
    scored = [0.99 * (w["y"] <= theta < w["q_0.01"]) + 0.01 * (w["q_0.01"] <= theta < w["y"]) for w in found]
    assert curve == pytest.approx(np.mean(scored))


def test_twins_have_the_same_figures_and_no_advantage(scores: dict[str, Any], path: Path, market: Market) -> None:
    seen: list[tuple[int, int]] = []
    against_twin = score_file(path, market, baseline="sharp", progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert ({total for _, total in seen}, seen[-1]) == ({3 * 3}, (9, 9))
    for scored in against_twin["horizons"].values():
        same, sharp = scored["pooled"]["same"], scored["pooled"]["sharp"]
        assert same == sharp
        for name, figures in same["vs"].items():
            assert (figures["diff"], figures["dm_t"], figures["dm_p"]) == (0, 0, 1), name
        assert same["detail"]["vs"]["qlike"] == {"skill": 0, "low": 0, "high": 0}
        assert same["detail"]["vs"]["fz_tail"] == {"difference": 0, "low": 0, "high": 0}
    ours = scores["horizons"][3_600]["pooled"]["sharp"]
    for name in ("qlike", "crps", "pin_tail"):
        interval = ours["detail"]["vs"][name]
        assert interval["skill"] == pytest.approx(ours["vs"][name]["skill"])
        assert interval["low"] < interval["skill"] < interval["high"]


def test_difference_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(300):
        daily = 0.3 + np.convolve(rng.standard_normal(604), np.ones(2) / 2, mode="valid")
        found = difference_interval(np.append(daily, np.nan), days_of(np.arange(len(daily) + 1)), 86_400)
        held += found["low"] < 0.3 < found["high"]
    assert held / 300 == pytest.approx(0.94, abs=0.04)


def test_a_day_that_is_cut_short_weighs_as_little_as_it_has() -> None:
    day = np.append(np.repeat(np.arange(40), 24), 40)
    difference = np.append(np.random.default_rng(2).standard_normal(40 * 24), 100.0)
    found = difference_interval(difference, days_of(day), 3_600)
    assert found["difference"] == pytest.approx(difference.mean())
    assert found["low"] < 0.1 < found["high"]


def test_discoveries_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    p = np.concatenate([rng.random(20), rng.random(6) * 4e-3])
    tests = [{str(k): {"kupiec": float(x), "christoffersen_cc": None, "dq": 0.2} for k, x in enumerate(p)}]
    rates = rejection_rates(tests)
    assert rates["kupiec"]["discoveries"] == multipletests(p, 0.05, "fdr_bh")[0].sum() > 3
    assert rates["kupiec"]["rate"] == pytest.approx((p < 0.05).mean())
    assert (rates["kupiec"]["tested"], rates["kupiec"]["nominal"]) == (26, 0.05)
    assert (rates["dq"]["discoveries"], rates["christoffersen_cc"]["rate"]) == (0, None)


@pytest.fixture(scope="module")
def strict(path: Path, market: Market) -> dict[str, Any]:
    return score_file(path, market, baseline="dull", least_coverage=0.999)


def test_a_model_that_leaves_out_too_much_is_named_and_not_scored(strict: dict[str, Any], market: Market) -> None:
    assert strict["models"] == ["same", "sharp"]
    share = strict["not_scored"]["dull"]["BTCUSDT/3600"]
    assert 0.98 < share < 0.999
    assert "vs" not in strict["horizons"][3_600]["pooled"]["sharp"]  # the baseline itself is not scored
    n = strict["horizons"][3_600]["pooled"]["sharp"]["n"]
    assert n == sum(int(outcomes[3_600].scoreable.sum()) for outcomes in market.values())


def test_what_cannot_be_scored_is_refused_in_words(path: Path, market: Market, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no forecasts of the baseline 'har'; the files have dull, same, sharp"):
        score_file(path, market, baseline="har")
    with pytest.raises(UnknownInstrumentError, match="no forecasts of ETHUSDT; they have BTCUSDT, TWINUSDT"):
        score_file(path, market | {"ETHUSDT": market["BTCUSDT"]})
    pl.read_parquet(path).drop("es_0.99").write_parquet(tmp_path / "few.parquet")
    with pytest.raises(SchemaError, match=r"no column es_0\.99"):
        score_file(tmp_path / "few.parquet", market)
    frame = pl.read_parquet(path).with_columns(pl.col("origin_ms") + 366 * 86_400_000)
    frame.write_parquet(tmp_path / "later.parquet")
    with pytest.raises(ShortHistoryError, match="choose other dates"):
        score_file(tmp_path / "later.parquet", market)


def test_windows_within_the_hour_and_a_shortfall_of_the_wrong_sign(bars: pd.DataFrame, tmp_path: Path) -> None:
    """What cannot be told is None, and everything else is told all the same."""
    hours = hours_of(parse_utc("2020-02-01"), parse_utc("2020-02-29T23:00"))
    market = {"BTCUSDT": outcomes_of(of_bars(bars, 900), hours, (900, 3_600))}
    with ForecastWriter(tmp_path / "f.parquet") as file:
        for k, name in enumerate(("fair", "wrong")):
            file.write(name, "BTCUSDT", trial(market["BTCUSDT"], 0.5, k))
    wrong = pl.when(pl.col("model") == "wrong").then(pl.lit(0.0, pl.Float32)).otherwise(pl.col("es_0.01"))
    frame = pl.read_parquet(tmp_path / "f.parquet").with_columns(wrong.alias("es_0.01"))
    frame.write_parquet(tmp_path / "f.parquet")
    scored = score_file(tmp_path / "f.parquet", market, baseline="fair")["horizons"][900]
    figures = scored["pooled"]["wrong"]
    assert figures["fz_0.01"] is figures["fz_tail"] is figures["vs"]["fz_tail"]["diff"] is None
    assert figures["detail"]["vs"]["fz_tail"] == {"difference": None, "low": None, "high": None}
    assert figures["fz_0.025"] < 0
    assert list(scored["mcs"]["fz_tail"]) == ["fair"]
    hits = round(figures["hit_0.05"] * figures["n"])
    assert scored["per_instrument"]["BTCUSDT"]["wrong"]["tests"]["0.05"]["kupiec"] == pytest.approx(
        kupiec_p(np.arange(figures["n"]) < hits, 0.05)
    )


def test_scores_are_json_and_a_table(scores: dict[str, Any], strict: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "scores.json", scores)
    again = json.loads((tmp_path / "scores.json").read_text())
    assert again["horizons"]["3600"]["pooled"]["dull"]["qlike"] == scores["horizons"][3_600]["pooled"]["dull"]["qlike"]
    text = StringIO()
    console = Console(file=text, width=80)
    print_scores(console, again)
    print_scores(console, strict)
    lines = text.getvalue().splitlines()
    assert [line.split()[0] for line in lines if "/" in line and "not scored" not in line][:3] == [
        "same",
        "sharp",
        "dull",
    ]
    n = scores["horizons"][3_600]["pooled"]["dull"]["n"]
    assert any(line.strip() == f"1 h, {n:,} windows" for line in lines)
    assert "…" not in text.getvalue()
