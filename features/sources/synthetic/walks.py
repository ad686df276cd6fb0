"""Paths of the processes that a synthetic price is made of, exact in law at the instants of a grid."""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.sources.synthetic.factors import YEAR_S, Crash, Factor, Floats

LONGEST_STEP_S = 300.0
"""Within a longer step the trapezium of the variance would be seen in the law of the return."""
Ints = NDArray[np.int64]


@compiled
def next_regime(rates: Floats, regime: int, mark: float) -> int:
    """The regime that is entered from ``regime``; ``mark`` is uniform between nil and the sum of the rates."""
    entered = regime
    for j in range(len(rates)):
        if j != regime and rates[j] > 0.0:
            entered = j
            mark -= rates[j]
            if mark <= 0.0:
                break
    return entered


@compiled
def walk_factor(
    n: int, inner: int, dt: float, reversion: float, levels: Floats, vol_of_vol: float, leverage: float,
    intensities: Floats, jump_mean: float, jump_std: float, generator: Floats, regime: int, v: float,
    rng: np.random.Generator, regimes: Ints, variances: Floats, values: Floats,
) -> None:  # fmt: skip
    """Walk one factor ``n`` steps of ``inner`` parts of ``dt`` years; a part is cut where the regime changes.

    Regimes, jumps and the variance (noncentral chi-square) are exact; the integral of the variance over a part
    is the trapezium's, which matters by less than (reversion * dt)^3.
    """
    x = 0.0
    exit_rate = -generator[regime, regime]
    wait = rng.standard_exponential() / exit_rate if exit_rate > 0.0 else np.inf
    regimes[0], variances[0], values[0] = regime, v, x
    for i in range(1, n + 1):
        for _ in range(inner):
            left = dt
            while left > 0.0:
                h = min(left, wait)
                level, rate = levels[regime], intensities[regime]
                decay = math.exp(-reversion * h)
                scale = vol_of_vol**2 * -math.expm1(-reversion * h) / (4.0 * reversion)
                dof = 4.0 * reversion * level / vol_of_vol**2
                was = v
                if scale > 0.0:
                    v = scale * rng.noncentral_chisquare(dof, was * decay / scale)
                integral = 0.5 * (was + v) * h
                shock = (v - was - reversion * (level * h - integral)) / vol_of_vol
                x += leverage * shock
                x += math.sqrt((1.0 - leverage**2) * integral) * rng.standard_normal()
                jumps = rng.poisson(rate * h)
                if jumps > 0:
                    x += jumps * jump_mean + math.sqrt(jumps) * jump_std * rng.standard_normal()
                x -= rate * jump_mean * h
                left -= h
                wait -= h
                if wait <= 0.0:
                    regime = next_regime(generator[regime], regime, rng.random() * exit_rate)
                    exit_rate = -generator[regime, regime]
                    wait = rng.standard_exponential() / exit_rate if exit_rate > 0.0 else np.inf
        regimes[i], variances[i], values[i] = regime, v, x


def factor_path(
    factor: Factor, regime: int, variance: float, n: int, step_s: float, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Regimes, variances and values of a factor at the start and after each of ``n`` steps."""
    inner = math.ceil(step_s / LONGEST_STEP_S)
    regimes, variances, values = np.empty(n + 1, dtype=np.int64), np.empty(n + 1), np.empty(n + 1)
    walk_factor(
        n, inner, step_s / YEAR_S / inner, factor.reversion, factor.levels, factor.vol_of_vol, factor.leverage,
        factor.intensities, factor.jump_mean, factor.jump_std, factor.generator, regime, variance, rng,
        regimes, variances, values,
    )  # fmt: skip
    return regimes, variances, values


@compiled
def _recover(start: float, keep: float, drops: Floats, out: Floats) -> None:
    """What is left of all drops after each step."""
    out[0] = start
    for i in range(len(drops)):
        out[i + 1] = out[i] * keep - drops[i]


def crash_path(crash: Crash, start: float, n: int, step_s: float, rng: np.random.Generator) -> Floats:
    """The part of the log price that crashes and recovers, exact at each instant."""
    dt = step_s / YEAR_S
    moments = rng.random(rng.poisson(crash.per_year * n * dt)) * n
    sizes = crash.mean_drop * rng.standard_exponential(len(moments))
    step = np.minimum(moments.astype(np.int64), n - 1)
    left = sizes * np.exp(-crash.recovery * dt * (step + 1 - moments))
    path = np.empty(n + 1)
    _recover(start, math.exp(-crash.recovery * dt), np.bincount(step, left, minlength=n).astype(np.float64), path)
    return path
