"""The margin commands on the example files: tables, JSON, records that verify, one line and code 2 on errors."""

import json
import re
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import margincast
from serving.margin.objects import Account, MarginResult, MarketSnapshot
from serving.margin.objects.documents import read, write
from serving.margin.priced_market import price_market
from serving.margin.rules import RULES
from serving.margin.what_if import traded
from serving.margin_explanation import Explanation
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

EXAMPLES = Path(__file__).parents[3] / "docs" / "margin"
ACCOUNT, MARKET, FORECAST = (str(EXAMPLES / f"{name}.json") for name in ("account", "market", "forecast"))
INPUTS = ["--account", ACCOUNT, "--market", MARKET]
ALL = [*INPUTS, "--forecast", FORECAST]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run ``margincast margin ...`` here; its exit code and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["margincast", "margin", *words])
        with pytest.raises(SystemExit) as left:
            margincast.main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return command


def quoted(run: Any, *words: str) -> MarginResult:
    code, out, err = run("quote", *words, "--json")
    assert (code, err) == (0, "")
    return read(out, MarginResult, "printed")


def test_a_quote_as_a_table_and_as_json_says_the_same(run: Any) -> None:
    found = quoted(run, *ALL)
    code, out, _ = run("quote", *ALL)
    assert code == 0
    totals = re.search(r"total\s+([\d,.]+)\s+([\d,.]+)", out)
    assert totals is not None
    assert [Decimal(x.replace(",", "")) for x in totals.groups()] == [found.initial, found.maintenance]
    for c in found.components:
        assert re.search(rf"{c.name}\s+{c.initial:,}\s+{c.maintenance:,}", out)
    assert f"state: {found.levels.state}" in out
    assert set(found.hashes) == {"account", "market", "forecast", "policy"}
    assert all(re.fullmatch("[0-9a-f]{64}", sha) for sha in found.hashes.values())
    assert quoted(run, *ALL) == found


def test_a_quote_without_a_forecast_says_so_and_needs_no_less(run: Any) -> None:
    without = quoted(run, *INPUTS)
    assert without.initial >= quoted(run, *ALL).initial
    assert any("no forecast covers it" in note for note in without.notes)
    assert "note: BTC down: no forecast covers it" in run("quote", *INPUTS)[1]


def test_a_policy_and_a_rule_with_parameters_from_files(run: Any, tmp_path: Path) -> None:
    policy, parameters, account = (tmp_path / name for name in ("p.toml", "r.toml", "a.json"))
    policy.write_text('version = "mine"\n[scan]\nbuffer = 0.5\n')
    assert quoted(run, *ALL, "--policy", str(policy)).initial > quoted(run, *ALL).initial
    parameters.write_text('initial_rate = "0.5"\nmaintenance_rate = "0.25"\n')
    account.write_text(write(changed.holding(("BTC-PERP", 2))))
    words = ["--account", str(account), "--market", MARKET, "--rule", "fixed_rate", "--parameters", str(parameters)]
    found = quoted(run, *words)
    mark = changed.small_market().quotes["BTC-PERP"].mark
    assert found.rule == "fixed_rate"
    assert found.initial == (mark * Decimal("1.0001")).quantize(Decimal("0.01"), rounding="ROUND_CEILING")


def test_what_if_by_json_adds_up_to_fresh_quotes(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("what-if", *ALL, "--trade", "BTC-PERP=-0.5", "--trade", "ETH-PERP=10", "--json")
    lines = {line["name"]: line for line in json.loads(out)}
    assert code == 0
    for line in lines.values():
        assert Decimal(line["after"]) - Decimal(line["before"]) == Decimal(line["difference"])
    account = read(Path(ACCOUNT).read_bytes(), Account, "a")
    changed_file, trades = tmp_path / "b.json", {"BTC-PERP": Decimal("-0.5"), "ETH-PERP": Decimal(10)}
    changed_file.write_text(
        write(traded(account, trades, price_market(read(Path(MARKET).read_bytes(), MarketSnapshot, "m"))))
    )
    after = quoted(run, "--account", str(changed_file), "--market", MARKET, "--forecast", FORECAST)
    assert Decimal(lines["initial margin"]["before"]) == quoted(run, *ALL).initial
    assert Decimal(lines["initial margin"]["after"]) == after.initial
    assert Decimal(lines["maintenance margin"]["after"]) == after.maintenance
    code, out, _ = run("what-if", *ALL, "--trade", "BTC-PERP=-0.5")
    assert code == 0
    assert "initial margin" in out


def test_compare_lists_the_policy_and_every_rule(run: Any) -> None:
    code, out, _ = run("compare", *ALL, "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["policy", *RULES]
    for name, words in (("policy", ALL), ("span", [*INPUTS, "--rule", "span"])):
        whole = quoted(run, *words).whole  # with the isolated position
        assert (found[name]["initial"], found[name]["maintenance"]) == tuple(str(x) for x in whole)
    assert "BTC-27SEP24-70000-C" in found["binance"]["not_covered"]
    _, out, _ = run("compare", *ALL)
    assert all(name in out for name in found)


def test_explain_names_ranges_scenarios_and_positions(run: Any) -> None:
    code, out, _ = run("explain", *ALL)
    assert code == 0
    for said in ("scan ranges, %", "worst scenarios for initial margin", "initial margin by position and component"):
        assert said in out
    for symbol in ("BTC-PERP", "BTC-27SEP24-70000-C", "ETH-PERP", "SOL-PERP"):
        assert symbol in out


@pytest.mark.parametrize("words", [ALL, [*INPUTS, "--rule", "span"]])
def test_an_explanation_as_json_says_what_the_tables_say(run: Any, words: list[str]) -> None:
    _, printed, _ = run("explain", *words)
    code, out, _ = run("explain", *words, "--json")
    found = msgspec.json.decode(out, type=Explanation)
    assert code == 0
    assert found.result == quoted(run, *words)
    for one in found.ranges:
        assert f"{-100 * one.down_frac:.2f} / {100 * one.up_frac:+.2f}" in printed
    for worst in found.worst_scenarios:
        assert re.search(rf"{re.escape(worst.scenario)} .* {worst.loss_usd:,.2f}", printed)
    assert [one.underlying for one in found.liquidations] == ["BTC", "ETH", "SOL"]
    for price in (p for one in found.liquidations for p in (one.below, one.above) if p is not None):
        assert f"{price:,f}" in printed
    assert (found.challenger is None) == (not found.ranges) == ("--rule" in words)
    if found.challenger is not None:
        assert f"{found.challenger.sensitivity_usd:,.2f} by sensitivities" in printed


@pytest.mark.parametrize("rule", [None, "derive_portfolio", "span"])
def test_records_verify_and_a_tampered_one_does_not(run: Any, tmp_path: Path, rule: str | None) -> None:
    log, key = tmp_path / "log.jsonl", tmp_path / "k"
    assert run("keygen", "--out", str(key))[0] == 0
    private, public = tmp_path / "k.pem", next(p for p in tmp_path.glob("k*pub*"))
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    words = ALL if rule is None else [*INPUTS, "--rule", rule]
    for _ in range(2):
        code, out, err = run("quote", *words, "--json", "--record", str(log), "--key", str(private))
        assert code == 0
        assert err.startswith("record ")
        read(out, MarginResult, "printed")
    code, out, _ = run("verify", str(log), "--public-key", str(public))
    assert code == 0, out
    sound = log.read_text()
    initial = f"{quoted(run, *words).initial.normalize():f}"  # as it stands in the canonical text
    assert initial in sound
    lines = sound.splitlines(keepends=True)
    for edited in (sound.replace(initial, "1"), sound.replace(initial, "1", 1), lines[1] + lines[0], sound[:-20]):
        log.write_text(edited)
        code, out, err = run("verify", str(log), "--public-key", str(public))
        assert code in (1, 2)
        assert out + err
    log.write_text(sound.replace(initial, "1"))
    assert run("verify", str(log))[0] == 1


@pytest.mark.parametrize("name", ["account", "market", "forecast", "result"])
def test_schemas_are_printed(run: Any, name: str) -> None:
    code, out, _ = run("schema", name)
    assert code == 0
    assert json.loads(out)["$schema"].endswith("2020-12/schema")


def spoilt(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quote", "--account", "none.json", "--market", MARKET], "none.json: no such file"),
        (["quote", "--account", "{bad}", "--market", MARKET], "bad.json: not JSON"),
        (["quote", "--account", MARKET, "--market", MARKET], "market.json: .*account_id|unknown field"),
        (["quote", "--account", "{doge}", "--market", MARKET], "DOGE-PERP: the market snapshot has no such instrument"),
        (["quote", *INPUTS, "--rule", "spam"], "unknown rule 'spam'"),
        (["quote", *INPUTS, "--rule", "binance"], "does not cover"),
        (["quote", *INPUTS, "--policy", "{policy}"], "unknown field `spam`|no option 'spam'"),
        (["quote", *INPUTS, "--policy", "{bad}"], "not TOML"),
        (["quote", *INPUTS, "--rule", "span", "--policy", "{policy}"], "two ways to margin"),
        (["quote", *INPUTS, "--parameters", "{policy}"], "those of --rule"),
        (["quote", *INPUTS, "--key", "{bad}"], "--key signs the record of --record"),
        (["quote", *INPUTS, "--forecast", "{young}"], "younger than the market"),
        (["what-if", *INPUTS, "--trade", "BTC-PERP"], "INSTRUMENT=CONTRACTS"),
        (["what-if", *INPUTS, "--trade", "BTC-PERP=one"], "INSTRUMENT=CONTRACTS"),
        (["what-if", *INPUTS, "--trade", "=1"], "INSTRUMENT=CONTRACTS"),
        (["what-if", *INPUTS, "--trade", "BTC-PERP=NaN"], "'BTC-PERP=NaN': write INSTRUMENT=CONTRACTS"),
        (["what-if", *INPUTS, "--trade", "BTC-PERP=NaN", "--trade", "BTC-PERP=sNaN"], "BTC-PERP"),
        (["what-if", *INPUTS, "--trade", "SOL-PERP=10"], "trade in SOL-PERP: the account holds it isolated"),
        (["verify", "none.jsonl"], "none.jsonl"),
        (["schema", "spam"], "unknown document 'spam'; known: account, forecast, market, result"),
    ],
)
def test_an_error_is_one_line_and_code_2(run: Any, tmp_path: Path, words: list[str], said: str) -> None:
    late = markets.AS_OF_NS + 10**9
    young = Path(FORECAST).read_text().replace(f'"as_of_ns": {markets.AS_OF_NS - 60 * 10**9}', f'"as_of_ns": {late}')
    files = {
        "{bad}": spoilt(tmp_path, "bad.json", "{["),
        "{doge}": spoilt(tmp_path, "doge.json", write(changed.holding(("DOGE-PERP", 1)))),
        "{policy}": spoilt(tmp_path, "policy.toml", "[scenarios]\nspam = 1\n"),
        "{young}": spoilt(tmp_path, "young.json", young),
    }
    code, out, err = run(*(files.get(word, word) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert re.search(said, err)
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_failed_quote_writes_no_record(run: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    doge = spoilt(tmp_path, "doge.json", write(changed.holding(("DOGE-PERP", 1))))
    for words in (
        ["--account", doge, "--market", MARKET, "--record", str(log)],
        [*INPUTS, "--rule", "binance", "--record", str(log)],
        [*INPUTS, "--record", str(log), "--key", str(tmp_path / "none.pem")],
        [*INPUTS, "--record", str(log), "--key", doge],
    ):
        code, out, _ = run("quote", *words)
        assert (code, out) == (2, "")
        assert not log.exists() or log.read_bytes() == b""


def test_a_key_is_not_written_over(run: Any, tmp_path: Path) -> None:
    assert run("keygen", "--out", str(tmp_path / "k"))[0] == 0
    before = (tmp_path / "k.pem").read_bytes()
    code, _, err = run("keygen", "--out", str(tmp_path / "k"))
    assert code == 2
    assert err.count("\n") == 1
    assert (tmp_path / "k.pem").read_bytes() == before
