"""How far each measure of variance is from the truth, on simulated paths whose truth is known.

Bias, its standard error and the spread of one window are in percent of the integrated variance without jumps
and noise (of the variance of all moves, gaps included, for bars). Seeded: two runs print the same.
"""

from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from features.measures import MEASURES
from features.measures.lee_mykland import gumbel_critical_value
from features.measures.window import FloatArray
from tests.features.measures.paths import Paths, bars, constant, jumping, noisy, stochastic

WINDOWS, N, BARS = 1_000, 1_440, 24
PATHS: dict[str, Callable[[np.random.Generator, int, int], Paths]] = {
    "constant": constant,
    "stochastic": stochastic,
    "one jump of half": jumping,
    "noise": noisy,
}
OF_BARS: dict[str, tuple[float, float]] = {  # drift and variance of the gap, a bar of variance 1
    "driftless": (0.0, 0.0),
    "drift 0.5 σ": (0.5, 0.0),
    "gaps of half": (0.0, 0.5),
}
CRITICAL = {"bns_jump_statistic": 1.645, "lee_mykland_maximum": gumbel_critical_value(0.05)}


def cell(estimates: FloatArray, truth: FloatArray | float) -> str:
    """Bias ± its standard error, and the spread of one window in brackets."""
    off = 100 * (estimates / truth - 1)
    return f"{off.mean():+.1f} ± {off.std(ddof=1) / np.sqrt(len(off)):.1f} ({off.std(ddof=1):.1f})"


def table(title: str, columns: list[str]) -> Table:
    """An empty table with measures down the side."""
    made = Table("measure", title=title)
    for column in columns:
        made.add_column(column, justify="right")
    return made


def variances(drawn: dict[str, Paths]) -> Table:
    """Measures of returns against the integrated variance."""
    made = table(f"{WINDOWS} windows of {N} returns: bias ± standard error (spread of a window), %", list(drawn))
    for name, measure in MEASURES.items():
        if measure.inputs == "returns" and measure.unit == MEASURES["realised_variance"].unit:
            share = 0.5 if "semivariance" in name else 1.0
            made.add_row(name, *(cell(measure.compute(p.log_returns), share * p.integrated) for p in drawn.values()))
    return made


def ranges() -> Table:
    """Measures of bars against the variance of all moves."""
    made = table(f"{WINDOWS} windows of {BARS} bars, watched without pause: as above", list(OF_BARS))
    drawn = [bars(np.random.default_rng(10), WINDOWS, BARS, drift, gap) for drift, gap in OF_BARS.values()]
    truths = [BARS * (1 + gap) for _, gap in OF_BARS.values()]
    for name, measure in MEASURES.items():
        if measure.inputs == "ohlc":
            made.add_row(
                name, *(cell(measure.compute(*series), truth) for series, truth in zip(drawn, truths, strict=True))
            )
    return made


def jump_tests(drawn: dict[str, Paths]) -> Table:
    """How often each test at the level of 5 % says that there was a jump."""
    made = table("windows in which a jump is found at the level of 5 %", list(drawn))
    for name, critical in CRITICAL.items():
        shares = [(MEASURES[name].compute(p.log_returns) > critical).mean() for p in drawn.values()]
        made.add_row(name, *(f"{100 * share:.1f} %" for share in shares))
    return made


def main() -> None:
    """Print the three tables."""
    drawn = {name: path(np.random.default_rng(seed), WINDOWS, N) for seed, (name, path) in enumerate(PATHS.items())}
    console = Console(width=140)
    for made in (variances(drawn), ranges(), jump_tests(drawn)):
        console.print(made)


if __name__ == "__main__":
    main()
