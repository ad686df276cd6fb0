"""Every Python example of the documents runs and prints what they say; every command of theirs exists."""

import contextlib
import io
import re
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

import margincast
from features.importing import Request, import_file
from features.intake.batch import Options
from features.reference import markdown
from features.sources import SOURCES
from serving.margin.policy import MarginPolicy, policy_of

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
EXAMPLE = re.compile(r"```python\n(.*?)```\n\nprints\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_examples_print_what_the_page_says(page: Path) -> None:
    text = page.read_text()
    examples = EXAMPLE.findall(text)
    assert len(examples) == text.count("```python"), "a Python example without its output"
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), {})
        assert printed.getvalue().strip() == expected.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_options_exist(page: Path) -> None:
    commands = get_command(margincast.app).commands  # type: ignore[attr-defined]
    for name, rest in re.findall(r"^ *(?:\.venv/bin/)?margincast (\w+)(.*)$", page.read_text(), re.MULTILINE):
        command = commands[name].commands[rest.split()[0]] if name in ("data", "features", "margin") else commands[name]
        options = {option for p in command.params for option in p.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make (\w+)", (ROOT / "README.md").read_text())) <= targets


def test_the_reference_of_the_features_is_that_of_their_tables() -> None:
    _, told, _ = (ROOT / "docs/features.md").read_text().split("<!-- reference -->\n")
    assert told.strip() == markdown().strip(), "renew it with margincast features list --markdown"


def test_the_build_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/features.md").read_text()
    commands = re.findall(
        r"^margincast (.*?)(?: +#.*)?$", page.partition("```sh\n")[2].partition("```")[0], re.MULTILINE
    )
    expected = page.partition("```text\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    printed = ""
    for command in commands[:2]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["margincast", *command.split()])
        with pytest.raises(SystemExit) as ended:
            margincast.main()
        assert not ended.value.code
        printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if line.strip()] == [
        line.split() for line in expected.splitlines() if line.strip()
    ]


FILE = re.compile(r"```text\n# file=(\S+) source=(\S+)(?: venue=(\S+))?(?: symbol=(\S+))?\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    ("name", "source", "venue", "symbol", "text"),
    FILE.findall((ROOT / "docs/data.md").read_text()),
    ids=lambda value: value if len(value) < 60 else "text",
)
def test_example_files_of_the_formats_are_imported(
    name: str, source: str, venue: str, symbol: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    asked = Request(source, venue=venue or None, options=Options(symbol=symbol or None))
    assert import_file(tmp_path / name, tmp_path / "store", asked, lambda _: None).rows > 0


def test_every_source_has_its_example() -> None:
    shown = {source for _, source, *_ in FILE.findall((ROOT / "docs/data.md").read_text())}
    assert set(SOURCES) - shown <= {"freqtrade"}  # its files are no text


@pytest.mark.parametrize("command", ["quote", "explain"])
def test_the_margin_commands_print_what_the_page_says(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/margin.md").read_text()
    blocks = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    block = next(b for b in blocks if ("scan ranges" in b if command == "explain" else "account desk-7" in b))
    files = [x for name in ("account", "market", "forecast") for x in (f"--{name}", f"docs/margin/{name}.json")]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["margincast", "margin", command, *files])
    with pytest.raises(SystemExit):
        margincast.main()
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    for line in block.splitlines():
        assert line.rstrip() in printed or line.startswith("[..."), line


def test_the_example_policy_is_the_default_but_for_what_it_says() -> None:
    given = policy_of(tomllib.loads((ROOT / "docs/margin/policy.toml").read_text()))
    default = MarginPolicy()
    for field in msgspec.structs.fields(MarginPolicy):
        if field.name not in ("version", "announced_at", "effective_at", "approved_by", "scenarios"):
            assert getattr(given, field.name) == getattr(default, field.name), field.name
    assert msgspec.structs.replace(given.scenarios, hypothetical=()) == default.scenarios
