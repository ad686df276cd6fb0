"""Configurations: what is not known is refused by name, and one value can be given on the command line."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from features.errors import MissingFileError, SettingError
from models import FORECASTERS
from models.neural import ENCODERS, HEADS
from training.config import DEMO, FOLDER, TrainingConfig, load_config
from training.options import check_model
from training.recipe import NetworkRecipe
from training.settings import NetworkSettings


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
        ("optimiser.learning_rate=fast", ["optimiser.learning_rate: 'fast' is no number"]),
        ("optimiser.learning_rate=inf", ["optimiser.learning_rate: inf is not a finite number"]),
        ("optimiser.gradient_clip=nan", ["optimiser.gradient_clip: nan is not a finite number"]),
        ("network.variance_bound=inf", ["network.variance_bound: inf"]),
        ("loss.ratio_cap=inf", ["loss.ratio_cap: inf is not a finite number"]),
        ("loss.horizon_weights=[inf, 1]", ["loss.horizon_weights.0: inf"]),
        ("network.head_options.shape_bound=nan", ["network: head_options.shape_bound = nan is not a finite number"]),
        ("network.head_options.shape_bound=inf", ["head_options.shape_bound = inf"]),
        ("network.encoder_options.channels=65537", ["encoder_options.channels = 65537; choose 65536 at most"]),
        ("network.hidden=65537", ["network.hidden: 65537"]),
        ("network.embedding=65537", ["network.embedding: 65537"]),
        ("network.nope=1", ["network.nope: no such key; known: encoder, "]),
        ("inputs.anchor_options.foo=1", ["inputs: log_har has no option 'foo'; known: whole_week"]),
        ("inputs.anchor_options.whole_week=1", ["anchor_options.whole_week = 1; log_har takes one like false"]),
        ("inputs.companions.harq.foo=1", ["harq has no option 'foo'; known: none"]),
        ("inputs.companions.ewma.cap=inf", ["companions.ewma.cap = inf is not a finite number"]),
        ("seeds=[9223372036854775808]", ["seeds", "below 2^63"]),
        ("seeds=[]", ["seeds: is empty; give one at least"]),
        ("epochs=true", ["epochs: True is no whole number"]),
        ("batch_size=2.0", ["batch_size: 2.0 is no whole number"]),
        ("network.variance_bound=true", ["network.variance_bound: True is no number"]),
        ("machine.compile=1", ["machine.compile: 1 is neither true nor false"]),
        ("data.symbols=['A', 'B', 'A']", ["data.symbols: A is named twice"]),
        ("data.symbols=BTCUSDT", ["data.symbols: 'BTCUSDT' is no list; write [\"BTCUSDT\"]"]),
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
    with pytest.raises(MissingFileError, match="is a folder; name the TOML file in it"):
        load_config(tmp_path)
    with pytest.raises(SettingError, match="tune_demo: is a search; `margincast tune` takes it"):
        load_config("tune_demo")


def test_the_largest_and_whole_numbers_are_taken() -> None:
    config = load_config("demo", ["seeds=[9223372036854775807]", "network.hidden=65536", "optimiser.learning_rate=1"])
    assert torch.Generator().manual_seed(config.seeds[0]).initial_seed() == 2**63 - 1
    assert (config.network.hidden, config.optimiser.learning_rate) == (65_536, 1.0)
    check_model(FORECASTERS["har_regime"], {"n_regimes": 3}, "har_regime", "companions.har_regime")


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("head", HEADS)
def test_every_network_is_checked_without_its_numbers(encoder: str, head: str) -> None:
    """Neither memory for weights nor random numbers are used."""
    before = torch.get_rng_state()
    NetworkSettings(encoder=encoder, head=head)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_too_many_weights_is_refused_before_memory_is_asked_for() -> None:
    """Counted by hand: n (8 + 1) of the first layer, n (n + 1) of the second, which would be 17 GB."""
    n, hidden, outputs = 65_536, 1, 2 * (1 + 11)
    weights = n * (8 + 1) + n * (n + 1) + hidden * (n + 1) + outputs * (hidden + 1)
    options = {"layers": [n, n]}
    with pytest.raises(ValidationError, match=f"{weights:,} weights, more than 100,000,000"):
        NetworkSettings(encoder="mlp", encoder_options=options, hidden=hidden)
    with pytest.raises(ValidationError, match="layers = 65; choose 64 at most"):
        NetworkSettings(encoder="patches", encoder_options={"layers": 65})


def test_a_recipe_is_refused_before_it_is_fitted() -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        NetworkRecipe("reference")
    with pytest.raises(SettingError, match=r"network\.widht"):
        NetworkRecipe("referee", ["network.widht=3"])


def test_a_configuration_is_what_it_writes() -> None:
    config = load_config("referee")
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config
