"""Plain data as a JSON tree and blobs, as it travels between the viewer and its computing process.

What can travel: None, numbers, text, bytes, paths, lists, tuples, dicts, NumPy arrays, and dataclasses of this project.
Nothing is pickled. The voxels of a volume travel once: whoever sends keeps a `Sent`, and the other side a `Kept`.
"""

from __future__ import annotations

import importlib
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.volume import Volume

Blob = bytes | memoryview
_OURS = ("ctinv.", "napari_ctinv.")
_TAG = "$"
_MOST_KEPT = 3
"""Volumes that the computing process keeps: the scan in use, and the one before."""


class Sent:
    """Which volumes the other side holds already, by the identity of their voxels; the oldest beyond `_MOST_KEPT` go."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, weakref.ref[NDArray[Any]]] = OrderedDict()

    def is_new(self, values: NDArray[Any]) -> bool:
        """Whether these voxels have to travel; they count as sent from now on."""
        token = id(values)
        held = self._known.get(token)
        new = held is None or held() is not values
        self._known[token] = weakref.ref(values)
        self._known.move_to_end(token)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return new


class Kept:
    """The voxels that were received, under the sender's tokens; forgets in the same order as `Sent`."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, NDArray[Any]] = OrderedDict()

    def put(self, token: int, values: NDArray[Any] | None) -> NDArray[Any]:
        """The voxels under a token, which are these if they came along."""
        if values is not None:
            self._held[token] = values
        self._held.move_to_end(token)
        while len(self._held) > _MOST_KEPT:
            self._held.popitem(last=False)
        return self._held[token]


def encode(value: Any, sent: Sent | None = None) -> tuple[Any, list[Blob]]:
    """A JSON tree and the blobs it refers to.

    Args:
        value: Plain data as above.
        sent: Volumes the other side holds; without it all voxels travel.

    Raises:
        TypeError: It holds something else.
    """
    blobs: list[Blob] = []

    def walk(one: Any) -> Any:
        if one is None or isinstance(one, (bool, int, float, str)):
            return one
        if isinstance(one, np.generic):
            return one.item()
        if isinstance(one, list):
            return [walk(part) for part in one]
        if isinstance(one, tuple):
            return {_TAG: "tuple", "of": [walk(part) for part in one]}
        if isinstance(one, dict):
            return {_TAG: "dict", "of": [[walk(key), walk(part)] for key, part in one.items()]}
        if isinstance(one, np.ndarray):
            return array(one)
        if isinstance(one, Path):
            return {_TAG: "path", "of": str(one)}
        if isinstance(one, bytes):
            blobs.append(one)
            return {_TAG: "bytes", "blob": len(blobs) - 1}
        if is_dataclass(one) and not isinstance(one, type):
            return data(one)
        raise TypeError(f"{type(one).__name__} does not travel to the computing process.")

    def array(one: NDArray[Any]) -> Any:
        whole = np.ascontiguousarray(one)
        blobs.append(whole.reshape(-1).view(np.uint8).data)
        return {_TAG: "array", "blob": len(blobs) - 1, "dtype": whole.dtype.str, "shape": list(one.shape)}

    def data(one: Any) -> Any:
        parts = {part.name: getattr(one, part.name) for part in fields(one) if part.init}
        tree: dict[str, Any] = {_TAG: "data", "type": f"{type(one).__module__}:{type(one).__qualname__}"}
        if isinstance(one, Volume) and sent is not None:
            hu = parts.pop("hu")
            tree |= {"token": id(hu), "hu": array(hu) if sent.is_new(hu) else None}
        return tree | {"of": {name: walk(part) for name, part in parts.items()}}

    return walk(value), blobs


def decode(tree: Any, blobs: list[bytes], kept: Kept | None = None) -> Any:
    """The value that `encode` took apart."""

    def walk(one: Any) -> Any:
        if isinstance(one, list):
            return [walk(part) for part in one]
        return _MAKERS[one[_TAG]](one) if isinstance(one, dict) else one

    def array(one: Any) -> NDArray[Any]:
        # Copied, as torch wants arrays that may be written.
        return np.frombuffer(blobs[one["blob"]], dtype=one["dtype"]).reshape(one["shape"]).copy()

    def data(one: Any) -> Any:
        parts = {name: walk(part) for name, part in one["of"].items()}
        if "token" in one:
            assert kept is not None
            parts["hu"] = kept.put(one["token"], None if one["hu"] is None else array(one["hu"]))
        return _type(one["type"])(**parts)

    _MAKERS: dict[str, Callable[[Any], Any]] = {
        "tuple": lambda one: tuple(walk(part) for part in one["of"]),
        "dict": lambda one: {walk(key): walk(part) for key, part in one["of"]},
        "array": array,
        "path": lambda one: Path(one["of"]),
        "bytes": lambda one: blobs[one["blob"]],
        "data": data,
    }
    return walk(tree)


def _type(name: str) -> Callable[..., Any]:
    module, _, qualified = name.partition(":")
    if not module.startswith(_OURS):
        raise TypeError(f"{name} is no class of this project.")
    found: Any = importlib.import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    if not is_dataclass(found):
        raise TypeError(f"{name} is no dataclass.")
    return found  # type: ignore[return-value]
