"""OKX sockets, by lines written by hand."""

from pathlib import Path

import pytest

from features.intake.batch import Note, Options
from features.sources import okx
from tests.reading import frames, rejected

RAW = Path(__file__).parents[4] / "shared/data/raw/cryptofeed_raw_ws/OKX.ws.1.0"
LINES = """\
wss://ws.okx.com:8443/ws/v5/public <- 1700000000.1: {"op":"subscribe","args":[]}
1700000000.2: {"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}
1700000000.3: {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["101.5","2","0","1"]],"bids":[["100","1.5","0","2"],["99.5","4","0","1"]],"ts":"1700000000250","checksum":7,"prevSeqId":-1,"seqId":40}]}
1700000000.4: {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["101.5","0","0","0"]],"bids":[],"ts":"1700000000350","checksum":8,"prevSeqId":40,"seqId":42}]}
1700000000.5: {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"9","px":"101.5","sz":"2","side":"buy","ts":"1700000000340"}]}
1700000000.6: {"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"fundingRate":"0.0001","fundingTime":"1700006400000","instId":"BTC-USDT-SWAP","nextFundingRate":"","ts":"1700000000590"}]}
1700000000.7: {"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","oi":"5000","oiCcy":"50","ts":"1700000000690"}]}
1700000000.8: {"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"instId":"BTC-USDT-SWAP","details":[{"bkPx":"99","side":"sell","sz":"3","ts":"1700000000790"}]}]}
1700000000.9: {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["101","2","0","1"]],"bids":[["100","1","0","1"]],"ts":"1700000000890","seqId":50}]}
1700000001.0: {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"10","px":"101.5","side":"buy","ts":"1700000000340"}]}
"""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "OKX.ws"
    path.write_text(LINES)
    return path


def test_every_channel_becomes_its_table(capture: Path) -> None:
    tables = frames(okx.read, capture)
    book = tables["book_deltas"]
    assert book["flags"].to_list() == [3, 1, 1, 0]
    assert book["side"].to_list() == [1, 1, -1, -1]
    assert book["price"].to_list() == [100.0, 99.5, 101.5, 101.5]
    assert book["size"].to_list() == [1.5, 4.0, 2.0, 0.0]
    assert book["seq"].to_list() == [40, 40, 40, 42]
    assert book["prev_seq"].to_list() == [-1, -1, -1, 40]
    assert book["ts_ns"][0] == 1_700_000_000_250_000_000
    assert book["local_ns"][0] == 1_700_000_000_300_000_000
    assert tables["trades"].select("row", "seq", "side", "price", "size").rows() == [(5, 9, 1, 101.5, 2.0)]
    assert tables["funding"].select("rate", "funding_ns").rows() == [(0.0001, 1_700_006_400_000_000_000)]
    assert tables["open_interest"]["open_interest"].to_list() == [5000.0]
    assert tables["liquidations"].select("side", "price", "size").rows() == [(-1, 99.0, 3.0)]
    assert tables["book_snapshots_1"].select("bid_px_0", "ask_px_0", "seq").rows() == [(100.0, 101.0, 50)]


def test_a_message_without_a_field_is_told_with_its_line(capture: Path) -> None:
    (fault,) = rejected(okx.read, capture)
    assert fault.row == 10
    assert "'sz'" in fault.reason


def test_of_several_channels_of_a_book_or_of_trades_the_first_is_kept(tmp_path: Path) -> None:
    _, _, book, _, trade, *_ = LINES.splitlines()
    path = tmp_path / "OKX.ws"
    fast, each = book.replace('"books"', '"books-l2-tbt"'), trade.replace('"trades"', '"trades-all"')
    path.write_text("\n".join([book, fast, trade, each.replace('"9"', '"8"')]))
    tables = frames(okx.read, path)
    assert tables["book_deltas"]["row"].unique().to_list() == [1]
    assert tables["trades"]["row"].to_list() == [3]
    assert [item.text for item in okx.read(path, Options()) if isinstance(item, Note)] == [
        "BTC-USDT: of several books books is kept and books-l2-tbt left out",
        "BTC-USDT: of several channels of trades trades is kept and trades-all left out",
    ]


def test_a_trade_that_a_new_connection_repeats_is_told_once(tmp_path: Path) -> None:
    trade = LINES.splitlines()[4]
    path = tmp_path / "OKX.ws"
    path.write_text("\n".join([trade, trade, trade.replace('"9"', '"11"')]))
    assert frames(okx.read, path)["trades"].select("row", "seq").rows() == [(1, 9), (3, 11)]


@pytest.mark.skipif(not RAW.exists(), reason="the raw vendor files are not here")
def test_the_real_capture_gives_every_trade_and_level() -> None:
    tables = frames(okx.read, RAW)
    text = RAW.read_text()
    assert len(tables["trades"]) == text.count('"tradeId"')
    assert tables["book_deltas"]["flags"].eq(3).sum() == text.count('"action":"snapshot"')
    assert not rejected(okx.read, RAW)
