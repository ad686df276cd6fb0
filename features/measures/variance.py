"""Integrated variance from consecutive log returns by their squares and neighbouring products.

Every function takes log returns of shape (..., n), oldest first, dimensionless,
and answers shape (...), over the whole window, not annualised. NaN propagates:
a gap in the tape must not look like calm. A constant price answers 0.
"""

import numpy as np

from features.measures.window import FloatArray, need, step_returns


def realised_variance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared returns.

    .. math:: RV = \sum_{i=1}^{n} r_i^2

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there is no return.

    References
    ----------
    Andersen, Bollerslev, Diebold & Labys (2003), "Modeling and forecasting
    realized volatility", Econometrica 71(2).

    Examples
    --------
    >>> realised_variance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0006)
    """
    need(log_returns, 1, "realised variance")
    total: FloatArray = np.square(log_returns).sum(axis=-1)
    return total


def subsampled_variance(log_returns: FloatArray, step_bars: int = 5) -> FloatArray:
    r"""Mean of the realised variances of ``step_bars``-bar returns over all grids that start a bar apart.

    .. math:: RV^{(k)} = \frac{n}{n - k + 1} \, \frac{1}{k} \sum_{i=k}^{n} (r_{i-k+1} + \dots + r_i)^2

    Edges: only whole k-bar returns inside the window count; no grid reaches beyond it or uses a
    shorter piece. The grids then see n - k + 1 of n bars on average, hence the factor, which makes
    the mean exactly unbiased under constant variance.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.
    step_bars : bars in one return of a grid.

    Raises
    ------
    ValueError
        If there are fewer than ``step_bars`` returns or the step is below 1.

    References
    ----------
    Zhang, Mykland & Aït-Sahalia (2005), "A tale of two time scales", J. American
    Statistical Association 100(472).

    Examples
    --------
    >>> subsampled_variance(np.array([0.01, -0.02, 0.01]), step_bars=2).round(6)
    np.float64(0.00015)
    """
    if step_bars < 1:
        raise ValueError(f"sub-sampled variance needs a step of at least 1 bar, got {step_bars}")
    n = need(log_returns, step_bars, "sub-sampled variance")
    total: FloatArray = np.square(step_returns(log_returns, step_bars)).sum(axis=-1)
    return total * (n / (n - step_bars + 1) / step_bars)


def bipower_variation(log_returns: FloatArray) -> FloatArray:
    r"""Integrated variance that a rare jump hardly moves.

    .. math:: BV = \frac{\pi}{2} \sum_{i=2}^{n} |r_i| |r_{i-1}|

    Without the factor n / (n - 1): under constant variance its mean is (n - 1) / n of the truth.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than two returns.

    References
    ----------
    Barndorff-Nielsen & Shephard (2004), "Power and bipower variation with
    stochastic volatility and jumps", J. Financial Econometrics 2(1).

    Examples
    --------
    >>> bipower_variation(np.array([0.01, -0.02, 0.01])).round(7)
    np.float64(0.0006283)
    """
    need(log_returns, 2, "bipower variation")
    size = np.abs(log_returns)
    total: FloatArray = (size[..., 1:] * size[..., :-1]).sum(axis=-1)
    return np.pi / 2 * total


def downside_semivariance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared negative returns; with its upside twin it adds up to realised variance.

    .. math:: RS^- = \sum_i r_i^2 \, 1\{r_i < 0\}

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there is no return.

    References
    ----------
    Barndorff-Nielsen, Kinnebrock & Shephard (2010), "Measuring downside risk:
    realised semivariance", in Volatility and Time Series Econometrics.

    Examples
    --------
    >>> downside_semivariance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0004)
    """
    return realised_variance(np.minimum(log_returns, 0.0))


def upside_semivariance(log_returns: FloatArray) -> FloatArray:
    r"""Sum of squared positive returns: the other half of :func:`downside_semivariance`.

    .. math:: RS^+ = \sum_i r_i^2 \, 1\{r_i > 0\}

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there is no return.

    References
    ----------
    As :func:`downside_semivariance`.

    Examples
    --------
    >>> upside_semivariance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0002)
    """
    return realised_variance(np.maximum(log_returns, 0.0))
