"""Every number that a requirement depends on beside the account, the market and the forecast."""

from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from features.errors import SettingError
from features.files import sha256_of
from serving.margin.collateral import CollateralPolicy
from serving.margin.concentration import ConcentrationPolicy
from serving.margin.contingencies.basis import BasisPolicy
from serving.margin.contingencies.depeg import DepegPolicy
from serving.margin.contingencies.feeds import FeedPolicy
from serving.margin.contingencies.funding import FundingPolicy
from serving.margin.contingencies.short_options import ShortOptionPolicy
from serving.margin.levels import LevelPolicy
from serving.margin.liquidity import LiquidityPolicy
from serving.margin.objects.checks import finite, fraction, named, not_negative, positive
from serving.margin.scan_policy import ScanPolicy

LARGEST_MOVE = 100.0
MOST_STEPS = 100
TAIL_MOVES = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)  # Deribit's extended table


class Hypothetical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shock that someone thought of: moves by underlying (``*`` for all others) and of volatility."""

    name: str
    moves: dict[str, float]
    vol: float = 0.0

    def __post_init__(self) -> None:
        """Refuse moves below -100 %."""
        finite(self.vol, f"policy: hypothetical {self.name}: vol", SettingError)
        for underlying, move in self.moves.items():
            if not -1.0 <= move <= LARGEST_MOVE:
                raise SettingError(f"policy: hypothetical {self.name}: move of {underlying} is {move}; give -1 to 100")


class ScenarioPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which scenarios, and how far.

    ``families``: names in the SCENARIOS table. ``steps``: price moves a side of the
    grid, beside no move. ``calm_moves``: small moves of fixed size, on both sides.
    ``tail_moves``: relative moves beyond the range; a loss there counts with the weight
    range / |move| x ``tail_cover``, at most 1, so that a linear position pays for its range
    and a short wing for more. ``vol_up``, ``vol_down``: relative moves of implied volatility
    at 30 days, that of other expiries times (30 / days)^power, ``short_power`` within 30 days
    and ``long_power`` beyond, days at least ``least_days``. ``vol_floor``: no shocked
    volatility is below it where it was not before. ``skew``: relative tilt of the smile at one
    standard deviation. ``span_extreme``, ``span_cover``: of SPAN's last two scenarios, ranges
    and the share that counts. ``named_cover``, ``hypothetical_cover``: as ``tail_cover`` for
    crash days and hypothetical shocks.
    """

    families: tuple[str, ...] = ("grid", "calm", "tails", "skew", "span", "named", "hypothetical")
    steps: int = 4
    calm_moves: tuple[float, ...] = (0.01, 0.02, 0.04)
    tail_moves: tuple[float, ...] = TAIL_MOVES
    tail_cover: float = 1.0
    vol_up: float = 0.45
    vol_down: float = 0.25
    short_power: float = 0.30
    long_power: float = 0.13
    least_days: float = 1.0
    vol_floor: float = 0.10
    skew: float = 0.15
    span_extreme: float = 3.0
    span_cover: float = 0.33
    named_cover: float = 1.0
    hypothetical_cover: float = 1.0
    hypothetical: tuple[Hypothetical, ...] = ()

    def __post_init__(self) -> None:
        """Refuse scenarios that would not stress."""
        if not 1 <= self.steps <= MOST_STEPS or not self.families:
            raise SettingError(f"policy: scenarios need at least one family and 1 to {MOST_STEPS} steps a side")
        for field in ("vol_up", "vol_down", "short_power", "long_power", "skew", "vol_floor", "span_cover"):
            not_negative(getattr(self, field), f"policy: scenarios.{field}", SettingError)
        for field in ("least_days", "span_extreme", "tail_cover", "named_cover", "hypothetical_cover"):
            positive(getattr(self, field), f"policy: scenarios.{field}", SettingError)
        fraction(self.vol_down, "policy: scenarios.vol_down", SettingError)
        if not all(0 < move < 1 for move in self.calm_moves):
            raise SettingError("policy: scenarios.calm_moves must be relative moves within 0 and 1")
        if not all(-1.0 <= move <= LARGEST_MOVE and move != 0.0 for move in self.tail_moves):
            raise SettingError("policy: scenarios.tail_moves must be relative moves from -1 to 100, none of them 0")


class PathPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Joint paths: filtered historical simulation and its stressed correlations.

    ``es_level``: of the shortfall over the paths. ``correlations``: which joint laws
    are tried, the worst counts. ``least_paths``: fewer rows of residuals are not used.
    ``credit_cap``: largest share of the sum of the underlyings' losses that their
    diversification may take off. ``vol_response``: relative move of implied volatility at a move
    of the size of the normal law's 99 % quantile, in proportion to it, where the residuals bring none.
    ``missing_frac``: of the scan, charged where there are no paths: what their shortfall might have asked for.
    """

    es_level: float = 0.99
    correlations: tuple[Literal["history", "comonotone", "independent"], ...] = ("history", "comonotone", "independent")
    least_paths: int = 250
    credit_cap: float = 0.5
    vol_response: float = 0.3
    missing_frac: float = 0.25

    def __post_init__(self) -> None:
        """Refuse levels that mean no tail."""
        if not 0.5 < self.es_level < 1:
            raise SettingError(f"policy: paths.es_level is {self.es_level}; give a level within 0.5 and 1")
        fraction(self.credit_cap, "policy: paths.credit_cap", SettingError)
        not_negative(self.vol_response, "policy: paths.vol_response", SettingError)
        not_negative(self.missing_frac, "policy: paths.missing_frac", SettingError)
        if self.least_paths < 1 or not self.correlations:
            raise SettingError("policy: paths need least_paths of at least 1 and one correlation")


class StaticPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges where no forecast may be used: ``range_frac`` over the initial period of risk, times ``multiplier``.

    ``ranges``: by underlying; ``range_frac`` for all others. ``maintenance_frac``: share of it for maintenance.
    ``least_frac``: of it, below which no forecast brings a range: a forecast so calm is more likely wrong.
    ``greatest_age_s``: a forecast older than that counts as expired, whatever it says of itself.
    ``hole_frac``: of the scan, charged where a forecast is missing, or lacks a horizon or a part of its history. What
    stands for that makes the range wider; what loses most within it (bought options) would pay nothing for the hole.
    """

    range_frac: float = 0.20
    ranges: dict[str, float] = msgspec.field(default_factory=lambda: {"BTC": 0.12, "ETH": 0.14})
    multiplier: float = 1.5
    maintenance_frac: float = 0.6
    least_frac: float = 0.25
    greatest_age_s: float = 21_600.0
    hole_frac: float = 0.05

    def __post_init__(self) -> None:
        """Refuse ranges that would not cover anything."""
        for name, value in {"range_frac": self.range_frac, **self.ranges}.items():
            positive(value, f"policy: static range of {name}", SettingError)
        if not 1 <= self.multiplier <= LARGEST_MOVE:
            raise SettingError(
                f"policy: static.multiplier is {self.multiplier}; give 1 to 100, a fallback is never below"
            )
        fraction(self.maintenance_frac, "policy: static.maintenance_frac", SettingError)
        fraction(self.least_frac, "policy: static.least_frac", SettingError)
        positive(self.greatest_age_s, "policy: static.greatest_age_s", SettingError)
        fraction(self.hole_frac, "policy: static.hole_frac", SettingError)


def policy_of(document: dict[str, Any]) -> "MarginPolicy":
    """Build a policy from a parsed document; what is not given has its default.

    Raises
    ------
    SettingError
        If a key is unknown or a value is refused; the message names the path.

    Examples
    --------
    >>> policy_of({"paths": {"es_levle": 0.99}})
    Traceback (most recent call last):
    features.errors.SettingError: margin policy: Object contains unknown field `es_levle` - at `$.paths`
    """
    for field in msgspec.structs.fields(MarginPolicy):
        if is_dataclass(field.type) and field.name in document:
            _refuse_unknown(field.name, document[field.name], {known.name for known in fields(field.type)})
    try:
        return msgspec.convert(document, MarginPolicy, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"margin policy: {error}") from error


def _refuse_unknown(section: str, given: Any, known: set[str]) -> None:  # noqa: ANN401 - what a file holds
    if not isinstance(given, dict):
        raise SettingError(f"margin policy: {section} must be a table; write it as [{section}]")
    for name in given:
        if name not in known:
            raise SettingError(f"margin policy: {section} has no option {name!r}; known: {', '.join(sorted(known))}")


class MarginPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy of one version; who approved it and when it took effect."""

    version: str = "default"
    announced_at: str | None = None
    effective_at: str | None = None
    approved_by: str | None = None
    scan: ScanPolicy = ScanPolicy()
    scenarios: ScenarioPolicy = ScenarioPolicy()
    paths: PathPolicy = PathPolicy()
    static: StaticPolicy = StaticPolicy()
    liquidity: LiquidityPolicy = LiquidityPolicy()
    concentration: ConcentrationPolicy = ConcentrationPolicy()
    levels: LevelPolicy = LevelPolicy()
    short_options: ShortOptionPolicy = ShortOptionPolicy()
    basis: BasisPolicy = BasisPolicy()
    funding: FundingPolicy = FundingPolicy()
    depeg: DepegPolicy = DepegPolicy()
    feeds: FeedPolicy = FeedPolicy()
    collateral: CollateralPolicy = CollateralPolicy()
    missing: Literal["refuse", "conservative"] = "refuse"
    largest_position_usd: Decimal = Decimal("1e11")

    def __post_init__(self) -> None:
        """Refuse a policy without a name."""
        named(self.version, "policy: version", SettingError)
        positive(self.largest_position_usd, "policy: largest_position_usd", SettingError)

    @property
    def hash(self) -> str:
        """SHA-256 of every field."""
        return sha256_of(msgspec.to_builtins(self))
