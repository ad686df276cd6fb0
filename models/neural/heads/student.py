r"""Student's t for tensors: lower quantiles, means below them and density, by polynomials in the tail index.

Neither an incomplete beta function nor a gamma function is an operator of ONNX. Both are smooth in the tail index
:math:`\xi = 1 / \nu`, and so are the quantile and the mean below it over those of two degrees of freedom, which have
closed forms:

.. math:: t_{\nu}(u) = \frac{2u - 1}{\sqrt{2u(1-u)}} \, e^{P(u^{1/4}, \xi)}, \qquad
          e_{\nu}(u) = - \sqrt{2 (1 - u) / u} \, e^{Q(u^{1/4}, \xi)}

with P and Q sums of products of Chebyshev polynomials through the exact values, found when the module is imported.
From ``LEAST_LEVEL`` to one half the error is below 1e-5.

References
----------
Clenshaw (1955), "A note on the summation of Chebyshev series", Mathematics of Computation 9.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import t
from torch import Tensor

FloatArray = NDArray[np.float64]
LEAST_INDEX, MOST_INDEX = 0.005, 0.45  # 200 degrees of freedom, nearly a normal law; 2.2, hardly a variance
LEAST_LEVEL = 0.003
ORDER = 12
INDEX_RANGE = (LEAST_INDEX, MOST_INDEX)
ROOT_RANGE = (LEAST_LEVEL**0.25, 0.5**0.25)


def exact_shortfall(level: FloatArray, index: FloatArray) -> FloatArray:
    r"""Mean below a quantile of t.

    .. math:: e_u = - \frac{g(t_u)}{u} \, \frac{1 + \xi t_u^2}{1 - \xi}

    Examples
    --------
    >>> exact_shortfall(np.array([0.01]), np.array([0.2])).round(6)  # sqrt(5 / 3) times that of variance one
    array([-4.452429])
    """
    quantile = t.ppf(level, 1 / index)
    mean: FloatArray = -t.pdf(quantile, 1 / index) / level * (1 + index * quantile**2) / (1 - index)
    return mean


def log_constant(index: FloatArray) -> FloatArray:
    r""":math:`\ln \Gamma(\frac{\nu + 1}{2}) - \ln \Gamma(\frac{\nu}{2}) - \frac{1}{2} \ln (\pi \nu)`."""
    half = 0.5 / index
    constant: FloatArray = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(2 * np.pi * half)
    return constant


def _nodes(span: tuple[float, float]) -> FloatArray:
    """Chebyshev's nodes of a range, shape (ORDER,)."""
    at: FloatArray = np.cos(np.pi * (np.arange(ORDER) + 0.5) / ORDER)
    return sum(span) / 2 + (span[1] - span[0]) / 2 * at


def _coefficients(values: FloatArray) -> FloatArray:
    """Chebyshev's coefficients along the first axis of values at the nodes."""
    at = np.cos(np.pi * (np.arange(ORDER) + 0.5) / ORDER)
    return np.linalg.solve(chebyshev.chebvander(at, ORDER - 1), values).astype(np.float64)


def _tables() -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients of P and Q, (order of the index, order of the root), and of the constant, (order of the index,)."""
    index = _nodes(INDEX_RANGE)
    level = _nodes(ROOT_RANGE)[:, None] ** 4
    quantile = np.log(t.ppf(level, 1 / index) * np.sqrt(2 * level * (1 - level)) / (2 * level - 1))
    shortfall = np.log(-exact_shortfall(level, index) / np.sqrt(2 * (1 - level) / level))
    by_root = (_coefficients(values).T for values in (quantile, shortfall))
    tables = [_coefficients(values) for values in (*by_root, log_constant(index))]
    return torch.from_numpy(tables[0]), torch.from_numpy(tables[1]), torch.from_numpy(tables[2])


QUANTILES, SHORTFALLS, CONSTANT = _tables()


def series(x: Tensor, span: tuple[float, float], coefficients: Iterable[Tensor]) -> Tensor:
    """Sum of Chebyshev's polynomials over a range, by Clenshaw's recurrence; each coefficient of a shape like x's.

    No matrix product: one would be taken in bfloat16 where the network is.
    """
    x = (2 * x - sum(span)) / (span[1] - span[0])
    first, *others = coefficients
    one, two = torch.zeros_like(x), torch.zeros_like(x)
    for coefficient in reversed(others):
        one, two = 2 * x * one - two + coefficient, one
    return x * one - two + first


def t_quantile(level: Tensor, index: Tensor) -> Tensor:
    """Quantile of Student's t, smooth in both.

    Parameters
    ----------
    level : (..., level), from ``LEAST_LEVEL`` to one half.
    index : (...), 1 / degrees of freedom, from ``LEAST_INDEX`` to ``MOST_INDEX``.
    """
    return _bent(QUANTILES, level, index) * (2 * level - 1) / (2 * level * (1 - level)).sqrt()


def t_shortfall(level: Tensor, index: Tensor) -> Tensor:
    """Mean of Student's t below its quantile, as :func:`t_quantile`."""
    return -_bent(SHORTFALLS, level, index) * (2 * (1 - level) / level).sqrt()


def _bent(table: Tensor, level: Tensor, index: Tensor) -> Tensor:
    """Exponential of P or of Q, (..., level)."""
    by_index = series(index[..., None], INDEX_RANGE, table.to(index).unbind(0))  # (..., ORDER)
    return series(level.sqrt().sqrt(), ROOT_RANGE, by_index[..., None, :].unbind(-1)).exp()


def t_log_density(x: Tensor, index: Tensor) -> Tensor:
    r"""Log density of Student's t.

    .. math:: \ln g(x) = \ln c(\xi) - \frac{1}{2} \left( 1 + \frac{1}{\xi} \right) \ln (1 + \xi x^2)
    """
    constant = series(index, INDEX_RANGE, CONSTANT.to(index).unbind(0))
    return constant - 0.5 * (1 + 1 / index) * torch.log1p(index * x**2)
