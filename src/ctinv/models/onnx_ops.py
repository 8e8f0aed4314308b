"""ONNX operations on values and shapes, as torch functions that can be differentiated.

Each takes its node's attributes and its inputs, None for those left out. Where newer operator sets made an attribute an
input, both are understood. Whole numbers (shapes, axes, indices) stay on the CPU.

References:
    ONNX operators, https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ctinv.errors import ModelError

Attributes = Mapping[str, Any]
Operation = Callable[..., Any]
# What one operation may make: as many numbers as 128 channels of 512 x 512, or 64 times what it was given.
_MAX_MADE, _MAX_GROWTH = 2**25, 64


def refuse(operation: str, detail: str) -> ModelError:
    """The sentence for a variant of an operation that is not understood."""
    return ModelError(
        f"the ONNX operation {operation} with {detail} is not supported; export the network without it."
    )


def numbers(a: Attributes, name: str, given: Tensor | None) -> list[int] | None:
    """Whole numbers from an input, or else from the attribute of that name."""
    if given is not None:
        return [int(value) for value in given.flatten().tolist()]
    return None if a.get(name) is None else [int(value) for value in a[name]]


def bounded(operation: str, sizes: Sequence[int], source: Tensor | None = None) -> list[int]:
    """The sizes that a graph asks for.

    Raises:
        ModelError: They are far more than the source has, and than any image needs.
    """
    most = max(_MAX_MADE, 0 if source is None else _MAX_GROWTH * source.numel())
    if math.prod(sizes) > most:
        raise refuse(operation, f"more than {most:,} numbers")
    return list(sizes)


def _clip(a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    bounds = [a.get("min") if low is None else low, a.get("max") if high is None else high]
    for bound, limit in zip(bounds, (torch.maximum, torch.minimum), strict=True):
        if bound is not None:
            x = limit(x, torch.as_tensor(bound, dtype=x.dtype, device=x.device))
    return x


def _gelu(a: Attributes, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=a.get("approximate", "none"))


def _hard_sigmoid(a: Attributes, x: Tensor) -> Tensor:
    return (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1)


def _prelu(_a: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, slope * x)


def _divide(_a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    if x.is_floating_point() or y.is_floating_point():
        return x / y
    return torch.div(x, y, rounding_mode="trunc")


def _slice(
    a: Attributes,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    first, last = numbers(a, "starts", starts) or [], numbers(a, "ends", ends) or []
    dims = numbers(a, "axes", axes) or list(range(len(first)))
    strides = numbers(a, "steps", steps) or [1] * len(first)
    for dim, low, high, step in zip(dims, first, last, strides, strict=True):
        size = x.shape[dim]
        if step < 0:
            x = x.index_select(dim, _backwards(low, high, step, size, x.device))
            continue
        low, high = (min(max(end + size if end < 0 else end, 0), size) for end in (low, high))
        x = x.narrow(dim, low, max(high - low, 0))
        if step > 1:
            x = x.index_select(dim, torch.arange(0, x.shape[dim], step, device=x.device))
    return x


def _backwards(low: int, high: int, step: int, size: int, device: torch.device) -> Tensor:
    """The indices of a slice with a negative step; its end lies before the first index where it is far below zero."""
    first, end = (place + size if place < 0 else place for place in (low, high))
    return torch.arange(min(first, size - 1), min(max(end, -1), size - 1), step, device=device)


def _split(a: Attributes, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis, given = a.get("axis", 0), numbers(a, "split", sizes)
    if given is None:
        return tuple(x.chunk(a["outputs"], dim=axis))
    return tuple(x.split(given, dim=axis))


def _squeeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    dims = numbers(a, "axes", axes)
    return x.squeeze() if dims is None else x.squeeze(tuple(dims))


def _unsqueeze(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    dims = numbers(a, "axes", axes) or []
    rank = x.ndim + len(dims)
    for dim in sorted(dim % rank for dim in dims):
        x = x.unsqueeze(dim)
    return x


def _reshape(a: Attributes, x: Tensor, shape: Tensor | None = None) -> Tensor:
    wanted = numbers(a, "shape", shape) or []
    if not a.get("allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(tuple(wanted))  # an empty list is no shape to torch, a number's shape is ()


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1) % (x.ndim + 1)
    rows = 1
    for size in x.shape[:axis]:
        rows *= size
    return x.reshape(rows, -1)


def _gather(a: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    wanted = indices.to(x.device) % x.shape[axis]
    picked = x.index_select(axis, wanted.flatten())
    return picked.reshape((*x.shape[:axis], *wanted.shape, *x.shape[axis + 1 :]))


def _shape(a: Attributes, x: Tensor) -> Tensor:
    return torch.tensor(x.shape[a.get("start", 0) : a.get("end")], dtype=torch.int64)


def _constant_of_shape(a: Attributes, shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    return torch.full(bounded("ConstantOfShape", shape.tolist()), value.item(), dtype=value.dtype)


def _expand(_a: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(bounded("Expand", torch.broadcast_shapes(x.shape, shape.tolist()), x))


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operation:
    def operation(a: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        dims = numbers(a, "axes", axes)
        if dims is None:
            if a.get("noop_with_empty_axes", 0):
                return x
            dims = list(range(x.ndim))
        return function(x, dims, bool(a.get("keepdims", 1)))

    return operation


def _gemm(a: Attributes, x: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    x, y = (x.T if a.get("transA", 0) else x), (y.T if a.get("transB", 0) else y)
    product = a.get("alpha", 1.0) * (x @ y)
    return product if bias is None else product + a.get("beta", 1.0) * bias


def _transpose(a: Attributes, x: Tensor) -> Tensor:
    return x.permute(a.get("perm", tuple(reversed(range(x.ndim)))))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda a, *xs: reduce(function, xs)


def _plain(function: Callable[..., Any]) -> Operation:
    return lambda a, *xs: function(*xs)


ACTIVATIONS: dict[str, Operation] = {
    "Relu": _plain(torch.relu),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Softplus": _plain(F.softplus),
    "Gelu": _gelu,
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda a, x: x * (x / 6 + 0.5).clamp(0, 1),
    "Mish": _plain(F.mish),
    "Softmax": lambda a, x: torch.softmax(x, a.get("axis", -1)),
}
VALUES: dict[str, Operation] = {
    "Clip": _clip,
    "Identity": _plain(lambda x: x),
    "Dropout": lambda a, x, *rest: x,
    "Abs": _plain(torch.abs),
    "Neg": _plain(torch.neg),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt),
    "Erf": _plain(torch.erf),
    "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil),
    "Reciprocal": _plain(torch.reciprocal),
    "Pow": _plain(torch.pow),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _divide,
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Sum": _folded(torch.add),
    "Mean": lambda a, *xs: reduce(torch.add, xs) / len(xs),
    "MatMul": _plain(torch.matmul),
    "Gemm": _gemm,
    "Where": _plain(torch.where),
    "Equal": _plain(torch.eq),
    "ReduceMean": _reduced(lambda x, dims, keep: x.mean(dims, keep)),
    "ReduceSum": _reduced(lambda x, dims, keep: x.sum(dims, keep)),
    "ReduceMax": _reduced(lambda x, dims, keep: x.amax(dims, keep)),
    "ReduceMin": _reduced(lambda x, dims, keep: x.amin(dims, keep)),
}
SHAPES: dict[str, Operation] = {
    "Concat": lambda a, *xs: torch.cat(xs, dim=a["axis"]),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Expand": _expand,
    "Gather": _gather,
    "Shape": _shape,
    "ConstantOfShape": _constant_of_shape,
    "Cast": lambda a, x: x.to(a["to"]),
}
