"""What a model sees: names, look-backs, origins and horizons, frozen and hashed."""

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from features.clock import DAY_S, HOUR_S
from features.errors import MissingFileError, SettingError
from features.files import sha256_of

MAX_CARRY_S = 1_800
LONGEST_HORIZON_S = 31 * DAY_S
MOST_LEVELS = 1_000
FINE_S = 60  # grids below are fine: their prices go stale as fast as their books

# Multi-scale logs of variance and its parts, signed moves, activity, the clock.
DEFAULT_FEATURES = (
    "log_return_1h",
    "log_rv_1h", "log_rv_4h", "log_rv_12h", "log_rv_24h", "log_rv_168h", "log_rv_720h",
    "log_bv_4h", "log_bv_24h", "log_bv_168h",
    "downside_4h", "downside_24h", "downside_168h",
    "rq_ratio_4h", "rq_ratio_24h",
    "log_range_1h", "log_range_4h", "log_range_24h", "log_range_168h",
    "move_1h", "move_4h", "move_24h", "move_168h",
    "log_volume_1h", "log_volume_24h", "log_volume_168h",
    "hour_sin", "hour_cos", "hour2_sin", "hour2_cos", "week_sin", "week_cos", "weekend",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Features known at each origin, and the horizons that are forecast from it.

    A feature is ``family_LOOKBACK``: see :mod:`features.catalogue`.

    Parameters
    ----------
    bar_s : seconds of a row of the grid: of a bar, or of the books and flows of one instant.
    every_s : seconds between origins.
    horizons_s : seconds ahead.
    features : names.
    price : whose returns the features and targets are of: ``trade`` or ``mid`` of the book.
    depth : levels a side that a book's features see.
    silence_s : how long a book holds when nothing comes; and a price, on a grid finer than a minute.
    pause_s : how long without any event a session of events lasts; after it features begin anew.
    """

    bar_s: int = 900
    horizons_s: tuple[int, ...] = (3_600, 14_400, 28_800, 86_400)
    features: tuple[str, ...] = DEFAULT_FEATURES
    every_s: int = HOUR_S
    price: Literal["trade", "mid"] = "trade"
    depth: int = 20
    silence_s: int = 60
    pause_s: int = HOUR_S

    def __post_init__(self) -> None:
        """Refuse grids that do not fit into each other."""
        if self.bar_s <= 0 or DAY_S % self.bar_s:
            raise SettingError(f"bars of {self.bar_s} s do not divide the day; choose bars that do")
        if self.every_s <= 0 or self.every_s % self.bar_s:
            raise SettingError(
                f"bars of {self.bar_s} s do not divide the {self.every_s} s between origins; choose bars that do"
            )
        for horizon_s in self.horizons_s:
            if not 0 < horizon_s <= LONGEST_HORIZON_S or horizon_s % self.every_s:
                raise SettingError(
                    f"horizon {horizon_s} s is no positive multiple of the {self.every_s} s between origins; "
                    "choose horizons that are, of a month at most"
                )
        _refuse_repeats("features", self.features)
        _refuse_repeats("horizons_s", self.horizons_s)
        if self.price not in ("trade", "mid"):
            raise SettingError(f"price {self.price!r}; choose trade or mid")
        if min(self.depth, self.silence_s, self.pause_s) < 1 or self.depth > MOST_LEVELS:
            raise SettingError(f"depth, silence_s and pause_s are at least 1, and depth at most {MOST_LEVELS}")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FeatureSpec":
        """Read back from JSON or TOML, which have lists where a spec has tuples.

        Raises
        ------
        SettingError
            If a key is unknown or a value is of the wrong type.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise SettingError(f"feature spec: unknown key {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        chosen: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        for name, default in asdict(cls()).items():
            _refuse_type(name, chosen.get(name, default), default)
        return cls(**chosen)

    @classmethod
    def from_toml(cls, path: Path) -> "FeatureSpec":
        """Read a TOML file; keys that are absent keep their defaults.

        Raises
        ------
        MissingFileError, SettingError
            If there is no such file; if it is no TOML or not a spec.
        """
        try:
            return cls.from_json(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such feature spec; give the path of a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingError(f"{path}: is no TOML ({error})") from error
        except SettingError as error:
            raise SettingError(f"{path}: {error}") from None

    @property
    def hash(self) -> str:
        """SHA-256 of every field: a served model refuses features of another hash."""
        return sha256_of(asdict(self))

    @property
    def horizon_rows(self) -> tuple[int, ...]:
        """Each horizon in origins."""
        return tuple(h // self.every_s for h in self.horizons_s)

    @property
    def longest_carry_s(self) -> int:
        """How long a price is carried over rows without one before that is a gap."""
        return MAX_CARRY_S if self.bar_s >= FINE_S else self.silence_s

    @property
    def purge_s(self) -> int:
        """Seconds until all outcomes of an origin are known: training ends this long before what it is tested on."""
        return max(self.horizons_s)


def _refuse_repeats(name: str, given: tuple[Any, ...]) -> None:
    if not given or len(set(given)) < len(given):
        raise SettingError(f"a feature spec needs {name}, each once")


def _refuse_type(name: str, value: object, default: object) -> None:
    good = type(value) is type(default)
    if isinstance(value, tuple) and isinstance(default, tuple):
        good = all(type(part) is type(default[0]) for part in value)
    if not good:
        raise SettingError(f"feature spec: {name} = {value!r}; write it like {default!r}")
