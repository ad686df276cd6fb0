"""The job on an order book: from a made-up recording in a tiny wheel to the page; nothing is fetched from a network."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import margincast
from backtests import book_wheel
from backtests.book_demo import run_book_demo
from backtests.book_margin import history
from backtests.book_plan import BookPlan, BookResult
from backtests.book_session import Session
from backtests.book_wheel import find_pip
from features.errors import DataError, DownloadError, FormatError, MissingFileError, ShortHistoryError
from features.pipeline import Progress, no_progress
from features.tape import Tape
from models.calibration import Calibration
from serving.margin.scan_policy import ScanPolicy
from tests.backtests.book_recordings import START_MS, record, session_of, wheel_of

PLAN = BookPlan(
    horizons_s=(20, 60),
    variance_features=("log_rv_10s", "log_rv_30s"),
    book_features=("log_spread_20s", "log_depth_5_20s", "imbalance_5_10s", "ofi_5_20s", "log_intensity_20s"),
    cost_feature="log_cost_10_20s",
    refit_s=20,
    calibration=Calibration(bias_rows=100, prior_rows=12),
    policy=ScanPolicy(mpor_s=60, liquidation_s=20, stressed_days_frac=0.2),
)
LENGTH_S = 480


def silent(_step: str) -> Progress:
    return no_progress


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    return wheel_of(record(LENGTH_S, seed=3), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def result(wheel: tuple[Path, Session], tmp_path_factory: pytest.TempPathFactory) -> BookResult:
    return run_book_demo(tmp_path_factory.mktemp("book"), silent, *wheel, PLAN)


def test_every_output_is_there_and_whole(result: BookResult) -> None:
    names = {p.name for p in result.out.iterdir()}
    assert names >= {"book.html", "book_scores.json", "book_forecasts.parquet", "book_margins.csv", "store", "cache"}
    assert not list(result.out.rglob("*.part"))
    scores = json.loads((result.out / "book_scores.json").read_text())["scores"]
    assert {(s["model"], s["horizon_s"]) for s in scores} == {
        (m, h) for m in ("har_book", "har", "ewma") for h in (20, 60)
    }
    assert all(0 < s["qlike"] < 5 for s in scores)
    margins = pl.read_csv(result.out / "book_margins.csv")
    assert (margins["im_long_usd"] >= margins["mm_long_usd"]).all()
    assert margins["im_short_usd"].is_between(0, 0.2 * margins["mark_price"]).all()
    assert len(margins) == len(result.walked.origin_ns) - result.walked.first


def test_the_mid_of_the_picture_and_the_outcomes_are_the_recorded_ones(result: BookResult) -> None:
    recorder = record(LENGTH_S, seed=3)
    ms, mid = (np.array(column) for column in zip((START_MS, 1000.5), *recorder.mid, strict=True))
    depth = result.depth
    before = np.searchsorted(ms * 1_000_000, depth.ts_ns, side="left") - 1  # an event at the instant comes after it
    np.testing.assert_array_equal(depth.mid, mid[before])
    panel = result.panel
    start = np.searchsorted(depth.ts_ns, panel.origin_ns)
    ended = np.isfinite(panel.targets.log_return[:, 1])
    rows = start[ended]
    np.testing.assert_allclose(
        panel.targets.log_return[ended, 1], np.log(depth.mid[rows + 12] / depth.mid[rows]), atol=1e-12
    )
    assert ended.sum() > 50


def test_the_sizes_of_the_last_picture_are_those_that_rest(result: BookResult) -> None:
    recorder = record(LENGTH_S, seed=3)
    cut_ns = int(result.depth.ts_ns[-1])
    assert cut_ns > START_MS * 1_000_000
    steps = int((cut_ns / 1e6 - START_MS) // 250) + 1
    there = record(steps * 0.25, seed=3)  # as many steps as had been made
    assert there.orders == recorder.orders[: len(there.orders)]
    edges = result.depth.edges
    expected = np.zeros(len(edges) - 1)
    for tick, (_, size) in there.resting.items():
        if edges[0] <= tick < edges[-1]:
            expected[np.searchsorted(edges, tick, side="right") - 1] += size
    np.testing.assert_allclose(result.depth.resting[-1], expected, atol=1e-9)
    assert (expected > 0).sum() > 3


def test_another_future_changes_nothing_before_it(result: BookResult, tmp_path: Path) -> None:
    """The recordings part within the test: forecasts, their tails and margins up to there are the same to the bit."""
    cut_s = 350
    other = run_book_demo(tmp_path / "o", silent, *wheel_of(record(LENGTH_S, 3, cut_s), tmp_path), PLAN)
    cut = int(np.searchsorted(result.walked.origin_ns, (START_MS + 1000 * cut_s) * 1_000_000))
    first = result.walked.first
    assert first + 5 < cut < len(result.walked.origin_ns) - 5
    for name, mine in result.walked.forecasts.items():
        theirs = other.walked.forecasts[name]
        for part in ("variance", "quantiles", "shortfall"):
            np.testing.assert_array_equal(getattr(mine, part)[:cut], getattr(theirs, part)[:cut])
        assert (mine.variance[cut + 2 :] != theirs.variance[cut + 2 :]).all()
        for side in ("long", "short"):
            margins = [r.schedules[name].sides[side].initial_frac for r in (result, other)]
            np.testing.assert_array_equal(margins[0][: cut - first], margins[1][: cut - first])
            assert (margins[0][cut - first + 2 :] != margins[1][cut - first + 2 :]).any()


def test_stress_and_floor_are_those_of_the_windows_that_had_ended(result: BookResult) -> None:
    panel, origin_ns = result.panel, result.walked.origin_ns
    found = history(origin_ns, panel, 60, "long", PLAN)
    for row in (0, 7, len(origin_ns) - 1):
        renewed_ns = int(origin_ns[row]) // 20_000_000_000 * 20_000_000_000
        ended = (panel.origin_ns + 60_000_000_000 <= renewed_ns) & np.isfinite(panel.targets.log_return[:, 1])
        loss = np.sort(1 - np.exp(panel.targets.log_return[ended, 1]))
        assert ended.sum() >= 12
        assert found.floor[row] == pytest.approx(max(0.0, np.quantile(loss, 0.99)), rel=1e-9)
        worst = loss[loss >= np.quantile(loss, 0.99)].mean()
        assert found.long_run[row] == pytest.approx(max(0.0, worst), rel=1e-9)
    assert (np.diff(found.floor) != 0).any()


def test_the_report_is_one_file_that_fetches_nothing(result: BookResult) -> None:
    page = result.report.read_text()
    assert page.count("<section>") == 7
    body = page[page.index("<body>") :]
    assert 'src="http' not in body
    assert "href=" not in body
    assert "<link" not in page[: page.index("<script>")]
    for words in ("What the book showed", "Forecasts over 20 s and 1 min", "no test of significance", "ofi_5_20s"):
        assert words in body


def test_a_second_run_re_uses_and_gives_the_same(result: BookResult, wheel: tuple[Path, Session]) -> None:
    again = run_book_demo(result.out, silent, *wheel, PLAN)
    assert again.re_used == ["store", "panel"]
    assert again.scores == result.scores
    next((result.out / "cache").glob("panel-*/values.npy")).write_bytes(b"xx")
    mended = run_book_demo(result.out, silent, *wheel, PLAN)
    assert mended.re_used == ["store"]
    assert mended.scores == result.scores


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch, wheel: tuple[Path, Session]) -> Path:
    """Let pip look for wheels in one folder of this machine and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel[0].parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return wheel[0].parent


def has_pip() -> bool:
    try:
        return bool(find_pip())
    except DownloadError:
        return False


needs_pip = pytest.mark.skipif(not has_pip(), reason="there is no pip here")


@needs_pip
def test_the_wheel_is_fetched_once_and_again_when_damaged(
    only_here: Path, wheel: tuple[Path, Session], tmp_path: Path
) -> None:
    pinned = wheel[1].wheel
    path, is_new = book_wheel.obtain(pinned, tmp_path)
    assert is_new
    assert path.read_bytes() == wheel[0].read_bytes()
    assert book_wheel.obtain(pinned, tmp_path) == (path, False)
    path.write_bytes(path.read_bytes()[:-1])
    assert book_wheel.obtain(pinned, tmp_path) == (path, True)
    assert path.read_bytes() == wheel[0].read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == [pinned.file]


@needs_pip
def test_a_wheel_of_other_bytes_is_refused(only_here: Path, wheel: tuple[Path, Session], tmp_path: Path) -> None:
    forged = book_wheel.PinnedWheel("tiny-book", "0.1", wheel[0].name, "0" * 64)
    with pytest.raises(
        DownloadError, match=r"cannot fetch it with its SHA-256 \(THESE PACKAGES DO NOT MATCH THE HASHES"
    ):
        book_wheel.obtain(forged, tmp_path / "d")
    absent = book_wheel.PinnedWheel("no-such-book", "0.1", "no_such_book-0.1-py3-none-any.whl", "0" * 64)
    with pytest.raises(DownloadError, match=r"No matching distribution found for no-such-book==0\.1"):
        book_wheel.obtain(absent, tmp_path / "d")
    assert not list(tmp_path.rglob("*.whl"))


def test_without_any_pip_a_copy_is_asked_for(
    wheel: tuple[Path, Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(DownloadError, match=r"no pip found .* name the file with --wheel"):
        run_book_demo(tmp_path / "out", silent, None, wheel[1], PLAN)
    assert not (tmp_path / "out").exists()
    assert book_wheel.obtain(wheel[1].wheel, tmp_path, wheel[0]) == (wheel[0], False)


def test_a_pip_of_another_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made without pip: the one that it was made from has it, or the path."""
    script = tmp_path / "python3"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(shutil, "which", lambda name: str(script) if name == "python3" else None)
    assert find_pip() == [str(script), "-m", "pip"]


def test_a_given_file_must_be_there_and_be_the_wheel(wheel: tuple[Path, Session], tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"gone\.whl: no such file"):
        run_book_demo(tmp_path / "out", silent, tmp_path / "gone.whl", wheel[1], PLAN)
    other = tmp_path / "other.whl"
    other.write_bytes(b"other")
    with pytest.raises(FormatError, match=r"other\.whl: is not tiny_book-0\.1"):
        run_book_demo(tmp_path / "out", silent, other, wheel[1], PLAN)
    assert not (tmp_path / "out").exists()


def test_damaged_wheels_are_named_and_leave_no_page(wheel: tuple[Path, Session], tmp_path: Path) -> None:
    damaged = tmp_path / wheel[0].name
    whole = wheel[0].read_bytes()
    for contents in (b"no archive", whole[: len(whole) // 2], whole[:200] + bytes(40) + whole[240:]):
        damaged.write_bytes(contents)
        with pytest.raises(FormatError, match="cannot be read as the wheel of the session"):
            run_book_demo(tmp_path / "out", silent, damaged, session_of(damaged), PLAN)
    path, session = wheel_of(record(20, 3), tmp_path / "w", members=("orders.csv.gz",))
    with pytest.raises(FormatError, match=r"trades\.csv"):
        run_book_demo(tmp_path / "out", silent, path, session, PLAN)
    assert not (tmp_path / "out" / "book.html").exists()
    assert Tape(tmp_path / "out" / "store").streams() == []


def test_orders_without_good_trades_are_not_stored(tmp_path: Path) -> None:
    broken = "trade_id,timestamp,exchange_timestamp,price,amount,buy_order_id,sell_order_id,side\n1,2,x,4,5,6,7,buy\n"
    path, session = wheel_of(record(20, 3), tmp_path / "w", trades=broken)
    with pytest.raises(DataError, match=r"trades\.csv: row 2"):
        run_book_demo(tmp_path / "out", silent, path, session, PLAN)
    assert Tape(tmp_path / "out" / "store").streams() == []
    assert not (tmp_path / "out" / "book.html").exists()


@pytest.mark.parametrize(("seconds", "words"), [(25, "do not cover|too short"), (200, "is too short")])
def test_a_session_too_short_is_told(seconds: int, words: str, tmp_path: Path) -> None:
    path, session = wheel_of(record(seconds, 3), tmp_path / "w")
    with pytest.raises(ShortHistoryError, match=words):
        run_book_demo(tmp_path / "out", silent, path, session, PLAN)
    assert not (tmp_path / "out" / "book.html").exists()


def test_the_command_line_prints_narrow_tables(
    wheel: tuple[Path, Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_book_demo
    monkeypatch.setattr("backtests.book_demo.run_book_demo", lambda out, bar, path: run(out, bar, path, wheel[1], PLAN))
    monkeypatch.setattr(
        sys, "argv", ["margincast", "demo", "--book", "--out", str(tmp_path / "o"), "--wheel", str(wheel[0])]
    )
    with pytest.raises(SystemExit, match="0"):
        margincast.main()
    printed = capsys.readouterr().out
    assert "har_book" in printed
    assert "breaches" in printed
    assert max(map(len, printed.replace(str(tmp_path), "").splitlines())) <= 80
    for words, text in ((["--wheel", "x"], "give both or none"), (["--book", "--symbol", "X"], "its own data")):
        monkeypatch.setattr(sys, "argv", ["margincast", "demo", *words])
        with pytest.raises(SystemExit, match="2"):
            margincast.main()
        assert text in capsys.readouterr().err
