"""Maximum likelihood of many windows of many series in one call."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from features.errors import ConvergenceError, SettingError, ShortHistoryError
from models.classical.garch.laws import NORMAL, SKEWED, STUDENT
from models.classical.garch.parameters import GarchParameters
from models.classical.garch.recursion import DEGREES, EGARCH, GJR, N
from models.classical.garch.search import search_windows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Family = Literal["garch", "gjr", "egarch"]
Law = Literal["normal", "student_t", "skew_t"]
Backcast = Literal["exponential", "mean_square"]

FAMILY_CODES = {"garch": GJR, "gjr": GJR, "egarch": EGARCH}
LAW_CODES = {"normal": NORMAL, "student_t": STUDENT, "skew_t": SKEWED}
LEAST_RETURNS = 50
BACKCAST_ROWS, BACKCAST_DECAY = 75, 0.94  # as in arch
# Points of the search: mean, log omega, persistence, share of news, of falls, 1 / degrees, skew.
COLD_GJR = [
    [0.0, np.log(1 - p), p, news, falls, 0.2, 0.0] for p in (0.95, 0.99) for news in (0.06, 0.15) for falls in (0, 0.3)
]
COLD_EGARCH = [[0.0, 0.0, a, g, b, 0.2, 0.0] for b in (0.95, 0.99) for a in (0.12, 0.25) for g in (-0.05, 0.02)]


@dataclass(frozen=True, slots=True)
class Fits:
    """Optima of w windows.

    ``models`` (w, 7): mean, omega, alpha, gamma, beta, degrees of freedom, skew, in the returns' units;
    ``log_likelihood`` (w,); ``backcast`` (w,): variance before the first return; ``converged`` (w,);
    ``evaluations`` (w,) of the likelihood.
    """

    family: Family
    law: Law
    models: FloatArray
    log_likelihood: FloatArray
    backcast: FloatArray
    converged: NDArray[np.bool_]
    evaluations: IntArray

    def parameters(self, window: int) -> GarchParameters:
        """The model of one window.

        Raises
        ------
        ConvergenceError
            If the search had found no optimum there.
        """
        if not self.converged[window]:
            raise ConvergenceError(
                f"{self.family} with law {self.law}: no optimum in window {window} after "
                f"{self.evaluations[window]} evaluations; give a longer window or the family garch"
            )
        row = [float(value) for value in self.models[window]]
        return GarchParameters(
            mean=row[0], omega=row[1], alpha=row[2], beta=row[4], degrees=row[5], backcast=float(self.backcast[window]),
            log_likelihood=float(self.log_likelihood[window]), gamma=row[3], skew=row[6],
        )  # fmt: skip


def estimate_batch(
    returns: FloatArray,
    windows: IntArray,
    family: Family = "garch",
    law: Law = "student_t",
    *,
    with_mean: bool = False,
    backcast: Backcast = "exponential",
    start: FloatArray | None = None,
    chained: bool = False,
) -> Fits:
    r"""Fit a model to each window by maximum likelihood, with analytic gradients, in compiled code.

    .. math:: \max_\theta \sum_t \Big( \ln f_\theta(z_t) - \tfrac12 \ln \sigma^2_t \Big), \qquad
              z_t = (r_t - \mu) / \sigma_t

    with :math:`\sigma^2` as in :func:`models.classical.garch.recursion.filter_variance`; persistence at most 1, no
    negative weight of news.

    Parameters
    ----------
    returns : array of shape (n,), finite, oldest first, of any unit; several series stand one after another.
    windows : array of shape (w, 2): first row and the row after the last one.
    family : ``garch`` (1,1), ``gjr`` (1,1,1) or ``egarch`` (1,1,1).
    law : of the standardised returns; ``skew_t`` is Hansen's.
    with_mean : estimate a constant mean, else it is zero.
    backcast : variance before the first return: ``exponential`` mean of the first 75 squares, as in arch, or the
        ``mean_square`` of all residuals (Fiorentini, Calzolari & Panattoni 1996).
    start : models to begin from, shape (7,) or (w, 7); cold starts follow where it fails.
    chained : begin each window at the optimum of the window before.

    Raises
    ------
    SettingError
        If a name is unknown, a window lies outside the returns, or they are not finite.
    ShortHistoryError
        If a window has fewer than 50 returns.

    References
    ----------
    Bollerslev (1986), J. Econometrics 31; Glosten, Jagannathan & Runkle (1993), J. Finance 48(5); Nelson (1991),
    Econometrica 59(2); Hansen (1994), International Economic Review 35(3).
    """
    _check(returns, windows, family, law, backcast)
    count = len(windows)
    _, scale, before = _moments(returns, windows, with_mean)
    models, values = np.empty((count, N)), np.empty(count)
    converged, evaluations = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    warm = np.full((count, N), np.nan) if start is None else np.array(np.broadcast_to(start, (count, N)), order="C")
    if law != "normal":
        warm[:, DEGREES] = np.where(np.isfinite(warm[:, DEGREES]), warm[:, DEGREES], 5.0)
    search_windows(
        FAMILY_CODES[family], LAW_CODES[law], family == "garch", with_mean, backcast == "mean_square",
        np.ascontiguousarray(returns), np.ascontiguousarray(windows), scale, before / np.square(scale), warm,
        _cold(family), chained, models, values, converged, evaluations,
    )  # fmt: skip
    if backcast == "mean_square":
        before = np.array([np.mean((returns[a:b] - m) ** 2) for (a, b), m in zip(windows, models[:, 0], strict=True)])
    return Fits(family, law, models, values, before, converged.astype(bool), evaluations)


def estimate(
    returns: FloatArray,
    family: Family = "garch",
    law: Law = "student_t",
    *,
    with_mean: bool = False,
    backcast: Backcast = "exponential",
    start: GarchParameters | None = None,
) -> GarchParameters:
    """Fit one window: :func:`estimate_batch` of all returns.

    Raises
    ------
    ConvergenceError
        If the search finds no optimum.
    """
    windows = np.array([[0, len(returns)]])
    first = None if start is None else start.vector()
    fits = estimate_batch(returns, windows, family, law, with_mean=with_mean, backcast=backcast, start=first)
    return fits.parameters(0)


def _cold(family: Family) -> FloatArray:
    starts = np.array(COLD_EGARCH if family == "egarch" else COLD_GJR, dtype=np.float64)
    return np.ascontiguousarray(starts[::2]) if family == "garch" else starts


def _moments(returns: FloatArray, windows: IntArray, with_mean: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, root mean square and exponential backcast of each window, shape (w,) each."""
    weight = BACKCAST_DECAY ** np.arange(BACKCAST_ROWS)
    rows = []
    for first, stop in windows:
        part = returns[first:stop]
        centre = part.mean() if with_mean else 0.0
        squares = np.square(part - centre)
        used = weight[: len(part)] / weight[: len(part)].sum()
        rows.append((centre, np.sqrt(squares.mean()), squares[:BACKCAST_ROWS] @ used))
    centres, scale, before = np.array(rows).T
    if not scale.all():
        raise SettingError(f"the returns of window {int(np.argmin(scale))} never move; leave such windows out")
    return centres, np.ascontiguousarray(scale), np.ascontiguousarray(before)


def _check(returns: FloatArray, windows: IntArray, family: str, law: str, backcast: str) -> None:
    for value, known in ((family, get_args(Family)), (law, get_args(Law)), (backcast, get_args(Backcast))):
        if value not in known:
            raise SettingError(f"{value!r} is unknown to GARCH; choose one of {', '.join(known)}")
    if windows.ndim != 2 or windows.shape[1:] != (2,) or not len(windows):
        raise SettingError(f"windows of shape {windows.shape}; give (w, 2): first row and the row after the last")
    if windows.min() < 0 or windows.max() > len(returns):
        raise SettingError(f"a window reaches beyond the {len(returns)} returns; cut it")
    if not np.isfinite(returns).all():
        raise SettingError(f"return {int(np.argmin(np.isfinite(returns)))} is not finite; leave such rows out")
    shortest = int(np.diff(windows, axis=1).min())
    if shortest < LEAST_RETURNS:
        raise ShortHistoryError(f"GARCH needs {LEAST_RETURNS} returns, a window has {shortest}; give a longer one")
