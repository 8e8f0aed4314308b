"""Targets for files of weights and networks: safetensors, pickles in an archive and bare, TorchScript, ONNX."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import torch
from fuzz_configs import check_network, network
from fuzzing import Target
from mutators import LENGTHS, mutate_bytes, mutate_tree, read_dictionary
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from ctinv.models.ladder import find_network

CARD: dict[str, Any] = {"mean_hu": -350, "std_hu": 500, "flat_check": False, "multiple": 1}
_TINY = {**CARD, "network": "CNN10", "arguments": {"channels": [3, 2]}}
_PICKLE = read_dictionary("pickle")
_ZIP = read_dictionary("zip")
_OPERATIONS = tuple(word.decode() for word in read_dictionary("onnx"))
_ATTRIBUTES = ("pads", "strides", "dilations", "group", "axis", "mode", "perm")


def _state() -> dict[str, torch.Tensor]:
    return dict(network().state_dict())


@cache
def _safetensors() -> list[bytes]:
    state = _state()
    return [
        save(state),
        save({f"model.{key}": value.half() for key, value in state.items()}, metadata={"a": "b"}),
    ]


def _mutate_safetensors(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """The header's tree with its length in order, the length itself, or bytes anywhere."""
    step = rng.random()
    if step < 0.3:
        return mutate_bytes(rng, data, others)
    if step < 0.4:
        return struct.pack("<Q", rng.choice(LENGTHS) % 2**64) + data[8:]
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    text = json.dumps(mutate_tree(rng, header, _HEADER_LEAVES)).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


_HEADER_LEAVES = (
    *("F32", "F64", "BF16", "F8_E4M3", "I64", "BOOL", "U8", "X", "", None, 0, -1, 1.5, {}),
    *(
        [],
        [0, 0],
        [0, 4],
        [4, 0],
        [-1, 4],
        [0, 2**63],
        [2**64],
        [3, 1, 9, 9],
        [2**31, 2**31],
        [65536, 65536, 0],
    ),
    {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
)


@cache
def _archives() -> list[bytes]:
    """Checkpoints in torch's archive: a bare state dict, one of ldct-benchmark, one with an optimiser."""
    state = _state()
    theirs = {
        f"layers.{2 * i}.{kind}": state[f"conv{i + 1}.{kind}"]
        for i in range(3)
        for kind in ("weight", "bias")
    }
    made: list[dict[str, Any]] = [
        state,
        {"args": argparse.Namespace(lr=1e-4), "iteration": 7, "model_state_dict": theirs},
        {
            "state_dict": {f"module.{key}": value.double() for key, value in state.items()},
            "epoch": 3,
            "note": "x",
        },
    ]
    return [_saved(one) for one in made]


@cache
def _legacy() -> list[bytes]:
    state = _state()
    return [_saved(state, archive=False), _saved({"state_dict": state, "epoch": 3}, archive=False)]


def _saved(content: Any, *, archive: bool = True) -> bytes:
    target = io.BytesIO()
    torch.save(content, target, _use_new_zipfile_serialization=archive)
    return target.getvalue()


def _mutate_archive(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """A record of the archive with its checksum in order, records added or left out, or bytes anywhere."""
    step = rng.random()
    if step < 0.3:
        return mutate_bytes(rng, data, others, _ZIP)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    names = list(records)
    name = rng.choice([one for one in names if one.endswith(".pkl")] if step < 0.75 else names)
    root = names[0].partition("/")[0]
    change = rng.random()
    if change < 0.75:
        records[name] = mutate_bytes(rng, records[name], (), _PICKLE)
    elif change < 0.85:
        del records[name]
    else:
        added = rng.choice(
            ("constants.pkl", "code/x.py", "byteorder", ".data/serialization_id", "data/99", "version", "x")
        )
        records[f"{root}/{added}"] = rng.choice(
            (b"", b"little", b"big", b"3\n", b"\x80\x02}q\0.", records[name])
        )
    target = io.BytesIO()
    with zipfile.ZipFile(
        target, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as archive:
        for key, value in records.items():
            archive.writestr(zipfile.ZipInfo(key), value)
    return target.getvalue()


def _mutate_pickle(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    return mutate_bytes(rng, data, others, _PICKLE)


@cache
def _scripts() -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(
            torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Identity())
        )
        target = io.BytesIO()
        torch.jit.save(scripted, target)
    return [target.getvalue()]


@cache
def _graphs() -> list[bytes]:
    node = helper.make_node
    state = {key: value.numpy() for key, value in _state().items()}
    layers = [
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], name="c1", pads=[4] * 4),
        node("Relu", ["a"], ["b"], name="r1"),
        node("Conv", ["b", "conv2.weight", "conv2.bias"], ["c"], name="c2", pads=[1] * 4),
        node("Relu", ["c"], ["d"], name="r2"),
        node("Conv", ["d", "conv3.weight", "conv3.bias"], ["y"], name="c3", pads=[2] * 4),
    ]
    shapes = [
        node("Constant", [], ["k"], value=numpy_helper.from_array(np.array([0.5], np.float32))),
        node("Mul", ["x", "k"], ["m"]),
        node("Pad", ["m", "p"], ["w"], mode="reflect"),
        node("Slice", ["w", "s", "e", "t"], ["v"]),
        node("Concat", ["v", "m"], ["u"], axis=1),
        node("Split", ["u"], ["f", "g"], axis=1, num_outputs=2),
        node("Add", ["f", "g"], ["y"]),
    ]
    extents = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "s": np.array([1, 1]),
        "e": np.array([-1, -1]),
        "t": np.array([2, 3]),
    }
    return [_graph(layers, state), _graph(shapes, extents)]


def _graph(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 1, "H", "W"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 10
    content: bytes = made.SerializeToString()
    return content


def _mutate_graph(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """A field of the graph with everything around it in order, or bytes anywhere."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, data, others)
    model = onnx.load_model_from_string(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _mutate_model(rng, model)
    content: bytes = model.SerializeToString()
    return content


def _mutate_model(rng: Random, model: onnx.ModelProto) -> None:
    graph, step = model.graph, rng.random()
    if step < 0.35 and graph.node:
        _mutate_node(rng, rng.choice(graph.node), graph)
    elif step < 0.5 and graph.initializer:
        tensor = rng.choice(graph.initializer)
        change = rng.randrange(4)
        if change == 0 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, -1, 1, 2, 7, 2**31, 2**62))
        elif change == 1:
            tensor.data_type = rng.choice((0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 22, 99))
        elif change == 2:
            tensor.raw_data = rng.choice((b"", tensor.raw_data[:-1], rng.randbytes(8), tensor.raw_data * 2))
        else:
            tensor.name = rng.choice(("", "x", "y", "a"))
    elif step < 0.65 and graph.node:
        at = rng.randrange(len(graph.node))
        if rng.random() < 0.5:
            del graph.node[at]
        else:
            graph.node.append(graph.node[at])
    elif step < 0.75:
        side = rng.choice((graph.input, graph.output))
        if rng.random() < 0.5 or not side:
            side.append(
                helper.make_tensor_value_info(
                    rng.choice(("x", "y", "z", "")), rng.choice((1, 7, 11)), [1, 1, 8, 8]
                )
            )
        else:
            del side[0]
    elif step < 0.85:
        for opset in model.opset_import:
            opset.version = rng.choice((-1, 0, 1, 7, 11, 13, 22, 2**40))
    elif step < 0.92:
        model.ir_version = rng.choice((-1, 0, 3, 8, 13, 2**40))
    elif graph.node:
        nested = graph.node.add(op_type="If", input=["x"], output=["q"])
        nested.attribute.append(helper.make_attribute("then_branch", helper.make_graph([], "h", [], [])))


def _mutate_node(rng: Random, node: onnx.NodeProto, graph: onnx.GraphProto) -> None:
    names = [*(name for one in graph.node for name in (*one.input, *one.output)), "", "x", "y", "nowhere"]
    change = rng.randrange(6)
    if change == 0:
        node.op_type = rng.choice(_OPERATIONS)
    elif change == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif change == 2:
        rng.choice((node.input, node.output)).append(rng.choice(names))
    elif change == 3 and node.input:
        del node.input[rng.randrange(len(node.input)) :]
    elif change == 4 and node.output:
        node.output[0] = rng.choice(names)
    else:
        name = rng.choice(
            [
                *(one.name for one in node.attribute),
                "pads",
                "strides",
                "dilations",
                "group",
                "axis",
                "mode",
                "perm",
            ]
        )
        kept = [one for one in node.attribute if one.name != name]
        values = (
            0,
            -1,
            1,
            3,
            1.5,
            "SAME_UPPER",
            "x",
            [0],
            [-1, -1],
            [1, 1, 1, 1],
            [2, 2],
            [10**9] * 4,
            [2**62],
            [0.5, 2.0],
        )
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, rng.choice(values))])


def _file(
    name: str, card: dict[str, Any], *, trusted: bool = False
) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(room: Path) -> Callable[[bytes], None]:
        path = room / name

        def run(data: bytes) -> None:
            path.write_bytes(data)
            trust = hashlib.sha256(data).hexdigest() if trusted else None
            found = find_network(path, card=card, trust=trust)
            if not trusted:  # the weights of a program are its own business
                check_network(found)

        return run

    return prepare


TARGETS = {
    "model/safetensors": Target(_safetensors, _mutate_safetensors, _file("net.safetensors", _TINY)),
    "model/pt_archive": Target(_archives, _mutate_archive, _file("net.pt", _TINY)),
    "model/pt_legacy": Target(_legacy, _mutate_pickle, _file("net.pth", _TINY)),
    "model/torchscript": Target(_scripts, _mutate_archive, _file("net.ts", CARD), refused=True),
    "model/torchscript_trusted": Target(_scripts, _mutate_archive, _file("net.ts", CARD, trusted=True)),
    "model/onnx": Target(_graphs, _mutate_graph, _file("net.onnx", CARD)),
}
