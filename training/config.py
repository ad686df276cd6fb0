"""What a training run does, read from TOML; an unknown key is an error."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from features.errors import MissingFileError, SettingError
from training.faults_in_words import in_words
from training.settings import (
    MOST_DAYS,
    DataSettings,
    InputSettings,
    LossSettings,
    MachineSettings,
    NetworkSettings,
    OptimiserSettings,
    Settings,
    Whole,
)

FOLDER = Path(__file__).parent / "configs"
DEMO = FOLDER / "demo.toml"
MOST_SEEDS = 2**63  # torch's generators take no other


class TrainingConfig(Settings):
    """One run: a network for each of ``seeds``, each trained ``epochs`` long on all but the last ``validation_days``.

    With ``validation_days`` the weights of the best epoch are kept, and a network that has not become better for
    ``patience`` epochs (0: never) is trained no further; without them the last epoch's weights are.
    """

    epochs: Whole = Field(gt=0)
    batch_size: Whole = Field(gt=0)
    seeds: tuple[Whole, ...] = Field(default=(0,), min_length=1)
    validation_days: Whole = Field(default=0, ge=0, le=MOST_DAYS)
    patience: Whole = Field(default=0, ge=0)
    data: DataSettings | None = None
    inputs: InputSettings = InputSettings()
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    machine: MachineSettings = MachineSettings()

    @model_validator(mode="after")
    def _whole(self) -> "TrainingConfig":
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0 or max(self.seeds) >= MOST_SEEDS:
            raise ValueError(f"seeds {self.seeds}: name each once, from 0 on, below 2^63")
        return self

    def changed(self, changes: Mapping[str, Any], where: str = "changed configuration") -> "TrainingConfig":
        """The same run with other values, named by dotted keys; checked as a file is, ``where`` begins what is said.

        Examples
        --------
        >>> TrainingConfig(epochs=3, batch_size=64).changed({"loss.ratio_cap": 8}).loss.ratio_cap
        8.0
        """
        return _checked(_merged(self.model_dump(), changes), where)


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a packaged configuration by its name, or any other by the path of its TOML file.

    Parameters
    ----------
    name : ``demo``, or a path.
    overrides : ``table.key=value`` each; the value as TOML has it, a string with or without quotes.

    Raises
    ------
    MissingFileError
        If there is no such file.
    SettingError
        If it is no TOML, or a key is missing, unknown or out of range.

    Examples
    --------
    >>> load_config("demo", ["optimiser.learning_rate=5e-3", "network.head=pareto"]).optimiser.learning_rate
    0.005
    """
    packaged = sorted(path.stem for path in FOLDER.glob("*.toml") if not path.stem.startswith("tune_"))
    path = FOLDER / f"{name}.toml" if name in packaged else Path(name)
    if (FOLDER / f"{name}.toml").is_file() and name not in packaged:
        raise SettingError(f"{name}: is a search; `margincast tune` takes it, here give {', '.join(packaged)}")
    if path.is_dir():
        raise MissingFileError(f"{name}: is a folder; name the TOML file in it")
    if not path.is_file():
        raise MissingFileError(f"{name}: no such file; give a training configuration in TOML, or {', '.join(packaged)}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: not TOML ({error}); correct the line") from error
    return _checked(_merged(table, dict(map(_override, overrides))), str(path))


def _override(text: str) -> tuple[str, Any]:
    """A dotted key and its value.

    Examples
    --------
    >>> _override("seeds=[1, 2]"), _override("data.symbols=['A']"), _override("network.head=pareto")
    (('seeds', [1, 2]), ('data.symbols', ['A']), ('network.head', 'pareto'))
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not key or not equals or not value:
        raise SettingError(f"{text!r} is no override; write table.key=value, as in optimiser.learning_rate=1e-3")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a word without quotes


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested tables with some values in place of their own."""
    merged = dict(table)
    for key, value in changes.items():
        first, _, rest = key.partition(".")
        inner = merged.get(first)
        if rest and not isinstance(inner, Mapping | None):
            raise SettingError(f"{key}: {first} is a value, no table; name a key of a table")
        merged[first] = _merged(inner or {}, {rest: value}) if rest else value
    return merged


def _checked(table: Mapping[str, Any], where: str) -> TrainingConfig:
    try:
        return TrainingConfig.model_validate(table)
    except ValidationError as error:
        faults = in_words(error, TrainingConfig, table)
        raise SettingError(f"{where}: {faults}; correct these keys") from error
