"""The scoring program that forecasts of this project are judged by, where a checkout has it beside it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCORE = Path(__file__).parents[3] / "shared/referee/score.py"


def load_referee() -> ModuleType:
    """Its module, or the test is skipped."""
    if not SCORE.is_file():
        pytest.skip(f"the referee's scoring program is not there ({SCORE})")
    spec = importlib.util.spec_from_file_location("referee_score", SCORE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
