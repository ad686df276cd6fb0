"""The rules that turn a forecast into a margin rate, frozen and checked at the door."""

from dataclasses import asdict, dataclass

from features.errors import SettingError
from features.files import sha256_of


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """Every number that a margin depends on beside the forecast; rates are fractions of notional.

    ``mpor_s``: margin period of risk, over which initial margin covers losses.
    ``liquidation_s``: the same for maintenance margin.
    ``es_level``, ``var_level``: confidence of expected shortfall and value-at-risk;
    the larger of the two counts.
    ``stress_weight``: share of the stressed loss in the blend.
    ``stressed_days_frac``: the most volatile days of the history, which are the stress.
    ``floor_level``: quantile of the whole history's losses below which no margin falls.
    ``buffer``: surcharge in calm; above the long-run level it stays what it was
    there and is used up as the forecast rises.
    ``daily_fall_frac``: the published rate falls by at most this share a day; it rises at once.
    ``least_history_days``: of outcomes that stress and floor must rest on.
    ``memory_days``: how long a past peak can hold the published rate up.
    ``liquidation_cost_frac``: half spread and fees of closing the position.

    Raises
    ------
    SettingError
        If a number is out of its range.

    References
    ----------
    Buffer, stress weight and floor: the three tools of Commission Delegated
    Regulation (EU) No 153/2013, article 28.
    """

    mpor_s: int = 28_800
    liquidation_s: int = 3_600
    es_level: float = 0.99
    var_level: float = 0.995
    stress_weight: float = 0.25
    stressed_days_frac: float = 0.02
    floor_level: float = 0.99
    buffer: float = 0.25
    daily_fall_frac: float = 0.10
    memory_days: int = 30
    least_history_days: int = 60
    liquidation_cost_frac: float = 0.001

    def __post_init__(self) -> None:
        """Refuse numbers that could make a margin too low or senseless."""
        rules = {
            "liquidation_s": 0 < self.liquidation_s <= self.mpor_s,
            "es_level": 0.5 < self.es_level < 1,
            "var_level": 0.5 < self.var_level < 1,
            "stress_weight": 0 <= self.stress_weight <= 1,
            "stressed_days_frac": 0 < self.stressed_days_frac <= 1,
            "floor_level": 0.5 < self.floor_level < 1,
            "buffer": 0 <= self.buffer < float("inf"),
            "daily_fall_frac": 0 < self.daily_fall_frac < 1,
            "memory_days": self.memory_days >= 1,
            "least_history_days": self.least_history_days >= 1,
            "liquidation_cost_frac": 0 <= self.liquidation_cost_frac < 1,
        }
        wrong = [f"{name}={getattr(self, name)}" for name, holds in rules.items() if not holds]
        if wrong:
            raise SettingError(f"margin policy: {', '.join(wrong)} out of range; see the policy's documentation")

    @property
    def hash(self) -> str:
        """SHA-256 of every field: what a margin was computed with."""
        return sha256_of(asdict(self))
