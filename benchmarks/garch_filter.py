"""How fast is a fold of GARCH forecasts? Ours against the library arch on the same returns in the same run.

Run:  python benchmarks/garch_filter.py
"""

import time
from collections.abc import Callable

import numpy as np
from arch import arch_model
from arch.data import sp500
from rich.console import Console
from rich.table import Table

from models.classical.garch import estimate, next_variance, variance_ahead

STEPS, REPEATS = 24, 9


def median_s(work: Callable[[], object]) -> float:
    """Median wall time of some repeats after one warm-up."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    """Print the times of both and their ratio, and check that they agree."""
    prices = sp500.load()["Adj Close"]
    returns = np.asarray(100 * prices.pct_change().dropna(), dtype=np.float64)
    parameters = estimate(returns, student_t=False, with_mean=True)
    model = arch_model(returns, rescale=False)
    result = model.fit(disp="off")

    def ours() -> np.ndarray:
        return variance_ahead(next_variance(returns, parameters), parameters, STEPS)

    def archs() -> np.ndarray:
        forecast: np.ndarray = result.forecast(horizon=STEPS, start=0).variance.to_numpy()
        return forecast

    np.testing.assert_allclose(ours()[100:], archs()[100:], rtol=1e-3)
    own, peer = median_s(ours), median_s(archs)
    table = Table(title=f"{STEPS}-step variance from each of {len(returns)} days, median of {REPEATS}")
    for heading in ("margincast", "arch", "ratio"):
        table.add_column(heading, justify="right")
    table.add_row(f"{1e3 * own:.2f} ms", f"{1e3 * peer:.2f} ms", f"{peer / own:.1f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
