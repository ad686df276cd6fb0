"""States: the identical model after JSON, and nothing else than a model whatever the file says."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from features.clock import parse_utc
from features.errors import FormatError
from features.panel import Panel
from models import FORECASTERS, POOLED
from models.classical.forest_nodes import ForestNodes
from models.classical.ridge import Line
from models.diurnal import Diurnal
from models.state import from_state, to_state

RNG = np.random.default_rng(6)
NAMES = sorted({*FORECASTERS, *POOLED})


def through_json(model: object) -> Any:
    return from_state(json.loads(json.dumps(to_state(model), allow_nan=False)))


def same(a: object, b: object) -> bool:
    """Whether two trees are equal in every type, number and bit; a forest is compared by its forecasts."""
    if isinstance(a, RandomForestRegressor):
        return isinstance(b, ForestNodes)
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        assert isinstance(b, np.ndarray | np.generic)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, Mapping):
        assert isinstance(b, Mapping)
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        assert isinstance(b, tuple | list)
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)


@pytest.mark.parametrize("name", NAMES)
def test_every_forecaster_forecasts_the_same_after_json(name: str, panel: Panel) -> None:
    past, recent = panel.until(parse_utc("2020-06-01")), panel.rows(len(panel) - 400, len(panel))
    model = POOLED[name]().fit([past]) if name in POOLED else FORECASTERS[name]().fit(past)
    again = through_json(model)
    assert same(model, again)
    before, after = model.forecast(recent), again.forecast(recent)
    for part in ("variance", "quantiles", "shortfall"):
        np.testing.assert_array_equal(getattr(before, part), getattr(after, part))
    assert same(through_json(again), again)


@pytest.mark.parametrize("name", NAMES)
def test_an_unfitted_forecaster_survives_too(name: str) -> None:
    model = {**FORECASTERS, **POOLED}[name]()
    assert same(through_json(model), model)


@pytest.mark.parametrize(
    "value",
    [
        0.1, -0.0, 5e-324, 1e308, np.inf, -np.inf, np.nan, 2**70, True, None, "ü\n", (), (1, (2.5, "a")), [1, [2]],
        {"b": 1, "a": (2,)}, {3_600: "s", 0.5: None}, np.float64(0.3), np.int64(3), np.bool_(True),
        np.array([np.nan, np.inf, -0.0]), np.zeros((0, 3)), np.array([[True], [False]]), np.arange(6).reshape(2, 3),
        RNG.normal(size=(4, 5)), RNG.normal(size=(3, 4)).astype(np.float32),
        Diurnal.flat(), Line(np.ones(2), np.array([1.0, np.inf]), np.ones(2), np.ones(2), float("nan")),
    ],
    ids=repr,
)  # fmt: skip
def test_every_kind_of_value_comes_back_to_the_bit(value: object) -> None:
    assert same(through_json(value), value)


def test_the_layout_of_an_array_is_kept_and_its_copy_can_be_written() -> None:
    by_column = np.asfortranarray(RNG.normal(size=(5, 7)))
    again = through_json(by_column)
    assert again.flags.f_contiguous
    assert not again.flags.c_contiguous
    again[0] = 1.0
    view = RNG.normal(size=(6, 8))[::2, 1::3]
    np.testing.assert_array_equal(through_json(view), view)


@dataclass(frozen=True)
class Stranger:
    """A frozen class of another house."""

    size: int = 1


@pytest.mark.parametrize("value", [{1, 2}, object(), Stranger(), Diurnal, np.array(["a"]), np.array([object()]), 1j])
def test_what_a_state_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match=r"tuple\[1\].*cannot"):
        to_state((1, value))


def state(value: object) -> dict[str, Any]:
    return {"version": 1, "state": value}


def named(name: object, **parts: object) -> dict[str, Any]:
    return state({"class": name, "fields": parts})


ARRAY = {"array": "<f8", "shape": [1], "base64": "AAAAAAAA8D8="}
FLAT = to_state(Diurnal.flat())["state"]["fields"]["weight"]


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (None, "no version and state"),
        ([1], "no version and state"),
        ({"state": 1}, "no version and state"),
        ({"version": 1, "state": 1, "more": 1}, "no version and state"),
        ({"version": 2, "state": 1}, "of version 2, this code reads version 1"),
        (named("os.system", command="true"), "no class that a state may name"),
        (named("builtins.eval"), "no class that a state may name"),
        (named("subprocess.Popen", args=["true"]), "no class that a state may name"),
        (named("antigravity.geohash"), "no class that a state may name"),
        (named("pathlib.Path"), "no class that a state may name"),
        (named("models.state.from_state"), "no class that a state may name"),
        (named("models.state.sys.modules"), "no class that a state may name"),
        (named("models.classical.log_har.LinearRegression"), "no class that a state may name"),
        (named("models.classical.log_har.Diurnal", weight=FLAT), "no class that a state may name"),  # not its home
        (named("models.diurnal.Diurnal.fit"), "no class that a state may name"),
        (named("models.nowhere.Diurnal"), "no class that a state may name"),
        (named("features.store.Store", root="/"), "no class that a state may name"),
        (named(f"{__name__}.Stranger", size=1), "no class that a state may name"),
        (named(""), "no class that a state may name"),
        (named(["models.diurnal.Diurnal"]), "no class that a state may name"),
        (state({"array": "<f8", "shape": [0, 10**30], "base64": ""}), "an array has no shape"),
        (state({"array": "<f8", "shape": [0] + [1] * 80, "base64": ""}), "an array has no shape"),
        (named("models.diurnal.Diurnal", weight=FLAT, more=1), r"unknown fields \['more'\] and lacks \[\]"),
        (named("models.diurnal.Diurnal"), r"unknown fields \[\] and lacks \['weight'\]"),
        (named("models.classical.har_rich.HarRichPool", shrinkage=-1.0, half_life_days=1.0, fitted=None), "refuses"),
        (named("models.classical.har_rich.HarRichPool", shrinkage="x", half_life_days=1.0, fitted=None), "refuses"),
        (state({"class": "models.diurnal.Diurnal", "fields": [1]}), "lacks"),
        (state({"eval": "1"}), "mean nothing"),
        (state({"tuple": [], "list": []}), "mean nothing"),
        (state({}), "mean nothing"),
        (state([1, 2]), "holds a bare list"),
        (state({"tuple": "abc"}), "holds a str where a list belongs"),
        (state({"tuple": [1, [2]]}), r"state\[1\]: holds a bare list"),
        (state(float("nan")), "holds a bare nan"),
        (state({"float": "1e999"}), "has the float '1e999'"),
        (state({"mapping": [[1, 2, 3]]}), "no list of pairs"),
        (state({"mapping": [[{"list": []}, 1]]}), "whose key is none"),
        (state(ARRAY | {"array": "|O"}), "none of numbers"),
        (state(ARRAY | {"array": [["a", "|O"]]}), "none of numbers"),
        (state(ARRAY | {"shape": [2]}), "8 bytes are no array"),
        (state(ARRAY | {"shape": [-1]}), "no shape"),
        (state(ARRAY | {"shape": [1 << 62, 1 << 62]}), "8 bytes are no array"),
        (state(ARRAY | {"base64": "!"}), "no base64"),
        (state(ARRAY | {"base64": 8}), "no base64"),
    ],
)
def test_a_hostile_state_is_refused_and_imports_nothing(hostile: object, message: str) -> None:
    loaded = set(sys.modules)
    with pytest.raises(FormatError, match=message):
        from_state(hostile)
    assert set(sys.modules) == loaded


def test_a_bottomless_state_is_refused() -> None:
    bottom: dict[str, Any] = {"tuple": []}
    for _ in range(20_000):
        bottom = {"tuple": [bottom]}
    with pytest.raises(FormatError, match="nested too deeply"):
        from_state(state(bottom))
    while bottom["tuple"]:  # a chain as long as this must not be freed by recursion
        bottom = bottom["tuple"].pop()


def test_a_forests_nodes_find_the_leaves_that_the_library_finds() -> None:
    x, y = RNG.normal(size=(600, 5)), RNG.normal(size=600)
    forest = RandomForestRegressor(7, min_samples_leaf=9, random_state=0).fit(x, y)
    fresh = np.concatenate([RNG.normal(size=(500, 5)), x])
    np.testing.assert_array_equal(ForestNodes.of(forest).apply(fresh), forest.apply(fresh))
    assert ForestNodes.of(forest).apply(fresh[:0]).shape == (0, 7)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("left", [0, -1, -1], "does not come after"),  # a circle
        ("right", [3, -1, -1], "does not come after"),  # beyond the last
        ("first", [1], "do not follow"),
        ("first", [], "differ in length"),
        ("feature", [-2, 0, 0], "do not follow"),
        ("threshold", [0.0], "differ in length"),
    ],
)
def test_nodes_in_which_a_row_would_be_lost_are_refused(part: str, value: list[Any], message: str) -> None:
    good = {
        "first": [0],
        "feature": [0, -2, -2],
        "threshold": [0.5, 0.0, 0.0],
        "left": [1, -1, -1],
        "right": [2, -1, -1],
    }
    dtypes = {name: float if name == "threshold" else np.int64 for name in good}
    nodes = ForestNodes(**{name: np.array(v, dtypes[name]) for name, v in good.items()})
    assert nodes.apply(np.array([[0.5], [0.6]])).tolist() == [[1], [2]]
    with pytest.raises(FormatError, match=message):
        ForestNodes(**{name: np.array(v, dtypes[name]) for name, v in (good | {part: value}).items()})
