"""Least squares over a moving window, refitted by the rows that came and went."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import compiled
from features.errors import ConvergenceError, SettingError, ShortHistoryError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FRESH_AFTER = 4  # windows' worth of updates: then moments are added up anew, so that rounding does not grow
COLLINEAR = 1e-12  # share of a regressor's variance that the others must leave unexplained


def rolling_least_squares(
    design: FloatArray, target: FloatArray, refit_rows: IntArray, *, window_rows: int, purge_rows: int
) -> FloatArray:
    r"""Ordinary least squares with an intercept on a moving window, at several rows.

    .. math:: (c_r, b_r) = \arg\min_{c,b} \sum_{s = r-p-w+1}^{r-p} (y_s - c - x_s' b)^2

    The moments of the window at one refit are those of the one before, plus the rows that came, less those that went:
    a refit costs k² operations for each such row, however long the window.

    Parameters
    ----------
    design : array of shape (n, k), regressors without the constant; a row with NaN is left out.
    target : array of shape (n,); a row with NaN is left out.
    refit_rows : array of shape (m,), int64, not decreasing.
    window_rows : w.
    purge_rows : p, rows until a target is known: its horizon in rows.

    Returns
    -------
    array of shape (m, k + 1)
        Intercept, then slopes.

    Raises
    ------
    SettingError
        If the refit rows decrease or lie outside the data, or the window is empty.
    ShortHistoryError
        If a window has not more known rows than coefficients.
    ConvergenceError
        If a window's regressors are collinear.

    References
    ----------
    Björck (1996), "Numerical methods for least squares problems", SIAM, chapter 3 (modified least squares).

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> y = np.where(x < 4, 1 + x, 9 - x)
    >>> rolling_least_squares(x[:, None], y, np.array([3, 7]), window_rows=4, purge_rows=0).round(9)
    array([[ 1.,  1.],
           [ 9., -1.]])
    """
    refit_rows = np.ascontiguousarray(refit_rows, dtype=np.int64)
    if window_rows < 1 or purge_rows < 0 or (np.diff(refit_rows) < 0).any():
        raise SettingError("a window needs a row, a purge cannot be negative, refits go forward in time")
    if len(refit_rows) and not 0 <= refit_rows[0] <= refit_rows[-1] < len(target):
        raise SettingError(f"refit rows {refit_rows[0]} to {refit_rows[-1]} lie outside the {len(target)} rows given")
    rows = np.column_stack([design, target]).astype(np.float64)
    out = np.empty((len(refit_rows), rows.shape[1]))
    failed, rank = slide(rows, refit_rows, window_rows, purge_rows, out)
    if failed >= 0:
        _refuse(int(refit_rows[failed]), int(rank), rows.shape[1])
    return out


def _refuse(row: int, rank: int, n_coefficients: int) -> None:
    """Say why the window of a refit gives no coefficients; ``rank`` is negative for too few rows."""
    if rank < 0:
        raise ShortHistoryError(
            f"the window that ends at row {row} has not more known rows than the {n_coefficients} coefficients; "
            "give a longer window or history"
        )
    raise ConvergenceError(f"regressor {rank} is a combination of others in the window of row {row}; leave it out")


@compiled
def slide(
    rows: FloatArray, refit_rows: IntArray, window_rows: int, purge_rows: int, out: FloatArray
) -> tuple[int, int]:
    """Fill ``out``; answers the refit that failed and why, or -1 and 0."""
    p = rows.shape[1]
    pivot, moments, lost = np.zeros(p), np.zeros((p + 1, p)), np.zeros((p + 1, p))
    count, updates, begin, end = 0, -1, 0, 0
    for j in range(len(refit_rows)):
        stop = max(0, refit_rows[j] - purge_rows + 1)
        start = max(0, stop - window_rows)
        if updates < 0 or start >= end or updates > FRESH_AFTER * window_rows:
            set_pivot(rows, start, stop, pivot)
            moments[:, :], lost[:, :] = 0.0, 0.0
            count, updates = accumulate(rows, start, stop, pivot, moments, lost, 1.0), 0
        else:
            count += accumulate(rows, end, stop, pivot, moments, lost, 1.0)
            count -= accumulate(rows, begin, start, pivot, moments, lost, -1.0)
            updates += stop - end + start - begin
        begin, end = start, stop
        if count <= p:
            return j, -1
        singular = solve(moments, count, pivot, out, j)
        if singular >= 0:
            return j, singular
    return -1, 0


@compiled
def is_known(rows: FloatArray, i: int) -> bool:
    """Whether a row has no NaN."""
    for a in range(rows.shape[1]):  # noqa: SIM110 - compiled
        if not np.isfinite(rows[i, a]):
            return False
    return True


@compiled
def set_pivot(rows: FloatArray, start: int, stop: int, pivot: FloatArray) -> None:
    """Centre of the known rows: moments about it lose no digits to a level."""
    pivot[:] = 0.0
    count = 0
    for i in range(start, stop):
        if is_known(rows, i):
            count += 1
            for a in range(len(pivot)):
                pivot[a] += (rows[i, a] - pivot[a]) / count


@compiled
def accumulate(
    rows: FloatArray, start: int, stop: int, pivot: FloatArray, moments: FloatArray, lost: FloatArray, sign: float
) -> int:
    """Add rows' moments about the pivot, or take them away; answers how many rows were known.

    ``moments`` has the products and, in its last row, the sums; ``lost`` what rounding took from
    each (Kahan's summation): a row that was far out leaves no trace when it goes.
    """
    p = rows.shape[1]
    known = 0
    z = np.ones(p + 1)  # the last stays one: its products are the sums
    for i in range(start, stop):
        if is_known(rows, i):
            known += 1
            for a in range(p):
                z[a] = rows[i, a] - pivot[a]
            for a in range(p + 1):
                left = sign * z[a]
                for b in range(p):
                    added = left * z[b] - lost[a, b]
                    total = moments[a, b] + added
                    lost[a, b] = (total - moments[a, b]) - added
                    moments[a, b] = total
    return known


@compiled
def solve(moments: FloatArray, count: int, pivot: FloatArray, out: FloatArray, j: int) -> int:
    """Row j of ``out`` by Cholesky's factor of the centred moments; answers the collinear regressor, or -1."""
    k = len(pivot) - 1
    factor = np.zeros((k + 1, k + 1))  # its last row becomes the solution of factor z = x'y
    for a in range(k + 1):
        for b in range(min(a + 1, k)):
            value = moments[a, b] - moments[k + 1, a] * moments[k + 1, b] / count
            own = value
            for c in range(b):
                value -= factor[a, c] * factor[b, c]
            if a == b:
                if value <= COLLINEAR * own or own <= 0.0:
                    return a
                factor[a, a] = np.sqrt(value)
            else:
                factor[a, b] = value / factor[b, b]
    level = pivot[k] + moments[k + 1, k] / count
    for a in range(k - 1, -1, -1):
        value = factor[k, a]
        for c in range(a + 1, k):
            value -= factor[c, a] * out[j, c + 1]
        out[j, a + 1] = value / factor[a, a]
        level -= out[j, a + 1] * (pivot[a] + moments[k + 1, a] / count)
    out[j, 0] = level
    return -1
