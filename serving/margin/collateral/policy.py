"""The numbers that a haircut depends on beside the market and the forecast."""

import math
from dataclasses import dataclass

from features.errors import SettingError


@dataclass(frozen=True, slots=True)
class CollateralPolicy:
    """How an asset posted is discounted; fractions of its value.

    ``missing_loss_frac``: loss over the liquidation time of an asset without forecast: all of it, so that
    it counts for nothing.
    ``stable_loss_frac``: the same of a stablecoin; 0.02 is what it can fall before the depeg charge begins.
    ``depeg_threshold``, ``depeg_factor``: 0.98 and 2, Derive's portfolio margin.
    ``wrong_way_factor``: 1 doubles the market haircut of an asset that falls with the whole position
    (judgement: its fall and the position's loss come together, and so does the sale of both).
    ``confidence_threshold``, ``confidence_factor``: 0.55 and 1, Derive's portfolio margin.
    ``age_limit_s``: up to which a price counts as fresh; judgement.
    ``missing_age_s``: of a price whose age is not known: a day; judgement.
    ``impact``: Y of the square-root law, of order one (Tóth et al. 2011; Donier and Bonart 2015 for Bitcoin).
    ``impact_z``: standard deviations that the forecast loss stands for when impact is scaled by volatility:
    2.326 is the 99 % quantile of the normal law. With fatter tails the volatility comes out too high.
    ``half_spread_frac``: paid on any sale; 0.001, ten times the spread of a liquid pair; judgement.
    ``missing_volume_usd``: volume of a day where none is known; less than listed pairs trade.
    ``missing_deposits_multiple``: deposits, as a multiple of the size where scaling begins, where they are
    not known: 10 leaves a tenth; judgement.

    Raises
    ------
    SettingError
        If a number is out of its range.

    References
    ----------
    github.com/derivexyz/v2-core, PMRM: peg loss and confidence parameters.
    """

    missing_loss_frac: float = 1.0
    stable_loss_frac: float = 0.02
    depeg_threshold: float = 0.98
    depeg_factor: float = 2.0
    wrong_way_factor: float = 1.0
    confidence_threshold: float = 0.55
    confidence_factor: float = 1.0
    age_limit_s: float = 60.0
    missing_age_s: float = 86_400.0
    impact: float = 1.0
    impact_z: float = 2.326
    half_spread_frac: float = 0.001
    missing_volume_usd: float = 100_000.0
    missing_deposits_multiple: float = 10.0

    def __post_init__(self) -> None:
        """Refuse numbers that would raise the value of collateral or make none."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            least, most = RANGES.get(name, (0.0, math.inf))
            if not (math.isfinite(value) and least <= value <= most):
                raise SettingError(f"collateral policy: {name}={value} lies outside {least} to {most}; correct it")


RANGES = {
    "missing_loss_frac": (0.0, 1.0),
    "stable_loss_frac": (0.0, 1.0),
    "depeg_threshold": (0.0, 1.0),
    "confidence_threshold": (0.0, 1.0),
    "impact_z": (1e-3, math.inf),
    "half_spread_frac": (0.0, 1.0),
    "missing_volume_usd": (1e-3, math.inf),
    "missing_deposits_multiple": (1.0, math.inf),
}
