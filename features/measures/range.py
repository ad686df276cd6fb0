r"""Variance from the opens, highs, lows and closes of consecutive bars.

All take four arrays of shape (..., n), log prices, oldest bar first, and answer shape (...): variance over the whole
window, not annualised. One that needs fewer than four prices ignores the rest, NaN there included. NaN in what
it needs propagates; a constant price answers 0. All are unbiased for a path observed without pause and
too small for a sparsely traded one. In the formulas :math:`u = \ln H - \ln O`, :math:`d = \ln L - \ln O`
and :math:`c = \ln C - \ln O` of a bar.
"""

import numpy as np

from features.measures.window import FloatArray, need, same_shape


def _bars(measure: str, fewest: int, *prices: FloatArray) -> int:
    """Number of bars, after the door checks."""
    same_shape(measure, *prices)
    return need(prices[0], fewest, measure, "bars")


def parkinson(log_open: FloatArray, log_high: FloatArray, log_low: FloatArray, log_close: FloatArray) -> FloatArray:
    r"""Variance from the ranges of consecutive bars; assumes no drift and ignores what happens between bars.

    .. math:: PK = \frac{1}{4 \ln 2} \sum_{i=1}^{n} (u_i - d_i)^2

    Parameters
    ----------
    log_open, log_high, log_low, log_close : arrays of shape (..., n), logs of prices; open and close are not read.

    Raises
    ------
    ValueError
        If there is no bar or the shapes differ.

    References
    ----------
    Parkinson (1980), "The extreme value method for estimating the variance of
    the rate of return", J. of Business 53(1).

    Examples
    --------
    >>> log_open, log_high, log_low, log_close = np.array([[0.0, 0.01], [0.02, 0.01], [0.0, 0.0], [0.01, 0.005]])
    >>> parkinson(log_open, log_high, log_low, log_close).round(8)
    np.float64(0.00018034)
    """
    _bars("Parkinson variance", 1, log_open, log_high, log_low, log_close)
    total: FloatArray = np.square(log_high - log_low).sum(axis=-1)
    variance: FloatArray = total / (4 * np.log(2))
    return variance


def garman_klass(log_open: FloatArray, log_high: FloatArray, log_low: FloatArray, log_close: FloatArray) -> FloatArray:
    r"""Variance from range and close together; assumes no drift and ignores what happens between bars.

    .. math:: GK = \sum_{i=1}^{n} \Bigl( \tfrac{1}{2} (u_i - d_i)^2 - (2 \ln 2 - 1) c_i^2 \Bigr)

    Parameters
    ----------
    log_open, log_high, log_low, log_close : arrays of shape (..., n), logs of prices.

    Raises
    ------
    ValueError
        If there is no bar or the shapes differ.

    References
    ----------
    Garman & Klass (1980), "On the estimation of security price volatilities from
    historical data", J. of Business 53(1), the practical form.

    Examples
    --------
    >>> log_open, log_high, log_low, log_close = np.array([[0.0, 0.01], [0.02, 0.01], [0.0, 0.0], [0.01, 0.005]])
    >>> garman_klass(log_open, log_high, log_low, log_close).round(8)
    np.float64(0.00020171)
    """
    _bars("Garman-Klass variance", 1, log_open, log_high, log_low, log_close)
    terms = np.square(log_high - log_low) / 2 - (2 * np.log(2) - 1) * np.square(log_close - log_open)
    total: FloatArray = terms.sum(axis=-1)
    return total


def rogers_satchell(
    log_open: FloatArray, log_high: FloatArray, log_low: FloatArray, log_close: FloatArray
) -> FloatArray:
    r"""Variance that drift does not bias; ignores what happens between bars.

    .. math:: RS = \sum_{i=1}^{n} \bigl( u_i (u_i - c_i) + d_i (d_i - c_i) \bigr)

    Parameters
    ----------
    log_open, log_high, log_low, log_close : arrays of shape (..., n), logs of prices.

    Raises
    ------
    ValueError
        If there is no bar or the shapes differ.

    References
    ----------
    Rogers & Satchell (1991), "Estimating variance from high, low and closing prices",
    Annals of Applied Probability 1(4).

    Examples
    --------
    >>> log_open, log_high, log_low, log_close = np.array([[0.0, 0.01], [0.02, 0.01], [0.0, 0.0], [0.01, 0.005]])
    >>> rogers_satchell(log_open, log_high, log_low, log_close).round(8)
    np.float64(0.00025)
    """
    _bars("Rogers-Satchell variance", 1, log_open, log_high, log_low, log_close)
    above = (log_high - log_open) * (log_high - log_close)
    below = (log_low - log_open) * (log_low - log_close)
    total: FloatArray = (above + below).sum(axis=-1)
    return total


def yang_zhang(log_open: FloatArray, log_high: FloatArray, log_low: FloatArray, log_close: FloatArray) -> FloatArray:
    r"""Variance with the gaps between bars, that drift does not bias.

    .. math:: YZ = n \bigl( V_{gap} + k V_{oc} + (1 - k) V_{RS} \bigr), \qquad
        k = 0.34 / \Bigl(1.34 + \frac{m + 1}{m - 1}\Bigr), \qquad m = n - 1

    The first bar gives its close only. Over the m others :math:`V_{gap}` is the sample variance of
    :math:`\ln O_i - \ln C_{i-1}`, :math:`V_{oc}` that of c and :math:`V_{RS}` the mean of Rogers and Satchell's terms.

    Parameters
    ----------
    log_open, log_high, log_low, log_close : arrays of shape (..., n), logs of prices.

    Raises
    ------
    ValueError
        If there are fewer than three bars or the shapes differ.

    References
    ----------
    Yang & Zhang (2000), "Drift-independent volatility estimation based on high, low,
    open, and close prices", J. of Business 73(3).

    Examples
    --------
    >>> log_open = np.array([0.0, 0.01, 0.005])
    >>> yang_zhang(log_open, log_open + 0.02, log_open - 0.01, log_open + [0.01, -0.005, 0.0]).round(8)
    np.float64(0.00145455)
    """
    n = _bars("Yang-Zhang variance", 3, log_open, log_high, log_low, log_close)
    k = 0.34 / (1.34 + n / (n - 2))
    gap = (log_open[..., 1:] - log_close[..., :-1]).var(axis=-1, ddof=1)
    open_close = (log_close - log_open)[..., 1:].var(axis=-1, ddof=1)
    whole = rogers_satchell(log_open[..., 1:], log_high[..., 1:], log_low[..., 1:], log_close[..., 1:])
    total: FloatArray = n * (gap + k * open_close + (1 - k) * whole / (n - 1))
    return total
