"""Every ONNX operation gives the numbers of ONNX's own reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_graphs import model
from torch import nn

from ctinv.models.onnx_file import OPERATIONS, load_onnx

node = helper.make_node
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


X = floats(2, 4, 8, 12)
PLAIN = ("Sigmoid", "Exp", "Log", "Erf", "Reciprocal", "Relu", "Floor", "Ceil")
# Each case: nodes from x to y, constants, operator set.
CASES: dict[str, tuple[list[Any], dict[str, Any], int]] = {
    "Conv group stride dilation": (
        [node("Conv", ["x", "w", "b"], ["y"], group=2, strides=[2, 1], dilations=[1, 2], pads=[1, 2, 1, 2])],
        {"w": floats(6, 2, 3, 3), "b": floats(6)},
        11,
    ),
    "Conv uneven pads": ([node("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 0])], {"w": floats(3, 4, 3, 2)}, 22),
    "Conv SAME_UPPER": (
        [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])],
        {"w": floats(3, 4, 4, 3)},
        11,
    ),
    "ConvTranspose": (
        [
            node(
                "ConvTranspose",
                ["x", "w", "b"],
                ["y"],
                strides=[2, 2],
                pads=[1, 0, 0, 1],
                output_padding=[1, 0],
            )
        ],
        {"w": floats(4, 3, 3, 3), "b": floats(3)},
        11,
    ),
    "MaxPool": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        {},
        12,
    ),
    "AveragePool": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])],
        {},
        19,
    ),
    "Slice backwards": (
        [node("Slice", ["x", "first", "last", "axes", "steps"], ["y"])],
        {
            "first": whole(-1, 5, 99),
            "last": whole(-(2**31), 1, -(2**63)),
            "axes": whole(1, 2, 3),
            "steps": whole(-1, -2, -3),
        },
        17,
    ),
    "Gather a number": (
        [node("Gather", ["c", "i"], ["n"]), node("Mul", ["x", "n"], ["y"])],
        {"c": floats(3), "i": np.array(1)},
        17,
    ),
    "Reshape to a number": (
        [node("Reshape", ["c", "shape"], ["n"]), node("Mul", ["x", "n"], ["y"])],
        {"c": floats(1), "shape": whole()},
        17,
    ),
    "AveragePool with its padding": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)],
        {},
        19,
    ),
    "GlobalAveragePool": ([node("GlobalAveragePool", ["x"], ["y"])], {}, 1),
    "BatchNormalization": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=1e-3)],
        {"s": floats(4), "b": floats(4), "m": floats(4), "v": np.abs(floats(4)) + 0.1},
        15,
    ),
    "InstanceNormalization": (
        [node("InstanceNormalization", ["x", "s", "b"], ["y"])],
        {"s": floats(4), "b": floats(4)},
        6,
    ),
    "GroupNormalization": (
        [node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2)],
        {"s": floats(4), "b": floats(4)},
        21,
    ),
    "LayerNormalization": (
        [node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1)],
        {"s": floats(12), "b": floats(12)},
        17,
    ),
    "Pad reflect": (
        [node("Pad", ["x", "p"], ["y"], mode="reflect")],
        {"p": whole(0, 0, 1, 2, 0, 0, 3, 1)},
        13,
    ),
    "Pad constant on axes": (
        [node("Pad", ["x", "p", "v", "a"], ["y"])],
        {"p": whole(1, 2, 0, 1), "v": np.float32(3.0), "a": whole(2, 3)},
        18,
    ),
    "Pad edge by attribute": ([node("Pad", ["x"], ["y"], mode="edge", pads=[0, 0, 1, 1, 0, 0, 1, 1])], {}, 2),
    "Resize linear": (
        [node("Resize", ["x", "", "s"], ["y"], mode="linear")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        18,
    ),
    "Resize linear to a size": (
        [
            node(
                "Resize",
                ["x", "", "", "n"],
                ["y"],
                mode="linear",
                coordinate_transformation_mode="align_corners",
            )
        ],
        {"n": whole(2, 4, 11, 7)},
        13,
    ),
    "Resize cubic": (
        [node("Resize", ["x", "", "s"], ["y"], mode="cubic")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        13,
    ),
    "Resize nearest": (
        [
            node(
                "Resize",
                ["x", "", "s"],
                ["y"],
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        {"s": np.array([1, 1, 2, 3], np.float32)},
        19,
    ),
    "Upsample": ([node("Upsample", ["x", "s"], ["y"])], {"s": np.array([1, 1, 2, 2], np.float32)}, 9),
    "DepthToSpace": ([node("DepthToSpace", ["x"], ["y"], blocksize=2)], {}, 13),
    "DepthToSpace CRD": ([node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")], {}, 13),
    "SpaceToDepth": ([node("SpaceToDepth", ["x"], ["y"], blocksize=2)], {}, 13),
    "activations": (
        [
            node("LeakyRelu", ["x"], ["a"], alpha=0.2),
            node("PRelu", ["a", "s"], ["b"]),
            node("Elu", ["b"], ["c"], alpha=0.7),
            node("HardSigmoid", ["c"], ["d"], alpha=0.3, beta=0.4),
            node("HardSwish", ["x"], ["e"]),
            node("Mish", ["x"], ["f"]),
            node("Softplus", ["x"], ["g"]),
            node("Tanh", ["g"], ["h"]),
            node("Sum", ["d", "e", "f", "h"], ["y"]),
        ],
        {"s": floats(4, 1, 1)},
        18,
    ),
    "Gelu and Softmax": (
        [node("Gelu", ["x"], ["a"], approximate="tanh"), node("Softmax", ["a"], ["y"], axis=1)],
        {},
        20,
    ),
    "Clip by inputs": (
        [node("Clip", ["x", "low", "high"], ["y"])],
        {"low": np.float32(-0.5), "high": np.float32(0.7)},
        13,
    ),
    "Clip by attributes": ([node("Clip", ["x"], ["y"], min=-0.5, max=0.7)], {}, 6),
    "arithmetic": (
        [
            node("Mul", ["x", "s"], ["a"]),
            node("Div", ["a", "t"], ["b"]),
            node("Sub", ["b", "x"], ["c"]),
            node("Abs", ["c"], ["d"]),
            node("Sqrt", ["d"], ["e"]),
            node("Pow", ["e", "t"], ["f"]),
            node("Max", ["f", "x"], ["g"]),
            node("Min", ["g", "t"], ["h"]),
            node("Neg", ["h"], ["y"]),
        ],
        {"s": floats(1, 4, 1, 1), "t": np.float32(1.7)},
        13,
    ),
    "cut and join": (
        [
            node("Slice", ["x", "first", "last", "axes", "steps"], ["a"]),
            node("Split", ["x"], ["b", "c"], axis=3, num_outputs=2),
            node("Concat", ["a", "b"], ["d"], axis=3),
            node("Transpose", ["d"], ["e"], perm=[0, 2, 3, 1]),
            node("Gather", ["e", "pick"], ["f"], axis=3),
            node("Unsqueeze", ["f", "two"], ["g"]),
            node("Squeeze", ["g", "two"], ["h"]),
            node("Flatten", ["h"], ["i"], axis=2),
            node("Reshape", ["i", "shape"], ["y"]),
        ],
        {
            "first": whole(0, -9),
            "last": whole(8, 99),
            "axes": whole(2, 3),
            "steps": whole(1, 2),
            "pick": whole(3, -4),
            "two": whole(2),
            "shape": whole(2, 8, -1),
        },
        18,
    ),
    "Squeeze by attribute": (
        [node("Unsqueeze", ["x"], ["a"], axes=[1]), node("Squeeze", ["a"], ["y"], axes=[1])],
        {},
        11,
    ),
    "a size that is computed": (
        [
            node("Shape", ["x"], ["a"]),
            node("Gather", ["a", "i"], ["h"]),
            node("Mul", ["h", "two"], ["hh"]),
            node("Concat", ["nc", "hh"], ["n"], axis=0),
            node("Resize", ["x", "", "", "n"], ["y"], mode="linear"),
        ],
        {"i": whole(2, 3), "two": whole(2), "nc": whole(2, 4)},
        18,
    ),
    "reductions": (
        [
            node("ReduceMean", ["x", "axes"], ["m"], keepdims=1),
            node("Sub", ["x", "m"], ["a"]),
            node("Mul", ["a", "a"], ["b"]),
            node("ReduceSum", ["b", "axes"], ["s"]),
            node("ReduceMax", ["x", "axes"], ["t"]),
            node("Add", ["s", "t"], ["u"]),
            node("Expand", ["u", "shape"], ["y"]),
        ],
        {"axes": whole(2, 3), "shape": whole(2, 4, 8, 12)},
        18,
    ),
    "matrices": (
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Flatten", ["a"], ["b"]),
            node("Gemm", ["b", "v", "c"], ["y"], transB=1),
        ],
        {"w": floats(12, 5), "v": floats(3, 160), "c": floats(3)},
        13,
    ),
    "choose": (
        [
            node("Constant", [], ["zero"], value_float=0.0),
            node("Max", ["x", "zero"], ["a"]),
            node("Equal", ["a", "zero"], ["off"]),
            node("Where", ["off", "x", "a"], ["b"]),
            node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
            node("Dropout", ["c"], ["d"]),
            node("Identity", ["d"], ["y"]),
        ],
        {},
        18,
    ),
    "one of each plain function": (
        [
            *(node(name, ["x" if i == 0 else f"v{i}"], [f"v{i + 1}"]) for i, name in enumerate(PLAIN)),
            node("Shape", ["v8"], ["n"]),
            node("ConstantOfShape", ["n"], ["zeros"]),
            node("Add", ["v8", "zeros"], ["s"]),
            node("Mean", ["v7", "s"], ["m"]),
            node("GlobalMaxPool", ["m"], ["g"]),
            node("ReduceMin", ["g"], ["y"], axes=[1]),
        ],
        {},
        13,
    ),
}


def converted(case: str) -> tuple[Any, nn.Module]:
    nodes, constants, opset = CASES[case]
    made = model(nodes, constants, opset=opset, channels=4)
    return made, load_onnx(made.SerializeToString(), "m.onnx")


@pytest.mark.parametrize("case", CASES)
def test_every_operation_gives_what_onnx_says(case: str):
    made, network = converted(case)
    (expected,) = ReferenceEvaluator(made).run(None, {"x": X})
    found = network(torch.from_numpy(X)).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_there_is_a_case_for_every_operation():
    assert {one.op_type for nodes, _, _ in CASES.values() for one in nodes} - {"Constant"} == set(OPERATIONS)
