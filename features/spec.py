"""What a model sees: names, look-backs, origins and horizons, frozen and hashed."""

from dataclasses import asdict, dataclass
from typing import Any

from features.clock import HOUR_S
from features.errors import SettingError
from features.files import sha256_of

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
    """Features known at each full hour, and the horizons that are forecast from it.

    A feature is ``family_LOOKBACKh`` or a calendar family without a look-back:
    see :mod:`features.catalogue`.
    """

    bar_s: int = 900
    horizons_s: tuple[int, ...] = (3_600, 14_400, 28_800, 86_400)
    features: tuple[str, ...] = DEFAULT_FEATURES

    def __post_init__(self) -> None:
        """Refuse bars that do not divide the hour, and horizons that are not whole hours."""
        if self.bar_s <= 0 or HOUR_S % self.bar_s:
            raise SettingError(f"bars of {self.bar_s} s do not divide the hour; choose bars that do")
        for horizon_s in self.horizons_s:
            if horizon_s <= 0 or horizon_s % HOUR_S:
                raise SettingError(f"horizon {horizon_s} s is no positive number of hours; choose horizons that are")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FeatureSpec":
        """Read back from JSON, which has lists where a spec has tuples."""
        lists = {name: tuple(value[name]) for name in ("horizons_s", "features")}
        return cls(**value | lists)

    @property
    def hash(self) -> str:
        """SHA-256 of every field: a served model refuses features of another hash."""
        return sha256_of(asdict(self))

    @property
    def horizon_rows(self) -> tuple[int, ...]:
        """Each horizon in rows: origins are full hours."""
        return tuple(h // HOUR_S for h in self.horizons_s)
