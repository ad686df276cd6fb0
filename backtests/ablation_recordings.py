"""Recorded books of a store as panels: unbroken stretches, each split in time, each measured from its own level."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from backtests.ablation_plan import AblationPlan, FloatArray, Group, Recording
from features.clock import NS_PER_S, format_utc
from features.errors import DataError, SettingError, ShortHistoryError
from features.feed import group_of
from features.panel import Panel
from features.pipeline import Progress, build_panels, no_progress
from features.specs import find_spec
from features.tape import Tape
from models.neural.clocks import run_starts


def groups_of_store(
    store: Path, cache: Path, plan: AblationPlan, progress: Progress = no_progress
) -> tuple[list[Group], dict[str, str]]:
    """Recordings of every instrument that has a book and trades, by the spec that they are read with.

    Returns
    -------
    groups : of the specs that a recording is long enough for.
    left_out : instruments that no spec can be computed from, with the last reason.

    Raises
    ------
    SettingError
        If the store has no instrument with a book and trades.
    """
    pairs = _instruments(store)
    if not pairs:
        raise SettingError(f"{store}: no instrument has both a book and trades; import recordings first")
    found: dict[str, list[Recording]] = {spec: [] for spec in plan.specs}
    left_out = {}
    for i, (venue, symbol) in enumerate(pairs):
        try:
            spec, recordings = _first_that_fits(store, venue, symbol, cache, plan)
            found[spec] += recordings
        except DataError as error:
            left_out[f"{venue}/{symbol}"] = str(error)
        progress(i + 1, len(pairs))
    return [Group(Path(spec).stem, tuple(r)) for spec, r in found.items() if r], left_out


def _instruments(store: Path) -> list[tuple[str, str]]:
    kinds: dict[tuple[str, str], set[str]] = {}
    for stream in Tape(store).streams():
        kinds.setdefault((stream.venue, stream.symbol), set()).add(group_of(stream.kind))
    return sorted(pair for pair, groups in kinds.items() if {"book", "trades"} <= groups)


def _first_that_fits(
    store: Path, venue: str, symbol: str, cache: Path, plan: AblationPlan
) -> tuple[str, list[Recording]]:
    """Recordings with the first spec that at least one stretch is long enough for; else the last spec's complaint."""
    fault = ShortHistoryError(f"{venue}/{symbol}: too short")
    for name in plan.specs:
        try:
            panel = build_panels(store, venue, (symbol,), find_spec(name), cache)[symbol]
            return name, recordings_of(replace(panel, instrument=f"{venue}/{symbol}"), plan)
        except ShortHistoryError as error:
            fault = error
    raise fault


def recordings_of(panel: Panel, plan: AblationPlan, truth: FloatArray | None = None) -> list[Recording]:
    """Stretches of a panel that are long enough, split in time.

    Raises
    ------
    ShortHistoryError
        If none is.
    """
    starts = run_starts(np.asarray(panel.origin_ns), panel.spec.every_s)
    firsts = np.unique(starts)
    recordings = []
    for first, stop in zip(firsts, [*firsts[1:], len(panel)], strict=True):
        part = panel.rows(int(first), int(stop))
        if _lasts_s(part) >= plan.least_windows * max(panel.spec.horizons_s):
            name = panel.instrument + (f" {format_utc(int(part.origin_ns[0]))}" if len(firsts) > 1 else "")
            known = None if truth is None else truth[first:stop]
            recordings.append(split(replace(part, instrument=name), plan, known))
    if not recordings:
        longest_s = max(panel.spec.horizons_s)
        raise ShortHistoryError(
            f"{panel.instrument}: no unbroken stretch of origins holds {plan.least_windows} windows of {longest_s} s; "
            "give a longer recording, or a spec with shorter horizons"
        )
    return recordings


def _lasts_s(panel: Panel) -> float:
    return float(panel.origin_ns[-1] - panel.origin_ns[0]) / NS_PER_S


def split(panel: Panel, plan: AblationPlan, truth: FloatArray | None = None) -> Recording:
    """Put the end of training where a share of the recording is over, and the features on their level by then."""
    span_ns = int(panel.origin_ns[-1] - panel.origin_ns[0])
    test_ns = int(panel.origin_ns[0]) + int(plan.train_share * span_ns)
    return Recording(centred(panel, panel.first_row_from(test_ns)), test_ns, truth)


def centred(panel: Panel, first_test: int) -> Panel:
    """Features measured from their median over the training rows: venues count sizes in their own units.

    A feature without a known value there stays as it is.
    """
    values = np.array(panel.values)
    levels = np.array([middle(column[:first_test]) for column in values.T], dtype=np.float32)
    return replace(panel, values=values - levels)


def middle(values: Sequence[float] | np.ndarray) -> float:
    """Median of what is known; 0 of nothing.

    Examples
    --------
    >>> middle([1.0, np.nan, 4.0]), middle([np.nan])
    (2.5, 0.0)
    """
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
