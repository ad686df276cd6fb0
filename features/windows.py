"""Panels to tensors by stride."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from features.errors import ShortHistoryError


def windows(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """View a panel as overlapping windows without copying.

    Parameters
    ----------
    values : array of shape (row, feature), oldest first.
    length : rows in a window.

    Returns
    -------
    read-only view of shape (row - length + 1, length, feature)
        Window i ends at row ``i + length - 1``, included.

    Raises
    ------
    ShortHistoryError
        If there are fewer rows than one window needs.

    Examples
    --------
    >>> panel = np.arange(8, dtype=np.float32).reshape(4, 2)
    >>> windows(panel, 3).shape, windows(panel, 3)[1, -1].tolist()
    ((2, 3, 2), [6.0, 7.0])
    """
    if len(values) < length:
        raise ShortHistoryError(f"a window needs {length} rows, the panel has {len(values)}; give a longer history")
    return sliding_window_view(values, length, axis=0).swapaxes(1, 2)
