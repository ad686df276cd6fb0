"""What is compared in the ablation of order books, with which settings, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import SettingError
from features.panel import Panel
from features.spec import FeatureSpec
from models.base import Forecast
from models.calibration import Calibration

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RIDGE, NETWORK, FLAT, TRUTH = "ridge", "network", "flat", "truth"
RETURNS, ALL = "returns", "all"
KINDS = {RIDGE: "log-HAR ridge", NETWORK: "network", FLAT: "mean of the training part", TRUTH: "true variance"}
Key = tuple[str, str]  # kind of model, rung of features


@dataclass(frozen=True)
class AblationPlan:
    """Settings of the ablation; none is searched for.

    ``specs``: feature specs, by name or path; a recording is read with the first that it is long enough for.
    ``train_share``: the test begins when this share of a recording is over. ``least_windows``: longest windows that
    a recording must last for. ``block_windows``, ``least_block_s``: windows of a horizon, and seconds, that make one
    cluster. ``calibration``: memory of the debiasing, in rows. ``market_hours``, ``seed``: of the synthetic market,
    ``half_life_s`` that of its variance.
    """

    specs: tuple[str, ...] = ("seconds", "short_windows")
    train_share: float = 0.6
    least_windows: int = 4
    block_windows: int = 2
    least_block_s: int = 600
    calibration: Calibration = field(default_factory=lambda: Calibration(bias_rows=2160, prior_rows=360))
    market_hours: int = 36
    seed: int = 7
    half_life_s: float = 900.0

    def __post_init__(self) -> None:
        """Refuse a plan that leaves nothing to train or to test on."""
        if not self.specs or not 0 < self.train_share < 1:
            raise SettingError(f"train_share={self.train_share}, specs={self.specs}: choose a share and a spec")
        if min(self.least_windows, self.block_windows, self.least_block_s, self.market_hours) < 1:
            raise SettingError("least_windows, block_windows, least_block_s and market_hours are at least 1")

    def block_s(self, horizon_s: int) -> int:
        """Seconds of a cluster of windows of a horizon.

        Examples
        --------
        >>> AblationPlan().block_s(60), AblationPlan().block_s(3_600)
        (600, 7200)
        """
        return max(self.block_windows * horizon_s, self.least_block_s)


@dataclass(frozen=True)
class Recording:
    """One unbroken stretch of one instrument.

    ``panel``: origins one after the other, named by venue and symbol. ``test_ns``: training knows what had happened
    by then, the test begins then. ``truth`` (n, h): expected realised variance of who knows the hidden state.
    """

    panel: Panel
    test_ns: int
    truth: FloatArray | None = None

    @property
    def name(self) -> str:
        """Venue, symbol, and the beginning where there are several stretches."""
        return self.panel.instrument

    @property
    def past(self) -> Panel:
        """The panel as it stood when the test began."""
        return self.panel.until(self.test_ns)

    @property
    def first(self) -> int:
        """Row of the first test origin."""
        return self.panel.first_row_from(self.test_ns)

    @property
    def hours(self) -> float:
        """Length of the stretch of origins."""
        return float(self.panel.origin_ns[-1] - self.panel.origin_ns[0]) / NS_PER_S / 3600


@dataclass(frozen=True)
class Group:
    """Recordings of one spec that the network learns from together."""

    name: str
    recordings: tuple[Recording, ...]

    @property
    def spec(self) -> FeatureSpec:
        """What their panels were made from."""
        return self.recordings[0].panel.spec


@dataclass(frozen=True)
class Difference:
    """Mean loss less that of the same model on returns alone; ``low``, ``high`` None where blocks are too few."""

    mean: float
    low: float | None
    high: float | None
    blocks: int


@dataclass(frozen=True)
class AblationScore:
    """Mean losses of one model on one rung of features at one horizon, over the test windows.

    ``recording``: one, or empty for all of the group. ``apart``: windows that do not overlap. ``loss``: means of
    ``qlike``, ``tail_pinball`` in units of the training part's standard deviation, and ``fz0``. ``added``: their
    differences from returns alone. ``reached``: share of the way from the training mean to the true variance in QLIKE,
    where the truth is known.
    """

    group: str
    recording: str
    horizon_s: int
    kind: str
    rung: str
    windows: int
    apart: int
    loss: Mapping[str, float]
    added: Mapping[str, Difference]
    reached: float | None = None


@dataclass(frozen=True)
class Answered:
    """Forecasts of every model for one recording, from all of its origins; scored from the test on."""

    recording: Recording
    forecasts: Mapping[Key, Forecast]


@dataclass(frozen=True)
class AblationResult:
    """Everything that was computed; files lie below ``out``."""

    out: Path
    plan: AblationPlan
    groups: tuple[Group, ...]
    scores: tuple[AblationScore, ...]
    left_out: Mapping[str, str]  # recordings of the store without figures, and why

    @property
    def report(self) -> Path:
        """The page."""
        return self.out / "report.html"
