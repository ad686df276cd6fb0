"""Parameters of Derive's portfolio margin: what the venue sets, checked within the bounds its contract allows."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from features.errors import SettingError
from serving.margin.objects.checks import finite, fraction, not_negative, positive

DAY_S: Final = 86_400.0
YEAR_S: Final = 365 * DAY_S
VolMove = Literal["up", "none", "down", "linear", "abs"]
VOL_MOVES: Final = ("up", "none", "down", "linear", "abs")
SKEWS: Final = ("linear", "abs")
SIGNED: Final = ("linear_slope", "abs_slope", "vol_slope")  # every other number is 0 or more


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One move of the market: spot by a factor, volatility in a direction, the loss scaled by a damping factor.

    ``vol``: ``up``, ``down`` and ``none`` move every volatility of an expiry alike; ``linear`` and
    ``abs`` are skews: the wings move, spot stays where it is for the options.
    """

    spot: float
    vol: VolMove
    damping: float = 1.0

    def __post_init__(self) -> None:
        """Refuse moves that are none."""
        not_negative(self.spot, "scenario: spot", SettingError)
        not_negative(self.damping, "scenario: damping", SettingError)
        if self.vol not in VOL_MOVES:
            raise SettingError(f"scenario: vol is {self.vol!r}; known: {', '.join(VOL_MOVES)}")

    @property
    def is_skew(self) -> bool:
        """Whether only the wings of the smile move."""
        return self.vol in SKEWS

    @property
    def name(self) -> str:
        """What a trader reads.

        Examples
        --------
        >>> Scenario(0.66, "up", 0.1).name, Scenario(1.0, "linear").name
        ('spot -34 %, vol up, damped x0.1', 'skew linear')
        """
        damped = "" if self.damping == 1 else f", damped x{self.damping:.3g}"
        if self.is_skew:
            return f"skew {self.vol}{damped}"
        return f"spot {100 * (self.spot - 1):+.4g} %, vol {self.vol}{damped}"


class VolShock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far volatility moves: the range at 30 days, and how it grows towards expiry."""

    range_up: float
    range_down: float
    short_power: float
    long_power: float
    floor_s: float
    lowest_after_rise: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _check(self)


class SkewShock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the wings of a smile move: cap = base + slope x sqrt(years), reached at the width."""

    linear_base: float
    linear_slope: float
    abs_base: float
    abs_slope: float
    least_width: float
    width_scale: float
    vol_base: float
    vol_slope: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _check(self)


class StaticDiscount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much less a long expiry, and how much more a short one, counts in a scenario."""

    long_base: float
    long_rate_scale: float
    long_rate_add: float
    short_base: float
    short_rate_scale: float
    short_rate_add: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _check(self)


class Basis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forward contingency: loss of an expiry under its own move of the forward, times add + scale x years."""

    spot_up: float
    spot_down: float
    add: float
    scale: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _check(self)


class Contingency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fractions of spot notional; ``*_initial`` comes on top of ``*_maintenance``."""

    perpetual_maintenance: float
    perpetual_initial: float
    option_maintenance: float
    option_initial: float
    confidence_threshold: float
    confidence_scale: float
    peg_threshold: float
    peg_scale: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none."""
        _check(self)


class CollateralTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Haircuts of an asset; ``initial`` comes on top of ``maintenance``.

    ``hedge_*``: where it stands beside positions in the underlying that it follows, and moves
    with them in the scenarios; without them it never does.
    """

    initial: float
    maintenance: float
    hedge_initial: float | None = None
    hedge_maintenance: float | None = None

    def __post_init__(self) -> None:
        """Refuse haircuts outside [0, 1] and half a pair."""
        for field in self.__struct_fields__:
            if getattr(self, field) is not None:
                fraction(getattr(self, field), f"collateral: {field}", SettingError)
        if (self.hedge_initial is None) != (self.hedge_maintenance is None):
            raise SettingError("collateral: give both hedge_initial and hedge_maintenance or neither")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the venue sets for a market; an asset without terms in ``collateral`` counts for nothing."""

    source: str = ""
    scenarios: tuple[Scenario, ...]
    initial_factor: float
    maintenance_factor: float
    vol: VolShock
    skew: SkewShock
    discount: StaticDiscount
    basis: Basis
    contingency: Contingency
    collateral: dict[str, CollateralTerms] = {}

    def __post_init__(self) -> None:
        """Refuse what would make a margin of nothing."""
        if not self.scenarios:
            raise SettingError("derive_portfolio: there are no scenarios; give at least one")
        positive(self.initial_factor, "derive_portfolio: initial_factor", SettingError)
        positive(self.maintenance_factor, "derive_portfolio: maintenance_factor", SettingError)


def read_parameters(document: Mapping[str, Any]) -> Parameters:
    """Parameters from a plain mapping, as a TOML file gives it.

    Raises
    ------
    SettingError
        If a key is unknown or missing or a number is out of bounds; the message names it.

    Examples
    --------
    >>> read_parameters({"scenario": []})
    Traceback (most recent call last):
    features.errors.SettingError: derive_portfolio: Object contains unknown field `scenario`
    """
    try:
        return msgspec.convert(document, Parameters)
    except msgspec.ValidationError as error:
        raise SettingError(f"derive_portfolio: {error}") from error


def _check(part: VolShock | SkewShock | StaticDiscount | Basis | Contingency) -> None:
    """Refuse numbers of one part that are NaN, infinite or of the wrong sign."""
    for name in part.__struct_fields__:
        check = finite if name in SIGNED else not_negative
        check(getattr(part, name), f"derive_portfolio: {name}", SettingError)
