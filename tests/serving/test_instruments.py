"""One model that serves several instruments: each from its own bars, with its leaders', and no other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from features.clock import HOUR_NS, NS_PER_S, parse_utc
from features.errors import StaleDataError, UnknownInstrumentError
from features.files import code_hash
from features.panel import Panel
from features.pipeline import FEATURE_CODE, compute_panels
from features.spec import FeatureSpec
from features.store import Series, Store
from models import artefact
from models.calibration import Calibration, calibrate
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import InputConfig, Reader
from models.neural.network import Network, NetworkConfig
from serving.predictor import Predictor

NOW_NS, TRAINED_UNTIL = parse_utc("2020-08-15T10:50"), "2020-06-30T23:00:00Z"
NAMES = ("BTCUSDT", "ETHUSDT")
SPEC = replace(FeatureSpec(), features=(*FeatureSpec().features, "BTCUSDT.log_rv_1h"))


@pytest.fixture(scope="module")
def markets(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The sample, and a market of half again its log returns."""
    other = bars.copy()
    for column in ("open", "high", "low", "close"):
        other[column] = (other[column] / 7_000.0) ** 1.5
    return {"BTCUSDT": bars, "ETHUSDT": other}


@pytest.fixture(scope="module")
def panels(markets: dict[str, pd.DataFrame]) -> dict[str, Panel]:
    frames = {s: {"bars_900s": iter([pl.from_pandas(b, nan_to_null=False)])} for s, b in markets.items()}
    return compute_panels(frames, NAMES, SPEC)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(panels: dict[str, Panel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: its anchors, which are fitted, tell the instruments apart."""
    reader = Reader.fit(InputConfig(), [panels[name].until(parse_utc(TRAINED_UNTIL)) for name in NAMES])
    torch.manual_seed(0)
    net = Network(NetworkConfig(len(reader.names), reader.n_sequence, 4, encoder="mlp", hidden=8)).eval()
    torch.nn.init.normal_(net.out.weight, 0.0, 0.1)
    folder = tmp_path_factory.mktemp("several") / "model"
    about = {
        "instruments": list(NAMES), "trained_until": TRAINED_UNTIL, "feature_code_sha256": code_hash(*FEATURE_CODE),
    }  # fmt: skip
    artefact.save(NeuralForecaster((net,), reader, SPEC), folder, about)
    return folder


def store_of(markets: dict[str, pd.DataFrame], folder: Path) -> Store:
    store = Store(folder)
    for symbol, bars in markets.items():
        store.write(Series("binance-spot", symbol, 900), bars.reset_index(drop=True))
    return store


def test_each_instrument_is_forecast_from_its_own_bars(
    folder: Path,
    markets: dict[str, pd.DataFrame],
    panels: dict[str, Panel],
    brief_calibration: Calibration,
    tmp_path: Path,
) -> None:
    predictor = Predictor(store_of(markets, tmp_path), folder, calibration=brief_calibration)
    forecaster = artefact.load(folder)
    assert predictor.instruments == NAMES
    for name in (*NAMES, *NAMES):  # the second time from what was kept
        past = panels[name].until(parse_utc("2020-08-15T10:00"))
        until_ns = parse_utc(TRAINED_UNTIL)
        history = forecaster.history(past, until_ns)
        expected = calibrate(history, past, brief_calibration, first_row=3_500, handover_ns=until_ns)
        published = predictor.at(name, NOW_NS)
        assert published.instrument == name
        np.testing.assert_allclose(published.forecast.quantiles[0], expected.quantiles[-1], rtol=1e-4)
    close = markets["ETHUSDT"].loc[markets["ETHUSDT"]["ts_ns"] + 900 * NS_PER_S <= NOW_NS, "close"].iloc[-1]
    assert float(predictor.at("ETHUSDT", NOW_NS).mark_price) == close
    with pytest.raises(UnknownInstrumentError, match="unknown instrument 'SOLUSDT'; known: BTCUSDT, ETHUSDT"):
        predictor.at("SOLUSDT", NOW_NS)


def test_a_leader_without_fresh_bars_stops_those_that_follow_it(
    folder: Path, markets: dict[str, pd.DataFrame], brief_calibration: Calibration, tmp_path: Path
) -> None:
    bitcoin = markets["BTCUSDT"]
    late = markets | {"BTCUSDT": bitcoin[bitcoin["ts_ns"] < NOW_NS - 5 * HOUR_NS]}
    with pytest.raises(StaleDataError, match="BTCUSDT: the newest data is of 2020-08-15T06:00:00Z"):
        Predictor(store_of(late, tmp_path / "late"), folder, calibration=brief_calibration).at("ETHUSDT", NOW_NS)
    lone = store_of({"ETHUSDT": markets["ETHUSDT"]}, tmp_path / "lone")
    with pytest.raises(StaleDataError, match=r"has lost the bars .* of BTCUSDT"):
        Predictor(lone, folder, calibration=brief_calibration).at("ETHUSDT", NOW_NS)
