"""Short options cost something even where no scenario hurts them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import SettingError
from serving.margin.contingencies.inputs import (
    not_negative,
    refuse_negative_index,
    refuse_out_of_range,
    refuse_unless_finite,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NETTINGS = ("strike", "none")


@dataclass(frozen=True, slots=True)
class ShortOptionPolicy:
    """What a net short option costs, as a fraction of the spot price of its units.

    ``initial_frac``, ``maintenance_frac``: 0.01 is the published 0.01 BTC per net short option of
    Deribit, which states it for maintenance margin.
    ``netting``: ``strike`` nets calls and puts of one strike and expiry before counting (Deribit,
    Derive); ``none`` counts every short option (SPAN's short-option minimum).

    Raises
    ------
    SettingError
        If a fraction is negative or the netting unknown.
    """

    initial_frac: float = 0.01
    maintenance_frac: float = 0.01
    netting: Literal["strike", "none"] = "strike"

    def __post_init__(self) -> None:
        """Refuse what would lower a margin."""
        if self.netting not in NETTINGS:
            raise SettingError(f"short options: unknown netting {self.netting!r}; known: {', '.join(NETTINGS)}")
        refuse_out_of_range(
            "short options",
            initial_frac=not_negative(self.initial_frac),
            maintenance_frac=0 <= self.maintenance_frac <= self.initial_frac,
        )


def short_option_minimum(
    units: FloatArray, strike: IntArray, spot: FloatArray, policy: ShortOptionPolicy
) -> tuple[FloatArray, FloatArray]:
    r"""Initial and maintenance charge of each position, shape (p,) each, none negative.

    .. math:: C = c \sum_k S_k \max\Bigl(0, -\sum_{i \in k} q_i\Bigr)

    over strikes k of one expiry. The charge of a strike is given out to its short positions by size;
    without netting every position is a strike of its own.

    Parameters
    ----------
    units : options held in units of the underlying, signed, shape (p,); 0 for what is no option.
    strike : index of underlying, expiry and strike of each position, from 0 without gaps, shape (p,).
    spot : USD, shape (p,).
    policy : fractions and netting.

    Raises
    ------
    MarketError
        If a number is not finite or an index negative.

    References
    ----------
    https://www.deribit.com/pages/docs/portfoliomargin: "you have a position in strike X, call +10 and
    put -20, your net short position on strike X is -10, thus 10*0.01 BTC".
    Derive, PMRM ``_getOptionContingency``: naked shorts per strike.

    Examples
    --------
    >>> same, spot = np.array([0, 0]), np.full(2, 50_000.0)
    >>> short_option_minimum(np.array([10.0, -20.0]), same, spot, ShortOptionPolicy())[0]
    array([   0., 5000.])
    """
    refuse_unless_finite("short options", units=units, spot=spot)
    refuse_negative_index("short options", strike=strike)
    groups = strike if policy.netting == "strike" else np.arange(len(units))
    naked_usd = _naked(units, groups, spot)
    initial = policy.initial_frac * naked_usd
    return initial, initial if policy.maintenance_frac == policy.initial_frac else policy.maintenance_frac * naked_usd


@compiled
def _naked(units: FloatArray, group: IntArray, spot: FloatArray) -> FloatArray:
    """Spot value of the net shorts of each group, given out to its shorts by size."""
    count = 0
    for i in range(len(group)):
        count = max(count, group[i] + 1)
    net, short = np.zeros(count), np.zeros(count)
    for i in range(len(units)):
        net[group[i]] += units[i]
        short[group[i]] -= min(units[i], 0.0)
    out = np.zeros(len(units))
    for i in range(len(units)):
        if units[i] < 0.0 and net[group[i]] < 0.0:
            out[i] = spot[i] * units[i] * net[group[i]] / short[group[i]]
    return out
