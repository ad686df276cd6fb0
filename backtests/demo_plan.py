"""Periods, names and settings of the main job, and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backtests.margin import MarginScore
from backtests.scoreboard import Score
from features.clock import DAY_NS, format_utc, parse_utc
from features.errors import SettingError
from features.spec import FeatureSpec
from models.calibration import Calibration
from serving.margin.scan_policy import ScanPolicy

FloatArray = NDArray[np.float64]

LEAST_TRAINING_DAYS, LEAST_TEST_DAYS = 95, 30

NETWORK, BASELINE = "network", "log_har"
NAMES = {
    NETWORK: "network (bounded residual)",
    "log_har": "log-HAR smeared, FHS",
    "garch_t": "GARCH(1,1)-t, FHS",
    "ewma": "EWMA, FHS",
}
FALLS = {
    "Luna, May 2022": ("2022-05-04", "2022-05-16"),
    "June 2022": ("2022-06-08", "2022-06-20"),
    "FTX, November 2022": ("2022-11-03", "2022-11-10"),
}


@dataclass(frozen=True)
class DemoPlan:
    """Periods and settings of the main job. Training ends where the test begins."""

    test_from_ns: int = parse_utc("2022-01-01")
    test_to_ns: int = parse_utc("2022-11-09T23:00")
    falls: dict[str, tuple[str, str]] = field(default_factory=lambda: FALLS)
    spec: FeatureSpec = field(default_factory=FeatureSpec)
    calibration: Calibration = field(default_factory=Calibration)
    policy: ScanPolicy = field(default_factory=ScanPolicy)

    def __post_init__(self) -> None:
        """Refuse a test that ends too soon after it begins."""
        if self.test_to_ns < self.test_from_ns + LEAST_TEST_DAYS * DAY_NS:
            raise SettingError(
                f"the test from {format_utc(self.test_from_ns)} to {format_utc(self.test_to_ns)} is shorter than "
                f"{LEAST_TEST_DAYS} days; choose other dates"
            )

    @property
    def forecast_from_ns(self) -> int:
        """First forecast: what the margin's limiter remembers lies before the test."""
        return self.test_from_ns - self.policy.memory_days * DAY_NS


@dataclass(frozen=True)
class DemoResult:
    """Everything that the job computed, and the files that it wrote below ``out``."""

    key: str
    instrument: str
    out: Path
    model_folder: Path
    model_id: str
    history: list[dict[str, float]]
    scores: list[Score]
    margins: list[MarginScore]
    reliability: dict[str, list[FloatArray]]  # by model, a horizon each: share at or below each quantile
    re_used: list[str]

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.out / "report.html"
