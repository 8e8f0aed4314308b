"""Which layers of a foreign network can be tapped: those that run exactly once and give one map per image."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from ctinv.models.convention import SIZE

_WHAT = (
    "activation",
    "conv",
)  # the last part of the torch module a layer's class is defined in, in this order


def find_taps(network: nn.Module, *, slices: int = 1) -> dict[str, str]:
    """Layer paths by themselves, in the order of the data flow.

    The non-linear layers where there are any, else the convolutions. A layer that runs several times has no single
    value, so it is left out. Empty where nothing fits, as in TorchScript.
    """
    leaves = {
        path: part
        for path, part in network.named_modules()
        if path and not list(part.children()) and not isinstance(part, torch.jit.ScriptModule)
    }
    order: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def record(path: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            order.append(path)
            shapes[path] = tuple(output.shape) if isinstance(output, Tensor) else ()

        return hook

    handles = [part.register_forward_hook(record(path)) for path, part in leaves.items()]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, slices, SIZE, SIZE))
    finally:
        for handle in handles:
            handle.remove()
    times = Counter(order)
    once = [path for path in order if times[path] == 1 and len(shapes[path]) == 4 and shapes[path][0] == 1]
    for what in _WHAT:
        found = [path for path in once if _kind(leaves[path]) == what]
        if found:
            return {path: path for path in found if path not in ("input", "output")}
    return {}


def _kind(layer: nn.Module) -> str:
    kind = getattr(layer, "kind", None)  # a node of an ONNX graph says it itself
    return kind if isinstance(kind, str) else type(layer).__module__.rpartition(".")[2]
