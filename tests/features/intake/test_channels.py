"""Channels that say the same, and trades that are told again."""

from features.intake.channels import WINDOW, FirstChannel, PastTrades


def test_each_channel_that_is_left_out_is_told_once() -> None:
    books = FirstChannel("books")
    assert [books.keeps("ABC", channel) for channel in ("50", "500", "500", "1000", "50")] == [
        True, False, False, False, True,
    ]  # fmt: skip
    assert [note.text for note in books.notes()] == ["ABC: of several books 50 is kept and 500, 1000 left out"]


def test_a_late_trade_is_new_but_not_in_a_list_of_past_ones() -> None:
    trades = PastTrades()
    assert trades.is_new("ABC", 9)
    assert not trades.is_new("ABC", 8, past=True)
    assert trades.is_new("ABC", 8)
    assert trades.is_new("XYZ", 8, past=True)


def test_trades_of_one_time_are_told_apart_by_their_names() -> None:
    trades = PastTrades()
    assert [trades.is_new("ABC", 5, name) for name in ("a", "b", "a", "", "")] == [True, True, False, True, True]
    assert [trades.is_new("ABC", 5, name, past=True) for name in ("b", "c", "")] == [False, True, False]


def test_only_the_latest_names_are_held() -> None:
    trades = PastTrades()
    assert all(trades.is_new("ABC", number) for number in range(WINDOW + 1))
    assert trades.is_new("ABC", 0)
    assert not trades.is_new("ABC", WINDOW)
