"""What a network reads of a panel: scaled features, and what classical models forecast from the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.errors import SettingError, ShortHistoryError, lookup
from features.panel import Panel
from features.scaling import Scaling
from models import FORECASTERS, POOLED
from models.base import Forecaster, PooledForecaster
from models.neural.clocks import Clock, run_starts, window
from models.neural.designs import DESIGNS

FloatArray = NDArray[np.float64]
Values = NDArray[np.float32]
# Their residuals on the rows that they were grown on are none of a forecast's.
CLOSE_FITS = ("lgbm_gamma", "lgbm_log", "lgbm_tails", "qrf")


@dataclass(frozen=True)
class InputConfig:
    """What is read.

    ``anchor``: the model that is corrected. ``companions``: models whose log variances, as distances from the
    anchor's, are features; they are fitted for each instrument, and an instrument without one goes without.
    ``design`` of the last row: a name of :data:`models.neural.designs.DESIGNS`.
    ``sequence``: prefixes of the spec's features that windows of the past hold; none given: all.
    """

    anchor: str = "log_har"
    anchor_options: Mapping[str, object] = field(default_factory=dict)
    companions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    design: str = "spec"
    sequence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse models and designs that do not exist."""
        lookup({**FORECASTERS, **POOLED}, self.anchor, "anchor")
        if self.anchor in CLOSE_FITS:
            raise SettingError(f"the anchor {self.anchor} fits its own past too closely to be corrected on it")
        lookup(DESIGNS, self.design, "design")
        for name in self.companions:
            lookup(FORECASTERS, name, "companion")


class Inputs(NamedTuple):
    """Tensors of n origins.

    ``last`` (n, k), ``sequence`` (n, m), ``anchor`` (n, h); int64 ``starts`` (n,), first row of the unbroken run of
    each, and ``instrument`` (n,), 0 for one without a name.
    """

    last: Tensor
    sequence: Tensor
    anchor: Tensor
    starts: Tensor
    instrument: Tensor

    def at(self, rows: Tensor, clocks: Sequence[Clock]) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """Arguments of :meth:`models.neural.network.Network.forward` for some rows."""
        last, starts, anchor, instrument = (
            column.index_select(0, rows) for column in (self.last, self.starts, self.anchor, self.instrument)
        )
        return last, [window(self.sequence, rows, starts, clock) for clock in clocks], anchor, instrument


def stacked(parts: Sequence[Inputs]) -> Inputs:
    """Inputs of several panels, one after the other; no window reaches from one into the next."""
    firsts = np.cumsum([0] + [len(part.last) for part in parts[:-1]])
    starts = [part.starts + int(first) for part, first in zip(parts, firsts, strict=True)]
    return Inputs(
        torch.cat([part.last for part in parts]),
        torch.cat([part.sequence for part in parts]),
        torch.cat([part.anchor for part in parts]),
        torch.cat(starts),
        torch.cat([part.instrument for part in parts]),
    )


@dataclass(frozen=True)
class Reader:
    """A fitted anchor, fitted companions by instrument, and the scales of the training rows."""

    config: InputConfig
    instruments: tuple[str, ...]
    anchors: Mapping[str, Forecaster | PooledForecaster]  # "" is the one of all instruments
    companions: Mapping[str, Mapping[str, Forecaster]]
    names: tuple[str, ...]
    last_scaling: Scaling
    sequence_scaling: Scaling

    @classmethod
    def fit(cls, config: InputConfig, panels: Sequence[Panel]) -> Self:
        """Fit the classical models and measure the scales on what had happened by the end of the panels.

        Raises
        ------
        SettingError, ShortHistoryError, ConvergenceError
            If a classical model cannot be fitted; a companion whose instrument's past is too short is left out.
        """
        anchors = _fit_anchors(config, panels)
        companions = {panel.instrument: _fit_companions(config, panel) for panel in panels}
        reader = cls(config, tuple(p.instrument for p in panels), anchors, companions, (), *[_NOTHING] * 2)
        columns = [reader.columns(panel, reader.log_anchor(panel)) for panel in panels]
        reader = replace(reader, names=tuple(dict.fromkeys(name for found, _ in columns for name in found)))
        last = np.concatenate([reader.placed(*found) for found in columns])
        sequence = np.concatenate([reader.sequence(panel) for panel in panels])
        return replace(reader, last_scaling=measured(last), sequence_scaling=measured(sequence))

    @property
    def n_sequence(self) -> int:
        """Columns of the rows of the past."""
        return len(self.sequence_scaling.centre)

    def read(self, panel: Panel) -> Inputs:
        """Inputs of every row of a panel; a feature that is not known is read as its middle."""
        anchor = self.log_anchor(panel)
        last, _ = self.last_scaling.apply(self.placed(*self.columns(panel, anchor)))
        sequence, _ = self.sequence_scaling.apply(self.sequence(panel))
        number = self.instruments.index(panel.instrument) + 1 if panel.instrument in self.instruments else 0
        return Inputs(
            torch.from_numpy(last),
            torch.from_numpy(sequence),
            torch.from_numpy(anchor.astype(np.float32)),
            torch.from_numpy(run_starts(np.asarray(panel.origin_ns), panel.spec.every_s)),
            torch.full((len(panel),), number),
        )

    def log_anchor(self, panel: Panel) -> FloatArray:
        """Log variance of the anchor, shape (n, h).

        An instrument that was not trained on is forecast by the mean of the anchors of those that were.
        """
        fitted = self.anchors.get("") or self.anchors.get(panel.instrument)
        several = [fitted] if fitted else list(self.anchors.values())
        mean: FloatArray = np.mean([np.log(model.forecast(panel).variance) for model in several], axis=0)
        return mean

    def columns(self, panel: Panel, log_anchor: FloatArray) -> tuple[tuple[str, ...], Values]:
        """Names and values of the last row's columns, unscaled: features, anchor, companions beside the anchor."""
        names, values = DESIGNS[self.config.design](panel, log_anchor)
        hours = [f"{horizon_s} s" for horizon_s in panel.spec.horizons_s]
        blocks = [np.asarray(values, np.float32), log_anchor.astype(np.float32)]
        names = (*names, *(f"anchor {hour}" for hour in hours))
        for name in self.config.companions:
            model = self.companions.get(panel.instrument, {}).get(name)
            blocks.append(_beside(model, panel, log_anchor))
            names = (*names, *(f"{name} {hour}" for hour in hours))
        return names, np.concatenate(blocks, axis=1)

    def placed(self, names: tuple[str, ...], values: Values) -> Values:
        """Columns in the order of training; one that the panel does not have is not known."""
        placed = np.full((len(values), len(self.names)), np.nan, dtype=np.float32)
        here = [i for i, name in enumerate(names) if name in self.names]
        placed[:, [self.names.index(names[i]) for i in here]] = values[:, here]
        return placed

    def sequence(self, panel: Panel) -> Values:
        """Columns of the rows of the past, unscaled, shape (n, m)."""
        wanted = self.config.sequence
        chosen = [i for i, name in enumerate(panel.spec.features) if not wanted or name.startswith(wanted)]
        if wanted and not chosen:
            raise SettingError(f"no feature of the spec begins with {', '.join(wanted)}; correct inputs.sequence")
        return np.asarray(panel.values)[:, chosen]


_NOTHING = Scaling(np.zeros(0), np.ones(0))


def measured(values: Values) -> Scaling:
    """Scaling of the training rows; a column that is not known in any of them is read as 0 ever after."""
    dead = ~np.isfinite(values).any(axis=0)
    return Scaling.fit(np.where(dead, np.float32(0), values))


def _fit_anchors(config: InputConfig, panels: Sequence[Panel]) -> dict[str, Forecaster | PooledForecaster]:
    if config.anchor in POOLED:
        return {"": POOLED[config.anchor](**config.anchor_options).fit(panels)}
    return {p.instrument: FORECASTERS[config.anchor](**config.anchor_options).fit(p) for p in panels}


def _fit_companions(config: InputConfig, panel: Panel) -> dict[str, Forecaster]:
    """Every companion that the instrument's past is long enough for; any other fault ends the fit."""
    fitted = {}
    for name, options in config.companions.items():
        try:
            fitted[name] = FORECASTERS[name](**options).fit(panel)
        except ShortHistoryError:
            continue
    return fitted


def _beside(model: Forecaster | None, panel: Panel, log_anchor: FloatArray) -> Values:
    """Log variances of a companion as distances from the anchor's; unknown where the instrument has none.

    One that was fitted and fails is an error: read as unknown, it could lower a forecast without a word.
    """
    if model is None:
        return np.full(log_anchor.shape, np.nan, dtype=np.float32)
    return (np.log(model.forecast(panel).variance) - log_anchor).astype(np.float32)
