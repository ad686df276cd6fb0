"""A synthetic market in a store: the command, what it writes, what comes out again, and what it refuses."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import margincast
from features.book import BookBuilder
from features.clock import DAY_S
from features.errors import SettingError
from features.files import sha256_of_file
from features.sources.synthetic import LEVELS, MarketSpec, Oracle, draw_events, simulate
from features.sources.synthetic.plan import Plan, plan_of
from features.sources.synthetic.writing import HORIZONS_S, truth_table, write_market
from features.store import Store
from features.tape import Stream, Tape

ONE = MarketSpec().first(1)


def silent(_what: str) -> None:
    """Show no progress."""


def scanned(store: Path, kind: str) -> pl.DataFrame:
    return pl.concat(Tape(store).scan(Stream("synthetic", "BTC-SYN", kind)))


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["margincast", "data", "synthetic", *arguments])
    with pytest.raises(SystemExit) as ended:
        margincast.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_command_writes_events_bars_and_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, truth = tmp_path / "store", tmp_path / "truth.parquet"
    options = ("--store", str(store), "--seed", "7", "--hours", "1", "--symbols", "2", "--truth", str(truth))
    code, out, _ = call(monkeypatch, capsys, *options)
    assert code == 0
    assert "kind=book_deltas/venue=synthetic/symbol=ETH-SYN" in out
    assert "true law in" in out
    assert {(s.symbol, s.kind) for s in Tape(store).streams()} == {
        (symbol, kind) for symbol in ("BTC-SYN", "ETH-SYN") for kind in ("trades", "book_deltas")
    }
    bars = Store(store).scan(Store(store).find("ETH-SYN"))
    trades = pl.concat(Tape(store).scan(Stream("synthetic", "ETH-SYN", "trades")))
    assert len(bars) == 4
    assert bars["volume"].sum() == pytest.approx(trades["size"].sum())
    builder = BookBuilder(depth=1)
    builder.deltas(scanned(store, "book_deltas"))
    assert (builder.stats.gaps, builder.stats.crossed_s, builder.stats.stale_rows) == (0, 0, 0)
    told = pl.read_parquet(truth)
    assert told.columns[:6] == ["symbol", "origin_ms", "horizon_s", "log_return", "mean", "variance"]
    assert len(told) == 2 * 5 * 4
    before = {p: sha256_of_file(p) for p in store.rglob("*.parquet")}
    assert call(monkeypatch, capsys, *options)[0] == 0  # once more: the same market, the same files
    assert {p: sha256_of_file(p) for p in store.rglob("*.parquet")} == before
    for other in (("--seed", "8"), ("--seed", "7", "--bars-only")):
        code, _, told_wrong = call(monkeypatch, capsys, "--store", str(store), "--hours", "1", *other)
        assert code != 0
        assert "holds another synthetic market; choose another --store" in " ".join(told_wrong.split())
    assert {p: sha256_of_file(p) for p in store.rglob("*.parquet")} == before


def test_what_is_stored_is_what_was_drawn(tmp_path: Path) -> None:
    plan = Plan(ONE, 3, 900)
    latent, (rng,) = plan.draw()
    drawn = draw_events(latent, "BTC-SYN", rng)
    write_market(plan, tmp_path, None, silent)
    assert scanned(tmp_path, "trades").equals(drawn.trades)
    assert scanned(tmp_path, "book_deltas").equals(drawn.book_deltas)


def test_faults_pass_the_door_as_those_of_a_vendor_would(tmp_path: Path) -> None:
    """Gaps stay in the book and are met by who replays it; repetitions and what comes too late are set aside."""
    for faults in (("gaps",), ("duplicates", "late")):
        written = write_market(Plan(ONE, 3, 1_800, faults=faults), tmp_path / faults[0], None, silent)
        trades, book, bars = written
        builder = BookBuilder(depth=1)
        builder.deltas(scanned(tmp_path / faults[0], "book_deltas"))
        assert builder.stats.gaps > 0
        assert (trades.set_aside > 0) == (book.set_aside > 0) == ("duplicates" in faults)
        assert bars.rows == 2
        assert min(trades.hit, book.hit) > 0
        assert bars.hit == 0


def test_a_long_history_is_bars_alone(tmp_path: Path) -> None:
    plan = Plan(ONE, 5, 30 * DAY_S, bars_only=True, bar_s=300)
    (written,) = write_market(plan, tmp_path, None, silent)
    assert written.rows == 30 * 288
    frame = Store(tmp_path).scan(Store(tmp_path).find("BTC-SYN"))
    np.testing.assert_allclose(np.log(frame["close"]), plan.draw()[0].log_price[0, 10::10], rtol=1e-12)
    assert Tape(tmp_path).streams() == []


def test_the_truth_is_the_oracles(tmp_path: Path) -> None:
    path = simulate(MarketSpec(), 0, 2.0 * DAY_S, 60.0, np.random.default_rng(1))
    table = truth_table(path, 3_600)
    law = Oracle(path.spec).forecast(path, "ETH-SYN", np.array([60, 120]), HORIZONS_S)
    mine = table.filter((pl.col("symbol") == "ETH-SYN") & pl.col("origin_ms").is_in([3_600_000, 7_200_000]))
    np.testing.assert_allclose(mine["variance"].to_numpy().reshape(2, 4), law.variance, rtol=1e-12)
    for k, level in enumerate(LEVELS):
        np.testing.assert_allclose(mine[f"q_{level:g}"].to_numpy().reshape(2, 4), law.quantiles[:, :, k], rtol=1e-6)
        np.testing.assert_allclose(mine[f"es_{level:g}"].to_numpy().reshape(2, 4), law.shortfall[:, :, k], rtol=1e-6)
    came = path.log_price[1, 120] - path.log_price[1, 60]
    assert mine["log_return"][0] == pytest.approx(came)
    open_end = table.filter(pl.col("log_return").is_nan())
    assert open_end["origin_ms"].min() == (2 * DAY_S - DAY_S + 3_600) * 1_000  # the first whose day goes beyond the end


def test_a_market_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "market.toml").write_text("[[instruments]]\nsymbol = 'MINE'\nbeta = 0.5\n")
    options = ("--days", "2", "--bars-only", "--market", str(tmp_path / "market.toml"), "--symbols", "1")
    code, out, _ = call(monkeypatch, capsys, "--store", str(tmp_path / "store"), *options)
    assert code == 0
    assert "symbol=MINE  192 rows" in out


def test_a_plan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="are no whole bars of 900 s"):
        Plan(ONE, 1, 1_000)
    with pytest.raises(SettingError, match="add --bars-only"):
        Plan(ONE, 1, 4 * DAY_S)
    with pytest.raises(SettingError, match="unknown fault 'fire'"):
        plan_of(None, 1, 1, 1, None, "2024-01-01", 900, ("fire",), bars_only=False)
    with pytest.raises(SettingError, match="choose fewer"):
        plan_of(None, 4, 1, 1, None, "2024-01-01", 900, (), bars_only=False)
