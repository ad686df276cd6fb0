"""How far estimates may be off: from the curvature of the likelihood, and robust to a wrong law."""

import numpy as np
from numpy.typing import NDArray

from features.errors import ConvergenceError
from models.classical.garch.estimate import FAMILY_CODES, LAW_CODES, Backcast, Family, Law
from models.classical.garch.parameters import GarchParameters
from models.classical.garch.recursion import DEGREES, GAMMA, MEAN, SKEW, N, log_likelihood, scores

FloatArray = NDArray[np.float64]
STEP = 1e-5


def standard_errors(
    returns: FloatArray,
    p: GarchParameters,
    family: Family = "garch",
    law: Law = "student_t",
    *,
    with_mean: bool = False,
    backcast: Backcast = "exponential",
    robust: bool = True,
) -> FloatArray:
    r"""Standard errors of mean, omega, alpha, gamma, beta, degrees, skew, shape (7,); NaN of what was not estimated.

    .. math:: \sqrt{\operatorname{diag} \, H^{-1} G H^{-1}} \quad \text{or} \quad \sqrt{\operatorname{diag} \, H^{-1}}

    with H minus the Hessian (central differences of the analytic gradient) and G the sum of outer products of
    scores. They take the optimum for an inner one: a persistence of exactly 1 makes them a guide, no more.

    Parameters
    ----------
    returns : array of shape (n,), those of the estimation.
    p : its optimum.
    robust : the first formula, which also holds where the law is wrong.

    Raises
    ------
    ConvergenceError
        If the likelihood is not curved downwards at the optimum, as where a parameter has no influence.

    References
    ----------
    Bollerslev & Wooldridge (1992), "Quasi-maximum likelihood estimation and inference in dynamic models with
    time-varying covariances", Econometric Reviews 11(2).
    """
    used = _used(family, law, with_mean)
    codes = FAMILY_CODES[family], LAW_CODES[law]
    model, moving = p.vector(), backcast == "mean_square"
    room, slopes, hessian = np.empty((5, len(returns))), np.empty((2, N)), np.zeros((N, N))
    for i in used:
        size = STEP * max(abs(model[i]), 1e-2)
        for side, slope in zip((1, -1), slopes, strict=True):
            moved = model.copy()
            moved[i] += side * size
            log_likelihood(*codes, moved, returns, p.backcast, moving, room, slope)
        hessian[i] = -(slopes[0] - slopes[1]) / (2 * size)
    bread = _inverse((hessian + hessian.T)[np.ix_(used, used)] / 2)
    if robust:
        each = np.empty((len(returns), N))
        scores(*codes, model, returns, p.backcast, moving, False, each)
        bread = bread @ (each[:, used].T @ each[:, used]) @ bread
    out = np.full(N, np.nan)
    out[used] = np.sqrt(np.diag(bread))
    return out


def _used(family: Family, law: Law, with_mean: bool) -> list[int]:
    idle = {i for i, off in ((MEAN, not with_mean), (GAMMA, family == "garch")) if off}
    idle |= {i for i, off in ((DEGREES, law == "normal"), (SKEW, law != "skew_t")) if off}
    return [i for i in range(N) if i not in idle]


def _inverse(curvature: FloatArray) -> FloatArray:
    if (np.linalg.eigvalsh(curvature) <= 0).any():
        raise ConvergenceError(
            "the likelihood is not curved downwards here, so there are no standard errors; fit a simpler family"
        )
    return np.asarray(np.linalg.inv(curvature), dtype=np.float64)
