"""Families of the clock: the origin's hour and day, UTC."""

from collections.abc import Callable

import numpy as np

from features.clock import DAY_NS, HOUR_NS
from features.families.family import Family, Ints
from features.terms import Floats


def _wave(name: str, function: Callable[[Floats], Floats], hours: int) -> Family:
    """Sine or cosine of the clock."""
    period_ns = hours * HOUR_NS
    return Family(
        f"{name}(2π t / {hours} h)",
        "1",
        clock=lambda ns: function(2 * np.pi * (ns % period_ns) / period_ns),
        looks_back=False,
    )


def _weekend(origin_ns: Ints) -> Floats:
    """1 on Saturday and Sunday; 1 January 1970 was a Thursday."""
    return ((origin_ns // DAY_NS + 3) % 7 >= 5).astype(np.float64)


CALENDAR_FAMILIES: dict[str, Family] = {
    "hour_sin": _wave("sin", np.sin, 24),
    "hour_cos": _wave("cos", np.cos, 24),
    "hour2_sin": _wave("sin", np.sin, 12),
    "hour2_cos": _wave("cos", np.cos, 12),
    "week_sin": _wave("sin", np.sin, 168),
    "week_cos": _wave("cos", np.cos, 168),
    "weekend": Family("1 on Saturday and Sunday", "0 or 1", clock=_weekend, looks_back=False),
}
