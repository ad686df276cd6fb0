"""Random streams of canonical tables with all that goes wrong on the way, and the order in which their rows arrive."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.market import Rows
from features.schema import BREAK, RESET, SNAPSHOT, Table, table_of
from features.spec import FeatureSpec

START_NS = 1_600_000_020 * NS_PER_S  # a multiple of a minute
Tables = dict[str, dict[str, pl.DataFrame]]
Ints = NDArray[np.int64]
Parts = tuple[Ints, NDArray[np.float64], NDArray[np.bool_]]

MID = ("log_rv_{3}", "log_bv_{4}", "move_{3}", "log_kernel_{7}", "hour_sin")
PRICE = (*MID, "log_range_{3}", "log_yang_zhang_{5}")
FLOW = ("log_quote_{3}", "log_intensity_{2}", "signed_{4}", "amihud_{4}", "kyle_{6}", "vpin_{8}")
BOOK = (
    "log_spread_{2}", "microprice_{1}", "imbalance_2_{2}", "ofi_1_{2}", "ofi_2_{4}", "log_depth_2_{3}",
    "log_cost_150_{2}", "cost_skew_150_{2}", "resilience_2_{5}", "slope_skew_{2}",
)  # fmt: skip
BOTH = ("effective_spread_{4}", "realised_spread_{8}")
RATES = ("funding_{2}", "basis_{2}", "open_interest_{3}")
LED = ("B.beta_{4}", "B.correlation_{4}", "B.log_rv_{3}", "B.log_quote_{2}")
# what a stream is made of: kinds of each instrument, price, features
SCENARIOS: dict[str, tuple[dict[str, tuple[str, ...]], str, tuple[str, ...]]] = {
    "changes": ({"A": ("book_deltas", "trades")}, "mid", (*MID, *FLOW, *BOOK, *BOTH)),
    "orders": ({"A": ("order_events", "trades")}, "mid", (*MID, *FLOW, *BOOK, *BOTH)),
    "snapshots": ({"A": ("book_snapshots_2", "trades")}, "mid", (*MID, *FLOW, *BOOK, *BOTH)),
    "traded": ({"A": ("book_deltas", "trades")}, "trade", (*PRICE, *FLOW, *BOTH)),
    "trades": ({"A": ("trades",)}, "trade", (*PRICE, *FLOW)),
    "book alone": ({"A": ("book_deltas",)}, "mid", (*MID, *BOOK)),
    "rates": ({"A": ("agg_trades", "funding", "open_interest")}, "trade", (*PRICE, *RATES)),
    "bars": ({"A": ("bars", "funding", "open_interest")}, "trade", (*PRICE, *FLOW, *RATES)),
    "led bars": ({"A": ("bars",), "B": ("bars",)}, "trade", (*PRICE, *LED)),
    "led trades": ({"A": ("trades",), "B": ("trades",)}, "trade", (*PRICE, *LED)),
    "led books": (
        {"A": ("book_deltas", "trades"), "B": ("order_events", "trades")}, "mid",
        (*MID, *BOOK, *LED, "B.ofi_1_{3}", "B.log_spread_{2}"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A random stream: the tables, how each row arrives, and what is asked of it."""

    spec: FeatureSpec
    tables: Tables
    wanted: tuple[str, ...]
    delay_s: float
    arrivals: list[tuple[str, str, int, int]]  # (symbol, kind, row, time of arrival in ns)
    rng: np.random.Generator

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        return {symbol: tuple(tables) for symbol, tables in self.tables.items()}


def conformed(kind: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a canonical frame; what is absent stands as the schema says."""
    table: Table = table_of(kind)
    frame = pl.DataFrame(rows, schema_overrides=table.dtypes) if rows else pl.DataFrame(schema=table.dtypes)
    return table.conform(frame)


def stamps(rng: np.random.Generator, n: int, step_ns: int, pause_ns: int) -> list[int]:
    """Times with ties, neighbours of one nanosecond, exact ends of rows, silences and pauses."""
    out: list[int] = []
    now_ns = START_NS + int(rng.integers(0, 3)) * step_ns
    for _ in range(n):
        how = rng.choice(7, p=(0.15, 0.1, 0.48, 0.15, 0.09, 0.02, 0.01))
        now_ns += int((0, 1, rng.integers(0, step_ns), 0, rng.integers(2, 8) * step_ns, pause_ns, 2 * pause_ns)[how])
        if how == 3:
            now_ns += -now_ns % step_ns - int(rng.integers(0, 2))  # the end of a row, or a nanosecond before it
        now_ns = max(now_ns, out[-1] if out else 0)
        out.append(now_ns)
    return out


def trade_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Trades with or without numbers, names and sides; some stamped late, some twice."""
    numbered, sided = rng.integers(0, 3), rng.integers(0, 3)
    rows: list[dict[str, Any]] = []
    for i, ts_ns in enumerate(times):
        if rows and rng.random() < 0.06:
            rows.append(rows[int(rng.integers(0, len(rows)))])  # once more, stamped as it was: no clock moves
            continue
        side = (0, int(rng.choice([-1, 1])), int(rng.choice([-1, 0, 1])))[sided]
        price = float(rng.choice([99.5, 99.75, 100.0, 100.25, 100.5]))
        back_ns = int(rng.integers(0, 2 * NS_PER_S)) if rng.random() < 0.06 else 0
        row = {"ts_ns": ts_ns - back_ns, "price": price, "size": float(rng.choice([0.5, 1.0, 3.0])), "side": side}
        rows.append({**row, "seq": i + 10 if numbered == 1 else -1, "id": f"t{i}" if numbered == 2 else ""})
    return rows


def change_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Changes of a book with snapshots, cuts, gaps, repeats, crossings, empty sides and steps back in time."""
    rows: list[dict[str, Any]] = []
    seq, has_numbers = 10, rng.random() < 0.7
    calm = rng.random() < 0.5  # else a crossing or an empty side is never far
    odd = np.array(LIKELY[1:]) * (0.3 if calm else 1.0)
    likely = [1 - odd.sum(), *odd]
    void = {"side": 0, "price": np.nan, "size": np.nan}
    for i, ts in enumerate(times):
        ts_ns = ts - (int(rng.integers(0, 2 * NS_PER_S)) if rng.random() < 0.04 else 0)
        what = "snapshot" if i == 0 and rng.random() < 0.9 else str(rng.choice(WHAT, p=likely))
        if what == "again" and rows:
            rows.append({**rows[-1], "ts_ns": ts_ns})
            continue
        number, told = seq + int(rng.integers(1, 3)), seq
        number, told = {"gap": (seq + 5, seq + 3), "stale": (seq - 2, seq - 4)}.get(what, (number, told))
        told = -1 if what == "snapshot" or rng.random() < 0.2 else told
        row = {"ts_ns": ts_ns, "seq": number if has_numbers else -1, "prev_seq": told if has_numbers else -1}
        seq = max(seq, number)
        if what == "cut":
            rows.append({**row, "seq": -1, "prev_seq": -1, "flags": BREAK, **void})
        elif what == "clear":
            rows.append({**row, "flags": RESET, **void})
        elif what == "snapshot":
            kept = (1, -1) if rng.random() < 0.85 else (int(rng.choice([1, -1])),)
            levels = [(s, 100.0 - s * (0.25 + 0.25 * k), float(rng.integers(1, 4))) for s in kept for k in range(3)]
            for k, (side, price, size) in enumerate(levels):
                flags = SNAPSHOT | (RESET if k == 0 else 0)
                rows.append({**row, "flags": flags, "side": side, "price": price, "size": size})
        else:
            for _ in range(int(rng.integers(1, 4))):
                side = int(rng.choice([1, -1]))
                price = 100.0 - side * 0.25 * float(rng.integers(1 if calm else -1, 5))
                size = float(rng.choice([0.0, 1.0, 2.5, 3.5]))
                rows.append({**row, "flags": 0, "side": side, "price": price, "size": size})
    return rows


WHAT = ("change", "snapshot", "gap", "stale", "cut", "clear", "again")
LIKELY = (0.72, 0.12, 0.03, 0.04, 0.03, 0.02, 0.04)


def order_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Orders of few names at prices that often cross."""
    rows = []
    calm = rng.random() < 0.5
    for ts in times:
        back_ns = int(rng.integers(0, 2 * NS_PER_S)) if rng.random() < 0.04 else 0
        side = int(rng.choice([1, -1]))
        price = 100.0 - side * 0.25 * float(rng.integers(1 if calm else -1, 5))
        action = int(rng.choice([1, 1, 1, 1, 2, 3, 4, 5, 6, 7]))
        size = float(rng.choice([0.0, 1.0, 2.5, 4.0]))
        row = {"ts_ns": ts - back_ns, "order_id": int(rng.integers(1, 16)), "action": action}
        rows.append({**row, "side": side, "price": price, "size": size})
    return rows


def snapshot_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Whole books, some shallow, one-sided, repeated or stamped late."""
    rows: list[dict[str, Any]] = []
    depths = [2, 2, 2, 2, 2, 2] if rng.random() < 0.5 else [0, 1, 2, 2, 2, 2]
    for ts in times:
        if rows and rng.random() < 0.05:
            rows.append(rows[-1])
            continue
        row: dict[str, Any] = {"ts_ns": ts - (int(rng.integers(0, 2 * NS_PER_S)) if rng.random() < 0.05 else 0)}
        best = 100.0 + 0.25 * float(rng.integers(-4, 5))
        for side, sign in (("bid", 1), ("ask", -1)):
            for k in range(int(rng.choice(depths))):
                row[f"{side}_px_{k}"] = best - sign * (0.125 + 0.25 * k)
                row[f"{side}_sz_{k}"] = float(rng.integers(1, 5))
        rows.append(row)
    return rows


def bar_rows(rng: np.random.Generator, times: list[int], step_ns: int) -> list[dict[str, Any]]:
    """Bars with holes, without volume or its parts, and repeated."""
    rows: list[dict[str, Any]] = []
    for ts in sorted(
        {t // step_ns * step_ns for t in times} | {START_NS + i * step_ns for i in range(len(times) // 2)}
    ):
        if rng.random() < 0.15:
            continue
        close, open_ = 100.0 * np.exp(0.01 * rng.standard_normal(2))
        volume = float(rng.choice([0.0, 1.0, 2.0, 5.0]))
        high, low = max(open_, close) * 1.001, min(open_, close) * 0.999
        told = {"quote_volume": volume * close, "trades": 3.0, "buy_volume": volume / 2} if rng.random() < 0.9 else {}
        bar = {"ts_ns": ts, "open": open_, "high": high, "low": low, "close": close, "volume": volume, **told}
        rows += [bar, bar] if rng.random() < 0.05 else [bar]
    return rows


def funding_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Rates, some without an interval, a mark or an index."""
    return [
        {
            "ts_ns": ts, "rate": 1e-4 * float(rng.standard_normal()), "interval_s": int(rng.choice([0, 28_800])),
            "mark_price": float(rng.choice([np.nan, 100.0, 101.0])), "index_price": float(rng.choice([0.0, 100.5])),
        }
        for ts in times
    ]  # fmt: skip


def interest_rows(rng: np.random.Generator, times: list[int]) -> list[dict[str, Any]]:
    """Open interest, 0 at times."""
    return [{"ts_ns": ts, "open_interest": float(rng.choice([0.0, 50.0, 60.0]))} for ts in times]


MAKERS = {
    "trades": trade_rows,
    "agg_trades": trade_rows,
    "book_deltas": change_rows,
    "order_events": order_rows,
    "book_snapshots_2": snapshot_rows,
    "funding": funding_rows,
    "open_interest": interest_rows,
}


def clock_of(kind: str, frame: pl.DataFrame, step_ns: int) -> Ints:
    """What each row's table has reached with it: a bar is known at its close."""
    ts_ns = frame["ts_ns"].to_numpy() + (step_ns if kind.startswith("bars") else 0)
    return np.maximum.accumulate(ts_ns) if len(ts_ns) else ts_ns


def made(scenario: str, bar_s: int, events: int, seed: int) -> Case:
    """A random stream of one of the scenarios."""
    rng = np.random.default_rng(seed)
    kinds, price, features = SCENARIOS[scenario]
    step_ns, pause_rows = bar_s * NS_PER_S, int(rng.choice([10, 40]))
    names = tuple(f.replace("{", "").replace("}", f"x{bar_s}") for f in features)
    every_s = bar_s * int(rng.choice([1, 1, 2, 5]))
    spec = FeatureSpec(
        bar_s, (every_s, 3 * every_s), tuple(_in_seconds(n) for n in names), every_s, price, 2,  # type: ignore[arg-type]
        int(rng.choice([2, 60, 10 * bar_s])), pause_rows * bar_s,
    )  # fmt: skip
    slots = [(s, f"bars_{bar_s}s" if k == "bars" else k) for s, ks in kinds.items() for k in ks]
    weights = np.array([0.15 if k in ("funding", "open_interest") else 1.0 for _, k in slots])
    owner = rng.choice(len(slots), events, p=weights / weights.sum())
    times = np.array(stamps(rng, events, step_ns, pause_rows * step_ns))
    tables: Tables = {symbol: {} for symbol in kinds}
    for i, (symbol, kind) in enumerate(slots):
        own = times[owner == i].tolist()
        rows = bar_rows(rng, own, step_ns) if kind.startswith("bars") else MAKERS[kind](rng, own)
        tables[symbol][kind] = conformed(kind, rows)
    # Bars of two instruments that close together need a wait, or the first of them ends the row.
    delays = (0.5, 2.0, 7.5 * bar_s) if scenario == "led bars" else (0.0, 0.0, 0.5, 2.0, 7.5 * bar_s)
    delay_s = float(rng.choice(delays))
    arrivals = _arrivals(rng, tables, step_ns, round(delay_s * NS_PER_S))
    wanted = ("A",) if rng.random() < 0.7 else tuple(kinds)
    return Case(spec, tables, wanted, delay_s, arrivals, rng)


def _in_seconds(name: str) -> str:
    """``log_rv_3x5`` to ``log_rv_15s``."""
    stem, _, look = name.rpartition("_")
    rows, has_look, bar_s = look.partition("x")
    return f"{stem}_{int(rows) * int(bar_s)}s" if has_look else name


def _arrivals(rng: np.random.Generator, tables: Tables, step_ns: int, delay_ns: int) -> list[tuple[str, str, int, int]]:
    """Rows in an order that keeps each table's own, none later than the delay allows."""
    found = []
    for symbol, frames in tables.items():
        for kind, frame in frames.items():
            clock_ns = clock_of(kind, frame, step_ns)
            lag_ns = rng.integers(0, max(delay_ns, 1), len(clock_ns)) * (rng.random(len(clock_ns)) < 0.7)
            arrives_ns = np.maximum.accumulate(clock_ns + lag_ns) if len(clock_ns) else clock_ns
            ties = rng.random()
            found += [(int(t), ties, i, symbol, kind) for i, t in enumerate(arrives_ns)]
    return [(symbol, kind, i, t) for t, _, i, symbol, kind in sorted(found)]


def joined(rows: list[Rows], symbol: str, features: int) -> Parts:
    """All origins of an instrument with values and blindness."""
    own = [r for r in rows if r.symbol == symbol]
    return (
        np.concatenate([r.origin_ns for r in own] or [np.empty(0, dtype=np.int64)]),
        np.concatenate([r.values for r in own] or [np.empty((0, features))]),
        np.concatenate([r.blind for r in own] or [np.empty(0, dtype=bool)]),
    )


def same(found: Parts, expected: Parts) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found[2], expected[2])
