"""The page of a comparison: names, best figures, intervals, failures, and pictures that show the scores."""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from backtests.comparison_columns import table
from backtests.comparison_curves import band, excess_hits, murphy_differences
from backtests.comparison_maps import dots
from backtests.comparison_plots import condition_pictures, model_figures, skill_picture
from backtests.comparison_report import write_comparison_report
from backtests.comparison_sections import excursion_section
from backtests.comparison_tables import COVERAGE, TAILS, VARIANCE, missing_table
from backtests.comparison_tables import EXCURSIONS as EXCURSIONS_TABLE
from backtests.comparison_view import board_of
from backtests.forecast_file import EXCURSIONS, ForecastWriter
from backtests.murphy import elementary_mean_score
from backtests.outcomes import Outcomes, hours_of, outcomes_of
from backtests.scoring import score_file
from features.clock import DAY_NS, parse_utc
from features.grid import of_bars
from models.base import LEVELS, Forecast
from models.scores import qlike
from tests.backtests.trial_forecasts import trial

HORIZONS_S = (3_600, 86_400)
HOSTILE = "<b>x"
NOISE = {"base": 0.8, "sharp": 0.3, HOSTILE: 0.5, "dull": 1.3}
MISSING = [
    {"model": "absent", "instrument": "BTCUSDT", "first": f"2020-0{k}-01T00:00", "stop": f"2020-0{k + 1}-01T00:00",
     "reason": "no start <converged>; shorten the window"}
    for k in (2, 3)
]  # fmt: skip
ABOUT: dict[str, Any] = {
    "config": {"test_from": "2020-02-01", "test_to": "2020-04-30T23:00", "baseline": "base"},
    "costs": {name: {"fit_s": 10.0**k, "forecast_s": 0.5, "calibrate_s": 0.0} for k, name in enumerate(NOISE)},
    "missing": MISSING,
    "data_sha256": "d" * 64,
    "spec_sha256": "f" * 64,
    "code_version": "1.2.3",
}


@pytest.fixture(scope="module")
def outcomes(bars: pd.DataFrame) -> dict[int, Outcomes]:
    hours = hours_of(parse_utc("2020-02-01"), parse_utc("2020-04-30T23:00"))
    return outcomes_of(of_bars(bars, 900), hours, HORIZONS_S)


@pytest.fixture(scope="module")
def forecasts(outcomes: dict[int, Outcomes]) -> dict[str, Forecast]:
    return {name: trial(outcomes, noise, k, 5.0) for k, (name, noise) in enumerate(NOISE.items())}


@pytest.fixture(scope="module")
def scores(
    outcomes: dict[int, Outcomes], forecasts: dict[str, Forecast], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("forecasts") / "forecasts.parquet"
    with ForecastWriter(path, is_double=True) as file:
        for name, forecast in forecasts.items():
            file.write(name, "BTCUSDT", forecast)
        file.write("absent", "BTCUSDT", forecasts["dull"].rows(1_800))
    return score_file(path, {"BTCUSDT": outcomes}, baseline="base")


@pytest.fixture(scope="module")
def page(scores: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_comparison_report(path, scores, ABOUT)
    return path.read_text()


def tables_of(page: str) -> list[list[list[str]]]:
    """Cells of every table, as they are in the HTML."""
    return [
        [re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", found)]
        for found in re.findall(r"<table>.*?</table>", page)
    ]


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def traces(figure: go.Figure, **wanted: object) -> list[Any]:
    return [t for t in figure.data if all(getattr(t, name) == value for name, value in wanted.items())]


def test_every_model_is_in_every_table_under_its_own_name(page: str) -> None:
    tables = tables_of(page)
    by_model = [t for t in tables if re.search(r">(1 h, |24 h, )?model<", t[0][0]) and len(t) == 1 + len(NOISE)]
    assert len(by_model) == 3 * len(HORIZONS_S) + 2  # variance, tails, coverage; traffic light, cost
    for rows in by_model:
        names = {re.sub(r"<[^>]*>", "", row[0]).removesuffix(" (baseline)") for row in rows[1:]}
        assert names == {escape(name) for name in NOISE}


def test_a_name_in_markup_stays_text(page: str) -> None:
    assert HOSTILE not in without_scripts(page)
    assert escape(HOSTILE) in without_scripts(page)
    assert "<converged>" not in without_scripts(page)
    assert page.count("</script>") == page.count("<script")


def test_nothing_is_fetched_and_the_page_is_light(page: str) -> None:
    assert 'src="http' not in page
    assert not re.search(r"(src|href)\s*=", without_scripts(page))
    assert "@import" not in without_scripts(page)
    assert "url(" not in without_scripts(page)
    assert len(page) < 8_000_000


@pytest.mark.parametrize(("columns", "place", "name"), [(VARIANCE, 0, "qlike"), (TAILS, 3, "fz_tail")])
@pytest.mark.parametrize("horizon_s", HORIZONS_S)
def test_rows_are_sorted_and_only_the_best_is_marked(
    scores: dict[str, Any], horizon_s: int, columns: Any, place: int, name: str
) -> None:
    losses = {model: row[name] for model, row in scores["horizons"][horizon_s]["pooled"].items()}
    rows = table(board_of(scores), horizon_s, columns, name).rows
    assert [row[0].text.removesuffix(" (baseline)") for row in rows] == sorted(losses, key=lambda m: losses[m])
    assert [row[place + 1].best for row in rows] == [True, False, False, False]
    assert rows[0][place + 1].text == format(min(losses.values()), ".4f")


def test_skill_stands_with_its_interval_and_the_baseline_has_none(scores: dict[str, Any]) -> None:
    vs = scores["horizons"][3_600]["pooled"]["sharp"]["detail"]["vs"]
    rows = {row[0].text: row for row in table(board_of(scores), 3_600, VARIANCE, "qlike").rows}
    found = vs["qlike"]
    wanted = "{:+.1f} ({:+.1f} … {:+.1f})".format(*(100 * found[end] for end in ("skill", "low", "high")))
    assert rows["sharp"][3].text == wanted
    assert rows["sharp"][3].best
    assert rows["base (baseline)"][3].text == ""
    assert rows["sharp"][-1].text == format(scores["horizons"][3_600]["coverage"]["sharp"]["BTCUSDT"], ".2%")
    tails = {row[0].text: row for row in table(board_of(scores), 3_600, TAILS, "fz_tail").rows}
    found = vs["fz_tail"]
    assert tails["sharp"][5].text == "{difference:+.4f} ({low:+.4f} … {high:+.4f})".format(**found)


def test_a_baseline_that_nothing_beats_leaves_no_skill_marked(scores: dict[str, Any]) -> None:
    worse = json.loads(json.dumps(scores))
    for row in worse["horizons"]["3600"]["pooled"].values():
        row["detail"]["vs"]["qlike"] = {"skill": -0.2, "low": -0.3, "high": -0.1}
    worse["horizons"]["3600"]["pooled"]["base"]["detail"]["vs"]["qlike"] = {"skill": 0.0, "low": 0.0, "high": 0.0}
    assert not any(row[3].best for row in table(board_of(worse), 3_600, VARIANCE, "qlike").rows)


def test_hit_rates_and_rejections_stand_in_percent_and_counts(scores: dict[str, Any]) -> None:
    row = scores["horizons"][86_400]["pooled"]["dull"]
    found = table(board_of(scores), 86_400, COVERAGE, "fz_tail")
    cells = next(dict(zip(found.headings, line, strict=True)) for line in found.rows if line[0].text == "dull")
    below = [f"{100 * row[f'hit_{p}']:.2f}" for p in ("0.005", "0.01", "0.025", "0.05")]
    assert cells["below .5, 1, 2.5, 5 %"].text == " / ".join(below)
    counts = row["rejections_5pct"]
    names = ("kupiec", "christoffersen_cc", "dq")
    assert cells["rejected"].text == " / ".join(counts[name].split("/")[0] for name in names)
    standing = [str(row["detail"]["rejections"][name]["discoveries"]) for name in names]
    assert cells["standing"].text == " / ".join(standing)


@pytest.fixture(scope="module")
def with_excursions(
    outcomes: dict[int, Outcomes], forecasts: dict[str, Forecast], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Scores of two models with excursions, one of them twice as long as they should be, and one without."""
    folder = tmp_path_factory.mktemp("excursions")
    with ForecastWriter(folder / "1.parquet", has_excursions=True) as file:
        for factor, name in ((1.0, "base"), (2.0, "sharp")):
            sd = factor * np.sqrt(forecasts[name].variance)
            columns = {c: k * sd for c, k in zip(EXCURSIONS, (2.6, 2.8, 2.5, 2.9), strict=True)}
            file.write(name, "BTCUSDT", forecasts[name], columns)
    with ForecastWriter(folder / "2.parquet") as file:
        file.write("dull", "BTCUSDT", forecasts["dull"])
    return score_file(folder, {"BTCUSDT": outcomes}, baseline="base")


def test_excursions_have_a_section_where_a_model_has_them(
    with_excursions: dict[str, Any], scores: dict[str, Any], page: str, tmp_path: Path
) -> None:
    assert "Adverse excursions" not in page
    assert excursion_section(board_of(scores)) is None
    write_comparison_report(tmp_path / "r.html", with_excursions, ABOUT)
    assert "Adverse excursions" in (tmp_path / "r.html").read_text()
    section = excursion_section(board_of(with_excursions))
    assert section is not None
    assert len(section.blocks) == len(HORIZONS_S)


@pytest.mark.parametrize("horizon_s", HORIZONS_S)
def test_excursions_are_told_best_first_with_how_many_were_beyond(
    with_excursions: dict[str, Any], outcomes: dict[int, Outcomes], forecasts: dict[str, Forecast], horizon_s: int
) -> None:
    found = table(board_of(with_excursions), horizon_s, EXCURSIONS_TABLE, "xpin_dn_0.99")
    pooled = with_excursions["horizons"][horizon_s]["pooled"]
    order = sorted(("base", "sharp"), key=lambda model: pooled[model]["xpin_dn_0.99"])
    assert [row[0].text.removesuffix(" (baseline)") for row in found.rows] == [*order, "dull"]
    assert [cell.text for cell in found.rows[2][1:5]] == [""] * 4
    cells = {row[0].text: dict(zip(found.headings, row, strict=True)) for row in found.rows}["sharp"]
    truth, forecast = outcomes[horizon_s], forecasts["sharp"]
    sd = 2 * np.sqrt(forecast.variance[:, forecast.horizon_index(horizon_s)])
    kept = truth.scoreable & np.isfinite(truth.excursion_up)
    beyond = [100 * np.mean(truth.excursion_up[kept] > (k * sd)[kept]) for k in (2.5, 2.9)]
    assert cells["beyond 99, 99.5 % up, %"].text == " / ".join(f"{share:.2f}" for share in beyond)
    assert cells["pinball down 99 %, bp"].text == format(pooled["sharp"]["xpin_dn_0.99"], ".3f")


def test_tests_to_be_expected_by_chance_are_told(page: str, scores: dict[str, Any]) -> None:
    n = scores["horizons"][3_600]["pooled"]["base"]["rejections_5pct"]["kupiec"].split("/")[1]
    assert f"how many of {n} tests" in page
    assert f"about {0.05 * int(n):.1f} of {n} would by chance" in page


def test_failed_folds_are_told_with_their_reason(page: str) -> None:
    failed = next(t for t in tables_of(page) if "reason" in t[0][-1] and "folds" in t[0][-2])
    texts = [re.sub(r"<[^>]*>", "", cell) for cell in failed[1]]
    reason = escape(MISSING[0]["reason"])
    assert texts == ["absent", "BTCUSDT", "2020-02-01T00:00", "2020-04-01T00:00", "2", reason]
    left_out = next(t for t in tables_of(page) if "least share" in t[0][1])
    assert re.sub(r"<[^>]*>", "", left_out[1][2]) == reason
    assert re.search(r"BTCUSDT \(1 h, 24 h\) \d+\.\d%", left_out[1][1])


def test_folds_apart_or_of_other_reasons_are_not_joined() -> None:
    fold = {"model": "a", "instrument": "X", "reason": "r"}
    spans = [("2020-03", "2020-04"), ("2020-01", "2020-02"), ("2020-04", "2020-05")]
    folds = [fold | {"first": first, "stop": stop} for first, stop in spans]
    folds.append(fold | {"first": "2020-02", "stop": "2020-03", "reason": "other"})
    rows = [[cell.text for cell in row][2:] for row in missing_table(folds).rows]
    assert rows == [
        ["2020-02", "2020-03", "1", "other"],
        ["2020-01", "2020-02", "1", "r"],
        ["2020-03", "2020-05", "2", "r"],
    ]


def test_without_failures_one_sentence_says_so(scores: dict[str, Any], tmp_path: Path) -> None:
    write_comparison_report(tmp_path / "r.html", scores | {"not_scored": {}}, ABOUT | {"missing": []})
    page = without_scripts((tmp_path / "r.html").read_text())
    assert "There are none: every model forecast every fold" in page
    assert "Models that were not scored" not in page


def test_scores_from_json_make_the_same_page(scores: dict[str, Any], page: str, tmp_path: Path) -> None:
    write_comparison_report(tmp_path / "r.html", json.loads(json.dumps(scores)), ABOUT)
    assert (tmp_path / "r.html").read_text() == page


def test_hashes_stand_at_the_foot(page: str) -> None:
    foot = page[page.index("<footer>") :]
    assert all(text in foot for text in ("d" * 64, "f" * 64, "1.2.3"))


def test_a_page_without_baseline_or_scored_models_is_still_written(scores: dict[str, Any], tmp_path: Path) -> None:
    write_comparison_report(tmp_path / "a.html", scores | {"baseline": None}, ABOUT)
    alone = without_scripts((tmp_path / "a.html").read_text())
    assert "Murphy" not in alone
    assert "In the picture each dot" not in alone
    empty = scores | {"models": [], "horizons": {h: {"scoreable": {}, "coverage": {}} for h in HORIZONS_S}}
    write_comparison_report(tmp_path / "b.html", empty, ABOUT)
    assert "Missing folds" in (tmp_path / "b.html").read_text()


def test_skill_picture_shows_skill_with_its_ends(scores: dict[str, Any]) -> None:
    figure = skill_picture(board_of(scores))
    shown = {}
    for trace in (t for t in figure.data if t.marker.symbol == "circle" and t.xaxis == "x"):
        for k, name in enumerate(trace.y):
            ends = (trace.x[k] - trace.error_x.arrayminus[k], trace.x[k] + trace.error_x.array[k])
            shown[name] = (trace.x[k], *ends, trace.marker.color)
    vs = {m: row["detail"]["vs"]["qlike"] for m, row in scores["horizons"][3_600]["pooled"].items()}
    for name in ("sharp", HOSTILE):
        wanted = [100 * vs[name][end] for end in ("skill", "low", "high")]
        np.testing.assert_allclose(shown[name][:3], wanted, rtol=1e-5)
        assert shown[name][3] == "#1765c1"  # better than the baseline beyond chance
    assert vs["sharp"]["low"] > 0


def test_dots_far_out_are_drawn_at_the_edge_of_the_worse_side() -> None:
    values = np.array(
        [[10.0, 8.0, 12.0], [1.0, -1.0, 3.0], [0.0, 0.0, 0.0], [-9.0, -12.0, -8.0], [-300.0, -310.0, -290.0]]
    )
    names = ["best", "open", "base", "worse", "worst"]
    for sign in (1, -1):
        turned = values if sign > 0 else -values[:, [0, 2, 1]]
        figure = dots({"1 h": turned}, names, "skill", more_is_better=sign > 0)
        edge = next(t for t in figure.data if t.marker.symbol != "circle")
        assert list(edge.y) == ["worst"]
        assert edge.marker.symbol == ("triangle-left" if sign > 0 else "triangle-right")
        assert -60 < sign * edge.x[0] < -10
        assert edge.customdata[0][0] == sign * -300  # the number itself is told
        colours = {name: t.marker.color for t in figure.data for name in t.y}
        assert (colours["best"], colours["open"], colours["worse"]) == ("#1765c1", "#7a8794", "#d1343c")
        worse = next(t for t in figure.data if "worse" in t.y)
        right_left = (worse.error_x.array[0], worse.error_x.arrayminus[0])
        assert right_left == ((1.0, 3.0) if sign > 0 else (3.0, 1.0))


def test_hits_over_time_are_those_of_a_loop_over_days(
    scores: dict[str, Any], outcomes: dict[int, Outcomes], forecasts: dict[str, Forecast]
) -> None:
    curves, _, first = excess_hits(board_of(scores), ["dull"])
    day_outcomes, forecast = outcomes[86_400], forecasts["dull"]
    total, by_day = 0.0, {}
    for k, origin_ns in enumerate(day_outcomes.origin_ns.tolist()):
        if day_outcomes.scoreable[k]:
            total += float(day_outcomes.log_return[k] > forecast.quantiles[k, 1, LEVELS.index(0.99)]) - 0.01
            by_day[origin_ns // DAY_NS] = total
    start = min(by_day)
    held = [by_day[max(d for d in by_day if d <= day)] for day in range(start, max(by_day) + 1)]
    np.testing.assert_allclose(curves["24 h, above 99 %"]["dull"], held, atol=1e-9)
    assert first["24 h, above 99 %"] == str(np.datetime64(start, "D"))


def test_days_without_windows_repeat_the_day_before(scores: dict[str, Any]) -> None:
    gap = json.loads(json.dumps(scores))
    one = gap["horizons"]["3600"]
    for values in (one["detail"]["days"], one["detail"]["cumulative_windows"],
                   one["pooled"]["base"]["detail"]["cumulative_hits"]["0.01"],
                   one["pooled"]["base"]["detail"]["cumulative_hits"]["0.99"]):  # fmt: skip
        del values[5:8]
    curves, bands, _ = excess_hits(board_of(gap), ["base"])
    whole, _, _ = excess_hits(board_of(scores), ["base"])
    found, before = curves["1 h, below 1 %"]["base"], whole["1 h, below 1 %"]["base"]
    assert len(found) == len(before) == len(bands["1 h, below 1 %"])
    np.testing.assert_allclose(found[5:8], before[4])
    np.testing.assert_allclose(np.delete(found, [5, 6, 7]), np.delete(before, [5, 6, 7]))


def test_a_right_model_is_within_the_band_on_95_of_100_days() -> None:
    rng = np.random.default_rng(4)
    inside = []
    for _ in range(400):
        draws = rng.poisson(0.24, 602)
        grouped = draws[1:-1] + draws[:-2] + draws[2:]  # hits that come in groups of three days
        path = np.cumsum(grouped - 3 * 0.24)
        inside.append(abs(path[-1]) < band([path], 86_400)[-1])
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_area_under_the_murphy_curve_is_the_difference_in_qlike() -> None:
    rng = np.random.default_rng(5)
    realised = rng.lognormal(0, 1, 300)
    laws = {"base": np.full(300, 1.6), "a": np.exp(0.5 * np.log(realised))}
    at = np.geomspace(1e-4, 1e4, 40_001)
    curves = {
        m: [float(elementary_mean_score(realised, f, np.array(t)).mean()) for t in at[::20]] for m, f in laws.items()
    }
    pooled = {m: {"detail": {"murphy": {"variance": curve}}} for m, curve in curves.items()}
    horizon = {"pooled": pooled, "detail": {"murphy_thresholds": {"variance": at[::20].tolist()}}}
    board = board_of({"baseline": "base", "horizons": {"3600": horizon}})
    found, thresholds = murphy_differences(board, ["a"], "variance")
    area = np.trapezoid(found["1 h"]["a"], np.log(thresholds["1 h"]))
    assert area == pytest.approx((qlike(realised, laws["a"]) - qlike(realised, laws["base"])).mean(), rel=1e-3)


def test_coverage_maps_hold_rates_over_nominal_ones(scores: dict[str, Any]) -> None:
    terciles, hours, years = condition_pictures(board_of(scores))
    k = list(terciles.data[0].y).index("dull")
    row = scores["horizons"][3_600]["pooled"]["dull"]
    rates = [rate / 0.01 for level in ("0.01", "0.99") for rate in row["tercile_trailing"][level]]
    np.testing.assert_allclose(terciles.data[0].customdata[k], rates, rtol=1e-6)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(terciles.data[0].z[k], np.clip(np.log2(rates), -1.5, 1.5), rtol=1e-5)
    by_hour = row["detail"]["hits_by_hour"]
    both = [(low + high) / 0.02 for low, high in zip(by_hour["0.01"], by_hour["0.99"], strict=True)]
    np.testing.assert_allclose(hours.data[0].customdata[k], both, rtol=1e-6)
    assert list(years.data[0].x) == ["2020, 1 %", "2020, 99 %"]


def test_pictures_of_one_model_hold_its_figures(scores: dict[str, Any]) -> None:
    figures = model_figures(scores, "sharp")
    assert set(figures) == {"reliability", "hits_over_time", "conditional_coverage"}
    row = scores["horizons"][86_400]["pooled"]["sharp"]
    lines = traces(figures["reliability"], name="sharp")
    errors = 100 * (np.array(row["detail"]["reliability"]) - LEVELS)
    np.testing.assert_allclose(lines[1].y, errors, atol=1e-5)
    assert len(traces(figures["hits_over_time"], name="sharp")) == 2 * len(HORIZONS_S)
    storms = figures["conditional_coverage"].data[0]
    at = list(storms.y).index("24 h, above 97.5 %")
    np.testing.assert_allclose(storms.customdata[at], np.array(row["tercile_trailing"]["0.975"]) / 0.025, rtol=1e-6)


def test_few_lines_are_shown_of_many_models(scores: dict[str, Any]) -> None:
    many = json.loads(json.dumps(scores))
    for found in many["horizons"].values():
        pooled = found["pooled"]
        for k in range(12):
            pooled[f"more{k:02}"] = pooled["dull"] | {"fz_tail": pooled["dull"]["fz_tail"] + k // 2}
    board = board_of(many)
    leaders = board.leaders("fz_tail")
    assert leaders[-1] == "base"
    assert len(leaders) == 6
    assert leaders[:3] == [m for m in board.ranked("fz_tail") if m != "base"][:3]
    figures = [board.pooled(3_600)[m]["fz_tail"] for m in leaders]
    assert len(set(figures)) == len(figures)  # of models that are one, one
