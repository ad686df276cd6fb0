"""What a training run does, read from TOML; an unknown key is an error."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import MissingFileError, SettingError

DEMO = Path(__file__).parent / "configs" / "demo.toml"


class NetworkSettings(BaseModel):
    """Size and bounds of the residual network; see :class:`models.neural.residual.ResidualConfig`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: int = Field(ge=2)
    channels: int = Field(gt=0)
    hidden: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    variance_bound: float = Field(gt=0)
    shape_bound: float = Field(gt=0)
    index_bound: float = Field(ge=0, lt=0.5)


class TrainingConfig(BaseModel):
    """One run. ``tail_weight`` weighs pinball and FZ0 against QLIKE; ``validation_days`` are the window's last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(ge=0)
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    gradient_clip: float = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    tail_weight: float = Field(ge=0)
    validation_days: int = Field(ge=0)
    network: NetworkSettings


def load_config(path: Path) -> TrainingConfig:
    """Read a training configuration.

    Raises
    ------
    MissingFileError
        If there is no such file.
    SettingError
        If it is no TOML, or a key is missing, unknown or out of range.

    Examples
    --------
    >>> load_config(DEMO).network.dropout
    0.3
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; give a training configuration in TOML")
    try:
        return TrainingConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: not TOML ({error}); correct the line") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingError(f"{path}: {faults}; correct these keys") from error
