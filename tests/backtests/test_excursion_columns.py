"""Excursions on their way from a fold to the file: every row has them, also combinations, and none sees its outcome."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtests.calibrated import Calibrated, Calibrating, calibrate_entry
from backtests.config import ModelEntry
from backtests.fold_files import Outcome, write_fold
from backtests.folds import Fold
from backtests.forecast_file import EXCURSIONS, ForecastWriter, excursion_columns
from features.clock import DAY_NS, HOUR_NS
from features.panel import Panel
from features.targets import Targets
from models import FORECASTERS
from models.base import LEVELS, Forecast
from models.calibration import Calibration
from models.excursions import Excursions

ENTRIES = {
    entry.name: entry
    for entry in (
        ModelEntry(name="har", forecaster="log_har"),
        ModelEntry(name="har+track", forecaster="log_har", track=True),
        ModelEntry(name="wild", forecaster="ewma", tail="own"),
        ModelEntry(name="wild+shape", forecaster="ewma", tail="own", excursions="shape"),
        ModelEntry(name="mean", combine=("har", "wild"), tail="own"),
        ModelEntry(name="joined", combine=("har", "wild"), tail="members"),
        ModelEntry(name="mean+shape", combine=("har", "wild"), tail="own", excursions="shape"),
    )
}
FIRST = 2_500


def breathing(raw: Forecast) -> Forecast:
    """Tails that are wide every other day."""
    factor = np.where(raw.origin_ns // DAY_NS % 2 == 0, 1.6, 1.0)[:, None, None]
    return replace(raw, quantiles=raw.quantiles * factor, shortfall=raw.shortfall * factor)


@pytest.fixture(scope="module")
def folds(panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ...]]:
    folder = tmp_path_factory.mktemp("folds")
    found: dict[str, tuple[Path, ...]] = {"mean": (), "mean+shape": (), "joined": ()}
    for name in ("har", "har+track", "wild", "wild+shape"):
        raw = FORECASTERS[str(ENTRIES[name].forecaster)]().fit(panel).forecast(panel).rows(600)
        raw = breathing(raw) if name.startswith("wild") else raw
        outcome = Outcome("BTCUSDT", len(raw.origin_ns), 0.0, 0.0)
        write_fold(folder / name, {}, [outcome], {"BTCUSDT": raw})
        found[name] = (folder / name,)
    return found


def made(name: str, folds: dict[str, tuple[Path, ...]], panel: Panel, calibration: Calibration) -> Calibrated:
    task = Calibrating(ENTRIES[name], ENTRIES, folds, calibration, int(panel.origin_ns[FIRST]))
    row = calibrate_entry(task, {"BTCUSDT": panel})
    assert row.failures == {}
    return row


def test_calibrated_members_are_joined_as_they_are(
    folds: dict[str, tuple[Path, ...]], panel: Panel, brief_calibration: Calibration
) -> None:
    """Debiased and shifted once, each by its own past, and not a second time together."""
    members = [made(name, folds, panel, brief_calibration).forecasts["BTCUSDT"] for name in ("har", "wild")]
    joined = made("joined", folds, panel, brief_calibration).forecasts["BTCUSDT"]
    variances = np.log([member.variance for member in members])
    weight = (np.log(joined.variance) - variances[1]) / (variances[0] - variances[1])
    assert ((weight > -1e-6) & (weight < 1 + 1e-6))[np.abs(variances[0] - variances[1]) > 1e-3].all()
    shapes = [member.quantiles / np.sqrt(member.variance)[..., None] for member in members]
    expected = weight[..., None] * shapes[0] + (1 - weight[..., None]) * shapes[1]
    found = joined.quantiles / np.sqrt(joined.variance)[..., None]
    apart = np.abs(variances[0] - variances[1]) > 1e-3
    np.testing.assert_allclose(found[apart], expected[apart], atol=1e-4)
    again = made("mean", folds, panel, brief_calibration).forecasts["BTCUSDT"]
    assert np.abs(again.variance / joined.variance - 1).max() > 1e-3


@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_row_has_them_from_the_first_test_origin_on(
    name: str, folds: dict[str, tuple[Path, ...]], panel: Panel, brief_calibration: Calibration, tmp_path: Path
) -> None:
    """In the file, in single precision, they are still not less than the loss at the end."""
    row = made(name, folds, panel, brief_calibration)
    forecast, excursions = row.forecasts["BTCUSDT"], row.excursions["BTCUSDT"]
    assert forecast.origin_ns[0] == panel.origin_ns[FIRST]
    assert excursions.down.shape == (len(forecast.origin_ns), 4, 2)
    with ForecastWriter(tmp_path / "f.parquet", has_excursions=True) as file:
        file.write(name, "BTCUSDT", forecast, excursion_columns(excursions))
    found = pl.read_parquet(tmp_path / "f.parquet")
    assert set(EXCURSIONS) <= set(found.columns)
    assert {found.schema[column] for column in EXCURSIONS} == {pl.Float32()}
    for level in ("0.99", "0.995"):
        assert (found[f"xup_{level}"] >= found[f"q_{level}"]).all()
        assert (found[f"xdn_{level}"] >= -found[f"q_{1 - float(level):g}"]).all()


def test_columns_stand_under_their_side_and_level() -> None:
    down, up = np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[5.0, 6.0], [7.0, 8.0]]])
    found = {name: values.tolist() for name, values in excursion_columns(Excursions(down, up)).items()}
    assert found == {
        "xdn_0.99": [[1.0, 3.0]], "xdn_0.995": [[2.0, 4.0]], "xup_0.99": [[5.0, 7.0]], "xup_0.995": [[6.0, 8.0]]
    }  # fmt: skip


@pytest.mark.parametrize(("plain", "shaped"), [("wild", "wild+shape"), ("mean", "mean+shape")])
def test_a_shape_makes_excursions_long_when_tails_are(
    plain: str, shaped: str, folds: dict[str, tuple[Path, ...]], panel: Panel, brief_calibration: Calibration
) -> None:
    """Tails 1.6 times as wide every other day: excursions follow by the root of it, a combination's by less."""
    ratio = {}
    for name in (plain, shaped):
        row = made(name, folds, panel, brief_calibration)
        # the share of the level that is due to the day, where the bound of the return's tail does not decide
        standard = row.excursions["BTCUSDT"].up[:, 0, 0] / np.sqrt(row.forecasts["BTCUSDT"].variance[:, 0])
        end = row.forecasts["BTCUSDT"].quantiles[:, 0, LEVELS.index(0.99)]
        free = row.excursions["BTCUSDT"].up[:, 0, 0] > end
        wide = row.forecasts["BTCUSDT"].origin_ns // DAY_NS % 2 == 0
        ratio[name] = np.median(standard[free & wide]) / np.median(standard[free & ~wide])
    assert ratio[plain] == pytest.approx(1, abs=0.05)
    wanted = np.sqrt(1.6) if plain == "wild" else np.sqrt(1.3)
    assert ratio[shaped] == pytest.approx(wanted, abs=0.06)


def test_a_row_does_not_see_what_had_not_ended(
    folds: dict[str, tuple[Path, ...]], panel: Panel, brief_calibration: Calibration
) -> None:
    """The panel cut at an origin gives that origin's excursions; outcomes that come later, made wild, do not matter."""
    last = 3_700
    now_ns = int(panel.origin_ns[last])
    ended = panel.origin_ns[:, None] + np.array(panel.spec.horizons_s) * 10**9 <= now_ns
    wild = {name: np.where(ended, values, 9.0) for name, values in panel.targets.arrays.items()}
    markets = (panel, replace(panel, targets=Targets(**wild)))
    for name in ("har+track", "mean+shape"):
        rows = [made(name, folds, market, brief_calibration).excursions["BTCUSDT"] for market in markets]
        stop = last - FIRST + 1
        np.testing.assert_array_equal(rows[0].down[:stop], rows[1].down[:stop])
        np.testing.assert_array_equal(rows[0].up[:stop], rows[1].up[:stop])
        assert not np.array_equal(rows[0].down[stop + 48 :], rows[1].down[stop + 48 :])


def test_a_model_is_shown_no_excursion_that_had_not_ended(panel: Panel) -> None:
    """``until`` cuts by the end of the window, a fold's question has no outcome at all."""
    row = 2_000
    now_ns = int(panel.origin_ns[row])
    past = panel.until(now_ns)
    fold = Fold(0, now_ns - DAY_NS, now_ns, now_ns, now_ns + 30 * DAY_NS, 90 * DAY_NS)
    for name in ("excursion_down", "excursion_up"):
        whole, cut = getattr(panel.targets, name), getattr(past.targets, name)
        for h, horizon_s in enumerate(panel.spec.horizons_s):
            ended = past.origin_ns + horizon_s * 10**9 <= now_ns
            assert np.isnan(cut[~ended, h]).all()
            assert (~ended).sum() == horizon_s * 10**9 // HOUR_NS
            np.testing.assert_array_equal(cut[ended, h], whole[: row + 1][ended, h])
        assert np.isfinite(whole[row - 100 : row]).any()
        assert np.isnan(getattr(fold.asked(panel).targets, name)).all()
