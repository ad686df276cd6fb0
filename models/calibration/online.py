"""Tracking as a stream: outcomes in, quantiles out, the memory as plain numbers that can be kept and taken up again."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S, format_utc
from features.errors import ForecastError, TimeOrderError, UnknownInstrumentError, lookup
from features.panel import horizon_index
from models.base import Forecast
from models.calibration.cell import Cell, Told
from models.calibration.conformal import CONFORMAL, Conformal, Scale, pool_offset
from models.calibration.kept import check_kept, sealed

FloatArray = NDArray[np.float64]


class OnlineCalibrator:
    """The batch path's tracking, one event at a time, with the same numbers.

    It takes forecasts that have their bias and tail already, as ``calibrate(..., track=False)`` answers them. Call
    :meth:`update` for each window that has ended, in the order of the origins, then :meth:`answer`. A window whose
    outcome cannot be known is reported as NaN and moves nothing.

    Parameters
    ----------
    method : name of a method of :data:`models.calibration.conformal.CONFORMAL`, or one with other constants.
    horizons_s : h horizons in seconds.
    levels : q probabilities.
    every_s : time between origins, in seconds.
    pool_windows : see :func:`models.calibration.conformal.pool_offset`; 0: each instrument by itself.
    """

    def __init__(
        self,
        method: str | Conformal,
        horizons_s: tuple[int, ...],
        levels: tuple[float, ...],
        every_s: int,
        pool_windows: float = 0.0,
    ) -> None:
        self._method = lookup(CONFORMAL, method, "tracking") if isinstance(method, str) else method
        self._horizons_s, self._levels, self._every_s = tuple(horizons_s), tuple(levels), every_s
        self._pool_windows, self._clock_ns = pool_windows, 0
        every_ns = every_s * NS_PER_S
        self._scales = tuple(Scale.of(self._levels, horizon_s * NS_PER_S, every_ns) for horizon_s in horizons_s)
        self._cells: dict[str, list[Cell]] = {}

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments that were ever answered, in the order in which they came."""
        return tuple(self._cells)

    def answer(self, instrument: str, forecast: Forecast) -> Forecast:
        """Move the quantiles of a forecast from one origin, which is now.

        Raises
        ------
        ForecastError
            If it is not of one origin, or of other levels or horizons.
        TimeOrderError
            If something later has been answered or learned already, or this origin has been.
        """
        origin_ns = self._checked(instrument, forecast)
        self._clock_ns, new = origin_ns, instrument not in self._cells
        cells = self._cells.setdefault(instrument, [Cell.begun(self._method, scale) for scale in self._scales])
        sigma = np.sqrt(forecast.variance[0])[:, None]
        shape = np.ascontiguousarray(forecast.quantiles[0] / sigma)
        moved = np.empty_like(shape)
        for h, (cell, scale) in enumerate(zip(cells, self._scales, strict=True)):
            offset = self._pooled(instrument, h)
            if new:
                self._method.adopt(cell.memory, 0, offset)
            stand = self._method.stand(cell.memory, 0, float(np.log(sigma[h, 0])))
            moved[h] = self._method.told(shape[h], offset, stand, scale)
            cell.awaited.append(Told(origin_ns, float(sigma[h, 0]), stand, shape[h], moved[h].copy()))
        beyond = moved + (forecast.shortfall[0] / sigma - shape)
        return Forecast(
            forecast.origin_ns,
            forecast.horizons_s,
            forecast.variance,
            forecast.levels,
            (moved * sigma)[None],
            (beyond * sigma)[None],
        )

    def update(self, instrument: str, horizon_s: int, origin_ns: int, log_return: float, now_ns: int) -> None:
        """Learn the outcome of the oldest awaited window; NaN if it is not known and never will be.

        Raises
        ------
        TimeOrderError
            If the window had not ended by ``now_ns``, another one's outcome is due first, or now is in the past.
        UnknownInstrumentError, UnknownHorizonError
            If it was never forecast.
        ForecastError
            If the outcome is infinite: a loss without bounds is not one that is not known.
        """
        if np.isinf(log_return):
            raise ForecastError(
                f"{instrument}, {horizon_s} s from {format_utc(origin_ns)}: a log return of {log_return} is none; "
                "report what the price moved, NaN only if it is not known"
            )
        if instrument not in self._cells:
            known = ", ".join(self._cells) or "none"
            raise UnknownInstrumentError(f"no quantiles of {instrument} were answered; known: {known}")
        h = horizon_index(self._horizons_s, horizon_s)
        cell = self._cells[instrument][h]
        self._check_order(cell, instrument, horizon_s, origin_ns, now_ns)
        told = cell.awaited.popleft()
        self._clock_ns = now_ns
        if np.isfinite(log_return):
            z = float(log_return) / told.scale
            self._method.learn(cell.memory, 0, z, told.shape, told.answer, told.stand, self._scales[h])

    def to_json(self) -> dict[str, Any]:
        """Everything as plain numbers and words, sealed with a hash of itself; JSON keeps them to the last bit."""
        cells = {name: [cell.to_json() for cell in row] for name, row in self._cells.items()}
        return sealed(self._identity() | {"clock_ns": self._clock_ns, "cells": cells})

    def restored(self, value: dict[str, Any]) -> Self:
        """A calibrator of the same settings that goes on from what :meth:`to_json` told.

        Raises
        ------
        SettingError
            If the state is of another method, other constants, levels, horizons or times between origins.
        ForecastError
            If it is damaged: nothing is guessed, because an offset lost would narrow the tails.
        """
        check_kept(value, self._identity())
        found = type(self)(self._method, self._horizons_s, self._levels, self._every_s, self._pool_windows)
        try:
            found._clock_ns = int(value["clock_ns"])  # noqa: SLF001 - of its own kind
            for name, row in value["cells"].items():
                pairs = zip(self._scales, row, strict=True)
                found._cells[name] = [Cell.restored(self._method, *pair) for pair in pairs]  # noqa: SLF001
        except (KeyError, TypeError, ValueError) as error:
            raise ForecastError(f"kept state of a calibration is damaged ({error}); use an older copy") from error
        return found

    def _identity(self) -> dict[str, Any]:
        """What a state must have in common with the calibrator that takes it up."""
        return {
            "method": repr(self._method),
            "horizons_s": list(self._horizons_s),
            "levels": list(self._levels),
            "every_s": self._every_s,
            "pool_windows": self._pool_windows,
        }

    def _pooled(self, instrument: str, h: int) -> FloatArray:
        """The offset of an instrument at one horizon, weighed with those of all, shape (k,)."""
        cells = [row[h] for row in self._cells.values()]
        own = np.stack([self._method.offset(cell.memory, 0, self._scales[h]) for cell in cells])
        windows = np.array([float(cell.memory["windows"][0]) for cell in cells])
        pooled = np.empty(own.shape[1])
        pool_offset(own, windows, list(self._cells).index(instrument), self._pool_windows, pooled)
        return pooled

    def _checked(self, instrument: str, forecast: Forecast) -> int:
        """The one origin of a forecast of the right kind that comes in the right order."""
        if len(forecast.origin_ns) != 1:
            raise ForecastError(f"{instrument}: {len(forecast.origin_ns)} origins; answer one at a time, in order")
        if (forecast.levels, forecast.horizons_s) != (self._levels, self._horizons_s):
            raise ForecastError(
                f"{instrument}: a forecast of levels {forecast.levels} and horizons {forecast.horizons_s} s; this "
                f"calibrator is of {self._levels} and {self._horizons_s} s: make another one for it"
            )
        origin_ns = int(forecast.origin_ns[0])
        last = max((c.awaited[-1].origin_ns for c in self._cells.get(instrument, []) if c.awaited), default=-1)
        if origin_ns < self._clock_ns or origin_ns <= last:
            raise TimeOrderError(
                f"{instrument}: origin {format_utc(origin_ns)} comes after {format_utc(max(last, self._clock_ns))} was "
                "answered or learned; give events in the order of time, each origin once"
            )
        return origin_ns

    def _check_order(self, cell: Cell, instrument: str, horizon_s: int, origin_ns: int, now_ns: int) -> None:
        """Refuse an outcome that is not the next one or could not be known."""
        what = f"{instrument}, {horizon_s} s from {format_utc(origin_ns)}"
        if not cell.awaited or origin_ns != cell.awaited[0].origin_ns:
            due = f"that from {format_utc(cell.awaited[0].origin_ns)}" if cell.awaited else "none"
            raise TimeOrderError(f"{what}: the next outcome due is {due}; report it first, NaN if it is not known")
        if now_ns < origin_ns + horizon_s * NS_PER_S or now_ns < self._clock_ns:
            raise TimeOrderError(
                f"{what}: cannot be learned at {format_utc(now_ns)}, before it has ended or before what has been "
                "answered or learned; give events in the order of time"
            )
