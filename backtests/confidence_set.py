"""Which models may be the best? Those that a test of equal accuracy does not throw out."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
NEVER = 1e-300  # a standard error to divide by where two models are one


def model_confidence_set(
    losses: FloatArray, *, block: int = 10, draws: int = 1_000, seed: int | np.random.Generator = 0
) -> FloatArray:
    r"""P-values of the model confidence set; the set at level a holds the models with p >= a.

    .. math:: T_{\max} = \max_i \frac{\bar L_i - \bar L_\cdot}{\widehat{se}(\bar L_i - \bar L_\cdot)}

    The model with the largest deviation from the mean of those left is thrown out until one is left; a model's
    p-value is the largest so far, that of the last is 1. Law of T_max and standard errors are of a circular block
    bootstrap, whose draws all steps share.

    Parameters
    ----------
    losses : array of shape (days, models), such as daily means, no NaN.
    block : days in a block.
    draws : bootstrap samples.
    seed : of the bootstrap, or a generator.

    Returns
    -------
    array of shape (models,).

    References
    ----------
    Hansen, Lunde & Nason (2011), "The model confidence set", Econometrica 79(2), statistic T_max,M.

    Examples
    --------
    >>> losses = np.random.default_rng(1).normal((0.0, 0.0, 1.0), 1.0, (200, 3))
    >>> model_confidence_set(losses) >= 0.10
    array([ True,  True, False])
    """
    n_days, n_models = losses.shape
    mean, drawn = losses.mean(axis=0), circular_block_counts(n_days, block, draws, seed) @ losses / n_days
    left, p = list(range(n_models)), np.ones(n_models)
    largest = 0.0
    while len(left) > 1:
        deviation = mean[left] - mean[left].mean()
        null = drawn[:, left] - drawn[:, left].mean(axis=1, keepdims=True) - deviation
        error = np.sqrt((null**2).mean(axis=0)) + NEVER
        t = deviation / error
        worst = int(np.argmax(t))
        largest = max(largest, float(np.mean((null / error).max(axis=1) >= t[worst])))
        p[left.pop(worst)] = largest
    return p


def circular_block_counts(n_days: int, block: int, draws: int, seed: int | np.random.Generator) -> FloatArray:
    """How often each day is in each sample of a circular block bootstrap, shape (draws, n_days); rows sum to n_days.

    References
    ----------
    Politis & Romano (1992), "A circular block-resampling procedure for stationary data", in LePage & Billard (eds.),
    Exploring the Limits of Bootstrap, Wiley.

    Examples
    --------
    >>> circular_block_counts(5, 2, 1, 0)
    array([[1., 0., 1., 1., 2.]])
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((draws, n_days))
    for row in counts:
        starts = rng.integers(0, n_days, -(-n_days // block))
        days = (starts[:, None] + np.arange(block)).ravel()[:n_days] % n_days
        row[:] = np.bincount(days, minlength=n_days)
    return counts
