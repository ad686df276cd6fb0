"""The served model: newest bars in, calibrated forecast and published rates out, or the reason why not."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import pandas as pd
import polars as pl

from features.clock import NS_PER_S, floor_to, format_utc, parse_utc
from features.errors import (
    DataError,
    ForecastError,
    FormatError,
    SettingError,
    StaleDataError,
    UnknownInstrumentError,
)
from features.files import code_hash
from features.grid import traded
from features.panel import Panel
from features.pipeline import FEATURE_CODE, Frames, compute_panels
from features.plan import Plan
from features.store import Series, Store
from models import artefact
from models.base import LEVELS, Forecast
from models.calibration import Calibration, calibrate
from models.neural.forecaster import NeuralForecaster
from serving.margin.requirement import Rates
from serving.margin.scan_policy import ScanPolicy
from serving.schedule import SIDES, publish

MAX_AGE_S = 7_200
PROVENANCE = ("instruments", "trained_until", "feature_code_sha256")  # without which a model is not served


@dataclass(frozen=True, slots=True)
class Published:
    """What the endpoint knows of one instrument at one origin: forecast (1 row), mark, rates by side.

    ``history_days``: days of outcomes behind stress and floor.
    """

    instrument: str
    origin_ns: int
    expires_ns: int
    mark_price: Decimal
    forecast: Forecast
    rates: dict[str, Rates]
    history_days: int


class Predictor:
    """The champion with its store; answers are computed once per bar and instrument, and kept.

    ``instruments`` are those that it was trained on; others are refused. ``runtime`` evaluates the networks.

    Raises
    ------
    MissingFileError, FormatError
        If the artefact is missing or damaged, or does not tell what it was trained on.
    SettingError
        If it was trained on features of other code, or the policy needs a horizon
        or a level that it does not forecast.
    """

    def __init__(
        self,
        store: Store,
        model_folder: Path,
        policy: ScanPolicy | None = None,
        calibration: Calibration | None = None,
        max_age_s: int = MAX_AGE_S,
        runtime: Literal["torch", "onnx"] = "torch",
    ) -> None:
        self.store = store
        self.policy = policy or ScanPolicy()
        self.calibration = calibration or Calibration()
        self.max_age_s = max_age_s
        card = artefact.read_card(model_folder)
        self.model_id: str = card["model_id"]
        told = card["provenance"]
        if missing := [name for name in PROVENANCE if not told.get(name)]:
            raise FormatError(f"{model_folder}: does not tell its {', '.join(missing)}; train again")
        self.instruments: tuple[str, ...] = tuple(told["instruments"])
        self.forecaster: NeuralForecaster = artefact.load(model_folder, runtime)
        self.trained_until_ns = parse_utc(told["trained_until"])
        self._check(told["feature_code_sha256"])
        self._leaders = Plan(self.forecaster.spec).leaders
        self._kept: dict[str, tuple[tuple[object, ...], Published | DataError]] = {}
        self._locks = {instrument: Lock() for instrument in self.instruments}

    @property
    def instrument(self) -> str:
        """The first instrument, whose freshness stands for the model's."""
        return self.instruments[0]

    def at(self, instrument: str, now_ns: int) -> Published:
        """Forecast and rates from the newest full hour at ``now_ns``.

        Raises
        ------
        UnknownInstrumentError
            If the model was not trained on the instrument or the store does not hold it.
        StaleDataError
            If the newest bar with a trade, or the newest origin, is older than ``max_age_s``.
        ForecastError
            If the origin lies in the model's training, or its numbers are senseless.
        ShortHistoryError
            If the history is too short for the features or the policy.
        """
        if instrument not in self.instruments:
            raise UnknownInstrumentError(f"unknown instrument {instrument!r}; known: {', '.join(self.instruments)}")
        series = self._series(instrument)
        # What is known changes when a bar closes or the store does; in between the answer is kept.
        stores = [self.store.fingerprint(s) for s in (series, *map(self._series, self._leaders))]
        key = *stores, floor_to(now_ns, series.bar_s * NS_PER_S)
        with self._locks[instrument]:
            kept = self._kept.get(instrument)
            if kept is None or kept[0] != key:
                kept = self._kept[instrument] = key, self._computed(series, now_ns)
            published = kept[1]
        if isinstance(published, DataError):  # a new one: raising the kept one would grow its traceback
            raise type(published)(str(published))
        self._refuse_stale(instrument, published.origin_ns, now_ns)
        return published

    def _series(self, instrument: str) -> Series:
        """A series that the model needs; that the store has lost it is no fault of the request."""
        try:
            return self.store.find(instrument)
        except UnknownInstrumentError as error:
            lost = f"{self.store.root} has lost the bars (or the manifest) of {instrument}; import them again"
            raise StaleDataError(lost) from error

    def _check(self, feature_code_sha256: str) -> None:
        """Refuse features of other code and a policy beyond the forecast."""
        if feature_code_sha256 != code_hash(*FEATURE_CODE):
            raise SettingError("the model was trained on features of other code; train again with `margincast demo`")
        for horizon_s in (self.policy.mpor_s, self.policy.liquidation_s):
            if horizon_s not in self.forecaster.spec.horizons_s:
                raise SettingError(f"the margin policy needs a forecast for {horizon_s} s; the model has none")
        for level in (self.policy.es_level, self.policy.var_level):
            if level not in LEVELS or round(1 - level, 12) not in LEVELS:
                raise SettingError(f"the margin policy needs a forecast at level {level:g}; the model has none")

    def _computed(self, series: Series, now_ns: int) -> Published | DataError:
        """Published margin, or the reason why there is none: both are kept until something changes."""
        try:
            return self._compute(series, now_ns)
        except DataError as error:
            return error

    def _refuse_stale(self, instrument: str, known_ns: int, now_ns: int) -> None:
        age_s = (now_ns - known_ns) / NS_PER_S
        if age_s > self.max_age_s:
            raise StaleDataError(
                f"{instrument}: the newest data is of {format_utc(known_ns)}, {age_s:.0f} s before "
                f"{format_utc(now_ns)} (allowed: {self.max_age_s} s); import newer bars, "
                "or serve the past with --as-of"
            )

    def _compute(self, series: Series, now_ns: int) -> Published:
        instrument = series.symbol
        bars = {instrument: self._bars(series, now_ns)}  # a leader that is dead would look calm: each must be fresh
        bars |= {leader: self._bars(self._series(leader), now_ns) for leader in self._leaders if leader != instrument}
        frames: dict[str, Frames] = {
            s: {f"bars_{series.bar_s}s": [pl.from_pandas(b, nan_to_null=False)]} for s, b in bars.items()
        }
        panel = compute_panels(frames, (instrument,), self.forecaster.spec)[instrument].until(now_ns)
        shown = traded(bars[instrument])
        self._refuse_trained_on(panel)
        forecast = self._forecast(panel)
        schedule = publish(forecast, panel, self.policy, len(forecast.origin_ns) - 1)
        origin_ns = int(panel.origin_ns[-1])
        return Published(
            instrument=instrument,
            origin_ns=origin_ns,
            expires_ns=origin_ns + self.max_age_s * NS_PER_S,
            mark_price=Decimal(repr(float(shown["close"].iloc[-1]))),  # as the vendor printed it
            forecast=forecast.rows(len(forecast.origin_ns) - 1),
            rates={side: schedule.sides[side].rates(-1) for side in SIDES},
            history_days=int(np.isfinite(panel.targets.log_return[:, 0]).sum() // 24),
        )

    def _bars(self, series: Series, now_ns: int) -> pd.DataFrame:
        """Bars of the model's length that had closed, the last traded one not too old."""
        spec, instrument = self.forecaster.spec, series.symbol
        if series.bar_s != spec.bar_s:
            raise SettingError(
                f"{instrument}: the store has {series.bar_s} s bars, the model needs {spec.bar_s} s bars"
            )
        bars = self.store.scan(series, until_ns=now_ns)
        shown = traded(bars)
        if shown.empty:
            raise StaleDataError(f"{instrument}: no bar had closed by {format_utc(now_ns)}; import data of that time")
        self._refuse_stale(instrument, int(shown["ts_ns"].iloc[-1]) + spec.bar_s * NS_PER_S, now_ns)
        return bars

    def _refuse_trained_on(self, panel: Panel) -> None:
        """A forecast of what the model was trained on is no forecast."""
        if panel.origin_ns[-1] <= self.trained_until_ns:
            raise ForecastError(
                f"{panel.instrument}: the model was trained until {format_utc(self.trained_until_ns)}, which "
                f"{format_utc(int(panel.origin_ns[-1]))} is not after; serve a later time"
            )

    def _forecast(self, panel: Panel) -> Forecast:
        """Calibrated forecasts of the origins that the limiter remembers, the newest last.

        Up to the end of the training they, and what they are calibrated on, are the anchor's.
        """
        remembered = 24 * self.policy.memory_days + 1
        first = max(0, len(panel) - remembered)
        start = max(0, first - self.calibration.warm_up_rows)
        recent = panel.rows(start, len(panel))
        history = self.forecaster.history(recent, self.trained_until_ns)
        return calibrate(history, recent, self.calibration, first - start, handover_ns=self.trained_until_ns)
