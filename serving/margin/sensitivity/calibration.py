"""The numbers of a sensitivity margin: weights, thresholds, correlations; data only, checked at the door."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError

FloatArray = NDArray[np.float64]
Weights = Mapping[tuple[str, str], float]  # (group, label1); the label "*" stands for all


@dataclass(frozen=True)
class Matrix:
    """A symmetric matrix of correlations between named things.

    Raises
    ------
    SettingError
        If it is not square, symmetric, within -1 and 1, or a name comes twice.
    """

    names: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        """Refuse what is no table of correlations."""
        n = len(self.names)
        if self.values.shape != (n, n) or len(set(self.names)) != n:
            raise SettingError(f"correlations of {self.names}: shape {self.values.shape}; give one row a distinct name")
        if not (np.abs(self.values) <= 1).all() or (self.values != self.values.T).any():
            raise SettingError(f"correlations of {self.names}: not symmetric or not within -1 and 1; correct them")
        self.values.flags.writeable = False

    @classmethod
    def lower(cls, names: Iterable[str], rows: Iterable[Iterable[float]], diagonal: float = 1.0) -> "Matrix":
        """From the rows below the diagonal: the first has one number, the second two.

        Examples
        --------
        >>> Matrix.lower(["a", "b"], [[0.5]]).values.tolist()
        [[1.0, 0.5], [0.5, 1.0]]
        """
        named = tuple(names)
        values = np.eye(len(named)) * diagonal
        for at, row in enumerate(rows, start=1):
            values[at, :at] = values[:at, at] = list(row)
        return cls(named, values)

    def index(self, name: str, what: str) -> int:
        """Where a name stands.

        Raises
        ------
        SettingError
            If the calibration does not know the name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise SettingError(f"{what} {name!r} has no correlation; known: {', '.join(self.names)}") from None


NOTHING = Matrix((), np.zeros((0, 0)))


@dataclass(frozen=True)
class Rules:
    r"""How one measure of one risk class is aggregated.

    ``weights``: by group and ``label1``. ``scale``: multiplies an amount before its
    size is judged (a vega into a vega times volatility). ``groups``: group of a
    qualifier, else its bucket. ``thresholds``: by ``size_groups`` (else group);
    empty = no concentration. ``concentrated_by``: ``name`` compares the names of a
    bucket, ``bucket`` whole buckets. ``unconcentrated``: values of ``label1``
    outside the size. ``labels``: which labels tell factors apart.

    Correlation within a bucket: ``names_same`` (by group) between two factors of
    one name (``same_by``: its qualifier or its ``label2``), else ``names_differ``
    (groups x groups), times ``tenors`` of their ``label1``, times ``curves`` where
    their ``label2`` differ. ``across``: between buckets. ``residual``: buckets added
    without diversification. ``multiplier``: of the result.
    """

    weights: Weights
    names_differ: Matrix
    across: Matrix
    scale: Weights = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    size_groups: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    concentrated_by: Literal["name", "bucket"] = "name"
    unconcentrated: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    names_same: Mapping[str, float] = field(default_factory=dict)
    same_by: Literal["qualifier", "label2"] = "qualifier"
    tenors: Matrix = NOTHING
    curves: float = 1.0
    residual: frozenset[str] = frozenset()
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that could only come of a slip."""
        for name in ("weights", "scale", "thresholds", "names_same"):
            for key, value in getattr(self, name).items():
                if not 0 <= value < math.inf or (name == "thresholds" and value == 0):
                    raise SettingError(f"calibration: {name} of {key} is {value}; give a number above 0, finite")
        if not (-1 <= self.curves <= 1 and 0 < self.multiplier < math.inf):
            raise SettingError(f"calibration: curves {self.curves} or multiplier {self.multiplier} out of range")


@dataclass(frozen=True)
class Calibration:
    """All rules of a sensitivity margin: by risk class and measure, and how the classes go together (``psi``)."""

    name: str
    rules: Mapping[str, Mapping[str, Rules]]
    psi: Matrix

    def of(self, risk_class: str, measure: str) -> Rules:
        """Rules of one measure of one class.

        Raises
        ------
        SettingError
            If there are none: an unknown sensitivity must not drop out of a margin.
        """
        try:
            return self.rules[risk_class][measure]
        except KeyError:
            known = ", ".join(f"{name} {m}" for name, table in self.rules.items() for m in table)
            raise SettingError(
                f"calibration {self.name}: no rules for {risk_class} {measure}; known: {known}"
            ) from None


def looked_up(table: Weights, group: str, label: str, what: str) -> float:
    """Entry of a group and a label, or of the group and ``*``.

    Raises
    ------
    SettingError
        If there is none.
    """
    found = table.get((group, label), table.get((group, "*")))
    if found is None:
        raise SettingError(f"calibration: no {what} for {group!r} with label {label!r}; add it or map the name")
    return found
