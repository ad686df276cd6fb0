"""What a backtest compares, over which period, and how often models are refitted, read from TOML."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backtests.forecasters import maker_of
from features.clock import DAY_NS, parse_utc
from features.errors import MissingFileError, SettingError, lookup
from models.calibration import CONFORMAL, OWN, RECALIBRATIONS, Calibration
from models.tails import TAILS

FOLDER = Path(__file__).parent / "configs"
MEMBERS = "members"  # tail of a combination whose calibrated members are joined as they are


class Schedule(BaseModel):
    """How models are refitted, and on what.

    ``lead_days`` before the test are forecast too: biases and tails are learned from them. A fold is
    ``refit_months`` long. Its models are fitted on the ``window_months`` before it (0: on everything), less
    the longest horizon (the purge) and ``embargo_s``, and forecast from the ``recall_days`` before each origin.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lead_days: int = Field(default=540, ge=0)
    refit_months: int = Field(default=1, ge=1)
    window_months: int = Field(default=36, ge=0)
    embargo_s: int = Field(default=0, ge=0)
    recall_days: int = Field(default=90, ge=1)


class Refit(BaseModel):
    """Keys of a schedule that a model may have of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refit_months: int | None = Field(default=None, ge=1)
    window_months: int | None = Field(default=None, ge=0)
    embargo_s: int | None = Field(default=None, ge=0)
    recall_days: int | None = Field(default=None, ge=1)


class ModelEntry(BaseModel):
    """One row of the comparison: a forecaster with its options, or a combination of rows above it, and a tail.

    ``schedule`` overrides keys of the backtest's. ``recalibrate``: quantiles are mapped by a name of
    :data:`models.calibration.RECALIBRATIONS`. ``track``: tails follow their own hits, online, by a name of
    :data:`models.calibration.CONFORMAL`; true: by the tracker. ``excursions``: long
    by the ``deviation`` alone, or where the model's own tails are, too (``shape``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")
    forecaster: str | None = None
    combine: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    tail: str = "fhs"
    recalibrate: str | None = None
    track: bool | str = False
    excursions: Literal["deviation", "shape"] = "deviation"
    schedule: Refit = Refit()

    @field_validator("tail")
    @classmethod
    def _known_tail(cls, tail: str) -> str:
        return tail if tail in (OWN, MEMBERS) else _known(TAILS, tail, "tail")

    @field_validator("recalibrate")
    @classmethod
    def _known_map(cls, name: str | None) -> str | None:
        return None if name is None else _known(RECALIBRATIONS, name, "recalibration")

    @field_validator("track")
    @classmethod
    def _known_method(cls, track: bool | str) -> bool | str:
        return _known(CONFORMAL, track, "way to track") if isinstance(track, str) else track

    @model_validator(mode="after")
    def _one_source(self) -> "ModelEntry":
        if (self.forecaster is None) == (not self.combine):
            raise ValueError(f"{self.name}: name either a forecaster or the rows that it combines")
        if self.combine and len(set(self.combine)) < max(2, len(self.combine)):
            raise ValueError(f"{self.name}: a combination needs two or more rows, each once")
        if self.tail == MEMBERS and not self.combine:
            raise ValueError(f"{self.name}: the tail {MEMBERS} is a combination's; choose another")
        if self.combine and (self.options or self.schedule != Refit()):
            raise ValueError(f"{self.name}: a combination takes no options and no schedule; its members have theirs")
        if self.forecaster is not None:
            self._check_options(maker_of(self.forecaster))
        return self

    def _check_options(self, maker: Callable[..., Any]) -> None:
        try:
            maker(**self.options)
        except TypeError as error:
            raise ValueError(
                f"{self.name}: options {self.options}: {error}; see the class of {self.forecaster}"
            ) from error


def _known(table: Mapping[str, Any], name: str, kind: str) -> str:
    lookup(table, name, kind)
    return name


class BacktestConfig(BaseModel):
    """A whole comparison; see ``configs/referee.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: str | None = None
    symbols: tuple[str, ...] = Field(min_length=1)
    spec: str
    test_from: str
    test_to: str
    baseline: str
    schedule: Schedule = Schedule()
    calibration: Calibration = Calibration()
    models: tuple[ModelEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "BacktestConfig":
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError(f"symbols {', '.join(self.symbols)}: name each once")
        names = [entry.name for entry in self.models]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"model {', '.join(repeated)} stands there twice; give each row its own name")
        if self.baseline not in names:
            raise ValueError(f"baseline {self.baseline!r} is none of the models; known: {', '.join(names)}")
        for i, entry in enumerate(self.models):
            absent = [name for name in entry.combine if name not in names[:i]]
            if absent:
                raise ValueError(f"{entry.name} combines {', '.join(absent)}, which must stand above it")
            self.schedule_of(entry)
        if self.test_from_ns >= self.test_to_ns:
            raise ValueError(f"the test from {self.test_from} to {self.test_to} is empty; choose other dates")
        return self

    @property
    def test_from_ns(self) -> int:
        """First test origin."""
        return parse_utc(self.test_from)

    @property
    def test_to_ns(self) -> int:
        """Last test origin."""
        return parse_utc(self.test_to)

    @property
    def lead_from_ns(self) -> int:
        """First origin of all."""
        return self.test_from_ns - self.schedule.lead_days * DAY_NS

    def schedule_of(self, entry: ModelEntry) -> Schedule:
        """The schedule of one model."""
        return Schedule.model_validate(self.schedule.model_dump() | entry.schedule.model_dump(exclude_none=True))

    def narrowed(
        self, test_from: str | None, test_to: str | None, symbols: Sequence[str], models: Sequence[str]
    ) -> "BacktestConfig":
        """A shorter comparison; what a combination needs and the baseline stay in it.

        Raises
        ------
        SettingError
            If there is no such model or nothing is left.
        """
        value = self.model_dump() | {"symbols": tuple(symbols) or self.symbols}
        value |= {"test_from": test_from or self.test_from, "test_to": test_to or self.test_to}
        if models:
            wanted = self._with_members([self.baseline, *models])
            value["models"] = tuple(e.model_dump() for e in self.models if e.name in wanted)
        return _checked(value, "narrowed backtest")

    def _with_members(self, names: Sequence[str]) -> set[str]:
        """Models and all that they combine."""
        table, wanted, waiting = {entry.name: entry for entry in self.models}, set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += lookup(table, name, "model").combine
        return wanted


def load_backtest(name: str) -> BacktestConfig:
    """Read a packaged configuration by its name, or any other by the path of its TOML file.

    Raises
    ------
    MissingFileError, SettingError
        If there is none; if it is no TOML, or a key is missing, unknown or out of range.

    Examples
    --------
    >>> load_backtest("referee").baseline
    'har_log'
    """
    packaged = sorted(path.stem for path in FOLDER.glob("*.toml"))
    path = FOLDER / f"{name}.toml" if name in packaged else Path(name)
    if not path.is_file():
        raise MissingFileError(f"{name}: no such configuration; give a TOML file, or one of {', '.join(packaged)}")
    try:
        return _checked(tomllib.loads(path.read_text(encoding="utf-8-sig")), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: is no TOML ({error}); correct the line") from error


def _checked(value: dict[str, Any], where: str) -> BacktestConfig:
    try:
        return BacktestConfig.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}".removeprefix(": ")
            for e in error.errors()
        )
        raise SettingError(f"{where}: {faults}; correct this") from error
