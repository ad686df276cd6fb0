import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import MarketError, MissingFileError, SchemaError, UnknownInstrumentError
from serving.margin.surface.problem import scaled_in_time
from serving.margin.surface.svi import RawSvi
from serving.option_chain import read_chain, snapshots
from serving.surface_report import write_surface_report

NOW = datetime(2024, 3, 1, 8, 0, tzinfo=UTC)
TRUE, FORWARD = RawSvi(a=0.008, b=0.08, rho=-0.3, m=0.02, sigma=0.15), 50_000.0
STRIKES = np.arange(30_000.0, 80_001.0, 2_500.0)


def rows_of(expiry: str, days: float, bid_share: float = 0.99) -> pl.DataFrame:
    vol = 100 * scaled_in_time(TRUE, days / 73).vol(np.log(STRIKES / FORWARD), days / 365)
    return pl.DataFrame(
        {
            "ts_ms_utc": int(NOW.timestamp() * 1000),
            "Expiry_Date": expiry,
            "Strike_Price": STRIKES,
            "Coin_Price": FORWARD,
            "bid_iv": bid_share * vol,
            "ask_iv": 1.01 * vol,
            "mark_iv": vol,
        }
    )


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "chain.parquet"
    parts = [rows_of("2024-03-08", 7), rows_of("2024-03-29", 28), rows_of("2024-02-28", 1), rows_of("2024-06-28", 119)]
    pl.concat(parts).write_parquet(path)
    return path


def test_a_chain_is_read_in_fractions_against_the_expirys_hour(chain: Path) -> None:
    now_ns, expiries = read_chain(chain)
    assert now_ns == int(NOW.timestamp()) * 1_000_000_000
    assert [e.name for e in expiries] == ["2024-03-08", "2024-03-29", "2024-06-28"]  # one has expired
    assert [round(e.years * 365, 9) for e in expiries] == [7.0, 28.0, 119.0]
    np.testing.assert_allclose(expiries[0].quotes.k, np.log(STRIKES / FORWARD))
    assert expiries[0].quotes.ask[0] == pytest.approx(1.01 * expiries[0].quotes.mark[0])
    assert 0.3 < expiries[0].quotes.mark.min() < 1.0
    assert snapshots(chain) == [now_ns // 1_000_000]


def test_the_page_stands_alone_and_the_file_holds_what_made_the_quotes(chain: Path, tmp_path: Path) -> None:
    page = write_surface_report(chain, tmp_path / "out")
    html = page.read_text()
    head, _, body = html.partition("</head>")
    assert "plotly" in head
    assert "src=" not in body
    assert body.count("plotly-graph-div") == 4
    assert "free of butterfly and calendar arbitrage: yes" in body
    found = json.loads((tmp_path / "out/surface.json").read_text())
    assert found["arbitrage_free"] is True
    assert [row["forward"] for row in found["smiles"]] == ["50000.00"] * 3
    k = np.log(STRIKES / FORWARD)
    for row, days in zip(found["smiles"], (7, 28, 119), strict=True):
        own = scaled_in_time(TRUE, days / 73)
        np.testing.assert_allclose(RawSvi(**row["svi"]).vol(k, days / 365), own.vol(k, days / 365), atol=2e-4)


def test_quotes_without_bids_are_told_on_the_page(chain: Path, tmp_path: Path) -> None:
    pl.concat([rows_of("2024-03-08", 7), rows_of("2024-03-29", 28, bid_share=0.0)]).write_parquet(chain)
    page = write_surface_report(chain, tmp_path / "out").read_text()
    assert "2024-03-29: 21 of 21 quotes have one side" in page


def test_files_that_are_no_chain_are_refused(chain: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no option chain"):
        read_chain(tmp_path / "nothing.parquet")
    with pytest.raises(UnknownInstrumentError, match="no snapshot 1; it has 0 to 0"):
        read_chain(chain, 1)
    pl.read_parquet(chain).drop("ask_iv", "bid_iv").write_parquet(chain)
    with pytest.raises(SchemaError, match="ask_iv, bid_iv"):
        read_chain(chain)


def test_a_chain_that_has_expired_has_no_surface(chain: Path, tmp_path: Path) -> None:
    rows_of("2024-02-28", 1).write_parquet(chain)
    with pytest.raises(MarketError, match="at least one"):
        write_surface_report(chain, tmp_path / "out")
