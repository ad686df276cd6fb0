"""What came after each origin, as the scoring protocol defines it, and how stormy the day before it was."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from features.clock import DAY_S, HOUR_NS, NS_PER_S
from features.engine import Bools, Ints
from features.errors import MissingFileError, SettingError, ShortHistoryError, UnknownInstrumentError
from features.grid import Grid, of_bars
from features.sources.barfile import read_frame
from features.store import Store
from features.targets import LEAST_VARIANCE, compute_targets
from features.terms import Floats

BAR_S = 300
HORIZONS_S = (3_600, 14_400, 28_800, 86_400)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of the windows of one horizon that begin at each origin, arrays of shape (n,).

    ``realised_variance``, ``log_return``, ``excursion_down``, ``excursion_up``: as in
    :class:`features.targets.Targets`. ``trailing_variance``: realised variance of the 24 hours before the origin, which
    all models saw. ``quarticity``: sum of fourth powers of the window's returns. ``scoreable``: no gap in the window or
    just before it, the data cover it, its price moved. Outcomes of windows that are not scoreable are NaN.
    """

    horizon_s: int
    n_bars: int
    origin_ns: Ints
    realised_variance: Floats
    log_return: Floats
    excursion_down: Floats
    excursion_up: Floats
    trailing_variance: Floats
    quarticity: Floats
    scoreable: Bools

    def __len__(self) -> int:
        return len(self.origin_ns)

    def rows(self, kept: Bools) -> "Outcomes":
        """The outcomes at some of the origins."""
        names = [field.name for field in fields(self) if field.name not in ("horizon_s", "n_bars")]
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


def outcomes_of(grid: Grid, origin_ns: Ints, horizons_s: Iterable[int]) -> dict[int, Outcomes]:
    """Outcomes by horizon.

    Sums of powers of returns are differences of running sums over the whole grid, as the protocol's reference has
    them: both round alike, so that scores agree in every digit that is printed.

    Parameters
    ----------
    grid : prices of one instrument.
    origin_ns : array of shape (n,), ends of rows of the grid, increasing.
    horizons_s : in seconds, multiples of the grid's row.
    """
    wanted = tuple(horizons_s)
    targets = compute_targets(grid, origin_ns, wanted)
    squares = np.where(np.isfinite(grid.log_return), grid.log_return, 0.0) ** 2
    second, fourth = (np.concatenate([[0.0], np.cumsum(terms)]) for terms in (squares, squares**2))
    after, day = grid.row_after(origin_ns), DAY_S // grid.bar_s
    found = {}
    for column, horizon_s in enumerate(wanted):
        rows = horizon_s // grid.bar_s
        covered = np.isfinite(targets.log_return[:, column])
        start = np.where(covered, after, 0)
        stop = np.where(covered, after + rows, 0)
        variance = np.maximum(second[stop] - second[start], 0.0)
        scoreable = covered & (variance > LEAST_VARIANCE)
        arrays = {
            "realised_variance": variance,
            "log_return": targets.log_return[:, column],
            "excursion_down": targets.excursion_down[:, column],
            "excursion_up": targets.excursion_up[:, column],
            "trailing_variance": second[start] - second[np.maximum(start - day, 0)],
            "quarticity": np.maximum(fourth[stop] - fourth[start], 0.0),
        }
        known = {name: np.where(scoreable, values, np.nan) for name, values in arrays.items()}
        found[horizon_s] = Outcomes(horizon_s, rows, origin_ns, **known, scoreable=scoreable)
    return found


def grid_of_file(path: Path, bar_s: int = BAR_S) -> Grid:
    """Prices of a file of bars with canonical column names; rows off the grid of ``bar_s`` seconds are left out.

    Raises
    ------
    ShortHistoryError
        If no row lies on the grid.
    DataError
        If the file is not there or holds no bars: see :func:`features.sources.barfile.read_frame`.
    """
    bars = read_frame(path)
    kept = bars[bars["ts_ns"] % (bar_s * NS_PER_S) == 0]
    if kept.empty:
        raise ShortHistoryError(f"{path}: no row lies on the grid of {bar_s} s bars; give bars of that length")
    return of_bars(kept.reset_index(drop=True), bar_s)


def bars_file(folder: Path, symbol: str) -> Path:
    """``SYMBOL.parquet`` in a folder of bars or in a venue's folder within it.

    Raises
    ------
    MissingFileError
        If there is none.
    SettingError
        If several venues have one.
    """
    found = sorted({*folder.glob(f"{symbol}.parquet"), *folder.glob(f"*/{symbol}.parquet")})
    if not found:
        raise MissingFileError(f"no bars of {symbol}: {folder} holds no {symbol}.parquet; name the folder of bars")
    if len(found) > 1:
        raise SettingError(f"{symbol}: bars in {', '.join(map(str, found))}; name the folder of one venue")
    return found[0]


def stored_grid(root: Path, symbol: str, venue: str | None = None, bar_s: int = BAR_S) -> Grid:
    """Prices of bars in a store.

    Raises
    ------
    UnknownInstrumentError
        If the store has no bars of that length of the instrument.
    SettingError
        If several venues have them.
    """
    store = Store(root)
    alike = [series for series in store.list() if series.bar_s == bar_s]
    found = [series for series in alike if series.symbol == symbol and venue in (None, series.venue)]
    if not found:
        known = ", ".join(sorted({series.symbol for series in alike})) or "none"
        raise UnknownInstrumentError(f"{root} has no {bar_s} s bars of {symbol}; it has them of: {known}")
    if len(found) > 1:
        raise SettingError(f"{symbol}: {', '.join(series.venue for series in found)} have it; name the venue")
    return of_bars(store.scan(found[0]), bar_s)


def stored_outcomes(
    root: Path,
    symbols: Iterable[str],
    from_ns: int,
    to_ns: int,
    horizons_s: tuple[int, ...] = HORIZONS_S,
    venue: str | None = None,
    bar_s: int = BAR_S,
) -> dict[str, dict[int, Outcomes]]:
    """Outcomes by instrument and horizon of the full hours in ``[from_ns, to_ns]``, from bars in a store."""
    origin_ns = hours_of(from_ns, to_ns)
    return {s: outcomes_of(stored_grid(root, s, venue, bar_s), origin_ns, horizons_s) for s in symbols}


def hours_of(from_ns: int, to_ns: int) -> Ints:
    """Full hours in ``[from_ns, to_ns]``: the origins that are scored.

    Examples
    --------
    >>> hours_of(1, 3 * HOUR_NS) // HOUR_NS
    array([1, 2, 3])
    """
    # in hours, not in nanoseconds: arange counts its steps in floating point and would lose the last
    return np.arange(-(-from_ns // HOUR_NS), to_ns // HOUR_NS + 1, dtype=np.int64) * HOUR_NS
