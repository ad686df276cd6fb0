"""What a model sees, from TOML and back: every field, every type, one hash."""

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import MissingFileError, SettingError
from features.plan import Plan
from features.spec import FeatureSpec
from features.specs import FOLDER, find_spec, names

EXAMPLES = settings(max_examples=100, derandomize=True, database=None)
DAY_S = 86_400
DIVISORS = [s for s in range(1, DAY_S + 1) if DAY_S % s == 0]
FEATURES = ("log_rv_4h", "log_rv_24h", "weekend", "BTCUSDT.beta_24h", "ofi_5_60s", "log_cost_10000_60s")
OTHERS: dict[str, Any] = {
    "bar_s": 300, "horizons_s": (7_200,), "features": ("weekend",), "every_s": 900, "price": "mid", "depth": 5,
    "silence_s": 9, "pause_s": 60,
}  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> FeatureSpec:
    bar_s = draw(st.sampled_from(DIVISORS))
    every_s = bar_s * draw(st.integers(1, 20))
    horizons = draw(
        st.lists(
            st.integers(1, min(50, 31 * 86_400 // every_s)).map(lambda n: n * every_s),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    chosen = draw(st.lists(st.sampled_from(FEATURES), min_size=1, unique=True))
    least = st.integers(1, 10**6)
    price: Literal["trade", "mid"] = draw(st.sampled_from(["trade", "mid"]))
    depth = draw(st.integers(1, 1_000))
    return FeatureSpec(bar_s, tuple(horizons), tuple(chosen), every_s, price, depth, draw(least), draw(least))


def toml(spec: FeatureSpec) -> str:
    """The spec as its user would write it."""
    cells = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(spec).items()}
    return "".join(f"{name} = {value!r}\n" for name, value in cells.items()).replace("'", '"')


@EXAMPLES
@given(spec=specs())
def test_a_spec_comes_back_from_toml_and_from_json_with_its_hash(
    spec: FeatureSpec, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("spec") / "mine.toml"
    path.write_text(toml(spec), encoding="utf-8")
    for again in (FeatureSpec.from_toml(path), FeatureSpec.from_json(tomllib.loads(toml(spec)))):
        assert again == spec
        assert again.hash == spec.hash


def test_every_field_changes_the_hash_and_nothing_else_does() -> None:
    spec = FeatureSpec()
    assert set(OTHERS) == set(asdict(spec)), "a field without a case here"
    hashes = {replace(spec, **{name: value}).hash for name, value in OTHERS.items()}
    assert len(hashes | {spec.hash}) == len(OTHERS) + 1
    assert spec.hash == FeatureSpec().hash
    assert replace(spec, features=spec.features[::-1]).hash != spec.hash  # columns in another order


def test_what_a_toml_leaves_out_is_as_it_is_by_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('features = ["weekend"]\n')
    assert FeatureSpec.from_toml(path) == FeatureSpec(features=("weekend",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bars = 900", "unknown key bars; known: bar_s, depth, every_s, features, horizons_s"),
        ('bar_s = "900"', r"bar_s = '900'; write it like 900"),
        ("bar_s = 900.0", r"bar_s = 900.0; write it like 900"),
        ("bar_s = true", r"bar_s = True; write it like 900"),
        ("horizons_s = 3600", r"horizons_s = 3600; write it like \(3600, 14400"),
        ("horizons_s = [3600.0]", "horizons_s = "),
        ("horizons_s = [true]", "horizons_s = "),
        ('features = "weekend"', "features = 'weekend'; write it like"),
        ("features = [1]", r"features = \(1,\)"),
        ("features = []", "needs features, each once"),
        ('features = ["weekend", "weekend"]', "needs features, each once"),
        ('price = "last"', "price 'last'; choose trade or mid"),
        ("price = 1", "price = 1; write it like 'trade'"),
        ("depth = 0", "depth, silence_s and pause_s are at least 1"),
        ("silence_s = -1", "at least 1"),
        ("bar_s = 7", "bars of 7 s do not divide the day"),
        ("bar_s = 0", "bars of 0 s do not divide the day"),
        ("every_s = 1000", "do not divide the 1000 s between origins"),
        ("every_s = 0", "do not divide the 0 s"),
        ("horizons_s = [5000]", "horizon 5000 s is no positive multiple of the 3600 s"),
        ("horizons_s = [0]", "horizon 0 s is no positive multiple"),
        ("horizons_s = []", "needs horizons_s, each once"),
        ("horizons_s = [3600, 3600]", "needs horizons_s, each once"),
        ("[spec]\nbar_s = 900", "unknown key spec"),
        ("bar_s = ", "is no TOML"),
    ],
)
def test_a_wrong_spec_names_its_file_the_key_and_what_to_write(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=told) as caught:
        FeatureSpec.from_toml(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="is no TOML"):
        FeatureSpec.from_toml(tmp_path / "mine.toml")
    for find in (find_spec, lambda name: FeatureSpec.from_toml(Path(name))):
        with pytest.raises(MissingFileError, match="none: no such feature spec; give"):
            find(str(tmp_path / "none"))
    with pytest.raises(MissingFileError, match="one of book, fifteen_minutes, five_minutes"):
        find_spec("hourly")
    with pytest.raises(MissingFileError, match="no such feature spec"):
        find_spec(str(tmp_path))


@pytest.mark.parametrize("name", names())
def test_every_packaged_spec_can_be_computed(name: str) -> None:
    spec = find_spec(name)
    assert [f.name for f in Plan(spec).features] == list(spec.features)
    assert Plan(spec).history_rows > 1
    assert (FOLDER / f"{name}.toml").read_text().startswith("# ")  # says what it is for
    assert spec.purge_s == max(spec.horizons_s)
    assert [h * spec.every_s for h in spec.horizon_rows] == list(spec.horizons_s)
