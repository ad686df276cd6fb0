"""Every fault leaves its trace, where the record says, and what went in stays as it was."""

import numpy as np
import polars as pl
import pytest

from features.book import BookBuilder, BookStats
from features.errors import SettingError
from features.sources.synthetic import Events, MarketSpec, draw_events, inflict, simulate
from features.sources.synthetic.faults import FAULTS

START = 1_704_067_200_000_000_000


@pytest.fixture(scope="module")
def drawn() -> Events:
    path = simulate(MarketSpec().first(1), START, 1_200.0, 0.1, np.random.default_rng(3))
    return draw_events(path, "BTC-SYN", np.random.default_rng(4))


def stats(frame: pl.DataFrame) -> BookStats:
    builder = BookBuilder(depth=1)
    builder.deltas(frame)
    return builder.stats


def sent(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers of messages in the file's order, without those of snapshots."""
    return frame.filter(pl.col("flags") == 0).select(pl.col("seq").rle().struct.field("value").alias("seq"))


def test_lost_messages_are_gaps_in_the_numbering(drawn: Events) -> None:
    faulty, record = inflict(drawn.book_deltas, "gaps", np.random.default_rng(1), 0.0008)
    clean = sent(drawn.book_deltas)["seq"]
    assert set(clean) - set(sent(faulty)["seq"]) == set(record["seq"])
    runs = int((record["seq"].diff().fill_null(2) > 1).sum())
    assert runs > 5
    assert 0 < stats(faulty).gaps <= runs  # a second loss before the next snapshot finds the book void already
    assert stats(drawn.book_deltas).gaps == 0
    trades, lost = inflict(drawn.trades, "gaps", np.random.default_rng(1), 0.01)
    assert len(drawn.trades) - len(trades) == len(lost) > 10


def test_duplicates_repeat_whole_messages_and_change_no_book(drawn: Events) -> None:
    faulty, record = inflict(drawn.book_deltas, "duplicates", np.random.default_rng(1), 0.01)
    hit = drawn.book_deltas.filter(pl.col("seq").is_in(record["seq"].implode()) & (pl.col("flags") == 0))
    assert len(faulty) - len(drawn.book_deltas) == len(hit) > 50
    assert faulty.unique(maintain_order=True).equals(drawn.book_deltas.unique(maintain_order=True))
    trades, twice = inflict(drawn.trades, "duplicates", np.random.default_rng(1), 0.01)
    assert sorted(trades.filter(pl.col("seq").is_duplicated())["seq"].unique()) == sorted(twice["seq"])


def test_a_lost_removal_leaves_the_book_crossed(drawn: Events) -> None:
    faulty, record = inflict(drawn.book_deltas, "crossed", np.random.default_rng(1), 0.05)
    found, clean = stats(faulty), stats(drawn.book_deltas)
    assert clean.crossed_s == 0
    assert found.crossed_s > 0
    assert found.gaps == 0  # the numbering does not tell
    lost = drawn.book_deltas.join(faulty, on=drawn.book_deltas.columns, how="anti", nulls_equal=True)
    assert (lost["size"] == 0).all()
    assert set(lost["seq"]) == set(record["seq"])


def test_late_messages_come_after_later_ones_and_say_when(drawn: Events) -> None:
    for frame in (drawn.trades, drawn.book_deltas):
        faulty, record = inflict(frame, "late", np.random.default_rng(1), 0.01)
        assert faulty["local_ns"].is_sorted()
        assert not faulty["ts_ns"].is_sorted()
        assert sorted(faulty["seq"]) == sorted(frame["seq"])
        moved = faulty.filter(pl.col("seq") < pl.col("seq").cum_max())
        assert set(moved["seq"]) <= set(record["seq"])
        assert len(set(record["seq"]) - set(moved["seq"])) <= 2  # overtaken by a snapshot of its number only
    assert stats(faulty).gaps > 0


def test_reordered_messages_swap_with_their_neighbours(drawn: Events) -> None:
    for frame in (drawn.trades, drawn.book_deltas):
        faulty, record = inflict(frame, "reordered", np.random.default_rng(1), 0.01)
        assert len(record) > 5
        assert not faulty["local_ns"].is_sorted()
        assert faulty.sort(frame.columns).equals(frame.sort(frame.columns))
    trades, record = inflict(drawn.trades, "reordered", np.random.default_rng(1), 0.01)
    seq = trades["seq"].to_numpy()
    assert set(seq[1:][np.diff(seq) == -1]) == set(record["seq"])


@pytest.mark.parametrize("fault", FAULTS)
def test_the_seed_is_the_fault_and_the_clean_frame_stays(drawn: Events, fault: str) -> None:
    before = drawn.book_deltas.clone()
    first, again, other = (inflict(drawn.book_deltas, fault, np.random.default_rng(s))[0] for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert not first.equals(drawn.book_deltas)
    assert drawn.book_deltas.equals(before)


def test_trades_cannot_be_crossed(drawn: Events) -> None:
    same, record = inflict(drawn.trades, "crossed", np.random.default_rng(1))
    assert same.equals(drawn.trades)
    assert record.is_empty()


def test_a_fault_that_cannot_be_is_refused(drawn: Events) -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(SettingError, match="unknown fault 'fire'; known: crossed, duplicates, gaps"):
        inflict(drawn.trades, "fire", rng)
    with pytest.raises(SettingError, match="a share of 0"):
        inflict(drawn.trades, "gaps", rng, 0.0)
    with pytest.raises(SettingError, match="no message that gaps could hit"):
        inflict(drawn.trades[:1], "gaps", rng)
