"""Price paths whose variance is known, for the tests of the measures and for their table of truth."""

from dataclasses import dataclass

import numpy as np

from features.measures.window import FloatArray

VARIANCE = 4e-4


@dataclass(frozen=True, slots=True)
class Paths:
    """Log returns of shape (window, n) with what is true of each window.

    ``integrated`` is the variance without jumps and noise, ``jump`` the square of the jump that comes on top.
    """

    log_returns: FloatArray
    integrated: FloatArray
    jump: FloatArray


def constant(rng: np.random.Generator, windows: int, n: int) -> Paths:
    """A Brownian path of constant variance."""
    moves = rng.normal(0.0, np.sqrt(VARIANCE / n), (windows, n))
    return Paths(moves, np.full(windows, VARIANCE), np.zeros(windows))


def stochastic(rng: np.random.Generator, windows: int, n: int) -> Paths:
    """Log variance reverts to its mean within some 200 bars and has a standard deviation of 0.7."""
    decay, spread = 0.995, 0.7
    log_variance = np.empty((windows, n))
    log_variance[:, 0] = rng.normal(0.0, spread, windows)
    shocks = rng.normal(0.0, spread * np.sqrt(1 - decay**2), (windows, n))
    for i in range(1, n):
        log_variance[:, i] = decay * log_variance[:, i - 1] + shocks[:, i]
    variance = VARIANCE / n * np.exp(log_variance - spread**2 / 2)
    moves = np.sqrt(variance) * rng.standard_normal((windows, n))
    return Paths(moves, variance.sum(axis=1), np.zeros(windows))


def jumping(rng: np.random.Generator, windows: int, n: int, share: float = 0.5) -> Paths:
    """Constant variance and one jump, up or down, anywhere, whose square is ``share`` of it."""
    calm = constant(rng, windows, n)
    sizes = np.sqrt(share * VARIANCE) * rng.choice([-1.0, 1.0], windows)
    moves = calm.log_returns.copy()
    moves[np.arange(windows), rng.integers(n, size=windows)] += sizes
    return Paths(moves, calm.integrated, sizes**2)


def noisy(rng: np.random.Generator, windows: int, n: int, noise_variance: float = VARIANCE / 1_000) -> Paths:
    """Constant variance seen through independent noise on each log price."""
    calm = constant(rng, windows, n)
    noise = rng.normal(0.0, np.sqrt(noise_variance), (windows, n + 1))
    return Paths(calm.log_returns + np.diff(noise, axis=1), calm.integrated, calm.jump)


def bars(
    rng: np.random.Generator, windows: int, n: int, drift: float = 0.0, gap_variance: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log open, high, low and close of ``n`` bars of unit variance, each watched without pause.

    Extremes between 64 points a bar are drawn from the law of a Brownian bridge's: that the highest and the
    lowest of one short piece depend on each other does not matter to those of the bar.
    """
    points = 64
    shape = (windows, n, points)
    steps = rng.normal(drift / points, np.sqrt(1 / points), shape)
    ends = steps.cumsum(axis=-1)
    starts = ends - steps

    def reach(pieces: FloatArray) -> FloatArray:
        """How far a bridge rises above its start."""
        return (pieces + np.sqrt(pieces**2 - 2 / points * np.log(rng.random(shape)))) / 2

    high = (starts + reach(steps)).max(axis=-1)
    low = (starts - reach(-steps)).min(axis=-1)
    close = ends[..., -1]
    gaps = rng.normal(0.0, np.sqrt(gap_variance), (windows, n))
    opens = (gaps + np.concatenate([np.zeros((windows, 1)), close[:, :-1]], axis=1)).cumsum(axis=1)
    return opens, opens + high, opens + low, opens + close


def in_errors(estimates: FloatArray, truth: FloatArray | float) -> float:
    """Bias in units of its standard error."""
    off = np.asarray(estimates - truth)
    return float(off.mean() / (off.std(ddof=1) / np.sqrt(len(off))))
