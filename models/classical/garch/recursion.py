"""Variance recursions, compiled: forward for the variance, backward for the gradient, forward again for scores.

A model is a vector of seven: mean, omega, alpha, gamma, beta, degrees, skew. GARCH is GJR with gamma 0; a mean or a
skew that is not estimated stays where it is.
"""

import math

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from models.classical.garch.laws import NORMAL, SKEWED, Floats, constants, density, observe

Ints = NDArray[np.int64]
GJR, EGARCH = 0, 1
MEAN, OMEGA, ALPHA, GAMMA, BETA, DEGREES, SKEW = range(7)
N = 7
MEAN_SIZE = math.sqrt(2 / math.pi)  # of a normal; arch subtracts it whatever the law
FURTHEST_LOG = 27.0  # EGARCH on a wrong guess runs off to infinity and would never come back


@compiled
def filter_variance(family: int, p: Floats, residual: Floats, before: float, variance: Floats) -> float:
    r"""Fill the variance of each residual; answers that of the next one.

    .. math:: \sigma^2_t = \omega + (\alpha + \gamma 1\{e_{t-1} < 0\}) e^2_{t-1} + \beta \sigma^2_{t-1}, \qquad
              \ln \sigma^2_t = \omega + \alpha (|z_{t-1}| - \sqrt{2 / \pi}) + \gamma z_{t-1} + \beta \ln \sigma^2_{t-1}

    for GJR and EGARCH. Before the first residual there were ``before`` variance, a square as large and half of the
    signs negative; to EGARCH there was no news.
    """
    omega, alpha, gamma, beta = p[OMEGA], p[ALPHA], p[GAMMA], p[BETA]
    if family == GJR:
        now = omega + (alpha + 0.5 * gamma + beta) * before
        for t in range(len(residual)):
            variance[t] = now
            fell = 1.0 if residual[t] < 0 else 0.0  # no branch: signs are not to be guessed
            now = (omega + (alpha + gamma * fell) * residual[t] * residual[t]) + beta * now
        return float(now)
    log = omega + beta * math.log(before)
    for t in range(len(residual)):
        log = max(-FURTHEST_LOG, min(FURTHEST_LOG, log))
        half = math.exp(0.5 * log)
        variance[t] = half * half
        z = residual[t] / half
        log = omega + alpha * (abs(z) - MEAN_SIZE) + gamma * z + beta * log
    return math.exp(max(-FURTHEST_LOG, min(FURTHEST_LOG, log)))


@compiled
def gjr_backward(
    p: Floats, residual: Floats, variance: Floats, before: float, before_by_mean: float, by_variance: Floats,
    slope: Floats,
) -> None:  # fmt: skip
    """Add what the variances make of the gradient, from the last to the first."""
    alpha, gamma, beta = p[ALPHA], p[GAMMA], p[BETA]
    adjoint, by_omega, by_alpha, by_gamma, by_beta, by_mean = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(len(residual) - 1, -1, -1):
        fell = 1.0 if residual[t] < 0 else 0.0
        pulled = residual[t] * adjoint
        by_alpha += residual[t] * pulled
        by_gamma += fell * residual[t] * pulled
        by_beta += variance[t] * adjoint
        by_mean -= (alpha + gamma * fell) * pulled
        adjoint = by_variance[t] + beta * adjoint
        by_omega += adjoint
    slope[OMEGA] += by_omega
    slope[ALPHA] += by_alpha + adjoint * before
    slope[GAMMA] += by_gamma + adjoint * 0.5 * before
    slope[BETA] += by_beta + adjoint * before
    slope[MEAN] += 2 * by_mean + adjoint * (alpha + 0.5 * gamma + beta) * before_by_mean


@compiled
def egarch_backward(
    p: Floats, residual: Floats, variance: Floats, before: float, before_by_mean: float, by_variance: Floats,
    slope: Floats,
) -> None:  # fmt: skip
    """Add what the log variances make of the gradient, from the last to the first."""
    alpha, gamma, beta = p[ALPHA], p[GAMMA], p[BETA]
    adjoint, by_omega, by_alpha, by_gamma, by_beta, by_mean = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(len(residual) - 1, -1, -1):
        scale = math.sqrt(variance[t])
        z = residual[t] / scale
        by_alpha += (abs(z) - MEAN_SIZE) * adjoint
        by_gamma += z * adjoint
        by_beta += math.log(variance[t]) * adjoint
        by_mean -= ((alpha if z > 0 else -alpha) + gamma) / scale * adjoint
        adjoint = by_variance[t] * variance[t] + (beta - 0.5 * (alpha * abs(z) + gamma * z)) * adjoint
        by_omega += adjoint
    slope[OMEGA] += by_omega
    slope[ALPHA] += by_alpha
    slope[GAMMA] += by_gamma
    slope[BETA] += by_beta + adjoint * math.log(before)
    slope[MEAN] += by_mean + adjoint * beta * before_by_mean / before


@compiled
def log_likelihood(
    family: int, law: int, p: Floats, returns: Floats, backcast: float, square_mean: bool, room: Floats, slope: Floats
) -> float:
    """Log likelihood of returns; fills its gradient.

    Parameters
    ----------
    family, law : codes.
    p : the model, shape (7,).
    returns : shape (n,), of the order of 1.
    backcast : variance before the first return.
    square_mean : it is the mean square of the residuals instead, which moves with the mean.
    room : shape (5, n), overwritten: residuals, variances, the law's slopes and what it needs.
    slope : shape (7,), overwritten.
    """
    residual, variance, by_variance, by_residual = room[0], room[1], room[2], room[3]
    residual[:] = returns - p[MEAN]
    before, before_by_mean = backcast, 0.0
    if square_mean:
        before, before_by_mean = np.mean(residual * residual), -2 * np.mean(residual)
    filter_variance(family, p, residual, before, variance)
    value, by_degrees, by_skew = observe(
        law, residual, variance, p[DEGREES], p[SKEW], by_variance, by_residual, room[4]
    )
    slope[:] = 0.0
    slope[DEGREES], slope[SKEW] = by_degrees, by_skew
    slope[MEAN] = -np.sum(by_residual)
    if family == GJR:
        gjr_backward(p, residual, variance, before, before_by_mean, by_variance, slope)
    else:
        egarch_backward(p, residual, variance, before, before_by_mean, by_variance, slope)
    return value


@compiled
def scores(
    family: int, law: int, p: Floats, returns: Floats, backcast: float, square_mean: bool, expected: bool, out: Floats
) -> None:
    """Fill the gradient of each return's log likelihood, shape (n, 7), whose sum is the gradient.

    With ``expected`` a normal's slopes in the log variance have their usual size: squares of hourly returns are so
    wild that the real ones would make the first steps of a search far too short.
    """
    k = constants(law, p[DEGREES], p[SKEW])
    by = np.zeros(5)  # slopes of this hour's log variance in mean, omega, alpha, gamma, beta
    before, before_by_mean = backcast, 0.0
    if square_mean:
        before = np.mean((returns - p[MEAN]) ** 2)
        before_by_mean = 2 * (p[MEAN] - np.mean(returns))
    variance = np.empty(len(returns))
    filter_variance(family, p, returns - p[MEAN], before, variance)
    if family == GJR:
        by[:] = np.array([
            (p[ALPHA] + 0.5 * p[GAMMA] + p[BETA]) * before_by_mean, 1.0, before, 0.5 * before, before
        ]) / variance[0]  # fmt: skip
    else:
        by[:] = np.array([p[BETA] * before_by_mean / before, 1.0, 0.0, 0.0, math.log(before)])
    for t in range(len(returns)):
        residual = returns[t] - p[MEAN]
        scale = math.sqrt(variance[t])
        z = residual / scale
        _, by_z, out[t, DEGREES], out[t, SKEW] = density(law, z, p[DEGREES], p[SKEW], k)
        if law != SKEWED:
            out[t, SKEW] = 0.0
        by_log = math.sqrt(0.5) if expected and law == NORMAL else -0.5 * (1 + z * by_z)
        for i in range(5):
            out[t, i] = by_log * by[i]
        out[t, MEAN] -= by_z / scale
        if t + 1 == len(returns):
            break
        if family == GJR:
            news = p[ALPHA] + (p[GAMMA] if residual < 0 else 0.0)
            kept = p[BETA] * variance[t]
            square = residual * residual
            by[MEAN] = (kept * by[MEAN] - 2 * news * residual) / variance[t + 1]
            by[OMEGA] = (kept * by[OMEGA] + 1) / variance[t + 1]
            by[ALPHA] = (kept * by[ALPHA] + square) / variance[t + 1]
            by[GAMMA] = (kept * by[GAMMA] + (square if residual < 0 else 0.0)) / variance[t + 1]
            by[BETA] = (kept * by[BETA] + variance[t]) / variance[t + 1]
        else:
            kept = p[BETA] - 0.5 * (p[ALPHA] * abs(z) + p[GAMMA] * z)
            by[MEAN] = kept * by[MEAN] - ((p[ALPHA] if z > 0 else -p[ALPHA]) + p[GAMMA]) / scale
            by[OMEGA] = kept * by[OMEGA] + 1
            by[ALPHA] = kept * by[ALPHA] + abs(z) - MEAN_SIZE
            by[GAMMA] = kept * by[GAMMA] + z
            by[BETA] = kept * by[BETA] + math.log(variance[t])
