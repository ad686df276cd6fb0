"""The tables of a training configuration; an unknown key is an error."""

import math
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator, model_validator

from models import FORECASTERS, POOLED
from models.neural.inputs import InputConfig
from models.neural.network import NetworkConfig
from training.options import LARGEST, check_model, check_network

Whole = Annotated[int, Strict()]  # neither true nor 2.0
Number = Annotated[float, Strict()]  # a whole one too, but not true
Flag = Annotated[bool, Strict()]
MOST_DAYS = 100_000  # of any stretch of time: nanoseconds stay within 64 bits


class Settings(BaseModel):
    """A table of keys: frozen, none that is not known, and every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Settings):
    """What ``margincast train`` reads: series of a venue, a packaged feature spec or its path, and a period, UTC.

    ``fit_until`` is the last instant that is known: windows that end later have no outcome.
    """

    symbols: tuple[str, ...] = Field(min_length=1)
    spec: str
    venue: str | None = None
    fit_from: str | None = None
    fit_until: str | None = None

    @field_validator("fit_from", "fit_until", mode="before")
    @classmethod
    def _as_text(cls, instant: object) -> object:
        """TOML has dates of its own, where a string is meant."""
        return instant.isoformat() if isinstance(instant, date) else instant

    @field_validator("symbols")
    @classmethod
    def _each_once(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({symbol for symbol in symbols if symbols.count(symbol) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice; name each once")
        return symbols


class InputSettings(Settings):
    """What a network reads; see :class:`models.neural.inputs.InputConfig`."""

    anchor: str = "log_har"
    anchor_options: dict[str, Any] = Field(default_factory=dict)
    companions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    design: str = "spec"
    sequence: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _exists(self) -> "InputSettings":
        self.plain()
        check_model({**FORECASTERS, **POOLED}[self.anchor], self.anchor_options, self.anchor, "anchor_options")
        for name, options in self.companions.items():
            check_model(FORECASTERS[name], options, name, f"companions.{name}")
        return self

    def plain(self) -> InputConfig:
        """The same as the models' own configuration."""
        return InputConfig(**{name: getattr(self, name) for name in type(self).model_fields})


class NetworkSettings(Settings):
    """Encoder, head, sizes and bounds; see :class:`models.neural.network.NetworkConfig`.

    An ``embedding`` of 0 numbers: instruments have no name.
    """

    encoder: str = "pyramid"
    encoder_options: dict[str, Any] = Field(default_factory=dict)
    head: str = "pareto"
    head_options: dict[str, Any] = Field(default_factory=dict)
    hidden: Whole = Field(default=48, ge=1, le=LARGEST)
    dropout: Number = Field(default=0.3, ge=0, lt=1)
    input_dropout: Number = Field(default=0.3, ge=0, lt=1)
    variance_bound: Number = Field(default=1.0, gt=0)
    embedding: Whole = Field(default=0, ge=0, le=LARGEST)
    embedding_dropout: Number = Field(default=0.3, ge=0, le=1)

    @model_validator(mode="after")
    def _builds(self) -> "NetworkSettings":
        check_network(self.sized(8, 8, 2, 1))  # options are checked by the parts that take them
        return self

    def sized(self, n_last: int, n_sequence: int, n_horizons: int, n_instruments: int) -> NetworkConfig:
        """The network of inputs and horizons that are known."""
        named = n_instruments if self.embedding else 0
        return NetworkConfig(n_last, n_sequence, n_horizons, n_instruments=named, **self.model_dump())


class LossSettings(Settings):
    """Weights of the parts of the loss beside QLIKE, which weighs 1; see :mod:`training.losses`.

    ``fz0_from_epoch``: FZ0 counts from this epoch on, the first being 0. ``horizon_weights``: one a horizon; none: all
    alike. ``ratio_cap``: a realised variance counts at most so many times its anchor's forecast, at every horizon or
    one number each; 0: as it is. ``log_weight``: of the squared error of the log variance, beside QLIKE's 1.
    ``half_life_days``: a row counts half of one that is so much younger; 0: all alike.
    """

    density_weight: Number = Field(default=0.0, ge=0)
    pinball_weight: Number = Field(default=4.0, ge=0)
    fz0_weight: Number = Field(default=0.2, ge=0)
    fz0_from_epoch: Whole = Field(default=0, ge=0)
    horizon_weights: tuple[Number, ...] = ()
    ratio_cap: Number | tuple[Number, ...] = 0.0
    log_weight: Number = Field(default=0.0, ge=0)
    half_life_days: Number = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _weighs(self) -> "LossSettings":
        weights = self.horizon_weights
        if weights and not min(weights) > 0:
            raise ValueError(f"horizon_weights {weights}: choose each above 0")
        if min(self.caps(1)) < 0:
            raise ValueError(f"ratio_cap {self.ratio_cap}: choose caps above 0, or 0 for none")
        return self

    def caps(self, n_horizons: int) -> tuple[float, ...]:
        """Cap of each horizon, infinite for none."""
        given = self.ratio_cap if isinstance(self.ratio_cap, tuple) else (self.ratio_cap,) * n_horizons
        return tuple(cap or math.inf for cap in given)


class OptimiserSettings(Settings):
    """AdamW. ``warm_up``: share of the steps over which the rate rises; then it falls along a cosine to 0.

    ``gradient_clip``: largest norm of a step's gradient; 0: as it is. ``ema_decay``: of the mean of the weights that
    is kept; 0: the weights themselves.
    """

    learning_rate: Number = Field(default=1e-3, gt=0)
    weight_decay: Number = Field(default=0.1, ge=0)
    gradient_clip: Number = Field(default=1.0, ge=0)
    ema_decay: Number = Field(default=0.99, ge=0, lt=1)
    warm_up: Number = Field(default=0.0, ge=0, lt=1)


class MachineSettings(Settings):
    """Where it is computed. ``threads`` of torch on the CPU; 0: as many as torch takes.

    ``devices`` above 1 need ``strategy = "ddp"``: each holds all data and a share of every batch.
    """

    accelerator: Literal["cpu", "cuda"] = "cpu"
    devices: Whole = Field(default=1, ge=1, le=1_024)
    strategy: Literal["single", "ddp"] = "single"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: Flag = False
    threads: Whole = Field(default=0, ge=0, le=1_024)

    @model_validator(mode="after")
    def _several(self) -> "MachineSettings":
        if (self.devices > 1) != (self.strategy == "ddp"):
            raise ValueError(f'devices = {self.devices} with strategy = "{self.strategy}": "ddp" is for 2 or more')
        return self
