"""How fast are rolling measures? Twenty of them over bars, against pandas and polars that give the same columns.

Run:  python benchmarks/feature_measures.py [--millions 2]
"""

import argparse

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.events import Floats, on_one_core
from benchmarks.feature_table import keep_memory, medians_s, show_peers
from features.clock import HOUR_S
from features.engine import Engine
from features.families.variance import VARIANCE_FLOOR
from features.feed import CHUNK_ROWS
from features.plan import Plan
from features.rolling import Roller, Window
from features.spec import FeatureSpec

BAR_S = 300
ROWS = {"1h": 12, "4h": 48, "1d": 288, "7d": 2_016, "30d": 8_640}
NAMES = tuple(f"{family}_{look}" for look in ROWS for family in ("log_rv", "log_bv", "downside", "rq_ratio"))
PAIR = 1  # of the terms: products of two neighbours, one fewer in a window
WARM = max(ROWS.values())
PLAN = Plan(FeatureSpec(bar_s=BAR_S, every_s=BAR_S, horizons_s=(BAR_S,), features=NAMES))


def by_engine(returns: Floats) -> list[Floats]:
    """Ours, in the chunks in which a feed gives rows out."""
    engine = Engine(PLAN)
    starts = range(0, len(returns), CHUNK_ROWS)
    return [engine.add({"log_return": returns[at : at + CHUNK_ROWS]}, at)[1] for at in starts]


def passed_on(returns: Floats) -> None:
    """Ours as a live engine has it: nobody keeps what was given out."""
    engine = Engine(PLAN)
    for at in range(0, len(returns), CHUNK_ROWS):
        engine.add({"log_return": returns[at : at + CHUNK_ROWS]}, at)


def by_pandas(returns: Floats) -> pd.DataFrame:
    """The same columns: sums of a rolling window, each once, and their formulas."""
    r = pd.Series(returns)
    square, pair = r * r, (r * r.shift()).abs()
    down, fourth = square.where(r < 0, 0.0), square * square
    columns: dict[str, object] = {}
    for look, n in ROWS.items():
        hours = n * BAR_S / HOUR_S
        floor = VARIANCE_FLOOR * hours
        rv, bv, falls, quartic = (x.rolling(w).sum() for x, w in ((square, n), (pair, n - 1), (down, n), (fourth, n)))
        columns[f"log_rv_{look}"] = np.log(np.maximum(rv / hours, VARIANCE_FLOOR))
        columns[f"log_bv_{look}"] = np.log(np.maximum(np.pi / 2 * bv / hours, VARIANCE_FLOOR))
        columns[f"downside_{look}"] = (falls + floor / 2) / (rv + floor)
        columns[f"rq_ratio_{look}"] = np.log((np.sqrt(n / 3 * quartic) + floor) / (rv + floor))
    return pd.DataFrame(columns, copy=False)


def by_polars(returns: Floats) -> pl.DataFrame:
    """The same columns as expressions, each sum written once."""
    r = pl.col("r")
    terms = {
        "square": r * r,
        "pair": (r * r.shift(fill_value=0.0)).abs(),
        "down": pl.when(r < 0).then(r * r).otherwise(0.0),
    }
    sums, columns = {}, {}
    for look, n in ROWS.items():
        hours = n * BAR_S / HOUR_S
        floor = VARIANCE_FLOOR * hours
        for name, rows in (("square", n), ("pair", n - 1), ("down", n), ("fourth", n)):
            sums[f"{name}_{look}"] = pl.col(name).rolling_sum(rows)
        rv, bv, falls, quartic = (pl.col(f"{name}_{look}") for name in ("square", "pair", "down", "fourth"))
        columns[f"log_rv_{look}"] = (rv / hours).clip(lower_bound=VARIANCE_FLOOR).log()
        columns[f"log_bv_{look}"] = (np.pi / 2 * bv / hours).clip(lower_bound=VARIANCE_FLOOR).log()
        columns[f"downside_{look}"] = (falls + floor / 2) / (rv + floor)
        columns[f"rq_ratio_{look}"] = (((n / 3 * quartic).sqrt() + floor) / (rv + floor)).log()
    frame = pl.LazyFrame({"r": returns}).with_columns(**terms).with_columns(fourth=pl.col("square") ** 2)
    return frame.with_columns(**sums).select(**columns).collect()


def measures(returns: Floats) -> None:
    """All three agree; their rates."""
    own = np.concatenate(by_engine(returns))
    for peer in (by_pandas(returns).to_numpy(), by_polars(returns).to_numpy()):
        np.testing.assert_allclose(peer[-len(own) :], own, rtol=1e-6, atol=1e-9)  # logs pass through 0
    taken = medians_s({
        "margincast, chunks of 4,096": lambda: by_engine(returns),
        "the same, rows not kept": lambda: passed_on(returns),
        "pandas": lambda: by_pandas(returns),
        "polars": lambda: by_polars(returns),
    })  # fmt: skip
    rates = {name: len(returns) / seconds for name, seconds in taken.items()}
    show_peers(f"{len(NAMES)} rolling measures of {len(returns):,} bars", "million bars/s", rates, ours=2)


def bare_sums(returns: Floats) -> None:
    """The sums behind them and nothing else."""
    square = np.square(returns)
    pair = np.abs(returns * np.append(np.nan, returns[:-1]))
    terms = np.stack([square, pair, np.square(np.minimum(returns, 0.0)), np.square(square)])
    series, frame = [pd.Series(term) for term in terms], pl.DataFrame(dict(zip("abcd", terms, strict=True)))
    looks = [(t, n - (t == PAIR)) for n in ROWS.values() for t in range(len(terms))]

    def by_roller() -> list[Floats]:
        roller = Roller(tuple(Window(t, n) for t, n in looks))
        return [roller.add(terms[:, at : at + CHUNK_ROWS], at) for at in range(0, len(returns), CHUNK_ROWS)]

    def by_series() -> list[pd.Series]:
        return [series[t].rolling(n).sum() for t, n in looks]

    def by_expressions() -> pl.DataFrame:
        return frame.select(pl.col("abcd"[t]).rolling_sum(n).alias(f"{t}_{n}") for t, n in looks)

    own = np.concatenate(by_roller(), axis=1)[:, WARM:]
    usual = own.mean(axis=1, keepdims=True)  # what a peer has added and taken off again leaves its rounding behind
    for peer in (np.stack(by_series()), by_expressions().to_numpy().T):
        np.testing.assert_allclose(peer[:, WARM:] / usual, own / usual, rtol=1e-6, atol=1e-9)
    taken = medians_s({"margincast, chunks of 4,096": by_roller, "pandas": by_series, "polars": by_expressions})
    rates = {name: len(returns) / seconds for name, seconds in taken.items()}
    show_peers(f"{len(looks)} rolling sums of {len(returns):,} bars", "million bars/s", rates)


def main() -> None:
    """Measures, then the sums alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--millions", type=float, default=2.0, help="bars, in millions")
    n = round(parser.parse_args().millions * 1e6)
    returns = np.random.default_rng(1).normal(0.0, 1e-3, n)
    measures(returns)
    bare_sums(returns)


if __name__ == "__main__":
    keep_memory()
    on_one_core()
    main()
