"""Exports: onnxruntime's numbers are torch's, whatever the encoder, the head, the batch and the weights."""

import numpy as np
import onnx
import pytest
import torch

from features.errors import FormatError
from models import onnx_export as exports
from models.neural import ENCODERS, HEADS
from models.neural.network import Network, NetworkConfig
from models.onnx import OnnxNetwork, input_names
from models.onnx_export import exported

PAIRS = [(encoder, head) for encoder in ENCODERS for head in HEADS]
FEW = [(e, h) for e, h in PAIRS if e == "mlp" or h == "pareto"]  # each encoder and each head, once at least


def network(encoder: str, head: str, seed: int = 0, embedding: int = 3) -> Network:
    """A small network with weights far from those that training begins with."""
    torch.manual_seed(seed)
    net = Network(NetworkConfig(9, 4, 2, encoder=encoder, head=head, hidden=8, n_instruments=5, embedding=embedding))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return net.eval()


def arguments(net: Network, size: int) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor, torch.Tensor]:
    past = [2 * torch.randn(size, clock.length, 4) for clock in net.encoder.clocks]
    return 2 * torch.randn(size, 9), past, torch.randn(size, 2) - 9, torch.randint(0, 6, (size,))


def check_equal(net: Network, session: OnnxNetwork) -> None:
    for size in (1, 2, 64):
        values = arguments(net, size)
        with torch.inference_mode():
            law = net(*values)
        assert float(law.log_variance.sub(values[2]).abs().max()) > 0.01  # else the comparison could not fail
        for found, expected in zip(session(*values), law, strict=True):
            assert (np.abs(found - expected.numpy()) <= 1e-5 * np.maximum(np.abs(found), 1)).all()


@pytest.mark.parametrize(("encoder", "head"), FEW)
def test_onnxruntime_gives_torchs_numbers(encoder: str, head: str) -> None:
    net = network(encoder, head)
    check_equal(net, OnnxNetwork(*exported([net])))


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "head"), [pair for pair in PAIRS if pair not in FEW])
def test_every_other_pair_too(encoder: str, head: str) -> None:
    net = network(encoder, head)
    check_equal(net, OnnxNetwork(*exported([net])))


def test_networks_of_one_configuration_are_exported_once_and_keep_their_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    nets = [network("mlp", "pareto", seed, embedding=0) for seed in range(3)]
    translated, translations = exports._translated, []

    def counting(net: Network) -> onnx.ModelProto:
        translations.append(net)
        return translated(net)

    monkeypatch.setattr(exports, "_translated", counting)
    files = exported(nets)
    assert len(translations) == 1
    for net, content in zip(nets, files, strict=True):
        check_equal(net, OnnxNetwork(content))
    assert len({*files}) == 3
    assert exported(nets) == files  # the same networks, the same bytes
    nets[0].train()
    assert exported(nets[:1]) == files[:1]  # dropout is no part of an export
    assert nets[0].training
    graph = onnx.load_from_string(files[0])
    assert tuple(value.name for value in graph.graph.input) == input_names(0)
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in graph.graph.input} == {"batch"}
    assert not any(part in files[0] for part in (b".py", b"site-packages", b"metadata"))  # no paths of this machine


def test_an_export_that_is_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, other = (network("mlp", "pareto", seed, embedding=0) for seed in range(2))
    graph = exports._translated(net)
    monkeypatch.setattr(exports, "_translated", lambda _net: graph)
    exported([other])
    with torch.no_grad():
        graph.graph.initializer.add().CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "idle"))
    monkeypatch.setattr(exports, "_with_weights", lambda graph, _net: graph.SerializeToString())
    with pytest.raises(FormatError, match=r"mlp with pareto: onnxruntime and torch differ by .* nothing was written"):
        exported([other])


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(FormatError, match="onnxruntime cannot read"):
        OnnxNetwork(b"junk")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(FormatError, match="is no network with log_variance"):
        OnnxNetwork(model.SerializeToString())
