"""Exported networks, evaluated by onnxruntime on one thread."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.errors import FormatError
from models.neural import forecaster as torch_forecaster
from models.neural.clocks import Clock
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Inputs

FloatArray = NDArray[np.float64]
Arguments = tuple[Tensor, list[Tensor], Tensor, Tensor]  # of a network: last, past, anchor, instrument
OUTPUTS = ("log_variance", "quantiles", "shortfall")


class OnnxNetwork:
    """One exported network in a session of one thread.

    Parameters
    ----------
    content : bytes of the ONNX file.

    Raises
    ------
    FormatError
        If onnxruntime cannot read it, or its outputs are not those of a network.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no base of their own
            raise FormatError(f"onnxruntime cannot read the network ({error}); export it again") from error
        self.names = tuple(found.name for found in self.session.get_inputs())
        if tuple(found.name for found in self.session.get_outputs()) != OUTPUTS:
            raise FormatError(f"the ONNX file is no network with {', '.join(OUTPUTS)}; export it again")

    def __call__(
        self, last: Tensor, past: list[Tensor], anchor: Tensor, instrument: Tensor
    ) -> list[NDArray[np.float32]]:
        """Log variance (batch, horizon), z-quantiles and z-shortfalls (batch, horizon, level)."""
        values = (last, *past, anchor, instrument)
        given = {name: value.numpy() for name, value in zip(input_names(len(past)), values, strict=True)}
        found: list[NDArray[np.float32]] = self.session.run(OUTPUTS, {name: given[name] for name in self.names})
        return found


@dataclass(frozen=True)
class OnnxForecaster(NeuralForecaster):
    """A :class:`models.neural.forecaster.NeuralForecaster` whose networks onnxruntime evaluates."""

    sessions: tuple[OnnxNetwork, ...]

    @classmethod
    def of(cls, forecaster: NeuralForecaster, graphs: Sequence[bytes]) -> "OnnxForecaster":
        """The same forecaster with the exported form of each of its networks."""
        sessions = tuple(OnnxNetwork(content) for content in graphs)
        return cls(forecaster.nets, forecaster.reader, forecaster.spec, sessions)

    def law(self, inputs: Inputs, rows: Tensor | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Means over the networks: log variance (n, h), z-quantiles and z-shortfalls (n, h, q).

        Parameters
        ----------
        inputs : of one instrument or, with :func:`models.neural.inputs.stacked`, of many.
        rows : (n,) int64, rows of ``inputs``; all where none are given.
        """
        chosen = torch.arange(len(inputs.last)) if rows is None else rows
        parts = [self._means(inputs, some) for some in torch.split(chosen, torch_forecaster.BATCH)]
        log_variance, quantiles, shortfall = (np.concatenate(part) for part in zip(*parts, strict=True))
        return log_variance, quantiles, shortfall

    def _means(self, inputs: Inputs, rows: Tensor) -> list[FloatArray]:
        """Of one batch; windows are gathered once for all networks that look back alike."""
        gathered: dict[tuple[Clock, ...], Arguments] = {}
        laws = []
        for net, session in zip(self.nets, self.sessions, strict=True):
            clocks = net.encoder.clocks
            if clocks not in gathered:
                gathered[clocks] = inputs.at(rows, clocks)
            laws.append(session(*gathered[clocks]))
        return [np.mean([part.astype(np.float64) for part in parts], axis=0) for parts in zip(*laws, strict=True)]


def input_names(n_past: int) -> tuple[str, ...]:
    """Names of an exported network's inputs.

    Examples
    --------
    >>> input_names(1)
    ('last', 'past_0', 'anchor', 'instrument')
    """
    return ("last", *(f"past_{i}" for i in range(n_past)), "anchor", "instrument")
