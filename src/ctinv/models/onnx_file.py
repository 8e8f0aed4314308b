"""An ONNX graph as a torch module: known operations on data, so that it can be differentiated and its layers tapped.

Nothing in an ONNX file runs: it lists operations by name. Those of `onnx_ops` and `onnx_spatial` are known, everything
else is refused, and so are tensors that lie in other files. Each node becomes a submodule ``nodes.<name>``, floating
constants become parameters.
"""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ctinv.errors import ModelError
from ctinv.models.build import MAX_PARAMETERS
from ctinv.models.onnx_ops import ACTIVATIONS, SHAPES, VALUES, Attributes, Operation
from ctinv.models.onnx_spatial import CONVOLUTIONS, SPATIAL

if TYPE_CHECKING:
    import onnx

OPERATIONS: dict[str, Operation] = {**CONVOLUTIONS, **SPATIAL, **ACTIVATIONS, **VALUES, **SHAPES}
_STANDARD = ("", "ai.onnx")
_TYPES = {
    1: torch.float32,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float32,
    11: torch.float32,
}


class OnnxNode(nn.Module):
    """One operation with its attributes.

    Args:
        operation: Name of the ONNX operation.
        attributes: Its attributes as Python values; tensors are torch's.
    """

    def __init__(self, operation: str, attributes: Attributes) -> None:
        super().__init__()
        self.operation = operation
        self.kind = (
            "activation" if operation in ACTIVATIONS else "conv" if operation in CONVOLUTIONS else "other"
        )
        self.attributes = dict(attributes)

    def forward(self, *inputs: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        """What the operation makes of its inputs."""
        made: Tensor | tuple[Tensor, ...] = OPERATIONS[self.operation](self.attributes, *inputs)
        return made

    def extra_repr(self) -> str:
        """The operation, for ``print(network)``."""
        return self.operation


class OnnxNetwork(nn.Module):
    """A graph with one image in and one image out.

    Args:
        nodes: In the order of the graph: name, node, names of its inputs and of its outputs.
        constants: Tensors by name.
        image: Name of the input.
        answer: Name of the output.
    """

    def __init__(
        self,
        nodes: list[tuple[str, OnnxNode, list[str], list[str]]],
        constants: dict[str, Tensor],
        image: str,
        answer: str,
    ) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict({name: node for name, node, _, _ in nodes})
        self.constants = nn.ParameterList()
        self._floating = {
            name: i for i, name in enumerate(n for n, v in constants.items() if v.is_floating_point())
        }
        for name in self._floating:
            self.constants.append(nn.Parameter(constants[name], requires_grad=False))
        self._whole = {name: value for name, value in constants.items() if name not in self._floating}
        self._wires = [(name, inputs, outputs) for name, _, inputs, outputs in nodes]
        self._ends = (image, answer)

    def forward(self, image: Tensor) -> Tensor:
        """Run the graph, (B, S, H, W) to what it gives."""
        values: dict[str, Tensor] = {name: self.constants[i] for name, i in self._floating.items()}
        values.update(self._whole)
        values[self._ends[0]] = image
        for name, inputs, outputs in self._wires:
            made = self.nodes[name](*(values[key] if key else None for key in inputs))
            made = made if isinstance(made, tuple) else (made,)
            for key, value in zip(outputs, made, strict=False):
                values[key] = value.to(image) if value.is_floating_point() else value
        return values[self._ends[1]]


def load_onnx(content: bytes, name: str) -> nn.Module:
    """The network that an ONNX file describes.

    Raises:
        ModelError: It is damaged, refers to other files, or uses an operation that is not known here.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ModelError(f"{name} needs the package onnx; pip install 'napari-ctinv[onnx]' brings it.")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name} is damaged or no ONNX file; get it again.") from error
    _refuse_foreign_parts(model, name)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        line = (str(error).splitlines() or [""])[0]
        raise ModelError(f"{name} is no valid ONNX model ({line[:90]}); export it again.") from error
    try:
        return _network(model.graph, name)
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError, AttributeError) as error:
        line = (str(error).splitlines() or [""])[0]
        raise ModelError(
            f"{name[:60]} holds a tensor or an attribute that cannot be read ({line[:60]}); export it again."
        ) from error  # the checker looks at neither sizes nor all types


def _refuse_foreign_parts(model: onnx.ModelProto, name: str) -> None:
    """Other files, functions of its own, other domains, unknown operations, too many numbers."""
    import onnx

    tensors = list(model.graph.initializer)
    tensors += [part.t for node in model.graph.node for part in node.attribute if part.HasField("t")]
    if any(
        tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) for tensor in tensors
    ):
        raise ModelError(f"{name} keeps tensors in other files, which are not opened; save it as one file.")
    if len(model.functions) or len(model.graph.sparse_initializer):
        raise ModelError(
            f"{name} brings functions or sparse tensors of its own; export it with inlined operations."
        )
    unknown = {
        f"{node.domain + '.' if node.domain not in _STANDARD else ''}{node.op_type}"
        for node in model.graph.node
        if node.domain not in _STANDARD or node.op_type not in {*OPERATIONS, "Constant"}
    }
    if unknown:
        named = re.sub(r"[^\w., ]", "?", ", ".join(sorted(unknown)))  # a damaged file names anything
        raise ModelError(
            f"{name} uses the ONNX operation {named[:60]}, which is not supported; export it without."
        )
    size = 0
    for tensor in tensors:
        count = 1
        for side in tensor.dims:
            count *= side
        size += count
    if size > MAX_PARAMETERS:
        raise ModelError(f"{name} holds {size:,} numbers, more than the {MAX_PARAMETERS:,} allowed.")


def _network(graph: onnx.GraphProto, name: str) -> OnnxNetwork:
    constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    images = [one.name for one in graph.input if one.name not in constants]
    if not all(one.type.HasField("tensor_type") for one in (*graph.input, *graph.output)):
        raise ModelError(f"{name} takes or gives something else than one image each; export it for images.")
    if len(images) != 1 or len(graph.output) != 1:
        raise ModelError(
            f"{name} has {len(images)} inputs and {len(graph.output)} outputs; one image in and one out was expected."
        )
    nodes: list[tuple[str, OnnxNode, list[str], list[str]]] = []
    for node in graph.node:
        attributes = {part.name: _attribute(part, node.op_type) for part in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant(attributes)
            continue
        attributes["outputs"] = len(node.output)
        label = _label(node, {taken for taken, *_ in nodes})
        nodes.append((label, OnnxNode(node.op_type, attributes), list(node.input), list(node.output)))
    return OnnxNetwork(nodes, constants, images[0], graph.output[0].name)


def _label(node: onnx.NodeProto, taken: set[str]) -> str:
    """A name for the submodule: the node's own, in letters that a module path may hold."""
    plain = re.sub(r"\W+", "_", node.name or node.output[0]).strip("_")[:60] or node.op_type
    label, count = plain, 2
    while label in taken or hasattr(nn.ModuleDict, label):
        label, count = f"{plain}_{count}", count + 1
    return label


def _attribute(part: onnx.AttributeProto, operation: str) -> Any:
    """An attribute as a Python value."""
    import onnx

    value = onnx.helper.get_attribute_value(part)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return _tensor(value)
    if operation == "Cast" and part.name == "to":
        if value not in _TYPES:
            raise ModelError(
                f"the ONNX operation Cast to type {value} is not supported; export the network without it."
            )
        return _TYPES[value]
    if isinstance(value, int | float):
        return value
    return tuple(value)


def _constant(attributes: Attributes) -> Tensor:
    for key, kind in (("value_float", torch.float32), ("value_int", torch.int64)):
        for name in (key, f"{key}s"):
            if name in attributes:
                return torch.tensor(attributes[name], dtype=kind)
    value: Tensor = attributes["value"]
    return value


def _tensor(tensor: onnx.TensorProto) -> Tensor:
    """A tensor of the file; every floating type becomes float32."""
    import onnx

    value = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
    return value.float() if value.is_floating_point() else value
