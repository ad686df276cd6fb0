"""How fast is GARCH? Fits of a year of hours and forecasts from every day, against the library arch in the same run.

Run:  python benchmarks/garch_fits.py
"""

import json
import warnings
from typing import Literal

import numpy as np
from arch import arch_model
from arch.data import sp500

from benchmarks.events import Floats, Ints, on_one_core
from benchmarks.feature_table import medians_s, ratio, show
from features.pipeline import compute_panel
from features.sources import sample
from features.spec import FeatureSpec
from models.classical.garch import estimate, estimate_batch, next_variance, variance_ahead
from models.classical.garch.estimate import Family
from models.classical.garch.forecaster import returns_percent, shown
from models.diurnal import Diurnal

YEAR_H, MONTH_H, STEPS = 8_766, 730, 24
FAMILIES: tuple[Family, ...] = ("garch", "gjr", "egarch")
EQUAL = 1e-6  # of the log likelihood: as good as arch


def hours_and_windows() -> tuple[Floats, Ints]:
    """Hourly returns of the packaged sample without their clock, and a window of a year for every other month."""
    panel = compute_panel(sample.read(), "BTCUSDT", FeatureSpec())
    returns = returns_percent(panel, Diurnal.fit(panel))[shown(panel)]
    stops = np.arange(YEAR_H, len(returns), 2 * MONTH_H)
    return returns, np.stack([stops - YEAR_H, stops], axis=1)


def by_arch(returns: Floats, windows: Ints, family: Family) -> Floats:
    """Log likelihoods of arch's own fits, shape (w,)."""
    vol: Literal["GARCH", "EGARCH"] = "EGARCH" if family == "egarch" else "GARCH"
    o = int(family != "garch")
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where arch finds no optimum, the likelihoods tell
        for first, stop in windows:
            model = arch_model(returns[first:stop], mean="Zero", vol=vol, o=o, dist="t", rescale=False)
            values.append(model.fit(disp="off").loglikelihood)
    return np.array(values)


def fits(family: Family, returns: Floats, windows: Ints) -> tuple[str, ...]:
    """One row: time of a fit from cold starts, of one that begins at the month before, and arch's."""
    own, peer = estimate_batch(returns, windows, family), by_arch(returns, windows, family)
    short = (peer - own.log_likelihood) / np.abs(peer)
    assert own.converged.all()
    assert short.max() < EQUAL
    equal = windows[short > -EQUAL]  # arch stopped early in the others, which took it less time
    taken = medians_s({
        "cold": lambda: estimate_batch(returns, equal, family),
        "warm": lambda: estimate_batch(returns, equal, family, chained=True),
        "arch": lambda: by_arch(returns, equal, family),
    })  # fmt: skip
    cold, warm, arch = (1e3 * seconds / len(equal) for seconds in taken.values())
    print(json.dumps({
        "benchmark": "garch_fits", "family": family, "law": "student_t", "hours": YEAR_H, "windows": len(equal),
        "arch_below_us": len(windows) - len(equal), "ms_per_fit": round(cold, 3), "ms_per_fit_chained": round(warm, 3),
        "arch_ms_per_fit": round(arch, 2), "ratio": round(arch / cold, 1), "ratio_chained": round(arch / warm, 1),
    }))  # fmt: skip
    return f"{family}, t", f"{cold:.2f} ms", f"{warm:.2f} ms", f"{arch:.1f} ms", ratio(arch, cold), ratio(arch, warm)


def forecasts() -> tuple[str, ...]:
    """One row: the variance of the next 24 days from each of 5,030."""
    returns = np.asarray(100 * sp500.load()["Adj Close"].pct_change().dropna(), dtype=np.float64)
    p = estimate(returns, "garch", "normal", with_mean=True)
    result = arch_model(returns, rescale=False).fit(disp="off")

    def ours() -> Floats:
        return variance_ahead(next_variance(returns, p), p, STEPS)

    def archs() -> Floats:
        ahead: Floats = result.forecast(horizon=STEPS, start=0).variance.to_numpy()
        return ahead

    np.testing.assert_allclose(ours()[100:], archs()[100:], rtol=1e-3)
    own, peer = (1e3 * seconds for seconds in medians_s({"ours": ours, "arch": archs}).values())
    return (
        f"{STEPS} steps from each of {len(returns):,} days",
        f"{own:.2f} ms",
        "",
        f"{peer:.2f} ms",
        ratio(peer, own),
        "",
    )


def main() -> None:
    """Both agree; their times."""
    returns, windows = hours_and_windows()
    rows = [fits(family, returns, windows) for family in FAMILIES]
    headings = ("margincast", "chained", "arch", "arch / margincast", "arch / chained")
    show(f"Fits of {YEAR_H:,} hours, {len(windows)} windows", headings, [*rows, forecasts()])


if __name__ == "__main__":
    on_one_core()
    main()
