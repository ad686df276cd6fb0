"""A synthetic market into a store, through the same door as imported files, and its truth into a Parquet file."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from features.aggregate import trade_bars
from features.clock import DAY_S, HOUR_S, NS_PER_S
from features.errors import SettingError
from features.files import locked, sha256_of, written_whole
from features.intake.door import Door
from features.intake.parts import StreamWriter
from features.schema import table_of
from features.sources.synthetic.bars import to_bars
from features.sources.synthetic.events import draw_events
from features.sources.synthetic.faults import inflict
from features.sources.synthetic.latent import Latent
from features.sources.synthetic.oracle import LEVELS, Oracle
from features.sources.synthetic.plan import Plan
from features.store import Series, Store
from features.tape import Stream, read_manifest

VENUE = "synthetic"
HORIZONS_S = (HOUR_S, 4 * HOUR_S, 8 * HOUR_S, DAY_S)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What went into one folder of the store: rows, messages hit by faults, rows that the door set aside."""

    folder: str
    rows: int
    hit: int = 0
    set_aside: int = 0


def write_market(plan: Plan, root: Path, truth: Path | None, tell: Tell) -> list[Written]:
    """Draw a market and store its trades, book changes and bars; write the truth beside if a path is given.

    Raises
    ------
    SettingError
        If the store holds events of another synthetic market, which these would be mixed with.
    """
    _refuse_mixture(plan, root)
    tell("path")
    latent, generators = plan.draw()
    written = []
    for symbol, rng in zip(plan.spec.symbols, generators, strict=True):
        tell(symbol)
        if plan.bars_only:
            bars = to_bars(latent, symbol, plan.bar_s, rng)
        else:
            drawn = draw_events(latent, symbol, rng)
            written.append(_store_events(plan, root, Stream(VENUE, symbol, "trades"), drawn.trades, rng))
            written.append(_store_events(plan, root, Stream(VENUE, symbol, "book_deltas"), drawn.book_deltas, rng))
            bars = pl.concat(trade_bars([drawn.trades], plan.bar_s)).to_pandas()
        series = Series(venue=VENUE, symbol=symbol, bar_s=plan.bar_s)
        Store(root).replace(series, bars)
        written.append(Written(series.folder, len(bars)))
    if truth is not None:
        tell("truth")
        _write_truth(plan, latent, truth)
    return written


def _source(plan: Plan, stream: Stream) -> str:
    """What the tape takes for the hash of a file."""
    return sha256_of([asdict(plan), stream.folder])


def _refuse_mixture(plan: Plan, root: Path) -> None:
    for symbol in plan.spec.symbols:
        for stream in (Stream(VENUE, symbol, "trades"), Stream(VENUE, symbol, "book_deltas")):
            if set(read_manifest(root / stream.folder)["sources"]) - {_source(plan, stream)}:
                raise SettingError(f"{root}: {stream.folder} holds another synthetic market; choose another --store")


def _store_events(plan: Plan, root: Path, stream: Stream, frame: pl.DataFrame, rng: np.random.Generator) -> Written:
    """Inflict the faults, and bring rows in as an import does: checked, bad ones set aside, listed in the manifest."""
    hit = 0
    for fault in plan.faults:
        frame, record = inflict(frame, fault, rng)
        hit += len(record)
    door = Door(table_of(stream.kind))
    writer = StreamWriter(root, stream, _source(plan, stream), door, stream.symbol)
    good, bad = door.admit(frame.with_columns(row=pl.int_range(1, len(frame) + 1, dtype=pl.Int64)))
    try:
        writer.add(good)
        writer.close()
        with locked(root / ".lock"):
            writer.commit(f"synthetic-{plan.seed}")
    finally:
        for part in writer.parts:
            part.discard()
    return Written(stream.folder, sum(part.rows for part in writer.parts), hit, len(bad))


def truth_table(latent: Latent, every_s: int, horizons_s: tuple[int, ...] = HORIZONS_S) -> pl.DataFrame:
    """The oracle's answer from every origin of a path: one row for each symbol, origin and horizon.

    Columns are ``symbol, origin_ms, horizon_s, log_return`` (NaN where the path ends before), ``mean``,
    ``variance``, ``quadratic_variation``, ``q_0.005``, ... and ``es_0.005``, ...
    """
    rows = np.arange(0, len(latent.ts_ns), max(1, round(every_s / latent.step_s)))
    parts = []
    for symbol in latent.spec.symbols:
        law = Oracle(latent.spec).forecast(latent, symbol, rows, horizons_s)
        for k, horizon_s in enumerate(horizons_s):
            cells = {"log_return": latent.log_return(symbol, rows, horizon_s), "mean": law.mean[:, k]}
            cells |= {"variance": law.variance[:, k], "quadratic_variation": law.quadratic_variation[:, k]}
            cells |= {f"q_{level:g}": law.quantiles[:, k, i] for i, level in enumerate(LEVELS)}
            cells |= {f"es_{level:g}": law.shortfall[:, k, i] for i, level in enumerate(LEVELS)}
            named = pl.DataFrame({"origin_ms": latent.ts_ns[rows] // (NS_PER_S // 1000)} | cells)
            parts.append(named.select(pl.lit(symbol).alias("symbol"), "origin_ms", pl.lit(horizon_s).alias("horizon_s"),
                                      *cells))  # fmt: skip
    return pl.concat(parts).sort("symbol", "origin_ms", "horizon_s")


def _write_truth(plan: Plan, latent: Latent, path: Path) -> None:
    with written_whole(path) as scratch:
        truth_table(latent, plan.truth_every_s).write_parquet(scratch)
