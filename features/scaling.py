"""Features on one scale: centre and spread of the training rows, and never of others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ShortHistoryError
from features.terms import Floats

CLIP = 5.0
IQR_OF_NORMAL = 1.349
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Scaling:
    """Median of each feature and its spread, shape (f,), over the rows that it was fitted on.

    The spread is the interquartile range over 1.349, the standard deviation if the feature were normal.

    The level of a feature is kept: a window is not centred on itself, for the level of variance is the signal.
    """

    centre: Floats
    spread: Floats

    @classmethod
    def fit(cls, values: NDArray[np.floating[Any]]) -> "Scaling":
        """Measure training rows (n, f); NaN are left out. Where a feature hardly varies, its deviation serves.

        Raises
        ------
        ShortHistoryError
            If a feature is not known in any row.

        Examples
        --------
        >>> Scaling.fit(np.array([[1.0], [2.0], [np.nan], [4.0], [9.0]])).centre
        array([3.])
        """
        known = np.isfinite(values)
        if not known.any(axis=0).all():
            column = int(np.argmin(known.any(axis=0)))
            raise ShortHistoryError(
                f"feature {column} is not known in any of {len(values)} training rows; leave it out"
            )
        seen = np.where(known, values, np.nan).astype(np.float64)
        low, middle, high = np.nanquantile(seen, [0.25, 0.5, 0.75], axis=0)
        spread = (high - low) / IQR_OF_NORMAL
        return cls(middle, np.where(spread > LEAST, spread, np.maximum(np.nanstd(seen, axis=0), LEAST)))

    def apply(self, values: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Scaled values, cut off 5 spreads from the centre, and their mask; an unknown value is 0.

        Parameters
        ----------
        values : array of shape (..., f).

        Returns
        -------
        scaled, known : arrays of the same shape
            A model must see both: 0 alone does not tell an unknown value from a usual one.
        """
        known = np.isfinite(values)
        scaled = np.clip((values - self.centre) / self.spread, -CLIP, CLIP)
        return np.where(known, scaled, 0.0).astype(np.float32), known
