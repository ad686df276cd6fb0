"""The endpoint through a real client over a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn

from features.clock import HOUR_NS, NS_PER_S, format_utc, parse_utc
from features.errors import (
    ForecastError,
    FormatError,
    SettingError,
    ShortHistoryError,
    StaleDataError,
    UnknownInstrumentError,
)
from features.panel import Panel
from features.sources import sample
from features.store import Series, Store
from models import artefact
from models.base import Forecast
from models.calibration import Calibration, calibrate
from models.neural.forecaster import NeuralForecaster
from serving.api import create_app
from serving.margin.scan_policy import ScanPolicy
from serving.predictor import Predictor, Published
from serving.schedule import publish
from tests.conftest import TRAINED_UNTIL

NOW_NS = parse_utc("2020-08-15T10:50")


@contextmanager
def served(predictor: Predictor, now_ns: Callable[[], int]) -> Iterator[httpx.Client]:
    """Run the application on a loopback port of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(predictor, now_ns), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        for _ in range(200):
            if server.started:
                break
            time.sleep(0.05)
        try:
            port = listener.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(timeout=20)


@pytest.fixture(scope="module")
def predictor(store: Store, model_folder: Path, brief_calibration: Calibration) -> Predictor:
    return Predictor(store, model_folder, calibration=brief_calibration)


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[httpx.Client]:
    with served(predictor, lambda: NOW_NS) as client:
        yield client


def test_health(client: httpx.Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "origin": "2020-08-15T10:00:00Z"}


def test_forecast_of_all_horizons_and_of_one(client: httpx.Client) -> None:
    answer = client.get("/v1/forecast/BTCUSDT").json()
    assert answer["origin"] == "2020-08-15T10:00:00Z"
    assert answer["expires"] == "2020-08-15T12:00:00Z"
    assert [h["horizon_s"] for h in answer["horizons"]] == [3_600, 14_400, 28_800, 86_400]
    one = client.get("/v1/forecast/BTCUSDT", params={"horizon_s": 28_800}).json()
    assert one["horizons"] == [answer["horizons"][2]]
    law = one["horizons"][0]
    assert list(law["quantiles"]) == [
        "0.005",
        "0.01",
        "0.025",
        "0.05",
        "0.25",
        "0.5",
        "0.75",
        "0.95",
        "0.975",
        "0.99",
        "0.995",
    ]
    assert law["shortfall"]["0.01"] < law["quantiles"]["0.01"] < 0 < law["quantiles"]["0.99"] < law["shortfall"]["0.99"]
    assert law["vol_annual"] == pytest.approx((law["variance"] * 3 * 365) ** 0.5)


def test_margin_with_components_that_add_up(client: httpx.Client, bars: pd.DataFrame) -> None:
    answer = client.post("/v1/margin", json={"positions": [{"instrument": "BTCUSDT", "quantity": "-0.75"}]}).json()
    position = answer["positions"][0]
    closed = bars[bars["ts_ns"] + 900 * NS_PER_S <= NOW_NS]
    assert Decimal(position["mark_price"]) == Decimal(repr(float(closed["close"].iloc[-1])))
    for kind in ("initial", "maintenance"):
        parts = [Decimal(v) for v in position[f"{kind}_components_usd"].values()]
        assert sum(parts) == Decimal(position[f"{kind}_margin_usd"]) == Decimal(answer[f"{kind}_margin_usd"])
    assert 0 < Decimal(answer["maintenance_margin_usd"]) <= Decimal(answer["initial_margin_usd"])
    assert Decimal(answer["initial_margin_usd"]) < Decimal(position["notional_usd"])


def test_margin_grows_with_size_and_nets(client: httpx.Client) -> None:
    def initial(*quantities: str) -> Decimal:
        positions = [{"instrument": "BTCUSDT", "quantity": q} for q in quantities]
        return Decimal(client.post("/v1/margin", json={"positions": positions}).json()["initial_margin_usd"])

    assert initial("2") == pytest.approx(2 * initial("1"), abs=Decimal("0.10"))
    assert initial("3", "-2") == initial("1")
    assert initial("1", "-1") == 0


def margins_of(
    raw: Forecast, past: Panel, calibration: Calibration, handover_ns: int | None = None
) -> tuple[np.ndarray, dict[str, float]]:
    """A backtest's newest calibrated quantiles and initial margins."""
    whole = calibrate(raw, past, calibration, first_row=2_800, handover_ns=handover_ns)
    schedule = publish(whole, past, ScanPolicy())
    return whole.quantiles[-1], {side: float(of.initial_frac[-1]) for side, of in schedule.sides.items()}


@pytest.mark.parametrize("origin", ["2020-07-08T10:00", "2020-08-15T10:00"])  # a week and six after the training
def test_the_endpoint_gives_what_a_backtest_gives(
    predictor: Predictor, panel: Panel, network: NeuralForecaster, brief_calibration: Calibration, origin: str
) -> None:
    """From the anchor's history up to the end of the training, not from what the network says of its own."""
    published = predictor.at("BTCUSDT", parse_utc(origin) + HOUR_NS // 2)
    past = panel.until(parse_utc(origin))
    until_ns = parse_utc(TRAINED_UNTIL)
    quantiles, initial = margins_of(network.history(past, until_ns), past, brief_calibration, until_ns)
    np.testing.assert_allclose(published.forecast.quantiles[0], quantiles, rtol=1e-5)
    for side, rates in published.rates.items():
        assert sum(rates.initial.values()) == pytest.approx(initial[side], rel=1e-5)
    if origin.startswith("2020-07"):  # six weeks later what is remembered of the training is forgotten
        unlike, _ = margins_of(network.forecast(past), past, brief_calibration)
        assert np.abs(unlike / quantiles - 1).max() > 1e-3


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/forecast/DOGEUSDT", None, 404, "known: BTCUSDT"),
        ("GET", "/v1/forecast/BTCUSDT?horizon_s=60", None, 404, "known: 3600, 14400"),
        ("GET", "/v1/forecast/BTCUSDT?horizon_s=soon", None, 422, "horizon_s"),
        ("GET", "/v1/nothing", None, 404, "Not Found"),
        ("GET", "/v1/margin", None, 405, "Method Not Allowed"),
        ("POST", "/v1/margin", {"positions": []}, 422, "positions"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT"}]}, 422, "quantity"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": "NaN"}]}, 422, "quantity"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": "1e30"}]}, 422, "quantity"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": 0.1}]}, 422, "decimal string"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": True}]}, 422, "decimal string"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": "1_000"}]}, 422, "10 digits"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": "\uff11"}]}, 422, "10 digits"),
        ("POST", "/v1/margin", {"positions": [{"instrument": "BTCUSDT", "quantity": "1", "x": 1}]}, 422, "x"),
        (
            "POST",
            "/v1/margin",
            {"positions": [{"instrument": "ETH", "quantity": "1"}]},
            404,
            "unknown instrument 'ETH'",
        ),
    ],
)
def test_bad_requests_are_answered_with_problem_json(
    client: httpx.Client, method: str, path: str, body: object, status: int, words: str
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert words in answer.json()["detail"]


def test_a_body_that_is_no_json_is_answered_too(client: httpx.Client) -> None:
    answer = client.post("/v1/margin", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_wrong_method_is_told_the_right_one(client: httpx.Client) -> None:
    assert client.get("/v1/margin").headers["allow"] == "POST"


def test_a_lost_store_is_no_fault_of_the_request(model_folder: Path, tmp_path: Path) -> None:
    with served(Predictor(Store(tmp_path), model_folder), lambda: NOW_NS) as client:
        answer = client.get("/v1/forecast/BTCUSDT")
        assert (answer.status_code, "has lost the bars" in answer.json()["detail"]) == (503, True)


def test_openapi_describes_every_path(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/livez", "/readyz", "/v1/forecast/{instrument}", "/v1/margin"}


def test_stale_data_is_answered_with_503_and_the_reason(predictor: Predictor) -> None:
    late_ns = parse_utc("2020-08-21T00:00")
    with served(predictor, lambda: late_ns) as client:
        assert client.get("/livez").status_code == 200
        for answer in (
            client.get("/readyz"),
            client.get("/v1/forecast/BTCUSDT"),
            client.post("/v1/margin", json={"positions": [{"instrument": "BTCUSDT", "quantity": "1"}]}),
        ):
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert "the newest data is of 2020-08-20T00:00:00Z" in answer.json()["detail"]
            assert "import newer bars" in answer.json()["detail"]


def test_a_forecast_expires_and_does_not_come_back(predictor: Predictor) -> None:
    last_ns = parse_utc("2020-08-20T00:00")
    assert predictor.at("BTCUSDT", last_ns + 2 * HOUR_NS).origin_ns == last_ns
    with pytest.raises(StaleDataError):
        predictor.at("BTCUSDT", last_ns + 2 * HOUR_NS + NS_PER_S)


def test_before_any_data_there_is_no_forecast(predictor: Predictor) -> None:
    with pytest.raises(StaleDataError, match="no bar had closed by 2019-"):
        predictor.at("BTCUSDT", parse_utc("2019-01-01"))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instants at which a predictor really computed, filled as it does."""
    computed: list[int] = []
    compute = Predictor._compute

    def counting(self: Predictor, series: Series, now_ns: int) -> Published:
        computed.append(now_ns)
        return compute(self, series, now_ns)

    monkeypatch.setattr(Predictor, "_compute", counting)
    return computed


def test_new_bars_are_seen_and_old_answers_kept(
    bars: pd.DataFrame,
    model_folder: Path,
    brief_calibration: Calibration,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(tmp_path)
    cut_ns = parse_utc("2020-08-15T10:00")
    store.write(sample.SERIES, bars[bars["ts_ns"] < cut_ns])
    predictor = Predictor(store, model_folder, calibration=brief_calibration)
    computed = counted(monkeypatch)
    marks = [predictor.at("BTCUSDT", cut_ns + s * NS_PER_S).mark_price for s in (60, 120, 899)]
    assert len(computed) == 1
    store.write(sample.SERIES, bars[bars["ts_ns"] < cut_ns + 900 * NS_PER_S])
    newer = predictor.at("BTCUSDT", cut_ns + 901 * NS_PER_S)
    assert len(computed) == 2
    assert len(set(marks)) == 1
    assert newer.mark_price != marks[0]
    assert format_utc(newer.origin_ns) == "2020-08-15T10:00:00Z"


def store_of(bars: pd.DataFrame, folder: Path) -> Store:
    store = Store(folder)
    store.write(sample.SERIES, bars.reset_index(drop=True))
    return store


def initial_frac(published: Published, side: str) -> float:
    return sum(published.rates[side].initial.values())


def test_a_feed_without_trades_is_stale_however_new_its_stamps(
    bars: pd.DataFrame, model_folder: Path, brief_calibration: Calibration, tmp_path: Path
) -> None:
    dead = bars.copy()
    dead.loc[dead["ts_ns"] >= parse_utc("2020-08-14T10:00"), "volume"] = 0.0
    predictor = Predictor(store_of(dead, tmp_path), model_folder, calibration=brief_calibration)
    with pytest.raises(StaleDataError, match="the newest data is of 2020-08-14T10:00:00Z"):
        predictor.at("BTCUSDT", NOW_NS)


@pytest.mark.parametrize("first", ["2020-08-14T09:00", "2020-08-10", "2020-08-01T12:00"])
def test_a_hole_in_the_feed_does_not_lower_a_margin(
    first: str,
    predictor: Predictor,
    bars: pd.DataFrame,
    model_folder: Path,
    brief_calibration: Calibration,
    tmp_path: Path,
) -> None:
    """A day, five days, two weeks without bars, then one hour of them: not below what the last good hour asked."""
    hole_ns = parse_utc(first)
    holed = bars[(bars["ts_ns"] < hole_ns) | (bars["ts_ns"] >= parse_utc("2020-08-15T09:30"))]
    after = Predictor(store_of(holed, tmp_path), model_folder, calibration=brief_calibration).at("BTCUSDT", NOW_NS)
    before = predictor.at("BTCUSDT", hole_ns - hole_ns % HOUR_NS)
    for side in ("long", "short"):
        forecast = after.rates[side].initial["forecast"] + after.rates[side].initial["gap_hold"]
        assert forecast >= before.rates[side].initial["forecast"] * (1 - 1e-6)
    if first == "2020-08-14T09:00":  # here the forecast alone would have fallen
        assert after.rates["long"].initial["gap_hold"] > 0


def test_the_mark_is_the_last_traded_close(
    bars: pd.DataFrame, model_folder: Path, brief_calibration: Calibration, tmp_path: Path
) -> None:
    odd = bars[bars["ts_ns"] + 900 * NS_PER_S <= NOW_NS].copy()
    odd.loc[odd.index[-1], ["open", "high", "low", "close", "volume"]] = [6_000.0, 6_000.0, 6_000.0, 6_000.0, 0.0]
    predictor = Predictor(store_of(odd, tmp_path), model_folder, calibration=brief_calibration)
    assert predictor.at("BTCUSDT", NOW_NS).mark_price == Decimal(repr(float(odd["close"].iloc[-2])))


def test_long_and_short_pay_their_own_rates(client: httpx.Client, predictor: Predictor) -> None:
    published = predictor.at("BTCUSDT", NOW_NS)
    rates = {side: initial_frac(published, side) for side in ("long", "short")}
    assert abs(rates["long"] / rates["short"] - 1) > 0.01  # else the test could not tell them apart
    for quantity, side in (("10", "long"), ("-10", "short")):
        body = {"positions": [{"instrument": "BTCUSDT", "quantity": quantity}]}
        answer = client.post("/v1/margin", json=body).json()
        expected = 10 * float(published.mark_price) * rates[side]
        assert float(answer["initial_margin_usd"]) == pytest.approx(expected, abs=0.10)


def test_many_at_once_compute_once(
    store: Store, model_folder: Path, brief_calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(store, model_folder, calibration=brief_calibration)
    computed = counted(monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        origins = {p.origin_ns for p in pool.map(lambda _: predictor.at("BTCUSDT", NOW_NS), range(24))}
    assert len(origins) == len(computed) == 1


def test_a_reason_is_kept_as_long_as_an_answer(
    bars: pd.DataFrame, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(store_of(bars.tail(2_900), tmp_path), model_folder)
    computed = counted(monkeypatch)
    for _ in range(3):
        with pytest.raises(ShortHistoryError, match="give a longer history"):
            predictor.at("BTCUSDT", parse_utc("2020-08-19T12:00"))
    assert len(computed) == 1


def test_what_the_model_was_trained_on_is_not_served(predictor: Predictor) -> None:
    with pytest.raises(ForecastError, match="was trained until 2020-06-30T23:00:00Z"):
        predictor.at("BTCUSDT", parse_utc("2020-06-15T12:00"))


def test_a_model_of_other_feature_code_or_policy_does_not_start(
    store: Store, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingError, match="needs a forecast for 7200 s"):
        Predictor(store, model_folder, ScanPolicy(mpor_s=7_200))
    with pytest.raises(SettingError, match=r"at level 0\.98"):
        Predictor(store, model_folder, ScanPolicy(es_level=0.98))
    monkeypatch.setattr("serving.predictor.code_hash", lambda *_names: "other")
    with pytest.raises(SettingError, match="features of other code"):
        Predictor(store, model_folder)


def test_a_model_that_does_not_tell_what_it_was_trained_on_does_not_start(
    store: Store, network: NeuralForecaster, tmp_path: Path
) -> None:
    artefact.save(network, tmp_path / "model", {"instruments": ["BTCUSDT"], "feature_code_sha256": "a"})
    with pytest.raises(FormatError, match="does not tell its trained_until; train again"):
        Predictor(store, tmp_path / "model")


def test_a_fault_of_the_server_is_not_the_clients(bars: pd.DataFrame, model_folder: Path, tmp_path: Path) -> None:
    store = store_of(bars, tmp_path)
    store.write(Series("other", "BTCUSDT", 900), bars)
    with served(Predictor(store, model_folder), lambda: NOW_NS) as client:
        answer = client.get("/v1/forecast/BTCUSDT")
        assert (answer.status_code, "keep one of them" in answer.json()["detail"]) == (503, True)


def test_a_model_serves_only_its_instrument_and_bars(
    predictor: Predictor, model_folder: Path, bars: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(UnknownInstrumentError, match="known: BTCUSDT"):
        predictor.at("ETHUSDT", NOW_NS)
    store = Store(tmp_path)
    hourly = bars[bars["ts_ns"] % HOUR_NS == 0].reset_index(drop=True)
    store.write(Series("binance-spot", "BTCUSDT", 3_600), hourly)
    with pytest.raises(SettingError, match="the model needs 900 s bars"):
        Predictor(store, model_folder).at("BTCUSDT", NOW_NS)
