"""ONNX and safetensors: data that lead elsewhere, or that are not what their headers say."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from attack_place import Place, attack
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
VALUE = helper.make_tensor_value_info


def graph(nodes: list[Any], constants: dict[str, Any] | None = None, **more: Any) -> onnx.ModelProto:
    tensors = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name)
        for name, value in (constants or {}).items()
    ]
    made = helper.make_graph(
        nodes,
        "g",
        more.pop("inputs", [VALUE("x", TensorProto.FLOAT, ["B", 1, "H", "W"])]),
        more.pop("outputs", [VALUE("y", TensorProto.FLOAT, ["b", "c", "h", "w"])]),
        tensors,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)], **more
    )
    model.ir_version = 10
    return model


def save(model: onnx.ModelProto, place: Place) -> Path:
    path = place.folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(place: Place, location: str) -> Path:
    """A weight whose numbers lie in another file."""
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return save(graph([node("Add", ["x", "w"], ["y"])], {"w": tensor}), place)


@attack("ONNX: external data above the folder")
def above(place: Place) -> Path:
    return external(place, f"../../outside/{place.secret.name}")


@attack("ONNX: external data by an absolute path")
def absolute(place: Place) -> Path:
    return external(place, str(place.secret))


@attack("ONNX: external data through a link")
def link(place: Place) -> Path:
    (place.folder / "w.bin").symlink_to(place.secret)
    return external(place, "w.bin")


@attack("ONNX: external data in an attribute of a node")
def attribute(place: Place) -> Path:
    made = external(place, str(place.secret))
    model = onnx.load_model_from_string(made.read_bytes())
    tensor = model.graph.initializer.pop()
    model.graph.node.insert(0, node("Constant", [], ["w"], value=tensor))
    return save(model, place)


@attack("ONNX: functions of its own")
def functions(place: Place) -> Path:
    body = helper.make_function(
        "evil", "F", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    return save(graph([node("F", ["x"], ["y"], domain="evil")], functions=[body]), place)


@attack("ONNX: operations of a domain of its own")
def domain(place: Place) -> Path:
    return save(graph([node("PyOp", ["x"], ["y"], domain="evil", module="os", compute="system")]), place)


@attack("ONNX: a Loop without end")
def loop(place: Place) -> Path:
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Identity", ["v"], ["o"])],
        "body",
        [
            VALUE("i", TensorProto.INT64, []),
            VALUE("c", TensorProto.BOOL, []),
            VALUE("v", TensorProto.FLOAT, None),
        ],
        [VALUE("d", TensorProto.BOOL, []), VALUE("o", TensorProto.FLOAT, None)],
    )
    constants = {"n": np.array(2**62), "t": np.array(True)}
    return save(graph([node("Loop", ["n", "t", "x"], ["y"], body=body)], constants), place)


@attack("ONNX: branches whose graphs hold external data")
def branch(place: Place) -> Path:
    inner = onnx.load_model_from_string(external(place, str(place.secret)).read_bytes()).graph
    del inner.input[:]
    return save(
        graph([node("If", ["t"], ["y"], then_branch=inner, else_branch=inner)], {"t": np.array(True)}), place
    )


def shaped(dims: list[int]) -> TensorProto:
    tensor = TensorProto()
    tensor.name, tensor.data_type = "w", TensorProto.FLOAT
    tensor.dims.extend(dims)
    tensor.raw_data = b"\0\0\0\0"
    return tensor


@attack("ONNX: a tensor of 10¹² numbers")
def huge(place: Place) -> Path:
    return save(graph([node("Add", ["x", "w"], ["y"])], {"w": shaped([10**6, 10**6])}), place)


@attack("ONNX: a tensor of negative size")
def negative(place: Place) -> Path:
    return save(graph([node("Add", ["x", "w"], ["y"])], {"w": shaped([-1, -4])}), place)


@attack("ONNX: 10¹² numbers made by an operation")
def made_large(place: Place) -> Path:
    nodes = [node("ConstantOfShape", ["n"], ["w"]), node("ReduceMax", ["w"], ["m"], keepdims=0)]
    return save(graph([*nodes, node("Add", ["x", "m"], ["y"])], {"n": np.array([10**6, 10**6])}), place)


@attack("ONNX: an image padded to 10¹⁰ pixels")
def padded(place: Place) -> Path:
    pads = np.array([0, 0, 50_000, 50_000, 0, 0, 50_000, 50_000])
    return save(graph([node("Pad", ["x", "n"], ["y"])], {"n": pads}), place)


@attack("ONNX: an image enlarged to 10¹⁰ pixels")
def enlarged(place: Place) -> Path:
    scales = np.array([1, 1, 1600, 1600], np.float32)
    return save(graph([node("Resize", ["x", "", "s"], ["y"], mode="linear")], {"s": scales}), place)


@attack("ONNX: a graph that feeds itself")
def circle(place: Place) -> Path:
    return save(
        graph([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]), place
    )


@attack("ONNX: tensors of texts")
def texts(place: Place) -> Path:
    tensor = helper.make_tensor("w", TensorProto.STRING, [1], [str(place.secret).encode()])
    return save(graph([node("Add", ["x", "w"], ["y"])], {"w": tensor}), place)


@attack("ONNX: a sequence as its input")
def sequence(place: Place) -> Path:
    kind = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    return save(graph([node("Identity", ["x"], ["y"])], inputs=[kind]), place)


@attack("ONNX: an optional as its output")
def optional(place: Place) -> Path:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    return save(graph([node("Optional", ["x"], ["y"])], outputs=[helper.make_value_info("y", kind)]), place)


@attack("ONNX: properties that name files", harmless=True)
def properties(place: Place) -> Path:
    model = graph([node("Identity", ["x"], ["y"])])
    for key in ("location", "path", "script", "url"):
        helper.set_model_props(model, {key: str(place.secret), "exec": place.code})
    (place.folder / "net.card.toml").write_text("mean_hu = 0\nstd_hu = 1\n")
    return save(model, place)


@attack("ONNX: names of nodes that are methods", harmless=True)
def names(place: Place) -> Path:
    made = [node("Relu", ["x"], ["a"], name="__class__"), node("Sub", ["x", "a"], ["b"], name="forward")]
    (place.folder / "net.card.toml").write_text("mean_hu = 0\nstd_hu = 1\n")
    return save(graph([*made, node("Add", ["a", "b"], ["y"], name="../../mark")]), place)


def tensors(place: Place, header: Any, data: bytes = bytes(64)) -> Path:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = place.folder / "net.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(first: int, last: int, shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape or [(last - first) // 4], "data_offsets": [first, last]}


@attack("safetensors: tensors that overlap")
def overlap(place: Place) -> Path:
    return tensors(place, {"a": entry(0, 40), "b": entry(24, 64)})


@attack("safetensors: offsets below zero")
def below(place: Place) -> Path:
    return tensors(place, {"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}})


@attack("safetensors: offsets beyond the file")
def beyond(place: Place) -> Path:
    return tensors(place, {"a": entry(0, 2**40)})


@attack("safetensors: one name twice")
def twice(place: Place) -> Path:
    one = json.dumps(entry(0, 32)).encode()
    return tensors(place, b'{"a": ' + one + b', "a": ' + json.dumps(entry(32, 64)).encode() + b"}")


@attack("safetensors: a header of 100 MB")
def long_header(place: Place) -> Path:
    return tensors(place, b'{"a":' + b" " * 100_000_001 + b"0}")


@attack("safetensors: a header longer than the file")
def no_header(place: Place) -> Path:
    path = place.folder / "net.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    return path


@attack("safetensors: metadata that are no texts")
def metadata(place: Place) -> Path:
    return tensors(place, {"__metadata__": {"path": {"a": [1]}}, "a": entry(0, 64)})


@attack("safetensors: a shape whose size overflows")
def overflow(place: Place) -> Path:
    return tensors(place, {"a": entry(0, 64, [2**32, 2**32])})
