"""ONNX models made by hand, for the tests; no exporter is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def model(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, NDArray[Any]] | None = None,
    *,
    opset: int = 18,
    channels: int | str = 1,
) -> onnx.ModelProto:
    """A graph from ``x`` to ``y`` of any size."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", channels, "H", "W"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 10
    return made


def save(made: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def state(network: Any) -> dict[str, NDArray[np.float32]]:
    return {key: value.numpy() for key, value in network.state_dict().items()}


def cnn10(network: Any) -> onnx.ModelProto:
    """CNN10 with the weights of a torch one."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], name="/conv1/Conv", pads=[4] * 4),
        node("Relu", ["a"], ["b"], name="/relu1/Relu"),
        node("Conv", ["b", "conv2.weight", "conv2.bias"], ["c"], name="/conv2/Conv", pads=[1] * 4),
        node("Relu", ["c"], ["d"], name="/relu2/Relu"),
        node("Conv", ["d", "conv3.weight", "conv3.bias"], ["y"], name="/conv3/Conv", pads=[2] * 4),
    ]
    return model(nodes, state(network))
