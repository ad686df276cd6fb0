"""Bars from trades: the same as a slow grouping, however the trades are cut into chunks."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.aggregate import trade_bars
from features.errors import SettingError

SECOND_NS = 1_000_000_000
TRADES = st.lists(
    st.tuples(
        st.integers(0, 25 * SECOND_NS),
        st.sampled_from([10.0, 10.5, 11.25]),
        st.sampled_from([0.5, 1.0, 2.25]),
        st.sampled_from([1, -1, 0]),
    ),
    min_size=1,
    max_size=60,
)


def grouped(frame: pl.DataFrame, bar_s: int) -> pl.DataFrame:
    """The slow way, by an independent library."""
    unknown = (pl.col("side") == 0).any()
    bought = pl.col("size").filter(pl.col("side") > 0).sum()
    return (
        frame.group_by(
            (pl.col("ts_ns") // (bar_s * SECOND_NS) * bar_s * SECOND_NS).alias("open_ns"), maintain_order=True
        )
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("size").sum(),
            quote_volume=(pl.col("price") * pl.col("size")).sum(),
            trades=pl.len().cast(pl.Float64),
            buy_volume=pl.when(unknown).then(float("nan")).otherwise(bought),
        )
        .rename({"open_ns": "ts_ns"})
    )


def frame_of(rows: list[tuple[int, float, float, int]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["ts_ns", "price", "size", "side"], orient="row").sort(
        "ts_ns", maintain_order=True
    )
    return frame.cast({"side": pl.Int8, "ts_ns": pl.Int64})


@settings(max_examples=200, deadline=None)
@given(rows=TRADES, bar_s=st.sampled_from([1, 3, 10]), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_bars_are_those_of_a_grouping_for_any_chunks(
    rows: list[tuple[int, float, float, int]], bar_s: int, cuts: list[int]
) -> None:
    frame = frame_of(rows)
    edges = [0, *sorted(min(c, len(frame)) for c in cuts), len(frame)]
    chunks = [frame.slice(a, b - a) for a, b in pairwise(edges)]
    bars = pl.concat(trade_bars(chunks, bar_s))
    assert bars.equals(grouped(frame, bar_s).select(bars.columns))


def test_a_trade_stamped_before_the_open_bar_counts_in_it() -> None:
    frame = pl.DataFrame(
        {"ts_ns": [5 * SECOND_NS, 11 * SECOND_NS, 9 * SECOND_NS], "price": [1.0, 2.0, 3.0], "size": 1.0, "side": 1}
    )
    bars = pl.concat(trade_bars([frame], 10))
    assert bars["ts_ns"].to_list() == [0, 10 * SECOND_NS]
    assert bars["trades"].to_list() == [1, 2]
    assert bars["high"].to_list() == [1, 3]


def test_no_trades_give_no_bars_and_a_bar_has_a_length() -> None:
    assert list(trade_bars([], 10)) == []
    with pytest.raises(SettingError, match="at least 1"):
        list(trade_bars([], 0))


def test_a_silent_day_costs_no_room() -> None:
    frame = pl.DataFrame({"ts_ns": np.array([0, 10**18]), "price": 1.0, "size": 1.0, "side": 1})
    assert pl.concat(trade_bars([frame], 1))["ts_ns"].to_list() == [0, 10**18]
