"""A small panel whose law is known, in memory and as a file for other processes."""

from pathlib import Path
from typing import Any

import numpy as np

from features.clock import HOUR_NS, parse_utc
from features.panel import Panel
from features.spec import FeatureSpec
from features.targets import Targets


def small_panel(n: int = 1_500, seed: int = 0, instrument: str = "BTCUSDT") -> Panel:
    """Independent hours of unit variance over 10,000, but 9 times that after an hour whose ``move_1h`` is below -1.

    ``log_rv`` features are those of the hours' mean and tell nothing.
    """
    rng, spec = np.random.default_rng(seed), FeatureSpec()
    values = rng.standard_normal((n, len(spec.features))).astype(np.float32)
    for column, name in enumerate(spec.features):
        if name.startswith("log_rv"):
            values[:, column] = np.log(1e-4) + 0.3 * rng.standard_normal(n)
    fell = values[:, spec.features.index("move_1h")] < -1
    hours = np.array(spec.horizons_s) // 3600
    variance = 1e-4 * hours * np.where(fell, 9.0, 1.0)[:, None]
    realised = variance * rng.chisquare(20, (n, len(hours))) / 20
    log_return = np.sqrt(variance) * rng.standard_normal((n, len(hours)))
    nothing = np.zeros_like(realised)
    origin_ns = parse_utc("2020-01-01") + HOUR_NS * np.arange(n)
    targets = Targets(realised, realised, log_return, nothing, nothing)
    whole = Panel(instrument, spec, origin_ns, values, targets, np.zeros(n, dtype=bool))
    return whole.until(int(origin_ns[-1]))


def write_panel(panel: Panel, path: Path) -> None:
    arrays: dict[str, Any] = {"origin_ns": panel.origin_ns, "values": panel.values, **panel.targets.arrays}
    np.savez(path, **arrays)


def read_panel(path: Path) -> Panel:
    with np.load(path) as arrays:
        found = dict(arrays)
    origin_ns, values = found.pop("origin_ns"), found.pop("values")
    return Panel("BTCUSDT", FeatureSpec(), origin_ns, values, Targets(**found), np.zeros(len(origin_ns), dtype=bool))
