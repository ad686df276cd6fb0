"""Configurations: what is not known is refused by name, and one value can be given on the command line."""

from pathlib import Path

import pytest

from features.errors import MissingFileError, SettingError
from training.config import DEMO, FOLDER, TrainingConfig, load_config
from training.recipe import NetworkRecipe


@pytest.mark.parametrize("name", ["demo", "referee"])
def test_packaged_configurations_load_by_name_and_by_path(name: str) -> None:
    assert load_config(name) == load_config(FOLDER / f"{name}.toml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("epochs = 6", "epoch = 6"), ["epoch:", "epochs:"]),
        (("epochs = 6", "epochs = 0"), ["epochs", "greater than 0"]),
        (("\ndropout = 0.3", "\ndropout = 1.5"), ["network.dropout"]),
        (("\ndropout = 0.3", "\ndrop_out = 0.3"), ["network.drop_out"]),
        (("fast = 64", "quick = 64"), ["network:", "quick", "fast"]),
        (("fast = 64", "fast = 63"), ["network:", "63", "power of two"]),
        (('"pyramid"', '"cone"'), ["network:", "cone", "pyramid"]),
        (('"log_har"', '"log_hair"'), ["inputs:", "log_hair", "log_har"]),
        (("seeds = [0]", "seeds = [1, 1]"), ["seeds", "once"]),
        (("seeds = [0]", "seeds ="), ["not TOML"]),
        (('accelerator = "cpu"', "devices = 2"), ["machine", "ddp"]),
    ],
)
def test_a_wrong_setting_is_named(change: tuple[str, str], words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    assert change[0] in DEMO.read_text()
    path.write_text(DEMO.read_text().replace(*change, 1))
    with pytest.raises(SettingError) as caught:
        load_config(path)
    for word in ["run.toml", *words]:
        assert word in str(caught.value)


def test_overrides_take_their_place() -> None:
    config = load_config(
        "demo",
        [
            "seeds=[3, 4]",
            "loss.ratio_cap = 8",
            "network.head_options.index_bound=0.2",
            "data.symbols=['A', 'B']",
            "data.spec=referee",
            "inputs.companions.harq={}",
        ],
    )
    plain = load_config("demo")
    assert config.seeds == (3, 4)
    assert config.loss == plain.loss.model_copy(update={"ratio_cap": 8.0})
    assert config.network.head_options == {**plain.network.head_options, "index_bound": 0.2}
    assert config.data is not None
    assert (config.data.symbols, config.data.spec) == (("A", "B"), "referee")
    assert config.inputs.plain().companions == {"harq": {}}
    assert config.optimiser == plain.optimiser


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("epochs", ["'epochs'", "table.key=value"]),
        ("epochs=", ["table.key=value"]),
        ("network.widht=3", ["network.widht"]),
        ("epochs.first=3", ["epochs is a value"]),
        ("optimiser.learning_rate=fast", ["optimiser.learning_rate"]),
    ],
)
def test_a_wrong_override_is_named(override: str, words: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        load_config("demo", [override])
    for word in words:
        assert word in str(caught.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.toml: no such file.*demo"):
        load_config(tmp_path / "none.toml")


def test_a_recipe_is_refused_before_it_is_fitted() -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        NetworkRecipe("reference")
    with pytest.raises(SettingError, match=r"network\.widht"):
        NetworkRecipe("referee", ["network.widht=3"])


def test_a_configuration_is_what_it_writes() -> None:
    config = load_config("referee")
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config
