"""What is known of one instrument and horizon: the memory of a method, and the windows whose outcome is awaited."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError
from models.calibration.conformal import Conformal, Scale
from models.calibration.kept import memory_of_plain, plain_of_memory

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of one window.

    Its origin, the standard deviation, how the market stood for the method, quantiles (q,) before and after moving.
    """

    origin_ns: int
    scale: float
    stand: float
    shape: FloatArray
    answer: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        shape, answer = self.shape.tolist(), self.answer.tolist()
        numbers = {"origin_ns": self.origin_ns, "scale": self.scale, "stand": self.stand}
        return numbers | {"shape": shape, "answer": answer}

    @classmethod
    def restored(cls, value: dict[str, Any], n_levels: int) -> Self:
        """Read back :meth:`to_json`.

        Raises
        ------
        ForecastError
            If it is no law of so many levels.
        """
        shape, answer = np.array(value["shape"]), np.array(value["answer"])
        for part in (shape, answer):
            if part.shape != (n_levels,) or not np.isfinite(part).all() or (np.diff(part) < 0).any():
                raise ForecastError("quantiles of an awaited window that are none")
        if not 0 < value["scale"] < np.inf or not np.isfinite(value["stand"]):
            raise ForecastError("an awaited window without a scale")
        return cls(int(value["origin_ns"]), float(value["scale"]), float(value["stand"]), shape, answer)


@dataclass(slots=True)
class Cell:
    """One instrument and horizon: the method's memory of it, and the windows whose outcome is awaited."""

    memory: dict[str, Any]
    awaited: deque[Told] = field(default_factory=deque)

    @classmethod
    def begun(cls, method: Conformal, scale: Scale) -> Self:
        """One of which nothing is known."""
        return cls(method.begin(1, scale))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"memory": plain_of_memory(self.memory), "awaited": [told.to_json() for told in self.awaited]}

    @classmethod
    def restored(cls, method: Conformal, scale: Scale, value: dict[str, Any]) -> Self:
        """Read back :meth:`to_json`.

        Raises
        ------
        ForecastError
            If it is nothing that the method could have left.
        """
        memory = memory_of_plain(value["memory"], method.begin(1, scale))
        faults = method.faults(memory)
        awaited = deque(Told.restored(plain, len(scale.levels)) for plain in value["awaited"])
        origins = [told.origin_ns for told in awaited]
        if origins != sorted(set(origins)):
            faults.append("awaited windows out of order")
        if faults:
            raise ForecastError("; ".join(faults))
        return cls(memory, awaited)
