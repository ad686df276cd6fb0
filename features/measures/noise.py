r"""Integrated variance under microstructure noise: each price is the efficient one plus independent noise.

Bid-ask bounce adds :math:`2 n \omega^2` to the realised variance of n returns, :math:`\omega^2` being the
variance of the noise of one log price. Shapes, units and NaN as in :mod:`features.measures.variance`.
The measures here that subtract an estimate of the noise can be negative in short or quiet windows.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from features.measures.variance import realised_variance
from features.measures.window import FloatArray, need, step_returns


def noise_variance(log_returns: FloatArray) -> FloatArray:
    r"""Variance of the noise of one log price, from the bounce between neighbouring returns.

    .. math:: \hat\omega^2 = -\frac{1}{n - 1} \sum_{i=2}^{n} r_i r_{i-1}

    Unbiased under independent noise, with or without efficient moves; negative where returns trend.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.

    Raises
    ------
    ValueError
        If there are fewer than two returns.

    References
    ----------
    Roll (1984), "A simple implicit measure of the effective bid-ask spread", J. of Finance 39(4);
    Oomen (2006), "Properties of realized variance under alternative sampling schemes", J. Business &
    Economic Statistics 24(2).

    Examples
    --------
    >>> noise_variance(np.array([0.01, -0.02, 0.01])).round(6)
    np.float64(0.0002)
    """
    n = need(log_returns, 2, "noise variance")
    total: FloatArray = (log_returns[..., 1:] * log_returns[..., :-1]).sum(axis=-1)
    return -total / (n - 1)


def two_scale_variance(log_returns: FloatArray, step_bars: int = 5) -> FloatArray:
    r"""Variance of k-bar returns over all grids, less the share of the noise that the 1-bar returns show.

    .. math:: TSRV = \frac{n}{(k - 1) \bar n} \Bigl( \frac{1}{k} \sum_{i=k}^{n} (r_{i-k+1} + \dots + r_i)^2
        - \frac{\bar n}{n} \sum_{i=1}^{n} r_i^2 \Bigr), \qquad \bar n = (n - k + 1) / k

    The first factor adjusts for the small sample and for the edges: the mean is exact under constant variance
    and independent noise. The older factor :math:`1 / (1 - \bar n / n)` is too small by (n - k + 1) / (n + 1).

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.
    step_bars : bars in one return of the slow scale, at least 2; the best is about
        :math:`(12 \omega^4 / IQ)^{1/3} n^{2/3}`.

    Raises
    ------
    ValueError
        If there are fewer than ``step_bars`` returns or the step is below 2.

    References
    ----------
    Zhang, Mykland & Aït-Sahalia (2005), "A tale of two time scales", J. American Statistical
    Association 100(472); the factor as in Aït-Sahalia, Mykland & Zhang (2011), "Ultra high
    frequency volatility estimation with dependent microstructure noise", J. Econometrics 160(1).

    Examples
    --------
    >>> two_scale_variance(np.array([0.01, -0.02, 0.02, 0.01]), step_bars=2).round(7)
    np.float64(0.0003333)
    """
    if step_bars < 2:
        raise ValueError(f"two-scale variance needs a step of at least 2 bars, got {step_bars}")
    n = need(log_returns, step_bars, "two-scale variance")
    mean_bars = (n - step_bars + 1) / step_bars
    slow: FloatArray = np.square(step_returns(log_returns, step_bars)).sum(axis=-1) / step_bars
    return n / ((step_bars - 1) * mean_bars) * (slow - mean_bars / n * realised_variance(log_returns))


def pre_averaged_variance(log_returns: FloatArray, span_bars: int | None = None) -> FloatArray:
    r"""Variance of returns that were averaged over ``span_bars`` bars first, less what noise is left in them.

    .. math:: PRV = \frac{1}{1 - c} \Bigl( \frac{n}{(n - k + 2) k \psi_2}
        \sum_{i=0}^{n-k+1} \bar r_i^2 - c \, RV \Bigr), \qquad
        \bar r_i = \sum_{j=1}^{k-1} g(j / k) \, r_{i+j}, \qquad c = \frac{\psi_1}{2 k^2 \psi_2}

    with :math:`g(x) = \min(x, 1 - x)`, :math:`\psi_1 = k \sum_j (g(j/k) - g((j-1)/k))^2` and
    :math:`\psi_2 = k^{-1} \sum_j g(j/k)^2`. The mean is exact under constant variance and independent noise.

    Parameters
    ----------
    log_returns : array of shape (..., n), oldest first, dimensionless.
    span_bars : k, at least 3; ``None``: half the root of n, rounded up.

    Raises
    ------
    ValueError
        If there are fewer than ``span_bars`` returns or the span is below 3.

    References
    ----------
    Jacod, Li, Mykland, Podolskij & Vetter (2009), "Microstructure noise in the continuous case:
    the pre-averaging approach", Stochastic Processes and their Applications 119(7); the finite-sample
    factors as in Hautsch & Podolskij (2013), J. Business & Economic Statistics 31(2).

    Examples
    --------
    >>> pre_averaged_variance(np.array([0.01, -0.02, 0.02, 0.01]), span_bars=3).round(7)
    np.float64(0.0003333)
    """
    span = max(3, int(np.ceil(np.sqrt(log_returns.shape[-1]) / 2))) if span_bars is None else span_bars
    if span < 3:
        raise ValueError(f"pre-averaged variance needs a span of at least 3 bars, got {span}")
    n = need(log_returns, span, "pre-averaged variance")
    corners = np.arange(span + 1) / span
    weight = np.minimum(corners, 1 - corners)
    psi_1, psi_2 = span * np.square(np.diff(weight)).sum(), np.square(weight).sum() / span
    averaged = sliding_window_view(log_returns, span - 1, axis=-1) @ weight[1:-1]
    smooth: FloatArray = np.square(averaged).sum(axis=-1) * (n / ((n - span + 2) * span * psi_2))
    share = psi_1 / (2 * span**2 * psi_2)
    corrected: FloatArray = (smooth - share * realised_variance(log_returns)) / (1 - share)
    return corrected
