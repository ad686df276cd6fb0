"""Days that happened: the largest moves of crash days, over the hours that the margin has to cover."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.scenarios.scenario_set import ScenarioSet, dampened, scenario_set

FloatArray = NDArray[np.float64]
HOURS: Final = (1, 8, 24)


@dataclass(frozen=True, slots=True)
class NamedDay:
    """Largest fall and rise within 1, 8 and 24 hours that ended on a day, by underlying, relative.

    An underlying that is not listed moves as the worst of those that are.
    """

    name: str
    falls: dict[str, tuple[float, float, float]]
    rises: dict[str, tuple[float, float, float]]


# Measured from five-minute bars of Binance spot (low or high within the window, from the close before it);
# 10 October 2025 as reported by the press (globalstocknews.org, quoting Derive), one figure for 8 and 24 hours
# and, for want of better, for one hour; a listed coin's rise was not reported and is left at a third of its fall.
NAMED_DAYS: Final = (
    NamedDay(
        "12-13 March 2020",
        {"BTC": (-0.247, -0.383, -0.512), "ETH": (-0.268, -0.393, -0.540), "BNB": (-0.312, -0.477, -0.597)},
        {"BTC": (0.359, 0.468, 0.290), "ETH": (0.412, 0.562, 0.321), "BNB": (0.463, 0.663, 0.274)},
    ),
    NamedDay(
        "19 May 2021",
        {
            "BTC": (-0.226, -0.263, -0.317),
            "ETH": (-0.308, -0.376, -0.454),
            "BNB": (-0.301, -0.366, -0.463),
            "SOL": (-0.400, -0.490, -0.544),
        },
        {
            "BTC": (0.262, 0.344, 0.052),
            "ETH": (0.350, 0.517, 0.087),
            "BNB": (0.326, 0.468, 0.052),
            "SOL": (0.383, 0.510, 0.263),
        },
    ),
    NamedDay(
        "8-9 November 2022",
        {
            "BTC": (-0.095, -0.165, -0.180),
            "ETH": (-0.117, -0.216, -0.278),
            "BNB": (-0.131, -0.232, -0.268),
            "SOL": (-0.220, -0.395, -0.502),
        },
        {
            "BTC": (0.070, 0.073, 0.073),
            "ETH": (0.100, 0.105, 0.105),
            "BNB": (0.237, 0.242, 0.270),
            "SOL": (0.197, 0.271, 0.256),
        },
    ),
    NamedDay(
        "5 August 2024",
        {
            "BTC": (-0.097, -0.169, -0.198),
            "ETH": (-0.213, -0.237, -0.280),
            "BNB": (-0.129, -0.209, -0.243),
            "SOL": (-0.131, -0.224, -0.241),
        },
        {
            "BTC": (0.083, 0.118, 0.039),
            "ETH": (0.098, 0.150, 0.045),
            "BNB": (0.114, 0.158, 0.049),
            "SOL": (0.178, 0.230, 0.092),
        },
    ),
    NamedDay(
        "10 October 2025",
        {"BTC": (-0.12, -0.12, -0.12), "ETH": (-0.20, -0.20, -0.20), "SOL": (-0.246, -0.246, -0.246)},
        {"BTC": (0.04, 0.04, 0.04), "ETH": (0.067, 0.067, 0.067), "SOL": (0.082, 0.082, 0.082)},
    ),
)


def named(ranges: Ranges, policy: ScenarioPolicy) -> ScenarioSet:
    """Fall and rise of every named day over the shortest listed span that holds the period of risk, volatility up."""
    span = next((i for i, hours in enumerate(HOURS) if 3600 * hours >= ranges.horizon_s), len(HOURS) - 1)
    rows, names = [], []
    for day in NAMED_DAYS:
        for table, word in ((day.falls, "fall"), (day.rises, "rise")):
            rows.append([_move(table, underlying, span) for underlying in ranges.underlyings])
            names.append(f"{day.name}, {word}")
    move = np.array(rows).reshape(len(names), len(ranges.underlyings))
    weight = dampened(move, ranges.down, ranges.up, policy.named_cover)
    vol = np.broadcast_to(np.maximum(policy.vol_up, ranges.vol_up), move.shape).copy()
    return scenario_set(names, move, vol, weight)


def _move(table: dict[str, tuple[float, float, float]], underlying: str, span: int) -> float:
    if underlying in table:
        return table[underlying][span]
    return max((row[span] for row in table.values()), key=abs)
