"""Importances as a table: an input a row, a horizon a column."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError, ShortHistoryError
from features.panel import horizon_index

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importances:
    """What forecasts hang on.

    Parameters
    ----------
    kind : ``permutation``: values are rises of QLIKE; ``integrated gradients``: log units of variance.
    names : of k inputs.
    horizons_s : h.
    values : (k, h).
    errors : (k, h), standard errors; the hours and instruments of a day count as one.
    about : a sentence: on which forecasts.
    subjects : the same, measured of all inputs of a subject together. Not the sum of theirs: what one input tells,
        another may tell too.

    Examples
    --------
    >>> values = np.array([[0.1, 0.3], [0.2, 0.0]])
    >>> found = Importances("permutation", ("a", "b"), (3_600, 86_400), values, 0 * values)
    >>> found.top(1).names, found.top(1, horizon_s=3_600).names
    (('a',), ('b',))
    """

    kind: str
    names: tuple[str, ...]
    horizons_s: tuple[int, ...]
    values: FloatArray
    errors: FloatArray
    about: str = ""
    subjects: "Importances | None" = None

    def top(self, n: int, horizon_s: int | None = None) -> "Importances":
        """The n inputs that weigh most, the heaviest first: at one horizon, or at whichever they weigh most at.

        Raises
        ------
        UnknownHorizonError
            If it was not forecast.
        """
        known = self.values if horizon_s is None else self.values[:, [horizon_index(self.horizons_s, horizon_s)]]
        rows = heaviest(known, n)
        names = tuple(self.names[i] for i in rows)
        return replace(self, names=names, values=self.values[rows], errors=self.errors[rows])

    def grouped(self) -> "Importances":
        """By subject: own variance, ranges, volume, moves, quarticity, other coins, clock, companions, anchor."""
        return self.subjects or self


def heaviest(values: FloatArray, n: int) -> NDArray[np.int64]:
    """Rows of the n largest values at any horizon, the largest first."""
    if n < 1:
        raise SettingError(f"the top {n} of importances are none; ask for 1 at least")
    order: NDArray[np.int64] = np.argsort(-values.max(axis=1), kind="stable")[:n]
    return order


def mean_and_error(sums: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Mean and its standard error when the values of a day may all move together.

    .. math:: s^2 = \frac{D}{D - 1} \sum_d \left( S_d - n_d \bar x \right)^2 / n^2

    Parameters
    ----------
    sums : (k, D, h), of the values of each of D days.
    counts : (D, h), how many they were.

    Returns
    -------
    mean, error : (k, h).

    Raises
    ------
    ShortHistoryError
        If a horizon has values on fewer than two days.

    References
    ----------
    Liang & Zeger (1986), "Longitudinal data analysis using generalized linear models", Biometrika 73(1).

    Examples
    --------
    >>> mean, error = mean_and_error(np.array([[[1.0], [5.0], [3.0]]]), np.ones((3, 1)))
    >>> float(mean[0, 0]), round(float(error[0, 0]), 4)  # 2 / sqrt(3)
    (3.0, 1.1547)
    """
    days = (counts > 0).sum(axis=0)
    if (days < 2).any():
        raise ShortHistoryError("importances need forecasts of two days at least, with outcomes; give longer panels")
    n = counts.sum(axis=0)
    mean = sums.sum(axis=1) / n
    spread = np.square(sums - counts * mean[:, None]).sum(axis=1)
    return mean, np.sqrt(days / (days - 1) * spread) / n
