"""The hash of the code covers what Python loads for the engine, and nothing of the machine."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from serving import audit_code
from serving.audit_code import code_now, margin_sources

ROOT = Path(__file__).parents[4]
LOADED = """
import importlib, sys
from pathlib import Path

for source in sorted(Path("serving/margin").rglob("*.py")):
    importlib.import_module(".".join(source.with_suffix("").parts).removesuffix(".__init__"))
rooms = ("features", "models", "training", "serving", "backtests")
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(*(name for name, file in files.items() if file and name.split(".")[0] in rooms))
"""


def test_every_module_that_is_loaded_is_hashed() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, timeout=120, check=True, capture_output=True, text=True
    )
    loaded = set(told.stdout.split())
    assert {"features.errors", "serving.margin.audit.record"} <= loaded
    assert loaded <= set(margin_sources())


def test_nothing_of_files_downloads_or_training_is_reached() -> None:
    rooms = {name.split(".")[0] for name in margin_sources()}
    assert rooms == {"features", "serving"}
    assert not [n for n in margin_sources() if n.startswith(("features.sources", "features.intake"))]


def test_the_code_is_told_without_paths() -> None:
    code = code_now()
    assert str(ROOT) not in msgspec.json.encode(code).decode()
    assert len(code.sha256) == 64
    assert set(code.libraries) == {"cryptography", "msgspec", "numba", "numpy", "scipy"}


def test_a_change_of_a_source_changes_the_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {
        "serving/__init__.py": "",
        "serving/margin/__init__.py": "",
        "serving/margin/engine.py": "from features.clock import DAY_NS",
        "features/__init__.py": "",
        "features/clock.py": "DAY_NS = 1",
        "features/feed.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(audit_code, "ROOT", tmp_path)
    assert sorted(margin_sources()) == [
        "features",
        "features.clock",
        "serving",
        "serving.margin",
        "serving.margin.engine",
    ]
    before = code_now.__wrapped__().sha256
    (tmp_path / "features/feed.py").write_text("unused = 1")
    assert code_now.__wrapped__().sha256 == before
    (tmp_path / "features/clock.py").write_text("DAY_NS = 2")
    assert code_now.__wrapped__().sha256 != before
