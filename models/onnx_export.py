"""Networks to ONNX files, compared with torch before they are kept."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import onnx
import onnxscript  # noqa: F401 - torch's exporter writes with it; where it is missing this says so
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from features.errors import FormatError
from features.files import sha256_of
from models.neural.network import Network
from models.onnx import OUTPUTS, Arguments, OnnxNetwork, input_names

TOLERANCE = 1e-5  # between onnxruntime and torch, beside numbers above 1 as a share of them: single precision
EXAMPLES = (1, 37)  # sizes of the batches that are compared: the exporter saw another
SEEN_BY_EXPORTER = 3
NET = "net."  # before the name of each weight


def exported(nets: Sequence[Network]) -> list[bytes]:
    """ONNX files of networks; those of one configuration share one export, and differ by their weights.

    Raises
    ------
    FormatError
        If onnxruntime's numbers are not within 1e-5 of torch's, on batches of other sizes than the exporter saw.
    """
    graphs: dict[str, onnx.ModelProto] = {}
    files = []
    for net in nets:
        frozen = copy.deepcopy(net).cpu().eval()
        key = sha256_of([asdict(net.config), sorted(frozen.state_dict())])
        if key not in graphs:
            graphs[key] = _translated(frozen)
        content = _with_weights(graphs[key], frozen)
        _compare(frozen, OnnxNetwork(content))
        files.append(content)
    return files


class _Flat(nn.Module):
    """A network whose windows are arguments of their own."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Inputs in the order of :func:`input_names`."""
        last, *past, anchor, instrument = values
        return tuple(self.net(last, past, anchor, instrument))


def _translated(net: Network) -> onnx.ModelProto:
    """The graph of a network of this configuration, without paths of this machine."""
    values = _flat(_example(net, SEEN_BY_EXPORTER))
    batch = {0: torch.export.Dim("batch")}
    with _quiet():
        program = torch.export.export(_Flat(net), values, dynamic_shapes=((batch,) * len(values),))
        names = list(input_names(len(values) - 3))
        translated = torch.onnx.export(
            program, input_names=names, output_names=list(OUTPUTS), dynamo=True, optimize=False, verbose=False
        )
    if translated is None:
        raise FormatError("torch exported nothing; export with its exporter of today (dynamo)")
    graph: onnx.ModelProto = translated.model_proto
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for value in (*graph.graph.input, *graph.graph.output):
        value.ClearField("metadata_props")
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.graph.ClearField("value_info")
    return graph


def _with_weights(graph: onnx.ModelProto, net: Network) -> bytes:
    """The graph with the weights of one network."""
    own = onnx.ModelProto()
    own.CopyFrom(graph)
    weights = {NET + name: value.numpy() for name, value in net.state_dict().items()}
    for i, initializer in enumerate(own.graph.initializer):
        if initializer.name in weights:
            own.graph.initializer[i].CopyFrom(numpy_helper.from_array(weights[initializer.name], initializer.name))
    onnx.checker.check_model(own)
    content: bytes = own.SerializeToString(deterministic=True)
    return content


def _compare(net: Network, session: OnnxNetwork) -> None:
    """Refuse an export whose numbers are not torch's."""
    for size in EXAMPLES:
        values = _example(net, size)
        with torch.inference_mode():
            expected = net(*values)
        gap = max(_gap(found, wanted.numpy()) for found, wanted in zip(session(*values), expected, strict=True))
        if not gap <= TOLERANCE:
            raise FormatError(
                f"{net.config.encoder} with {net.config.head}: onnxruntime and torch differ by {gap:.1e}, "
                f"{TOLERANCE:.0e} is allowed; nothing was written, keep the network in torch"
            )


def _gap(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Largest difference, of numbers above 1 as a share of them."""
    return float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1.0)).max())


def _example(net: Network, size: int) -> Arguments:
    """Made-up scaled inputs of a batch."""
    c, made = net.config, torch.Generator().manual_seed(size)
    past = [torch.randn(size, clock.length, c.n_sequence, generator=made) for clock in net.encoder.clocks]
    anchor = torch.randn(size, c.n_horizons, generator=made) - 8.0
    instrument = torch.randint(0, c.n_instruments + 1, (size,), generator=made)
    return torch.randn(size, c.n_last, generator=made), past, anchor, instrument


def _flat(values: Arguments) -> tuple[Tensor, ...]:
    last, past, anchor, instrument = values
    return (last, *past, anchor, instrument)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch's exporter says of its own code and of packages that nothing here needs."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # "torchvision is not installed"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\).*", FutureWarning)
            warnings.filterwarnings(
                "ignore", r"(?s).*_flat_weights.*were assigned during export", UserWarning
            )  # of a GRU
            yield
    finally:
        registration.setLevel(level)
