"""The factor by which realised variance exceeded its forecasts of late."""

import numpy as np
from numpy.typing import NDArray

from models.calibration.settings import Calibration
from models.calibration.windows import Ended

FloatArray = NDArray[np.float64]


def online_bias(variance: FloatArray, realised: FloatArray, ahead_rows: int, settings: Calibration) -> FloatArray:
    """Factor by which realised variance exceeded its forecasts, where every row is one step after the last.

    Parameters
    ----------
    variance, realised : arrays of shape (n,); NaN in ``realised`` is left out.
    ahead_rows : horizon in rows.
    settings : memory.

    Returns
    -------
    array of shape (n,), see :func:`bias_of_ended`.
    """
    rows = np.arange(len(variance))
    return bias_of_ended(variance, realised, Ended.of(rows, rows, ahead_rows, settings.bias_rows), settings)


def bias_of_ended(variance: FloatArray, realised: FloatArray, ended: Ended, settings: Calibration) -> FloatArray:
    r"""Factor by which realised variance exceeded its forecasts over the windows that had ended, shape (m,).

    .. math:: b_t = \frac{m + \sum_s RV_s / f_s}{m + \#s}, \qquad t - K < s + h \le t

    clipped to ``[1/bias_bound, bias_bound]``; m is ``prior_rows``, K is
    ``bias_rows``. QLIKE is least when E[RV/f] = 1: the mean ratio is its own debiasing.

    Parameters
    ----------
    variance, realised : arrays of shape (n,); NaN in ``realised`` is left out.
    ended : windows known at each of m instants.
    settings : memory.
    """
    ratio = realised / variance
    known = np.isfinite(ratio)
    total = ended.sums(np.where(known, ratio, 0.0))
    count = ended.sums(known.astype(np.float64))
    bias: FloatArray = (settings.prior_rows + total) / (settings.prior_rows + count)
    return np.clip(bias, 1 / settings.bias_bound, settings.bias_bound)
