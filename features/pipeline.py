"""Store and spec to a feature panel, cached by hash and memory-mapped."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.catalogue import history_bars, parse
from features.clock import DAY_S, HOUR_NS, NS_PER_S, format_utc
from features.errors import SettingError, ShortHistoryError, UnknownHorizonError
from features.files import code_hash, discard, is_sealed, seal, sha256_of, written_whole
from features.grid import BarGrid, to_grid
from features.spec import FeatureSpec
from features.store import Series, Store
from features.targets import Targets, compute_targets

# What the numbers of a panel depend on: a model is served only with the code that it was trained with.
FEATURE_CODE = ("features.catalogue", "features.grid", "features.measures", "features.pipeline", "features.targets")
# (days, share of missing bars) beyond which an origin is blind
BLIND_AFTER = ((1, 0.0), (7, 0.05), (30, 0.05))

Progress = Callable[[int, int], None]  # (done, total)


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What is known at each origin of one instrument, and what came after.

    ``origin_ns`` (n,) is every full hour. ``values`` (n, f) float32 uses bars that
    had closed by the origin and no other. ``targets`` (n, h) are NaN where their
    window had not ended when the panel was cut with :meth:`until`. ``blind`` (n,)
    marks origins whose past has too many missing bars to be read as calm.
    """

    instrument: str
    spec: FeatureSpec
    origin_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    targets: Targets
    blind: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.origin_ns)

    def column(self, name: str) -> NDArray[np.float64]:
        """One feature in double precision, shape (n,)."""
        try:
            return self.values[:, self.spec.features.index(name)].astype(np.float64)
        except ValueError:
            raise SettingError(f"the feature spec has no {name!r}; add it to the spec's features") from None

    def until(self, now_ns: int) -> "Panel":
        """The panel as it stood at ``now_ns``: later origins cut, unfinished windows NaN."""
        past = self.rows(0, int(np.searchsorted(self.origin_ns, now_ns, side="right")))
        return replace(past, targets=past.targets.until(past.origin_ns, self.spec.horizons_s, now_ns))

    def rows(self, first: int, stop: int) -> "Panel":
        """Rows ``first`` to ``stop - 1``."""
        return Panel(
            self.instrument,
            self.spec,
            self.origin_ns[first:stop],
            self.values[first:stop],
            Targets(self.targets.realised_variance[first:stop], self.targets.log_return[first:stop]),
            self.blind[first:stop],
        )

    def first_row_from(self, ts_ns: int) -> int:
        """Index of the first origin at or after an instant."""
        return int(np.searchsorted(self.origin_ns, ts_ns))

    def horizon_index(self, horizon_s: int) -> int:
        """Column of a horizon."""
        return horizon_index(self.spec.horizons_s, horizon_s)


def horizon_index(horizons_s: tuple[int, ...], horizon_s: int) -> int:
    """Position of a horizon.

    Raises
    ------
    UnknownHorizonError
        If it was not forecast; the message lists those that were.
    """
    if horizon_s not in horizons_s:
        known = ", ".join(str(h) for h in horizons_s)
        raise UnknownHorizonError(f"no forecast for horizon_s={horizon_s}; known: {known}")
    return horizons_s.index(horizon_s)


def compute_panel(bars: pd.DataFrame, instrument: str, spec: FeatureSpec, progress: Progress = no_progress) -> Panel:
    """Compute every feature and target of a spec at every origin that the bars allow.

    Raises
    ------
    ShortHistoryError
        If the bars do not cover the longest look-back.
    """
    grid = to_grid(bars, spec.bar_s)
    lookbacks = [parse(name, spec.bar_s) for name in spec.features]
    longest = max(history_bars(name, spec.bar_s) for name in spec.features)
    origin_ns = _origins(grid, longest, instrument)
    ends = grid.first_bar_after(origin_ns)
    values = np.empty((len(origin_ns), len(spec.features)), dtype=np.float32)
    for i, (family, window_bars) in enumerate(lookbacks):
        values[:, i] = family(grid, ends, origin_ns, window_bars)
        progress(i + 1, len(lookbacks))
    targets = compute_targets(grid, origin_ns, spec.horizons_s)
    return Panel(instrument, spec, origin_ns, values, targets, _blind(grid, ends))


def _blind(grid: BarGrid, ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Origins after a gap: any gap in the last day, or more than a twentieth of the last week or month.

    Carried-forward prices have no variance: what a feed did not show must not look like calm.
    """
    gaps = np.concatenate([[0], np.cumsum(grid.in_gap)])
    blind = np.zeros(len(ends), dtype=bool)
    for days, allowed in BLIND_AFTER:
        bars = days * DAY_S // grid.bar_s
        missing = gaps[ends] - gaps[np.maximum(ends - bars, 0)]
        blind |= missing > allowed * bars
    return blind


def _origins(grid: BarGrid, longest_bars: int, instrument: str) -> NDArray[np.int64]:
    """Full steps from the first instant with the longest look-back to the last close."""
    bar_ns, step_ns = grid.bar_s * NS_PER_S, HOUR_NS
    first_ns = grid.start_ns + longest_bars * bar_ns
    first_ns += -first_ns % step_ns
    if first_ns > grid.end_ns:
        raise ShortHistoryError(
            f"{instrument}: bars from {format_utc(grid.start_ns)} to {format_utc(grid.end_ns)} do not cover the "
            f"longest look-back of {longest_bars * grid.bar_s / 86_400:g} days; give a longer history"
        )
    # np.arange counts its steps in floating point, which cannot tell nanoseconds apart.
    count = (grid.end_ns - first_ns) // step_ns + 1
    return first_ns + step_ns * np.arange(count, dtype=np.int64)


def build_panel(
    store: Store, series: Series, spec: FeatureSpec, cache: Path, progress: Progress = no_progress
) -> Panel:
    """Panel of a stored series, computed once per spec, data and feature code, then memory-mapped."""
    if series.bar_s != spec.bar_s:
        raise SettingError(
            f"{series.symbol}: {series.bar_s} s bars, but the feature spec is for {spec.bar_s} s; "
            f"import {spec.bar_s} s bars"
        )
    key = sha256_of([series.folder, store.fingerprint(series), spec.hash, code_hash(*FEATURE_CODE)])
    folder = cache / f"panel-{series.symbol}-{key[:16]}"
    if not is_sealed(folder):  # a damaged panel could lower a margin: it is made again
        discard(folder)
        _save(compute_panel(store.scan(series), series.symbol, spec, progress), folder)
        seal(folder)
    progress(1, 1)
    return _load(folder, series.symbol, spec)


ARRAYS = ("origin_ns", "values", "blind", "realised_variance", "log_return")


def _save(panel: Panel, folder: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {"origin_ns": panel.origin_ns, "values": panel.values, "blind": panel.blind}  # noqa: PD011 - a Panel, no pandas
    arrays |= {name: getattr(panel.targets, name) for name in ARRAYS[3:]}
    with written_whole(folder) as scratch:
        scratch.mkdir()
        for name, array in arrays.items():
            np.save(scratch / f"{name}.npy", array, allow_pickle=False)


def _load(folder: Path, instrument: str, spec: FeatureSpec) -> Panel:
    origin_ns, values, blind, variance, log_return = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS
    )
    return Panel(instrument, spec, origin_ns, values, Targets(variance, log_return), blind)
