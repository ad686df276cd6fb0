"""Tails of a lognormal price in closed form: loss quantile, expected shortfall, risk factors of a future."""

from math import exp, sqrt

from scipy.special import ndtr, ndtri


def lognormal_tail(mu: float, sigma: float, probability: float) -> tuple[float, float]:
    r"""Loss quantile and expected shortfall of holding one unit of a lognormal price, loss = -value.

    .. math:: VaR = -e^{\mu - \sigma z}, \qquad
              ES = -\frac{e^{\mu + \sigma^2 / 2}}{\lambda} \Phi(-z - \sigma), \qquad z = -\Phi^{-1}(\lambda)

    The quantile is that of the small probability with its sign turned: :math:`1 - \lambda` would lose its digits.

    Parameters
    ----------
    mu, sigma : of the logarithm, over the horizon.
    probability : lambda, of the tail.

    References
    ----------
    Vega Protocol, "Margins and credit risk on Vega" (Siska); vegaprotocol/quant, ``riskmeasures``.

    Examples
    --------
    >>> [round(x, 9) for x in lognormal_tail(0.0, 0.1, 0.01)]
    [-0.792442931, -0.766404608]
    """
    z = -float(ndtri(probability))
    mean = exp(mu + sigma * sigma / 2)
    return -exp(mu - sigma * z), -mean * float(ndtr(-z - sigma)) / probability


def short_lognormal_tail(mu: float, sigma: float, probability: float) -> tuple[float, float]:
    r"""Loss quantile and expected shortfall of being short one unit of a lognormal price, loss = value.

    .. math:: VaR = e^{\mu + \sigma z}, \qquad ES = \frac{e^{\mu + \sigma^2 / 2}}{\lambda} \Phi(\sigma - z)

    Parameters and source as of :func:`lognormal_tail`.

    Examples
    --------
    >>> [round(x, 9) for x in short_lognormal_tail(0.0, 0.1, 0.05)]
    [1.178786315, 1.229951131]
    """
    z = -float(ndtri(probability))
    mean = exp(mu + sigma * sigma / 2)
    return exp(mu + sigma * z), mean * float(ndtr(sigma - z)) / probability


def risk_factors(risk_aversion: float, tau_years: float, mu: float, sigma: float) -> tuple[float, float]:
    r"""Loss of the value of a long and of a short futures position, as a fraction of the price.

    .. math:: f_{long} = 1 + ES\bigl(-S_\tau\bigr), \qquad f_{short} = ES\bigl(S_\tau\bigr) - 1, \qquad
              \ln S_\tau \sim N\bigl((\mu - \tfrac{1}{2}\sigma^2) \tau, \sigma^2 \tau\bigr)

    Examples
    --------
    >>> [round(x, 6) for x in risk_factors(1e-6, 0.001, 0.0, 1.0)]
    [0.145264, 0.168824]
    """
    drift, spread = (mu - sigma * sigma / 2) * tau_years, sigma * sqrt(tau_years)
    long, short = lognormal_tail(drift, spread, risk_aversion)[1], short_lognormal_tail(drift, spread, risk_aversion)[1]
    return 1 + long, short - 1
