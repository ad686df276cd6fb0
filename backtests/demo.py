"""The main job: bars to features, a trained network, its comparison with classical models, margins, a report."""

from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backtests.demo_plan import BASELINE, LEAST_TEST_DAYS, LEAST_TRAINING_DAYS, NAMES, NETWORK, DemoPlan, DemoResult
from backtests.demo_report import write_demo_report
from backtests.demo_walk import read_forecasts, walk_forward, write_forecasts
from backtests.margin import score_margin
from backtests.scoreboard import reliability, score_all
from features.clock import DAY_NS, HOUR_NS, NS_PER_S, format_utc, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.files import code_hash, discard, is_sealed, seal, sha256_of, write_json, write_text
from features.grid import traded
from features.panel import Panel
from features.pipeline import Progress, build_panel
from features.store import Series, Store
from models import FORECASTERS, artefact
from models.base import Forecast, Forecaster
from models.neural.forecaster import Frozen
from serving.margin.requirement import require
from serving.schedule import Schedule, publish
from training.checkpoints import CODE
from training.config import TrainingConfig
from training.fit import train
from training.provenance import provenance

# What changes a forecast; a change elsewhere re-uses what was computed.
FORECAST_CODE = ("features", "models", "backtests.demo_walk")

Bar = Callable[[str], Progress]  # a progress bar for a named step


def run_demo(
    bars: pd.DataFrame,
    series: Series,
    out: Path,
    config: TrainingConfig,
    bar: Bar,
    plan: DemoPlan | None = None,
) -> DemoResult:
    """Run the main job on canonical bars; what did not change since the last run in ``out`` is re-used.

    Raises
    ------
    DataError
        If the bars are wrong or too short for the plan.
    """
    plan = plan or DemoPlan()
    if series.bar_s != plan.spec.bar_s:
        raise SettingError(f"{series.symbol}: {series.bar_s} s bars; the demo needs {plan.spec.bar_s} s bars")
    store = Store(out / "store")
    with_bar = bar("store the bars")
    store.replace(series, bars)
    with_bar(1, 1)
    panel = build_panel(store, series, plan.spec, out / "cache", bar("compute features"))
    _check_period(panel, plan)
    data_sha256 = store.fingerprint(series)
    re_used: list[str] = []

    folder = _trained(panel, plan, config, out, data_sha256, bar, re_used)
    card = artefact.read_card(folder)
    network = Frozen(artefact.load(folder), parse_utc(card["provenance"]["trained_until"]))
    model_id, history = card["model_id"], card["provenance"]["histories"][0]
    forecasts = _forecasts(network, model_id, panel, plan, out, data_sha256, bar, re_used)
    price = _prices(bars, series, forecasts[NETWORK].origin_ns)

    with_bar = bar("score and margin")
    first = forecasts[NETWORK].origin_ns.searchsorted(plan.test_from_ns)
    tested = {name: forecast.rows(int(first)) for name, forecast in forecasts.items()}
    scores = score_all(tested, panel, BASELINE)
    with_bar(1, 2)
    schedules = {name: publish(f, panel, plan.policy, int(first)) for name, f in forecasts.items()}
    margins = [s for name, sched in schedules.items() for s in score_margin(name, sched, panel, plan.policy.mpor_s)]
    with_bar(2, 2)

    key = sha256_of([model_id, data_sha256, asdict(plan), code_hash("serving", "backtests")])
    shares = {name: reliability(f, panel) for name, f in tested.items()}
    result = DemoResult(key, series.symbol, out, folder, model_id, history, scores, margins, shares, re_used)
    _write_outputs(result, tested, schedules[NETWORK], panel, price[first:], plan, bar("write the report"))
    return result


def _check_period(panel: Panel, plan: DemoPlan) -> None:
    """Refuse bars that leave nothing to train on or nothing to test on."""
    first, last = (format_utc(int(panel.origin_ns[i])) for i in (0, -1))
    known = f"{panel.instrument}: features from {first} to {last}"
    training_days = max(0.0, (plan.forecast_from_ns - int(panel.origin_ns[0])) / DAY_NS)
    if training_days < LEAST_TRAINING_DAYS:
        raise ShortHistoryError(
            f"{known} leave {training_days:.0f} days before {format_utc(plan.forecast_from_ns)} to train on, "
            f"{LEAST_TRAINING_DAYS} are needed; give a longer history or a later test period"
        )
    known_hours = int(np.isfinite(panel.until(plan.forecast_from_ns).targets.log_return).all(axis=1).sum())
    if known_hours < 12 * LEAST_TRAINING_DAYS:
        raise ShortHistoryError(
            f"{known}, but only {known_hours} hours before {format_utc(plan.forecast_from_ns)} have an outcome: "
            "gaps, bars without volume and prices that do not move have none; give better bars"
        )
    if panel.origin_ns[-1] < plan.test_from_ns + LEAST_TEST_DAYS * DAY_NS:
        raise ShortHistoryError(
            f"{known} hold less than {LEAST_TEST_DAYS} days from {format_utc(plan.test_from_ns)} on to test; "
            "give later bars or an earlier test period"
        )


def _trained(
    panel: Panel,
    plan: DemoPlan,
    config: TrainingConfig,
    out: Path,
    data_sha256: str,
    bar: Bar,
    re_used: list[str],
) -> Path:
    """Train on everything before the test, or find the artefact of the same inputs."""
    inputs = [
        data_sha256,
        panel.spec.hash,
        plan.test_from_ns,
        config.model_dump(),
        code_hash(*CODE),
    ]
    folder = out / "models" / sha256_of(inputs)[:16]
    progress = bar("train the network")
    if folder.exists():
        re_used.append("training")
        progress(1, 1)
    else:
        past = [panel.until(plan.test_from_ns - HOUR_NS)]
        trained = train(past, config, progress, out / "checkpoints")
        artefact.save(trained.forecaster, folder, provenance(past, config, trained, data_sha256))
        discard(out / "checkpoints")
    return folder


def _forecasts(
    network: Frozen,
    model_id: str,
    panel: Panel,
    plan: DemoPlan,
    out: Path,
    data_sha256: str,
    bar: Bar,
    re_used: list[str],
) -> dict[str, Forecast]:
    """Walk-forward forecasts of every model, the network first; each kept by the hash of its inputs."""
    models: dict[str, Callable[[], Forecaster]] = {NETWORK: lambda: network}
    models |= {name: FORECASTERS[name] for name in NAMES if name != NETWORK}
    period = [plan.forecast_from_ns, plan.test_to_ns, asdict(plan.calibration), panel.spec.hash]
    forecasts = {}
    for name, make in models.items():
        inputs = [
            name,
            model_id if name == NETWORK else "",
            data_sha256,
            period,
            code_hash(*FORECAST_CODE),
        ]
        path = out / "cache" / f"forecasts-{name}-{sha256_of(inputs)[:16]}.parquet"
        progress = bar(f"walk forward: {NAMES[name]}")
        if is_sealed(path):
            re_used.append(f"forecasts of {name}")
            progress(1, 1)
        else:
            forecast = walk_forward(make(), panel, plan.forecast_from_ns, plan.test_to_ns, plan.calibration, progress)
            discard(path)
            write_forecasts({name: forecast}, panel.instrument, path)
            seal(path)
        forecasts[name] = read_forecasts(path, name)
    return forecasts


def _prices(bars: pd.DataFrame, series: Series, origin_ns: np.ndarray) -> np.ndarray:
    """Last traded close known at each origin."""
    shown = traded(bars)
    closed_ns = shown["ts_ns"].to_numpy() + series.bar_s * NS_PER_S
    prices: np.ndarray = shown["close"].to_numpy()[np.searchsorted(closed_ns, origin_ns, side="right") - 1]
    return prices


def _write_outputs(
    result: DemoResult,
    tested: dict[str, Forecast],
    schedule: Schedule,
    panel: Panel,
    price: np.ndarray,
    plan: DemoPlan,
    progress: Progress,
) -> None:
    """Forecasts as Parquet, scores as JSON, the report as HTML, each whole."""
    write_forecasts(tested, result.instrument, result.out / "forecasts.parquet")
    progress(1, 3)
    write_json(result.out / "scores.json", scores_json(result))
    write_text(result.out / "margin_schedule.csv", schedule_csv(schedule, panel.instrument, price))
    progress(2, 3)
    write_demo_report(result.report, result, tested, schedule, panel, price, plan)
    progress(3, 3)


def scores_json(result: DemoResult) -> dict[str, Any]:
    """All figures as plain values."""
    return {
        "instrument": result.instrument,
        "model_id": result.model_id,
        "scores": [s.to_json() for s in result.scores],
        "margins": [m.to_json() for m in result.margins],
    }


def schedule_csv(schedule: Schedule, instrument: str, price: np.ndarray) -> str:
    """Margin of one unit of the underlying at each origin, USD, as the endpoint would have required it."""
    lines = ["origin,mark_price," + ",".join(f"{kind}_{side}_usd" for side in schedule.sides for kind in ("im", "mm"))]
    for row, origin_ns in enumerate(schedule.origin_ns):
        mark = Decimal(repr(float(price[row])))
        margins = [require(instrument, Decimal(1), mark, side.rates(row)) for side in schedule.sides.values()]
        money = [str(usd) for m in margins for usd in (m.initial_usd, m.maintenance_usd)]
        lines.append(",".join([format_utc(int(origin_ns)), str(mark), *money]))
    return "\n".join(lines) + "\n"
