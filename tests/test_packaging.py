"""The top-level folders are import packages: nobody else may claim their names, and the wheel must hold them all."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("features", "models", "training", "serving", "backtests", "margincast")
LAYERS = {  # who may import whom
    "features": set(),
    "models": {"features"},
    "training": {"features", "models"},
    "serving": {"features", "models"},
    "backtests": {"features", "models", "training", "serving"},
}


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_claims_our_names(name: str) -> None:
    owners = set(packages_distributions().get(name, ["margincast"]))
    assert owners == {"margincast"}, f"{name} is also installed by {owners - {'margincast'}}; uninstall it"


@pytest.mark.parametrize("name", NAMES)
def test_our_names_come_from_here(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}; print({name}.__file__)"],
        cwd="/", capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert Path(done.stdout.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize("package", sorted(LAYERS))
def test_no_room_imports_the_command_line_or_a_room_above(package: str) -> None:
    """The command line is no package, which import-linter cannot see; this can."""
    forbidden = set(NAMES) - LAYERS[package] - {package}
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in found} & forbidden, path


def test_the_wheel_holds_every_package_the_sample_and_the_licences(tmp_path: Path) -> None:
    build = (
        "import sys; from hatchling.builders.wheel import WheelBuilder; "
        "print(next(WheelBuilder(sys.argv[1]).build(directory=sys.argv[2])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", build, str(ROOT), str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    names = set(zipfile.ZipFile(done.stdout.strip()).namelist())
    assert "margincast.py" in names
    for package in NAMES[:-1]:
        own = {str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*") if p.suffix in {".py", ".toml"}}
        assert own <= names
    sample = "features/sources/sample/"
    assert {f"{sample}{n}" for n in ("btcusdt_15m_2020_2022.parquet", "LICENSE", "NOTICE", "DATA_CARD.md")} <= names
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert not any(n.startswith(("tests/", "mlruns/", "demo/")) for n in names)


def test_only_the_sample_is_data() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    heavy = [f for f in tracked.stdout.split() if (ROOT / f).is_file() and (ROOT / f).stat().st_size > 1_000_000]
    assert heavy == ["features/sources/sample/btcusdt_15m_2020_2022.parquet"]


def test_every_dependency_is_pinned_and_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {w.split(">=")[0].lower() for w in wanted} <= pinned
    modules = {"scikit-learn": "sklearn", "array-api-compat": "array_api_compat"}
    sources = "\n".join(p.read_text() for n in LAYERS for p in (ROOT / n).rglob("*.py"))
    sources += (ROOT / "margincast.py").read_text()
    for dependency in project["dependencies"]:
        name = dependency.split(">=")[0]
        assert f"import {modules.get(name, name)}" in sources or f"from {modules.get(name, name)}" in sources, name
