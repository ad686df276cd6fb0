"""Stored tables and a spec to panels, cached by hash and memory-mapped."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from features.clock import DAY_S, NS_PER_S, format_utc
from features.engine import Channels, Ints
from features.errors import FormatError, SettingError, ShortHistoryError
from features.files import code_hash, discard, is_sealed, locked, seal, sha256_of, write_json, written_whole
from features.fronts.admission import admitted
from features.grid import CHANNELS, of_channels
from features.inputs import Inputs, find_inputs, kind
from features.market import Market, Rows
from features.panel import Panel
from features.plan import Plan
from features.spec import FeatureSpec
from features.store import Series, Store
from features.targets import Targets, compute_targets

# What the numbers of a panel depend on: a model is served only with the code that it was trained with.
FEATURE_CODE = (
    "features.bars", "features.book", "features.catalogue", "features.clock", "features.engine", "features.families",
    "features.feed", "features.fronts", "features.grid", "features.inputs", "features.ladder", "features.market",
    "features.measures", "features.orderflow", "features.orders", "features.panel", "features.pipeline",
    "features.plan", "features.rolling", "features.schema", "features.sight", "features.spec", "features.store",
    "features.tape", "features.targets", "features.terms",
)  # fmt: skip
ENDLESS_NS = 1 << 62
Progress = Callable[[int, int], None]  # (done, total)
Frames = dict[str, Iterable[pl.DataFrame]]  # by kind of table


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""


def compute_panel(bars: pd.DataFrame, instrument: str, spec: FeatureSpec, progress: Progress = no_progress) -> Panel:
    """Panel of canonical bars, for a spec that needs no other instrument; see :func:`compute_panels`."""
    frames: dict[str, Frames] = {instrument: {f"bars_{spec.bar_s}s": [pl.from_pandas(bars, nan_to_null=False)]}}
    return compute_panels(frames, (instrument,), spec, progress)[instrument]


def compute_panels(
    frames: dict[str, Frames], wanted: tuple[str, ...], spec: FeatureSpec, progress: Progress = no_progress
) -> dict[str, Panel]:
    """Features and outcomes at every origin that the data allow.

    Parameters
    ----------
    frames : for every instrument, leading ones too, its tables: by kind, chunks of rows in the order of arrival.
    wanted : instruments whose panels are made.

    Raises
    ------
    ShortHistoryError
        If an instrument's data do not cover the longest look-back.
    SettingError
        If the tables cannot give the features, or a leading instrument is not there.
    """
    market = Market(spec, {symbol: tuple(tables) for symbol, tables in frames.items()}, wanted)
    collected = {symbol: _Collected() for symbol in wanted}
    done = 0
    for symbol, name, frame, stop in _in_order(market, frames):
        if frame is not None:
            market.take(symbol, name, admitted(name, frame))
            done += len(frame)
        for rows in market.close(stop):
            collected[rows.symbol].add(rows)
        progress(done, done + 1)
    progress(done, done)
    return {symbol: collected[symbol].panel(symbol, spec, market.feeds[symbol].clock_ns) for symbol in wanted}


def _in_order(market: Market, frames: dict[str, Frames]) -> Iterator[tuple[str, str, pl.DataFrame | None, int]]:
    """Chunks of all tables, the furthest behind next, each with the row before which nothing more will come."""
    streams = [(symbol, name, iter(chunks)) for symbol, tables in frames.items() for name, chunks in tables.items()]
    clocks_ns, step_ns = [-1] * len(streams), market.spec.bar_s * NS_PER_S
    while min(clocks_ns) < ENDLESS_NS:
        i = int(np.argmin(clocks_ns))
        symbol, name, chunks = streams[i]
        frame = next(chunks, None)
        clocks_ns[i] = ENDLESS_NS if frame is None else max(clocks_ns[i], _last_ns(frame, name, step_ns))
        # The row of a chunk's last event may go on in the next chunk: it is given out when that has come.
        behind_ns = min(clocks_ns)
        reached_ns = behind_ns if behind_ns < ENDLESS_NS else max(feed.clock_ns for feed in market.feeds.values())
        yield symbol, name, frame, max(reached_ns, 0) // step_ns


def _last_ns(frame: pl.DataFrame, name: str, step_ns: int) -> int:
    """The clock after a chunk: a bar is known at its close."""
    last = frame["ts_ns"].max()
    return -1 if last is None else int(str(last)) + (step_ns if name.startswith("bars_") else 0)


@dataclass(slots=True)
class _Collected:
    """Rows of one instrument as they come, and the prices of each session."""

    rows: list[Rows] = field(default_factory=list)
    sessions: list[list[tuple[int, Channels]]] = field(default_factory=list)
    next_slot: int = -1

    def add(self, rows: Rows) -> None:
        """Take rows in; a session ends where they do not follow the last ones."""
        prices = {name: rows.channels[name] for name in CHANNELS}
        if rows.first_slot != self.next_slot:
            self.sessions.append([])
        self.sessions[-1].append((rows.first_slot, prices))
        self.next_slot = rows.first_slot + len(prices["missing"])
        self.rows.append(replace(rows, values=rows.values.astype(np.float32), channels={}))  # noqa: PD011 - Rows, no pandas

    def panel(self, symbol: str, spec: FeatureSpec, last_ns: int) -> Panel:
        """Everything up to the instrument's last event, with outcomes."""
        origin_ns = np.concatenate([r.origin_ns for r in self.rows] or [np.empty(0, dtype=np.int64)])
        count = int(np.searchsorted(origin_ns, last_ns, side="right"))
        if not count:
            raise ShortHistoryError(self._too_short(symbol, spec))
        values, blind = (np.concatenate([getattr(r, name) for r in self.rows])[:count] for name in ("values", "blind"))
        parts = [self._targets(session, origin_ns[:count], spec, last_ns) for session in self.sessions]
        targets = Targets(*(np.concatenate([t.arrays[name] for t in parts]) for name in parts[0].arrays))
        return Panel(symbol, spec, origin_ns[:count], values, targets, blind)

    @staticmethod
    def _targets(session: list[tuple[int, Channels]], origin_ns: Ints, spec: FeatureSpec, last_ns: int) -> Targets:
        """Outcomes of the origins in a session, on its prices up to the instrument's last event."""
        first = session[0][0]
        count = max(last_ns // (spec.bar_s * NS_PER_S) - first, 0)
        whole = {name: np.concatenate([prices[name] for _, prices in session])[:count] for name in CHANNELS}
        grid = of_channels(first, spec.bar_s, whole, spec.longest_carry_s)
        inside = (origin_ns > grid.start_ns) & (origin_ns <= grid.end_ns)
        return compute_targets(grid, origin_ns[inside], spec.horizons_s)

    def _too_short(self, symbol: str, spec: FeatureSpec) -> str:
        needed_s = (Plan(spec).history_rows - 1) * spec.bar_s
        lengths = [sum(len(prices["missing"]) for _, prices in session) for session in self.sessions]
        starts = [session[0][0] for session in self.sessions]
        if not starts:
            return f"{symbol}: not one row of {spec.bar_s} s is complete; give a longer history"
        step_ns = spec.bar_s * NS_PER_S
        span = f"{format_utc(starts[0] * step_ns)} to {format_utc((starts[-1] + lengths[-1]) * step_ns)}"
        holes = f", the longest of {len(starts)} stretches {max(lengths) * spec.bar_s:,} s," if len(starts) > 1 else ""
        longest = f"{needed_s / DAY_S:g} days" if needed_s >= DAY_S else f"{needed_s} s"
        told = f"data from {span}{holes} do not cover the longest look-back of {longest} and a row before it"
        return f"{symbol}: {told}; give a longer history"


def build_panel(
    store: Store, series: Series, spec: FeatureSpec, cache: Path, progress: Progress = no_progress
) -> Panel:
    """Panel of a stored series of bars; see :func:`build_panels`."""
    if series.bar_s != spec.bar_s:
        raise SettingError(
            f"{series.symbol}: {series.bar_s} s bars, but the feature spec is for {spec.bar_s} s; "
            f"import {spec.bar_s} s bars"
        )
    return build_panels(store.root, series.venue, (series.symbol,), spec, cache, progress)[series.symbol]


def build_panels(
    root: Path,
    venue: str | None,
    symbols: tuple[str, ...],
    spec: FeatureSpec,
    cache: Path,
    progress: Progress = no_progress,
) -> dict[str, Panel]:
    """Panels of stored instruments, computed once per spec, data and feature code, then memory-mapped.

    Raises
    ------
    UnknownInstrumentError, SettingError, ShortHistoryError
        See :func:`features.inputs.find_inputs` and :func:`compute_panels`.
    """
    folders = panel_folders(root, venue, symbols, spec, cache, progress)
    return {symbol: load_panel(folder) for symbol, folder in folders.items()}


def panel_folders(
    root: Path,
    venue: str | None,
    symbols: tuple[str, ...],
    spec: FeatureSpec,
    cache: Path,
    progress: Progress = no_progress,
) -> dict[str, Path]:
    """Folders of the panels of :func:`build_panels`, made where they are not there; a name tells what it holds."""
    inputs = {s: find_inputs(root, venue, s, spec) for s in dict.fromkeys((*symbols, *Plan(spec).leaders))}
    code = code_hash(*FEATURE_CODE)
    leaders = [inputs[s].fingerprint for s in Plan(spec).leaders]
    keys = {s: sha256_of([inputs[s].fingerprint, leaders, s, spec.hash, code]) for s in symbols}
    folders = {s: cache / f"panel-{s}-{keys[s][:16]}" for s in symbols}
    if not all(is_sealed(folder) for folder in folders.values()):
        with locked(cache / ".lock"):  # of two processes that want a panel one makes it
            _make(inputs, folders, spec, progress)
    progress(1, 1)
    return folders


def _make(inputs: dict[str, Inputs], folders: dict[str, Path], spec: FeatureSpec, progress: Progress) -> None:
    """Make the panels that are not there; a damaged one, which could lower a margin, is made again."""
    stale = tuple(symbol for symbol, folder in folders.items() if not is_sealed(folder))
    if not stale:
        return
    needed = {s: inputs[s] for s in dict.fromkeys((*stale, *Plan(spec).leaders))}
    frames: dict[str, Frames] = {s: {kind(t): i.frames(t) for t in i.tables} for s, i in needed.items()}
    for symbol, panel in compute_panels(frames, stale, spec, progress).items():
        save_panel(panel, folders[symbol])


def save_panel(panel: Panel, folder: Path) -> None:
    """Write a panel as plain arrays beside a JSON that says what they are; the folder appears whole, and is sealed."""
    arrays: dict[str, NDArray[Any]] = {
        "origin_ns": panel.origin_ns,
        "values": panel.values,  # noqa: PD011 - a Panel, no pandas
        "blind": panel.blind,
    }
    discard(folder)
    with written_whole(folder) as scratch:
        scratch.mkdir()
        for name, array in (arrays | panel.targets.arrays).items():
            np.save(scratch / f"{name}.npy", array, allow_pickle=False)
        write_json(scratch / "panel.json", {"instrument": panel.instrument, "spec": asdict(panel.spec)})
    seal(folder)


def load_panel(folder: Path) -> Panel:
    """Open a panel's folder after comparing it with its seal; its arrays are mapped, not read.

    Raises
    ------
    FormatError
        If it is no panel, or not what was sealed: a damaged one could lower a margin.
    """
    if not folder.is_dir() or not is_sealed(folder):
        raise FormatError(f"{folder}: is no panel as it was sealed; build it again")
    told = json.loads((folder / "panel.json").read_text(encoding="utf-8"))
    names = ("origin_ns", "values", "blind", *Targets.__dataclass_fields__)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    origin_ns, values, blind = (arrays.pop(name) for name in names[:3])
    return Panel(told["instrument"], FeatureSpec.from_json(told["spec"]), origin_ns, values, Targets(**arrays), blind)
