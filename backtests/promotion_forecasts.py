"""Forecasts of what no contestant was trained on, made from their artefacts and calibrated alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtests.config import Schedule
from backtests.fold_run import Fitted, forecast_fold
from backtests.folds import Fold
from backtests.forecast_file import ForecastWriter
from backtests.outcomes import stored_outcomes
from backtests.promotion_verdict import Contest
from backtests.promotion_windows import contest_of
from features.clock import DAY_NS, NS_PER_S, floor_to, format_utc, parse_utc
from features.errors import FormatError, SettingError, ShortHistoryError
from features.panel import Panel
from features.pipeline import Progress, build_panels
from features.spec import FeatureSpec
from features.store import Store
from models import FORECASTERS, artefact
from models.calibration import Calibration, calibrate

CHALLENGER = "challenger"
LEAD_DAYS, LEAD_SHARE = 540, 3  # of forecasts before the first that counts, but no more than a third of them
Bar = Callable[[str], Progress]


@dataclass(frozen=True)
class Held:
    """Where the held-out windows are: a store, and what of it; None: all that no contestant was trained on."""

    store: Path
    venue: str | None = None
    symbols: tuple[str, ...] = ()
    from_ns: int | None = None
    to_ns: int | None = None


@dataclass(frozen=True)
class Contestant:
    """A model in the contest: a name, what it reads, until when it was trained, and how to get it.

    ``made`` answers the forecaster for one panel: an artefact whatever the panel, a classical model fitted on its past.
    """

    name: str
    spec: FeatureSpec
    trained_until_ns: int
    made: Callable[[Panel], Fitted]


def of_artefact(name: str, folder: Path) -> Contestant:
    """A trained network; refused if it is damaged or does not say until when it was trained."""
    forecaster = artefact.load(folder)
    return Contestant(name, forecaster.spec, trained_until_ns(folder), lambda _panel: forecaster)


def of_baseline(name: str, like: Contestant) -> Contestant:
    """A classical model that knows what another contestant knew."""
    if name not in FORECASTERS:
        raise SettingError(f"unknown baseline {name!r}; known: {', '.join(sorted(FORECASTERS))}")
    until_ns = like.trained_until_ns
    return Contestant(name, like.spec, until_ns, lambda panel: FORECASTERS[name]().fit(panel.until(until_ns)))


def trained_until_ns(folder: Path) -> int:
    """Last instant that a model knew.

    Raises
    ------
    FormatError
        If its card does not say it: what it has seen cannot be told from what it has not.
    """
    provenance: Mapping[str, Any] = artefact.read_card(folder)["provenance"]
    if "trained_until" not in provenance:
        raise FormatError(f"{folder}: the card does not say until when the model was trained; train again")
    return parse_utc(str(provenance["trained_until"]))


def check_overlap(contestants: Sequence[Contestant], from_ns: int) -> None:
    """Refuse a test that begins before a contestant's training had ended, and its longest window after it.

    Raises
    ------
    SettingError
        Naming the contestant and the first instant that is allowed.
    """
    for contestant in contestants:
        first_ns = contestant.trained_until_ns + contestant.spec.purge_s * NS_PER_S
        if from_ns < first_ns:
            raise SettingError(
                f"the test from {format_utc(from_ns)} overlaps with the training of {contestant.name}, which knew "
                f"everything until {format_utc(contestant.trained_until_ns)}; begin at {format_utc(first_ns)} or later"
            )


def contest_of_artefacts(ours: Contestant, theirs: Contestant, held: Held, out: Path, bar: Bar) -> Contest:
    """Forecast, calibrate and compare the origins that neither contestant was trained on.

    Their first third, or 540 days if that is less, teaches the calibration and is not scored, unless ``held`` says
    from where on it is. ``out`` gets ``forecasts.parquet`` and the panels.

    Raises
    ------
    SettingError
        If they read other bars or forecast other horizons, or the period overlaps with a training.
    ShortHistoryError
        If the store ends too soon.
    """
    _check_alike(ours, theirs)
    symbols = held.symbols or _symbols(held, ours.spec)
    panels = {
        each.name: build_panels(held.store, held.venue, symbols, each.spec, out / "cache", bar("features"))
        for each in (ours, theirs)
    }
    begin_ns, from_ns, to_ns = _period((ours, theirs), held, [p for of in panels.values() for p in of.values()])
    path = out / "forecasts.parquet"
    spec = ours.spec
    market = stored_outcomes(held.store, symbols, from_ns, to_ns, spec.horizons_s, held.venue, spec.bar_s)
    with ForecastWriter(path, is_double=True) as file:
        for each in (ours, theirs):
            _write(file, each, panels[each.name], (begin_ns, to_ns), bar(f"forecast {each.name}"))
    return contest_of(path, market, ours.name, theirs.name)


def contest_of_file(path: Path, names: tuple[str, str], spec: FeatureSpec, held: Held) -> Contest:
    """Compare two models of a file of forecasts, of the challenger's bars and horizons.

    ``held`` must say from where on windows count.
    """
    if held.from_ns is None or held.to_ns is None:
        raise SettingError("a file of forecasts needs the test's dates; give --from and --to")
    symbols = held.symbols or _symbols(held, spec)
    market = stored_outcomes(held.store, symbols, held.from_ns, held.to_ns, spec.horizons_s, held.venue, spec.bar_s)
    return contest_of(path, market, *names)


def _check_alike(ours: Contestant, theirs: Contestant) -> None:
    if (ours.spec.bar_s, ours.spec.horizons_s) != (theirs.spec.bar_s, theirs.spec.horizons_s):
        raise SettingError(
            f"{ours.name} measures variance on {ours.spec.bar_s} s bars over {ours.spec.horizons_s} s, {theirs.name} "
            f"on {theirs.spec.bar_s} s bars over {theirs.spec.horizons_s} s: their losses cannot be compared; train "
            "the challenger on the same, or choose it by hand with --version and --force"
        )


def _symbols(held: Held, spec: FeatureSpec) -> tuple[str, ...]:
    """Every symbol of the store that has bars of the spec's length."""
    found = [series for series in Store(held.store).list() if series.bar_s == spec.bar_s]
    found = [series for series in found if held.venue in (None, series.venue)]
    if not found:
        raise ShortHistoryError(f"{held.store}: no bars of {spec.bar_s} s to test on; import some, or name the store")
    return tuple(sorted({series.symbol for series in found}))


def _period(contestants: Sequence[Contestant], held: Held, panels: Sequence[Panel]) -> tuple[int, int, int]:
    """First origin that is forecast, first and last that are scored."""
    begin_ns = max(c.trained_until_ns + c.spec.purge_s * NS_PER_S for c in contestants)
    step_ns = max(c.spec.every_s for c in contestants) * NS_PER_S
    begin_ns = -floor_to(-begin_ns, step_ns)
    last_ns = max(int(panel.origin_ns[-1]) for panel in panels)
    to_ns = last_ns if held.to_ns is None else min(held.to_ns, last_ns)
    lead_ns = min(LEAD_DAYS * DAY_NS, (to_ns - begin_ns) // LEAD_SHARE)
    from_ns = begin_ns + floor_to(max(lead_ns, 0), DAY_NS) if held.from_ns is None else held.from_ns
    check_overlap(contestants, from_ns)
    if to_ns <= from_ns:
        raise ShortHistoryError(
            f"the contestants were trained until {format_utc(begin_ns)}, less the longest window, and the data end at "
            f"{format_utc(last_ns)}: nothing is held out; import later bars"
        )
    return begin_ns, from_ns, to_ns


def _write(
    file: ForecastWriter, each: Contestant, panels: Mapping[str, Panel], span_ns: tuple[int, int], progress: Progress
) -> None:
    """Forecast from every origin, calibrate as the endpoint does, add to the file."""
    first_ns, last_ns = span_ns
    recall_ns = Schedule().recall_days * DAY_NS
    fold = Fold(0, each.trained_until_ns, each.trained_until_ns, first_ns, last_ns + 1, recall_ns)
    for done, (symbol, panel) in enumerate(panels.items(), 1):
        raw = forecast_fold(each.made(panel), fold, panel)
        file.write(each.name, symbol, calibrate(raw, panel, Calibration()))
        progress(done, len(panels))
