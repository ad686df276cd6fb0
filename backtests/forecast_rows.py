"""Rows of forecast files, one model and instrument at a time, and what is wrong with them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.clock import HOUR_S
from features.errors import FormatError, MissingFileError, SchemaError

KEYS = ("instrument", "origin_ms", "horizon_s", "model")
TIMES = [pl.col(name).cast(pl.Int64) for name in ("origin_ms", "horizon_s")]
NUMBERS = ("variance", "q_", "es_", "xdn_", "xup_")  # names of number columns begin so
BATCH_ROWS = 1 << 18
HOUR_MS = HOUR_S * 1_000
INSIDE = 1e-12  # of log return: less than single precision can tell
ENDLESS_MS = 1 << 62
Pair = tuple[str, str]


class ForecastFiles:
    """Files of forecasts, opened; of their rows no more than one model and instrument is ever read at once.

    ``pairs`` are the models and instruments that they have. A file whose row groups hold one pair each, as
    :class:`backtests.forecast_file.ForecastWriter` makes them, is read in one pass; others are searched for each pair.

    Parameters
    ----------
    paths : files, or folders whose ``*.parquet`` are taken in the order of their names.

    Raises
    ------
    MissingFileError
        If there is no such file, or a folder has none.
    FormatError
        If one is no Parquet file.
    SchemaError
        If one lacks a key column or the variance, or holds something else than numbers.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [found for path in paths for found in _files(path)]
        self._files = [_opened(path) for path in self.paths]
        self._groups: list[dict[Pair, dict[int, bool]]] = [_pairs_of(file) for file in self._files]
        self.pairs: set[Pair] = {pair for groups in self._groups for pair in groups}

    @property
    def models(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted({model for model, _ in self.pairs})

    @property
    def instruments(self) -> list[str]:
        """Names of the instruments, sorted."""
        return sorted({instrument for _, instrument in self.pairs})

    def require(self, columns: Sequence[str]) -> None:
        """Refuse files that lack a column: SchemaError names them."""
        for path, file in zip(self.paths, self._files, strict=True):
            _require(path, file.schema_arrow.names, columns)

    def read(
        self, model: str, instrument: str, from_ms: int = 0, to_ms: int = ENDLESS_MS, horizon_s: int | None = None
    ) -> pl.DataFrame:
        """All rows of a pair in the order of the files; a column that some files lack is null in theirs."""
        return pl.concat(self.by_file(model, instrument, from_ms, to_ms, horizon_s), how="diagonal")

    def by_file(
        self, model: str, instrument: str, from_ms: int = 0, to_ms: int = ENDLESS_MS, horizon_s: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Rows of a pair with origins in ``[from_ms, to_ms]``, of one horizon or all: a frame a file.

        Columns are ``origin_ms``, ``horizon_s`` (int64) and the numbers (float64).
        """
        chosen = pl.col("origin_ms").is_between(from_ms, to_ms)
        if horizon_s is not None:
            chosen &= pl.col("horizon_s") == horizon_s
        pair = (pl.col("model").cast(pl.String) == model) & (pl.col("instrument").cast(pl.String) == instrument)
        for file, groups in zip(self._files, self._groups, strict=True):
            chunks = groups.get((model, instrument), {})
            if not chunks:
                continue
            numbers = [name for name in file.schema_arrow.names if name.startswith(NUMBERS)]
            kept = []
            for group, is_alone in chunks.items():
                names = ["origin_ms", "horizon_s", *([] if is_alone else ["model", "instrument"])]
                wanted = chosen if is_alone else chosen & pair
                for batch in file.iter_batches(BATCH_ROWS, [group], [*names, *numbers], use_threads=False):
                    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
                    kept.append(frame.filter(wanted).select(TIMES + [pl.col(n).cast(pl.Float64) for n in numbers]))
            yield pl.concat(kept)


def usable(rows: pl.DataFrame, numbers: Sequence[str]) -> pl.DataFrame:
    """The first row of each origin and horizon, if all its numbers are finite and its variance is positive."""
    first = rows.unique(["origin_ms", "horizon_s"], keep="first", maintain_order=True)
    finite = pl.all_horizontal(pl.col(name).is_finite() for name in numbers)
    return first.filter(finite & (pl.col("variance") > 0))


def defects_of(
    rows: pl.DataFrame, horizons_s: Sequence[int], levels: Sequence[float], shortfall_levels: Sequence[float]
) -> dict[str, int]:
    """How many rows of a pair, as one file has them, break each rule; they are counted and never mended."""
    quantiles = rows.select([f"q_{level:g}" for level in levels]).to_numpy()
    shortfall = rows.select([f"es_{level:g}" for level in shortfall_levels]).to_numpy()
    variance = rows["variance"].to_numpy()
    outward = np.where(np.array(shortfall_levels) > 0.5, 1.0, -1.0)
    matching = quantiles[:, [list(levels).index(level) for level in shortfall_levels]]
    finite = np.isfinite(np.column_stack([variance, quantiles, shortfall])).all(axis=1)
    with np.errstate(invalid="ignore"):  # a number that is not finite is counted as such, and breaks no other rule
        crossing = np.diff(quantiles, axis=1) < 0
        inside = outward * (shortfall - matching) < -INSIDE
    return {
        "rows": len(rows),
        "duplicates": len(rows) - rows.select("origin_ms", "horizon_s").n_unique(),
        "off_hour_origins": int((rows["origin_ms"] % HOUR_MS != 0).sum()),
        "unknown_horizons": int((~rows["horizon_s"].is_in(list(horizons_s))).sum()),
        "non_finite_rows": int((~finite).sum()),
        "non_positive_variance": int((variance <= 0).sum()),
        "quantile_crossings": int(crossing.any(axis=1).sum()),
        "es_inside_quantile": int(inside.any(axis=1).sum()),
    }


def _files(path: Path) -> list[Path]:
    found = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise MissingFileError(f"{path}: no file of forecasts is there; write one, or name another path")
    return found


def _opened(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise FormatError(f"{path}: is no whole Parquet file ({error}); write the forecasts again") from error
    _require(path, file.schema_arrow.names, (*KEYS, "variance"))
    for field in file.schema_arrow:
        if field.name.startswith(NUMBERS) and not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            raise SchemaError(f"{path}: column {field.name} holds {field.type}, which is no number; write it as float")
    return file


def _require(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        told = f"no column {', '.join(missing)}; a file of forecasts has them, found {', '.join(names)}"
        raise SchemaError(f"{path}: {told}")


def _pairs_of(file: pq.ParquetFile) -> dict[Pair, dict[int, bool]]:
    """Row groups of each model and instrument, and whether a group holds no other pair.

    Where the statistics name one model and one instrument nothing is read.
    """
    found: dict[Pair, dict[int, bool]] = {}
    columns = [file.schema_arrow.names.index(name) for name in ("model", "instrument")]
    for group in range(file.metadata.num_row_groups):
        told = [_only_value(file.metadata.row_group(group).column(column).statistics) for column in columns]
        if None in told:
            table = pl.DataFrame(pl.from_arrow(file.read_row_group(group, ["model", "instrument"])))
            pairs = table.select(pl.col("model", "instrument").cast(pl.String)).unique().rows()
        else:
            pairs = [(str(told[0]), str(told[1]))]
        for model, instrument in pairs:
            found.setdefault((model, instrument), {})[group] = len(pairs) == 1
    return found


def _only_value(statistics: pq.Statistics | None) -> str | None:
    """The one value of a column chunk, if its statistics say that there is one."""
    if statistics is None or not statistics.has_min_max or statistics.null_count:
        return None
    return statistics.min if statistics.min == statistics.max and isinstance(statistics.min, str) else None
