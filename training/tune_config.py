"""What a search goes through, read from TOML; an unknown key is an error."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Discriminator, Field, PrivateAttr, Tag, ValidationError, model_validator

from features.clock import parse_utc
from features.errors import MissingFileError, SettingError
from training.config import FOLDER, TrainingConfig, load_config
from training.faults_in_words import in_words
from training.settings import DataSettings, Flag, Number, Settings, Whole

PREFIX = "tune_"
Choice = Flag | Whole | Number | str


class Range(Settings):
    """Numbers from ``low`` to ``high``, both among them; whole ones if both are whole.

    ``log``: small ones are tried as often as large ones. ``step``: only ``low``, ``low + step``, and so on.
    """

    low: Whole | Number
    high: Whole | Number
    log: Flag = False
    step: Whole | Number | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range begins above 0 and has no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step {self.step} does not fit between {self.low} and {self.high}")
        return self

    def distribution(self) -> BaseDistribution:
        """The same as Optuna has it."""
        if isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float):
            return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)


def _range_or_choices(values: object) -> str:
    """Which of the two a value of the space is meant as: what is wrong with it is then told of that one alone."""
    return "range" if isinstance(values, Range | Mapping) else "choices"


Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[tuple[Choice, ...], Tag("choices")], Discriminator(_range_or_choices)
]


class FoldSettings(Settings):
    """Train on what was known at ``fit_until``, score the origins from then to ``score_until``, UTC."""

    fit_until: str
    score_until: str

    @model_validator(mode="after")
    def _ordered(self) -> "FoldSettings":
        if not self.from_ns < self.until_ns:
            raise ValueError(f"score_until {self.score_until} is not after fit_until {self.fit_until}")
        return self

    @property
    def from_ns(self) -> int:
        """First instant that is scored."""
        return parse_utc(self.fit_until)

    @property
    def until_ns(self) -> int:
        """Last instant that is known to the score."""
        return parse_utc(self.score_until)


class TuneConfig(Settings):
    """One search: ``trials`` configurations, ``base`` with changes drawn from ``space``, each trained on every fold.

    ``base``: a training configuration, by its packaged name or path. ``overrides``: keys that all trials change alike.
    ``space``: by key of the training configuration a :class:`Range` or a list of choices. ``startup_trials``: so many
    are drawn blindly before the sampler learns and the pruner prunes. ``data``: in place of the base's.
    """

    base: str
    trials: Whole = Field(ge=1)
    seed: Whole = Field(default=0, ge=0)
    startup_trials: Whole = Field(default=8, ge=1)
    overrides: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Values] = Field(min_length=1)
    folds: tuple[FoldSettings, ...] = Field(min_length=1)
    data: DataSettings | None = None
    _file: str = PrivateAttr(default="search")

    @model_validator(mode="after")
    def _choices(self) -> "TuneConfig":
        for key, values in self.space.items():
            if isinstance(values, tuple) and len(set(values)) < max(2, len(values)):
                raise ValueError(f"space.{key}: give two or more choices, each once")
        return self

    @property
    def file(self) -> str:
        """Where it was read from, as a fault tells it."""
        return self._file

    def named(self, file: str) -> Self:
        """The same, with the file that its faults are told of."""
        self._file = file
        return self

    def training(self) -> TrainingConfig:
        """What all trials begin from; its table ``data`` is there.

        Raises
        ------
        SettingError, MissingFileError
            If there is no such base, or a key of the space or a bound of it is none of its.
        """
        changes = self.overrides | ({"data": self.data.model_dump()} if self.data else {})
        base = load_config(self.base).changed(changes, f"{self._file}: overrides of {self.base}")
        if base.data is None:
            raise SettingError(f"{self._file}: has no table [data], nor has {self.base}; say which bars to train on")
        for key, values in self.space.items():
            for value in (values.low, values.high) if isinstance(values, Range) else values:
                base.changed({key: value}, f"{self._file}: space of {self.base}")
        return base

    def distributions(self) -> dict[str, BaseDistribution]:
        """The space as Optuna has it."""
        return {
            key: values.distribution() if isinstance(values, Range) else CategoricalDistribution(values)
            for key, values in self.space.items()
        }


def load_tune(name: str | Path) -> TuneConfig:
    """Read a packaged search by its name, or any other by the path of its TOML file.

    Raises
    ------
    MissingFileError, SettingError
        If there is none; if it is no TOML, or a key is missing, unknown or out of range.

    Examples
    --------
    >>> load_tune("tune_demo").base
    'demo'
    """
    packaged = sorted(path.stem for path in FOLDER.glob(f"{PREFIX}*.toml"))
    path = FOLDER / f"{name}.toml" if name in packaged else Path(name)
    if (FOLDER / f"{name}.toml").is_file() and name not in packaged:
        raise SettingError(f"{name}: is no search; `margincast train` takes it, here give {', '.join(packaged)}")
    if path.is_dir():
        raise MissingFileError(f"{name}: is a folder; name the TOML file in it")
    if not path.is_file():
        raise MissingFileError(f"{name}: no such search; give a TOML file, or one of {', '.join(packaged)}")
    try:
        return _checked(tomllib.loads(path.read_text(encoding="utf-8-sig")), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: is no TOML ({error}); correct the line") from error


def _checked(table: Mapping[str, Any], where: str) -> TuneConfig:
    try:
        return TuneConfig.model_validate(table).named(where)
    except ValidationError as error:
        raise SettingError(f"{where}: {in_words(error, TuneConfig, table)}; correct these keys") from error
