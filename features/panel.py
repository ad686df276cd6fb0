"""What is known of one instrument at each origin, and what came after."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.engine import Bools, Ints
from features.errors import SettingError, UnknownHorizonError
from features.spec import FeatureSpec
from features.targets import Targets
from features.terms import Floats


@dataclass(frozen=True, slots=True)
class Panel:
    """Features and outcomes at the origins of one instrument.

    ``origin_ns`` (n,) are multiples of the spec's ``every_s``; between sessions of events there are holes.
    ``values`` (n, f) float32 uses rows that had closed by the origin and no other; NaN where nothing can be said:
    see :attr:`known`. ``targets`` (n, h) are NaN where their window had not ended when the panel was cut with
    :meth:`until`. ``blind`` (n,) marks origins with a feature that is not known, or whose past has too many missing
    rows to be read as calm.
    """

    instrument: str
    spec: FeatureSpec
    origin_ns: Ints
    values: NDArray[np.float32]
    targets: Targets
    blind: Bools

    def __len__(self) -> int:
        return len(self.origin_ns)

    @property
    def known(self) -> Bools:
        """The mask of the values, shape (n, f)."""
        return np.isfinite(self.values)

    def column(self, name: str) -> Floats:
        """One feature in double precision, shape (n,)."""
        try:
            return self.values[:, self.spec.features.index(name)].astype(np.float64)
        except ValueError:
            raise SettingError(f"the feature spec has no {name!r}; add it to the spec's features") from None

    def until(self, now_ns: int) -> "Panel":
        """The panel as it stood at ``now_ns``: later origins cut, unfinished windows NaN."""
        past = self.rows(0, int(np.searchsorted(self.origin_ns, now_ns, side="right")))
        return replace(past, targets=past.targets.until(past.origin_ns, self.spec.horizons_s, now_ns))

    def rows(self, first: int, stop: int) -> "Panel":
        """Rows ``first`` to ``stop - 1``."""
        return Panel(
            self.instrument,
            self.spec,
            self.origin_ns[first:stop],
            self.values[first:stop],
            self.targets.rows(first, stop),
            self.blind[first:stop],
        )

    def first_row_from(self, ts_ns: int) -> int:
        """Index of the first origin at or after an instant."""
        return int(np.searchsorted(self.origin_ns, ts_ns))

    def horizon_index(self, horizon_s: int) -> int:
        """Column of a horizon."""
        return horizon_index(self.spec.horizons_s, horizon_s)

    def unbroken(self, length: int) -> Bools:
        """Whether the ``length`` rows that end with each row follow one another without a hole, shape (n,)."""
        step_ns = self.spec.every_s * NS_PER_S
        whole = np.zeros(len(self), dtype=bool)
        whole[length - 1 :] = (
            self.origin_ns[length - 1 :] - self.origin_ns[: len(self) - length + 1] == (length - 1) * step_ns
        )
        return whole


def horizon_index(horizons_s: tuple[int, ...], horizon_s: int) -> int:
    """Position of a horizon.

    Raises
    ------
    UnknownHorizonError
        If it was not forecast; the message lists those that were.
    """
    if horizon_s not in horizons_s:
        known = ", ".join(str(h) for h in horizons_s)
        raise UnknownHorizonError(f"no forecast for horizon_s={horizon_s}; known: {known}")
    return horizons_s.index(horizon_s)
