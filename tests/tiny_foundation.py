"""A foundation model small enough to check by hand: each next step is nearer to the mean of the context."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONTEXT, STEPS = 48, 24


def weights() -> np.ndarray:
    """Of each value of the context in each next step, (context, step), of sum 1 a step."""
    fade = 0.9 ** np.arange(1, STEPS + 1)
    recent = 0.8 ** np.arange(CONTEXT - 1, -1, -1.0)
    return np.asarray(fade * (recent / recent.sum())[:, None] + (1 - fade) / CONTEXT, dtype=np.float32)


def write(path: Path, quantiles: int = 0, factor: float = 1.0) -> Path:
    """The network as a file; with ``quantiles``, so many of them around each step, a tenth apart."""
    nodes = [helper.make_node("MatMul", ["context", "weights"], ["steps"])]
    constants = [numpy_helper.from_array(np.asarray(factor * weights(), dtype=np.float32), "weights")]
    shape: list[str | int] = ["batch", STEPS]
    if quantiles:
        around = 0.1 * (np.arange(quantiles, dtype=np.float32) - quantiles // 2)
        constants += [numpy_helper.from_array(around, "around"), numpy_helper.from_array(np.array([2]), "axis")]
        nodes += [
            helper.make_node("Unsqueeze", ["steps", "axis"], ["wide"]),
            helper.make_node("Add", ["wide", "around"], ["levels"]),
        ]
        shape.append(quantiles)
    made = helper.make_tensor_value_info("levels" if quantiles else "steps", TensorProto.FLOAT, shape)
    asked = helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", CONTEXT])
    graph = helper.make_graph(nodes, "tiny", [asked], [made], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
