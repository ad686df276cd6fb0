"""What is forecast from half an hour of one order book, with which settings, and what comes out of it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.panel import Panel
from features.spec import FeatureSpec
from models.base import Forecast
from models.calibration import Calibration
from serving.margin.scan_policy import ScanPolicy
from serving.schedule import Schedule

FloatArray = NDArray[np.float64]

MAIN, BASELINE = "har_book", "ewma"
NAMES = {
    "har_book": "log-HAR ridge with book and flow",
    "har": "log-HAR ridge",
    "ewma": "EWMA of one-second returns",
}
VARIANCE = ("log_rv_30s", "log_rv_60s", "log_rv_3m")
BOOK = (
    "log_spread_60s", "log_depth_5_60s", "log_depth_20_60s", "log_cost_100000_60s", "log_slope_60s",
    "resilience_5_60s", "imbalance_5_10s", "ofi_5_60s", "signed_3m", "log_quote_60s", "log_intensity_60s",
    "effective_spread_3m", "vpin_3m",
)  # fmt: skip


@dataclass(frozen=True)
class BookPlan:
    """Settings of the job; none is searched for, and the session is too short to tell any of them apart.

    ``step_feature``: variance of the last step between origins. ``spread_feature``, ``flow_feature``,
    ``cost_feature``: what pictures and liquidation costs are read from. ``test_share``: the test begins when this
    share of the session is over. ``refit_s``: seconds between refits. ``first_windows``: origins whose longest window
    must have ended before the first fit. ``prior_windows``, ``prior_degrees``: see :mod:`backtests.book_tails`.
    The policy's scan counts rows: an hour there is one origin here, and its day is 24 origins.
    """

    horizons_s: tuple[int, ...] = (60, 300)
    every_s: int = 5
    variance_features: tuple[str, ...] = VARIANCE
    book_features: tuple[str, ...] = BOOK
    step_feature: str = "log_rv_5s"
    spread_feature: str = "log_spread_10s"
    flow_feature: str = "ofi_5_10s"
    cost_feature: str = "log_cost_100000_60s"
    test_share: float = 0.5
    refit_s: int = 60
    first_windows: int = 12
    prior_windows: float = 4.0
    prior_degrees: float = 4.0
    calibration: Calibration = field(default_factory=lambda: Calibration(bias_rows=360, prior_rows=60))
    policy: ScanPolicy = field(default_factory=lambda: ScanPolicy(mpor_s=300, liquidation_s=60, stressed_days_frac=0.2))

    @property
    def spec(self) -> FeatureSpec:
        """One-second rows of the mid and of the twenty best levels of each side."""
        own = (self.step_feature, self.spread_feature, self.flow_feature, self.cost_feature)
        names = dict.fromkeys((*self.variance_features, *self.book_features, *own))
        return FeatureSpec(
            bar_s=1, horizons_s=self.horizons_s, features=tuple(names), every_s=self.every_s, price="mid"
        )

    @property
    def shown_features(self) -> tuple[str, ...]:
        """What the models see."""
        return (self.step_feature, *self.variance_features, *self.book_features)


@dataclass(frozen=True, slots=True)
class Walked:
    """Forecasts of every model from the same origins, as they would have been made; the first are a warm-up.

    ``first`` is the row of the first test origin, ``panel`` the rows of the origins.
    """

    forecasts: dict[str, Forecast]
    panel: Panel
    first: int

    @property
    def origin_ns(self) -> NDArray[np.int64]:
        """Origins, shape (n,)."""
        return self.panel.origin_ns


@dataclass(frozen=True, slots=True)
class Depth:
    """Books at regular instants.

    ``ts_ns`` (n,); ``mid`` (n,); ``edges`` (k + 1,) of price; ``resting`` (n, k), base amount that rests in each band
    of price, 0 where none does, NaN where no book is known.
    """

    ts_ns: NDArray[np.int64]
    mid: FloatArray
    edges: FloatArray
    resting: FloatArray


@dataclass(frozen=True, slots=True)
class BookScore:
    """Figures of one model at one horizon over the test part.

    ``windows``: origins with an outcome. ``apart``: how many of them fit behind each other without overlap.
    ``pinball_bp``: mean over the levels. ``below``: windows at or below each of ``levels``.
    """

    model: str
    horizon_s: int
    windows: int
    apart: int
    qlike: float
    realised_over_forecast: float
    pinball_bp: float
    crps_bp: float
    levels: tuple[float, ...]
    below: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BookResult:
    """Everything that the job computed; files lie below ``out``."""

    out: Path
    plan: BookPlan
    session: tuple[int, int]  # first and last event
    panel: Panel
    counts: dict[str, int]  # rows of each kind of event
    walked: Walked
    scores: list[BookScore]
    schedules: dict[str, Schedule]
    depth: Depth
    re_used: list[str]

    @property
    def instrument(self) -> str:
        """Its symbol."""
        return self.panel.instrument

    @property
    def report(self) -> Path:
        """The page."""
        return self.out / "book.html"
