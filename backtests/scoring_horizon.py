"""All figures of all models at one horizon, one model in memory at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.forecast_file import EXCURSIONS
from backtests.forecast_rows import ForecastFiles, usable
from backtests.outcomes import Outcomes
from backtests.scoring_attendance import Attendance, places, span_ms
from backtests.scoring_days import Days, days_of
from backtests.scoring_detail import basel_zones, coverage_errors_pp, detail_of, murphy_thresholds
from backtests.scoring_figures import by_year, figures_of, hits_by, noise_floor, terciles, worst_error_pp, year_of
from backtests.scoring_inference import (
    COMPARED,
    RANKED,
    against,
    clustered_figures,
    confidence_sets,
    coverage_tests,
    rejection_rates,
    rejections,
    skill_intervals,
)
from backtests.scoring_losses import NUMBERS, Losses, losses_of, pooled
from features.clock import DAY_NS, DAY_S, HOUR_NS
from features.engine import Bools, Ints
from models.scores import qlike_floor

FloatArray = NDArray[np.float64]
Figures = dict[str, Any]
SHOCK_SHARE = 0.005
LEAST_TRAILING = 1e-12
TERCILES = 3


@dataclass(frozen=True, slots=True)
class Field:
    """The windows of one horizon that all models are compared on.

    ``whole``: outcomes by instrument, at every origin; ``kept``: which of them count. Instruments without any are left
    out. ``joined``: outcomes of those that count, of one instrument after the other.
    """

    horizon_s: int
    whole: Mapping[str, Outcomes]
    kept: Mapping[str, Bools]
    joined: Outcomes
    instrument: Ints
    days: Days
    calm: Bools
    shock_days: list[str]


def field_of(attendance: Attendance, whole: Mapping[str, Outcomes]) -> Field | None:
    """The windows that all models have; None if there is none."""
    kept = {name: attendance.common(name, outcomes) for name, outcomes in whole.items()}
    kept = {name: rows for name, rows in kept.items() if rows.any()}
    if not kept:
        return None
    parts = [whole[name].rows(rows) for name, rows in kept.items()]
    joined = _joined(parts)
    days = days_of(joined.origin_ns // DAY_NS)
    calm, shocks = _calm(joined, days)
    instrument = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Field(joined.horizon_s, {n: whole[n] for n in kept}, kept, joined, instrument, days, calm, shocks)


def _joined(parts: list[Outcomes]) -> Outcomes:
    names = [name for name in Outcomes.__dataclass_fields__ if name not in ("horizon_s", "n_bars")]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Outcomes(parts[0].horizon_s, parts[0].n_bars, **arrays)


def _calm(joined: Outcomes, days: Days) -> tuple[Bools, list[str]]:
    """Windows outside the half percent of days whose variance surprised most, whatever the model; and those days."""
    expected = joined.trailing_variance * joined.horizon_s / DAY_S
    surprise = days.means(joined.realised_variance / np.maximum(expected, LEAST_TRAILING))
    shock = surprise > np.quantile(surprise, 1 - SHOCK_SHARE)
    return ~shock[days.which], _dates(days.number[shock])


def _dates(days: Ints) -> list[str]:
    return [str(np.datetime64(int(day), "D")) for day in days]


def score_horizon(
    files: ForecastFiles,
    attendance: Attendance,
    whole: Mapping[str, Outcomes],
    baseline: str | None,
    tick: Callable[[], None],
) -> Figures:
    """Figures of one horizon; ``tick`` is called after each model."""
    field, models = field_of(attendance, whole), attendance.models
    some = next(iter(whole.values()))
    found: Figures = {
        "scoreable": {name: int(outcomes.scoreable.sum()) for name, outcomes in whole.items()},
        "coverage": {m: {n: attendance.share(m, n, o) for n, o in whole.items() if o.scoreable.any()} for m in models},
        "per_instrument": {},
        "floor_iid": qlike_floor(some.n_bars),
    }
    if field is None or not models:
        return found
    found |= {"shock_days": field.shock_days, "floor_rq": _floor(field)}
    found |= {"per_instrument": {name: {} for name in field.kept}, "pooled": dict.fromkeys(models)}
    thresholds = murphy_thresholds(field.joined)
    found["detail"] = _shared_detail(field, thresholds)
    against_losses, daily = None, {}
    for model in sorted(models, key=lambda name: name != baseline):  # the baseline comes first
        losses = _score_model(found, files, field, model, against_losses, thresholds)
        if model == baseline:
            against_losses = {name: losses[name] for name in COMPARED}
            _compare(found["pooled"][model], losses, against_losses, field)
        daily[model] = {name: field.days.means(losses[name]) for name in RANKED}
        tick()
    if len(models) > 1:
        found["mcs"] = confidence_sets({model: daily[model] for model in models})
    return found


def _floor(field: Field) -> float:
    """Noise floor from the quarticity, instruments weighing alike."""
    outcomes = [field.joined.rows(field.instrument == i) for i in range(len(field.kept))]
    return float(np.mean([noise_floor(o.realised_variance, o.quarticity) for o in outcomes]))


def _shared_detail(field: Field, thresholds: Mapping[str, FloatArray]) -> Figures:
    """What the curves of all models share: thresholds, days, windows up to each day."""
    return {
        "murphy_thresholds": {name: [float(value) for value in grid] for name, grid in thresholds.items()},
        "days": _dates(field.days.number),
        "cumulative_windows": np.cumsum(np.bincount(field.days.which)).tolist(),
    }


def _score_model(
    found: Figures,
    files: ForecastFiles,
    field: Field,
    model: str,
    baseline: Losses | None,
    thresholds: Mapping[str, FloatArray],
) -> Losses:
    """Put the figures of a model into the tables, alone and pooled; answers its losses, pooled."""
    parts, columns, errors, zones = [], [], {}, {}
    for name, rows in field.kept.items():
        outcomes = field.whole[name].rows(rows)
        numbers = read_numbers(files, model, name, outcomes)
        losses = losses_of(outcomes, numbers)
        figures = figures_of(losses, outcomes.n_bars)
        figures["tests"] = coverage_tests(losses, numbers, outcomes.origin_ns // HOUR_NS, field.horizon_s)
        found["per_instrument"][name][model] = figures
        errors[name] = coverage_errors_pp(losses)
        if field.horizon_s == DAY_S:
            zones[name] = basel_zones(outcomes, numbers)
        parts.append(losses)
        columns.append(numbers)
    joined = pooled(parts)
    numbers = {name: np.concatenate([part[name] for part in columns]) for name in NUMBERS}
    del parts, columns
    tests = [by_model[model]["tests"] for by_model in found["per_instrument"].values()]
    figures = _pooled_figures(joined, numbers, field) | {"rejections_5pct": rejections(tests)}
    figures["detail"] = detail_of(joined, numbers, field.joined, field.days, thresholds)
    figures["detail"] |= {"coverage_error_pp": errors, "basel": zones, "rejections": rejection_rates(tests)}
    found["pooled"][model] = figures
    if baseline is not None:
        _compare(figures, joined, baseline, field)
    return joined


def read_numbers(files: ForecastFiles, model: str, instrument: str, outcomes: Outcomes) -> dict[str, FloatArray]:
    """Columns of a pair at the origins of the outcomes, all of which it has; excursions where there are any."""
    rows = usable(files.read(model, instrument, *span_ms(outcomes.origin_ns), outcomes.horizon_s), NUMBERS)
    place = places(rows, outcomes.origin_ns)
    order = np.empty(len(outcomes), dtype=np.int64)
    order[place[place >= 0]] = np.flatnonzero(place >= 0)
    names = [*NUMBERS, *(name for name in EXCURSIONS if name in rows.columns)]
    return {name: rows[name].to_numpy()[order] for name in names}


def _pooled_figures(losses: Losses, numbers: Mapping[str, FloatArray], field: Field) -> Figures:
    """The protocol's figures over all instruments."""
    found = figures_of(losses, field.joined.n_bars)
    found["qlike_ex_shocks"] = float(losses["qlike"][field.calm].mean())
    found |= clustered_figures(losses, field.days, field.horizon_s)
    for key, values in (("tercile_trailing", field.joined.trailing_variance), ("tercile_own", numbers["variance"])):
        found[key] = hits_by(losses, terciles(values, field.instrument), TERCILES)
    found["tercile_worst_pp"] = worst_error_pp(found["tercile_trailing"])
    found["tercile_own_worst_pp"] = worst_error_pp(found["tercile_own"])
    found["by_year"] = by_year(losses, year_of(field.joined.origin_ns))
    return found


def _compare(figures: Figures, losses: Losses, baseline: Losses, field: Field) -> None:
    """Put differences from the baseline beside a model's own figures."""
    found = against(losses, baseline, field.days, field.horizon_s)
    base = baseline["qlike"]
    calm_skill = 1 - figures["qlike_ex_shocks"] / float(base[field.calm].mean())
    net_skill = 1 - figures["qlike_net"] / (float(base.mean()) - qlike_floor(field.joined.n_bars))
    found["qlike"] |= {"skill_ex_shocks": calm_skill, "skill_net": net_skill}
    figures["vs"] = found
    figures["detail"]["vs"] = skill_intervals(losses, baseline, field.days, field.horizon_s)
