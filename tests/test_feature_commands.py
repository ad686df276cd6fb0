"""``margincast features`` from the outside: what is printed, what is kept, and how a fault ends."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import reference
from features.families import BOOK_FAMILIES_OF_N, CROSS_FAMILIES, FAMILIES
from features.pipeline import compute_panel, load_panel
from features.sources import sample
from features.spec import FeatureSpec
from features.specs import names
from features.store import Series, Store
from tests.running import Run, runner

T_S = 1_700_000_040  # a whole minute
HOURLY = 'bar_s = 900\nhorizons_s = [3600]\nfeatures = ["log_rv_4h", "log_bv_24h", "weekend"]\n'
LED = 'bar_s = 900\nhorizons_s = [3600]\nfeatures = ["BTCUSDT.beta_24h", "BTCUSDT.correlation_24h", "log_return_4h"]\n'
SECONDS = (
    'bar_s = 1\nevery_s = 1\nhorizons_s = [2]\nprice = "mid"\ndepth = 2\n'
    'features = ["imbalance_1_1s", "log_spread_1s", "signed_2s", "log_return_1s"]\n'
)
UNTIL_S = 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.fixture
def bars(tmp_path: Path) -> pd.DataFrame:
    """Three days of the sample, stored; beside them OTHER, the price squared: returns twice as large."""
    frame = sample.read().head(3 * 96)
    Store(tmp_path / "data").write(sample.SERIES, frame)
    prices = ["open", "high", "low", "close"]
    squared = frame.assign(**{name: np.square(frame[name]) for name in prices})
    Store(tmp_path / "data").write(Series("binance-spot", "OTHER", 900), squared)
    return frame


def spec_file(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text)
    return name


def panels(folder: Path) -> dict[str, Path]:
    """The folders of panels by instrument."""
    return {path.name.split("-")[1]: path for path in sorted(folder.iterdir()) if path.is_dir()}


def stamps(folder: Path) -> dict[str, int]:
    """When each file was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def import_seconds(folder: Path, run: Run) -> None:
    """A book whose best bid doubles after three seconds and whose ask moves up after five; a buy and a sell."""
    levels = [
        f"{T_S}000,true,bid,100,1", f"{T_S}000,true,bid,99,4", f"{T_S}000,true,ask,101,3", f"{T_S}000,true,ask,102,3",
        f"{T_S + 3}500,false,bid,100,2", f"{T_S + 5}500,false,ask,101,0", f"{T_S + UNTIL_S}000,false,bid,99,5",
    ]  # fmt: skip
    (folder / "book.csv").write_text("\n".join(["ts_ms,is_snapshot,side,price,size", *levels]) + "\n")
    trades = [f"{T_S + 1}200,1,101,3,buy", f"{T_S + 1}700,2,100,1,sell", f"{T_S + UNTIL_S}000,3,100,1,sell"]
    (folder / "trades.csv").write_text("\n".join(["ts_ms,trade_id,price,size,side", *trades]) + "\n")
    for name in ("book.csv", "trades.csv"):
        assert run("data", "import", "table", name, "--venue", "v", "--symbol", "A").code == 0


def test_bars_become_a_panel_that_is_not_made_twice(tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    name = spec_file(tmp_path, HOURLY)
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", name)
    assert (done.code, done.err) == (0, "")
    spec = FeatureSpec.from_toml(tmp_path / name)
    panel = load_panel(panels(tmp_path / "panels")["BTCUSDT"])
    (row,) = [line.split() for line in done.out.splitlines() if line.split()[:1] == ["BTCUSDT"]]
    assert row[:2] == ["BTCUSDT", str(len(panel))]
    assert row[2:] == ["2020-01-02", "01:00", "2020-01-04", "00:00", "100.00", "0.00"]
    assert f"spec {spec.hash[:12]}, 3 features, purge 3600 s, panels in panels" in done.out
    np.testing.assert_array_equal(panel.values, compute_panel(bars, "BTCUSDT", spec).values)
    before = stamps(tmp_path / "panels")
    again = run("features", "build", "--symbol", "BTCUSDT", "--spec", name)
    assert again == done
    assert stamps(tmp_path / "panels") == before


def test_other_data_and_other_specs_get_panels_of_their_own(tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    one, two = spec_file(tmp_path, HOURLY), spec_file(tmp_path, HOURLY.replace("4h", "8h"), "other.toml")
    for name in (one, two):
        assert run("features", "build", "--symbol", "BTCUSDT", "--spec", name).code == 0
    assert len(list((tmp_path / "panels").glob("panel-*.sha256"))) == 2
    Store(tmp_path / "data").write(sample.SERIES, sample.read().iloc[len(bars) : len(bars) + 4])
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", one)
    assert "2020-01-04 01:00" in done.out
    assert len(list((tmp_path / "panels").glob("panel-*.sha256"))) == 3


def test_an_instrument_follows_its_leader(tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    del bars
    name = spec_file(tmp_path, LED)
    done = run("features", "build", "--symbol", "OTHER", "--symbol", "BTCUSDT", "--symbol", "OTHER", "--spec", name)
    assert done.code == 0
    found = {symbol: load_panel(path) for symbol, path in panels(tmp_path / "panels").items()}
    assert set(found) == {"OTHER", "BTCUSDT"}
    for symbol, beta in (("OTHER", 2.0), ("BTCUSDT", 1.0)):
        np.testing.assert_allclose(found[symbol].column("BTCUSDT.beta_24h"), beta, rtol=1e-6)
        np.testing.assert_allclose(found[symbol].column("BTCUSDT.correlation_24h"), 1.0, rtol=1e-6)
    leads = found["BTCUSDT"].column("log_return_4h")
    np.testing.assert_allclose(found["OTHER"].column("log_return_4h"), 2 * leads, rtol=1e-5, atol=1e-9)
    alone = run("features", "build", "--symbol", "OTHER", "--spec", name, "--out", "alone")
    assert alone.code == 0
    np.testing.assert_array_equal(load_panel(panels(tmp_path / "alone")["OTHER"]).values, found["OTHER"].values)


def test_imported_books_and_trades_become_rows_of_a_second(tmp_path: Path, run: Run) -> None:
    import_seconds(tmp_path, run)
    done = run("features", "build", "--symbol", "A", "--spec", spec_file(tmp_path, SECONDS), "--venue", "v")
    assert (done.code, done.err) == (0, "")
    panel = load_panel(panels(tmp_path / "panels")["A"])
    row = {int(t) // 10**9 - T_S: i for i, t in enumerate(panel.origin_ns)}
    imbalance, log_spread, signed, log_return = (panel.column(name) for name in panel.spec.features)
    assert min(row) == 3  # two seconds and the price before them
    assert imbalance[[row[3], row[4], row[5]]] == pytest.approx([(1 - 3) / 4, (2 - 3) / 5, (2 - 3) / 5])
    assert imbalance[row[6]] == pytest.approx((2 - 3) / 5)  # the ask of 102 has the size of the one of 101
    assert np.exp(log_spread[[row[5], row[6]]]) == pytest.approx([1 / 100.5, 2 / 101], rel=1e-6)
    assert log_return[[row[5], row[6]]] == pytest.approx([0, np.log(101 / 100.5)], abs=1e-8)
    assert signed[row[3]] == pytest.approx((3 - 1) / 4)
    assert np.isnan(signed[row[5]])  # no trade in the two seconds before
    assert panel.blind[row[5]]
    assert not panel.blind[row[3]]
    assert panel.targets.log_return[row[4], 0] == pytest.approx(np.log(101 / 100.5))


def test_a_synthetic_market_becomes_a_panel_of_its_book(run: Run, tmp_path: Path) -> None:
    assert run("data", "synthetic", "--hours", "1", "--symbols", "1").code == 0
    done = run("features", "build", "--symbol", "BTC-SYN", "--spec", "book", "--store", "data", "--out", "p")
    assert done.code == 0
    (folder,) = [path for path in (tmp_path / "p").iterdir() if path.is_dir()]
    panel = load_panel(folder)
    assert 3_000 < len(panel) <= 3_600
    assert panel.known.mean() > 0.99
    assert ((panel.column("imbalance_5_60s") >= -1) & (panel.column("imbalance_5_60s") <= 1)).all()


FAULTS: dict[tuple[str, ...], str] = {
    ("BTCUSDT", "bars = 900"): "mine.toml: feature spec: unknown key bars; known: bar_s, depth",
    ("BTCUSDT", "bar_s = 900.0"): "mine.toml: feature spec: bar_s = 900.0; write it like 900",
    ("BTCUSDT", "bar_s ="): "mine.toml: is no TOML",
    ("BTCUSDT", 'features = ["gossip_4h"]'): "unknown feature family 'gossip'; known: ",
    ("BTCUSDT", 'features = ["log_rv"]'): "'log_rv' has no look-back; write for example log_rv_24h",
    ("BTCUSDT", 'features = ["log_rv_20m"]'): "no whole number of rows of 900 s; change the look-back",
    ("BTCUSDT", 'features = ["weekend_4h"]'): "takes no look-back; write weekend",
    ("BTCUSDT", 'features = ["beta_4h"]'): "needs a leading instrument; write for example BTCUSDT.beta_24h",
    ("BTCUSDT", 'features = ["ofi_4h"]'): "needs a number of levels",
    ("BTCUSDT", 'features = ["log_rv_168h"]'): "do not cover the longest look-back of 7 days and a row before it; give",
    ("OTHER", 'features = ["DOGE.log_rv_4h"]'): "data holds nothing of DOGE; it has binance-spot/BTCUSDT",
    (
        "BTCUSDT",
        'bar_s = 300\nfeatures = ["log_rv_4h"]',
    ): "bars of 900 s, but the feature spec is for 300 s",
    ("SOLUSDT", 'features = ["log_rv_4h"]'): "data holds nothing of SOLUSDT; it has binance-spot/BTCUSDT",
    ("BTCUSDT", "horizons_s = [1000]"): "horizon 1000 s is no positive multiple of the 3600 s between origins; choose",
    ("BTCUSDT", 'price = "last"'): "price 'last'; choose trade or mid",
    ("BTCUSDT", "every_s = 1000"): "do not divide the 1000 s between origins; choose bars that do",
}


@pytest.mark.parametrize("case", FAULTS, ids=" ".join)
def test_a_fault_ends_with_code_2_and_one_line(
    case: tuple[str, str], tmp_path: Path, bars: pd.DataFrame, run: Run
) -> None:
    del bars
    symbol, text = case
    done = run("features", "build", "--symbol", symbol, "--spec", spec_file(tmp_path, text + "\n"))
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert FAULTS[case] in done.err
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.out + done.err
    assert not list(tmp_path.rglob("panel-*"))


def test_a_venue_must_be_chosen_and_a_spec_be_there(tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    Store(tmp_path / "data").write(Series("elsewhere", "BTCUSDT", 900), bars)
    name = spec_file(tmp_path, HOURLY)
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", name)
    assert done.code == 2
    assert "BTCUSDT: binance-spot, elsewhere have it; choose one with --venue" in done.err
    assert run("features", "build", "--symbol", "BTCUSDT", "--spec", name, "--venue", "elsewhere").code == 0
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", "hourly")
    assert done.code == 2
    assert f"hourly: no such feature spec; give a TOML file, or one of {', '.join(names())}" in done.err
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", name, "--store", "none")
    assert done.code == 2
    assert "none" in done.err
    assert not (tmp_path / "none").exists()


def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, bars: pd.DataFrame, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bars
    name = spec_file(tmp_path, HOURLY)
    saved: list[Path] = []

    def fails(path: Path, *_: object, **__: object) -> None:
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", fails)
        done = run("features", "build", "--symbol", "BTCUSDT", "--spec", name)
    assert done.code == 2
    assert "No space left on device" in done.err
    assert saved
    assert {path.name for path in (tmp_path / "panels").iterdir()} <= {".lock"}
    assert run("features", "build", "--symbol", "BTCUSDT", "--spec", name).code == 0


def test_what_is_never_known_is_named(tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    """Bars that do not tell what buyers bought have no signed volume."""
    for symbol, share in (("UNTOLD", np.nan), ("TOLD", 0.75)):
        Store(tmp_path / "data").write(Series("v", symbol, 900), bars.assign(buy_volume=share * bars["volume"]))
    name = spec_file(tmp_path, HOURLY.replace("weekend", "signed_4h"))
    done = run("features", "build", "--symbol", "UNTOLD", "--symbol", "TOLD", "--spec", name)
    assert done.code == 0
    assert "UNTOLD: never known: signed_4h\n" in done.out
    assert "UNTOLD: at no origin is everything known; leave out what is not, or import what it needs" in done.out
    assert "\nTOLD: of v bars_900s\nspec" in done.out
    found = {symbol: load_panel(path) for symbol, path in panels(tmp_path / "panels").items()}
    assert found["UNTOLD"].known.all(axis=0).tolist() == [True, True, False]
    assert found["UNTOLD"].blind.all()
    assert found["TOLD"].column("signed_4h") == pytest.approx(2 * 0.75 - 1)


@pytest.mark.parametrize("harm", ["a byte", "a file less", "no seal", "a file more"])
def test_a_damaged_panel_is_made_again(harm: str, tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    del bars
    name = spec_file(tmp_path, HOURLY)
    assert run("features", "build", "--symbol", "BTCUSDT", "--spec", name).code == 0
    folder = panels(tmp_path / "panels")["BTCUSDT"]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    values = folder / "values.npy"
    if harm == "a byte":
        values.write_bytes(files["values.npy"][:-1] + bytes([files["values.npy"][-1] ^ 1]))
    elif harm == "a file less":
        values.unlink()
    elif harm == "a file more":
        (folder / "blind2.npy").write_bytes(b"")
    else:
        folder.with_name(f"{folder.name}.sha256").unlink()
    assert run("features", "build", "--symbol", "BTCUSDT", "--spec", name).code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


@pytest.mark.parametrize("name", ["p[red]", "[/x]", "a b"])
def test_the_folder_is_called_by_its_name(name: str, tmp_path: Path, bars: pd.DataFrame, run: Run) -> None:
    del bars
    done = run("features", "build", "--symbol", "BTCUSDT", "--spec", spec_file(tmp_path, HOURLY), "--out", name)
    assert done.code == 0
    assert f"panels in {name}\n" in done.out
    assert (tmp_path / name).is_dir()


def test_list_prints_every_family_with_its_formula(run: Run) -> None:
    done = run("features", "list")
    assert (done.code, done.err) == (0, "")
    printed = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    shown = {row[0]: row for rows in reference.entries().values() for row in rows}
    for stem, family in FAMILIES.items():
        name = f"{stem}_…" if family.looks_back else stem
        assert name in printed
        assert shown[name][1:] == (family.formula, family.unit, family.cost)
    assert {f"LEADER.{stem}_…" for stem in CROSS_FAMILIES} <= set(printed)
    assert {f"{stem}_N_…" for stem in BOOK_FAMILIES_OF_N} <= set(printed)
    for name, formula, unit, _ in shown.values():
        assert formula.split()[0] in printed[name]
        assert unit.split()[0] in done.out


def test_list_gives_the_reference_as_markdown(run: Run) -> None:
    done = run("features", "list", "--markdown")
    assert (done.code, done.out) == (0, reference.markdown())


@pytest.mark.parametrize("command", ["build", "list"])
def test_help_has_an_example(command: str, run: Run) -> None:
    done = run("features", command, "--help")
    assert done.code == 0
    assert "Example" in done.out
    assert f"margincast features {command}" in done.out


@pytest.mark.parametrize(
    "arguments", [("build",), ("build", "--symbol", "A"), ("build", "--spec", "book"), ("list", "x"), ("dance",)]
)
def test_a_wrong_call_ends_with_code_2_and_says_how(arguments: tuple[str, ...], run: Run) -> None:
    done = run("features", *arguments)
    assert done.code == 2
    assert "Usage: " in done.err
    assert "Traceback" not in done.err
