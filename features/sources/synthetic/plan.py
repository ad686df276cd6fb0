"""What to draw of a synthetic market into a store: checked before the first number is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.clock import DAY_S, HOUR_S, parse_utc
from features.errors import SettingError, lookup
from features.intake.stream import require_file
from features.schema import FIRST_NS, LAST_NS
from features.sources.synthetic.events import Feed
from features.sources.synthetic.faults import FAULTS
from features.sources.synthetic.latent import Latent, simulate
from features.sources.synthetic.spec import MarketSpec

BAR_STEP_S = 30
LONGEST_EVENTS_S, LONGEST_BARS_S = 3 * DAY_S, 3_653 * DAY_S


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw: the same plan gives the same numbers.

    Attributes
    ----------
    faults : inflicted on trades and book changes, one after another; bars and truth know of none.
    truth_every_s : time between the origins of the truth, from the start.
    """

    spec: MarketSpec
    seed: int
    duration_s: int
    start: str = "2024-01-01"
    bars_only: bool = False
    bar_s: int = 900
    faults: tuple[str, ...] = ()
    truth_every_s: int = 900

    def __post_init__(self) -> None:
        """Refuse stretches that are not whole bars, or too long for events."""
        if self.duration_s < self.bar_s or self.duration_s % self.bar_s or self.bar_s % BAR_STEP_S:
            raise SettingError(f"{self.duration_s} s are no whole bars of {self.bar_s} s (multiples of {BAR_STEP_S} s)")
        if self.duration_s > (LONGEST_BARS_S if self.bars_only else LONGEST_EVENTS_S):
            raise SettingError(
                "events are drawn for three days at most; add --bars-only for a longer history, ten years at most"
            )
        if self.faults and self.bars_only:
            raise SettingError("faults are inflicted on events; leave out --bars-only, or --faults")
        if len(set(self.faults)) < len(self.faults):
            raise SettingError(f"faults {', '.join(self.faults)}: name each once")
        if not FIRST_NS <= parse_utc(self.start) <= LAST_NS:
            raise SettingError(f"start {self.start} is not between 1990 and 2200")

    def draw(self) -> tuple[Latent, list[np.random.Generator]]:
        """The path, and a generator for each instrument."""
        first, *others = np.random.default_rng(self.seed).spawn(1 + len(self.spec.symbols))
        step_s = float(BAR_STEP_S) if self.bars_only else Feed().message_s
        return simulate(self.spec, parse_utc(self.start), float(self.duration_s), step_s, first), others


def plan_of(
    market: Path | None,
    symbols: int,
    seed: int,
    hours: int,
    days: int | None,
    start: str,
    bar_s: int,
    faults: tuple[str, ...],
    *,
    bars_only: bool,
) -> Plan:
    """The plan of a command's options.

    Raises
    ------
    SettingError
        If the market has fewer instruments, or an option makes no sense.
    """
    if market is not None:
        require_file(market)
    spec = MarketSpec() if market is None else MarketSpec.from_toml(market.read_text(encoding="utf-8"))
    for fault in faults:
        lookup(FAULTS, fault, "fault")
    duration_s = hours * HOUR_S if days is None else days * DAY_S
    every_s = HOUR_S if bars_only else 900
    return Plan(spec.first(symbols), seed, duration_s, start, bars_only, bar_s, faults, every_s)
