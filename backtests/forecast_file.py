"""Files of forecasts: many models and instruments in one Parquet file, a row group for each pair of them.

Columns: ``instrument``, ``origin_ms`` (UTC), ``horizon_s``, ``model``, ``variance``, ``q_LEVEL`` (quantiles of the log
return), ``es_LEVEL`` (mean beyond them), and, where there are any, ``xdn_LEVEL``, ``xup_LEVEL`` (quantiles of the
adverse excursions). An origin without a forecast has no row.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from backtests.forecast_rows import KEYS, ForecastFiles
from features.errors import ForecastError, SchemaError, SettingError
from features.files import written_whole
from models.base import LEVELS, Forecast
from models.excursions import EXCURSION_LEVELS, Excursions

FloatArray = NDArray[np.float64]
SHORTFALL_LEVELS = (0.01, 0.025, 0.975, 0.99)
EXCURSIONS = tuple(f"x{side}_{level:g}" for side in ("dn", "up") for level in EXCURSION_LEVELS)
NS_PER_MS = 1_000_000


class ForecastWriter:
    """Writes a file of forecasts, one model and instrument after another; the file appears whole or not at all.

    Parameters
    ----------
    path : of the file.
    levels, shortfall_levels : of the columns; every forecast must have them.
    has_excursions : whether forecasts come with quantiles of the adverse excursions.
    is_double : keep all digits; else single precision, which no score can tell from it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "forecasts.parquet"
    >>> law = np.array([[[-0.02, 0.0]]])
    >>> one = Forecast(np.array([0]), (3600,), np.array([[1e-4]]), (0.01, 0.5), law, law - 0.01)
    >>> with ForecastWriter(path, (0.01, 0.5), (0.01, 0.5)) as file:
    ...     file.write("garch", "BTCUSDT", one)
    >>> read_forecasts(path, "garch", "BTCUSDT").quantiles.round(6)
    array([[[-0.02,  0.  ]]])
    """

    def __init__(
        self,
        path: Path,
        levels: Sequence[float] = LEVELS,
        shortfall_levels: Sequence[float] = SHORTFALL_LEVELS,
        *,
        has_excursions: bool = False,
        is_double: bool = False,
    ) -> None:
        self.path, self.levels, self.shortfall_levels = path, tuple(levels), tuple(shortfall_levels)
        self.excursions = EXCURSIONS if has_excursions else ()
        number = pa.float64() if is_double else pa.float32()
        numbers = ["variance", *_named("q", levels), *_named("es", shortfall_levels), *self.excursions]
        types = dict.fromkeys(numbers, number)
        keys = dict(zip(KEYS, (pa.string(), pa.int64(), pa.int32(), pa.string()), strict=True))
        self._schema = pa.schema(list((keys | types).items()))
        self._numbers = numbers
        self._written: set[tuple[str, str]] = set()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin beside ``path``."""
        scratch = self._open.enter_context(written_whole(self.path))
        # bytes of like weight side by side compress a third better
        writer = pq.ParquetWriter(
            scratch,
            self._schema,
            compression="zstd",
            use_dictionary=["instrument", "model", "horizon_s"],
            use_byte_stream_split=self._numbers,
        )
        self._file = self._open.enter_context(writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and put it in its place, unless the block failed or wrote nothing."""
        if kind is None and not self._written:
            kind, error = ForecastError, ForecastError(f"{self.path}: no forecast was written; nothing is kept")
            self._open.__exit__(kind, error, trace)
            raise error
        self._open.__exit__(kind, error, trace)

    def write(
        self, model: str, instrument: str, forecast: Forecast, excursions: Mapping[str, FloatArray] | None = None
    ) -> None:
        """Add all forecasts of a model for an instrument.

        Parameters
        ----------
        forecast : at those origins where there is one.
        excursions : arrays of shape (n, h) by column (:data:`EXCURSIONS`), where the file has them.

        Raises
        ------
        SettingError
            If the pair was written before, or the forecast lacks a level or the excursions.
        ForecastError
            If single precision cannot hold a variance, or an origin is no whole millisecond.
        """
        if (model, instrument) in self._written:
            raise SettingError(f"{self.path}: {model} of {instrument} was written before; write it once, as a whole")
        columns = self._columns(forecast, excursions or {})
        where = f"{self.path}: {model} of {instrument}"
        if (forecast.origin_ns % NS_PER_MS).any():
            raise ForecastError(f"{where}: an origin is no whole millisecond; the file could not hold it")
        arrays = [pa.array([name] * forecast.variance.size).dictionary_encode() for name in (instrument, model)]
        columns |= {"instrument": arrays[0].cast(pa.string()), "model": arrays[1].cast(pa.string())}
        with np.errstate(over="ignore", under="ignore"):
            table = pa.table([pa.array(columns[f.name]).cast(f.type, safe=False) for f in self._schema], self._schema)
        variance = table["variance"].to_numpy()
        if not (np.isfinite(variance) & (variance > 0)).all():
            raise ForecastError(f"{where}: a variance is too small or large for single precision; use is_double")
        self._file.write_table(table, row_group_size=max(len(table), 1))
        self._written.add((model, instrument))

    def _columns(self, forecast: Forecast, excursions: Mapping[str, FloatArray]) -> dict[str, NDArray[np.generic]]:
        """Every number column and the keys, a row for each origin and, within it, each horizon."""
        if set(excursions) != set(self.excursions):
            told = ", ".join(self.excursions) or "no excursions"
            given = ", ".join(excursions) or "none"
            raise SettingError(f"{self.path}: the file has {told}, the forecast came with {given}; give the same")
        n, n_horizons = forecast.variance.shape
        found: dict[str, NDArray[np.generic]] = {
            "origin_ms": np.repeat(forecast.origin_ns // NS_PER_MS, n_horizons),
            "horizon_s": np.tile(np.array(forecast.horizons_s), n),
            "variance": forecast.variance.ravel(),
        }
        for kind, levels, values in (
            ("q", self.levels, forecast.quantiles),
            ("es", self.shortfall_levels, forecast.shortfall),
        ):
            found |= {f"{kind}_{level:g}": values[:, :, forecast.level_index(level)].ravel() for level in levels}
        return found | {name: np.asarray(values).ravel() for name, values in excursions.items()}


def excursion_columns(excursions: Excursions) -> dict[str, FloatArray]:
    """Excursions by column, arrays of shape (n, h), as :meth:`ForecastWriter.write` takes them."""
    by_side = {"dn": excursions.down, "up": excursions.up}
    return {
        f"x{side}_{level:g}": values[:, :, k]
        for side, values in by_side.items()
        for k, level in enumerate(EXCURSION_LEVELS)
    }


def _named(kind: str, levels: Sequence[float]) -> list[str]:
    return [f"{kind}_{level:g}" for level in levels]


def read_forecasts(paths: Path | Sequence[Path], model: str, instrument: str) -> Forecast:
    """Forecasts of one model for one instrument; nothing else of the files is held in memory.

    Raises
    ------
    MissingFileError, FormatError, SchemaError
        If a file is not there or is no file of forecasts, or has no shortfall for some of its levels.
    SettingError
        If there is no such model or instrument.
    ForecastError
        If an origin lacks a horizon, or a row is no forecast.
    """
    files = ForecastFiles([paths] if isinstance(paths, Path) else paths)
    where = f"{model} of {instrument}"
    if (model, instrument) not in files.pairs:
        known = ", ".join(f"{m} of {i}" for m, i in sorted(files.pairs))
        raise SettingError(f"no forecasts of {where}; the files have {known}")
    rows = files.read(model, instrument)
    levels = tuple(sorted(float(name[2:]) for name in rows.columns if name.startswith("q_")))
    absent = [name for name in _named("es", levels) if name not in rows.columns]
    if absent:
        raise SchemaError(f"{where}: no column {', '.join(absent)}; write the file with these shortfall_levels")
    rows = rows.unique(["origin_ms", "horizon_s"], keep="first", maintain_order=True)
    return _forecast(rows.sort("origin_ms", "horizon_s"), levels, where)


def _forecast(rows: pl.DataFrame, levels: tuple[float, ...], where: str) -> Forecast:
    """Rows in the order of origins and horizons to arrays."""
    horizons_s = tuple(rows["horizon_s"].unique().sort().to_list())
    shape = (-1, len(horizons_s), len(levels))
    whole = len(rows) % len(horizons_s) == 0
    if not (whole and (rows["horizon_s"].to_numpy().reshape(shape[:2]) == np.array(horizons_s)).all()):
        raise ForecastError(f"{where}: not every origin has all horizons {horizons_s}; forecast them together")
    return Forecast(
        origin_ns=rows["origin_ms"].to_numpy()[:: len(horizons_s)] * NS_PER_MS,
        horizons_s=horizons_s,
        variance=rows["variance"].to_numpy().reshape(shape[:2]),
        levels=levels,
        quantiles=rows.select(_named("q", levels)).to_numpy().reshape(shape),
        shortfall=rows.select(_named("es", levels)).to_numpy().reshape(shape),
    )
