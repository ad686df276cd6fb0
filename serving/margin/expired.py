r"""An expired forecast never lowers a requirement: what it would ask for, had it not expired, is a floor.

Ranges that an expired forecast holds up are wide enough, but a grid of scenarios is a sample: a wider one may step
over the strike where a bought option loses most, and the forecast that stands in may give more credit. The account is
therefore margined both ways, and what the second way asks for beyond the first is a component of its own:

.. math:: \max\Bigl(0, \sum_c before_c - \sum_c now_c\Bigr)

Of several forecasts the one that expired last is taken back, then the one before it and so on: what was asked for
at each of these times is a floor.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from serving.margin.charge import Charge, allocated
from serving.margin.money import up
from serving.margin.objects import ForecastSet
from serving.margin.policy import MarginPolicy
from serving.margin.ranges import is_fresh

FloatArray = NDArray[np.float64]
NAME: Final = "expired forecast"


def unexpired(forecasts: Sequence[ForecastSet], as_of_ns: int, policy: MarginPolicy) -> tuple[ForecastSet, ...] | None:
    """The forecasts as if the one that expired last had been made just now; None where none has expired."""
    late = [i for i, f in enumerate(forecasts) if not is_fresh(f, as_of_ns, policy)]
    if not late:
        return None
    last = max(late, key=lambda i: _end_ns(forecasts[i], policy))
    renewed = msgspec.structs.replace(forecasts[last], as_of_ns=as_of_ns, expires_ns=as_of_ns + 1)
    return (*forecasts[:last], renewed, *forecasts[last + 1 :])


def _end_ns(forecast: ForecastSet, policy: MarginPolicy) -> int:
    """When a forecast may no longer be used."""
    return min(forecast.expires_ns, forecast.as_of_ns + int(policy.static.greatest_age_s * NS_PER_S))


def held_up(charges: Sequence[Charge], before: Sequence[Charge]) -> Charge:
    """What charges lack of those before the forecast expired, to the cent, by row as these are the larger there.

    Parameters
    ----------
    charges, before : of the same rows; ``before`` as if nothing had expired.
    """
    return Charge(NAME, *(_lack(charges, before, margin) for margin in ("initial", "maintenance")))


def _lack(charges: Sequence[Charge], before: Sequence[Charge], margin: str) -> FloatArray:
    now, then = ([getattr(c, margin) for c in found] for found in (charges, before))
    # Every component is rounded up by itself: only so is the sum no cent below what it was.
    whole, asked = (sum(up(float(np.add.reduce(part)), NAME) for part in parts) for parts in (now, then))
    rows = np.add.reduce(then) - np.add.reduce(now)
    return allocated(float(asked - whole), rows) if asked > whole else np.zeros(len(rows))
