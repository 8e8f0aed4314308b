"""Models that would run code, once they are trusted: they run in a child with limits, and data come back.

Nothing of a stranger runs in this process, trusted or not. A program comes back as ONNX, which `onnx_file` reads as it reads
any other, and which has to give the program's own answers; a checkpoint comes back as its tensors; a bundle as a class of
the allow-list with literals and tensors, or as ONNX. Where the system does not promise that the child reads and writes no
files and has no network, nothing is run: a hook inside Python alone would stop no one who means harm.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ctinv.child import Child, ChildFailed, Message, TaskError
from ctinv.errors import ModelError
from ctinv.models.build import build, rebuild_lost_buffers
from ctinv.models.bundle_tree import BundleTree
from ctinv.models.literals import Definition
from ctinv.models.onnx_file import load_onnx
from ctinv.models.probes import PROBES, check_answers
from ctinv.models.weights import fill, fitting, nearest, read_safetensors
from ctinv.models.would_run import printable

NEEDED = frozenset({"files", "network"})
MEMORY_BYTES, SECONDS = 8_000_000_000, 300.0
_ANSWER_BYTES = 2_500_000_000


def run_file(content: bytes, name: str, kind: str, *, slices: int) -> nn.Module | dict[str, Any]:
    """The network of a trusted program, or the checkpoint of a trusted pickle, as far as it is tensors.

    Args:
        content: Of the file, whose sha256 is trusted.
        name: Its bare name.
        kind: As `ctinv.models.would_run` calls it.
        slices: How many slices the network sees.

    Raises:
        ModelError: It fails, tries what it may not, or cannot be expressed as data.
    """
    head, blobs = _ask(
        "ctinv.models.guest:load_file",
        {"name": name[:40], "kind": kind, "slices": slices},
        [content],
        name,
        kind,
    )
    with _answer_of(name):
        if "tree" in head:
            return _checkpoint(head, blobs, name)
        return _program(head, blobs, name, slices)


def run_bundle(tree: BundleTree, *, slices: int) -> tuple[nn.Module, str]:
    """The network of a trusted bundle, and a sentence on how it came.

    Args:
        tree: Its files, whose common sha256 is trusted; the child sees a copy of these and nothing else.
        slices: How many slices the network sees.

    Raises:
        ModelError: It fails, tries what it may not, or cannot be expressed as data.
    """
    _, config = tree.config()
    with tempfile.TemporaryDirectory(prefix="ctinv-") as place:
        folder = Path(place).resolve() / "bundle"
        try:
            folder.mkdir()
            tree.write(folder)
        except OSError as error:
            raise ModelError(
                f"{tree.name[:40]} could not be copied to the temporary folder ({error.strerror}); free some space there."
            ) from error
        request = {
            "name": tree.name[:40],
            "folder": str(folder),
            "config": config,
            "weights": tree.weights(),
            "slices": slices,
        }
        head, blobs = _ask(
            "ctinv.models.guest_bundle:load_bundle", request, [], tree.name, "bundle", readable=[folder]
        )
    with _answer_of(tree.name):
        if "target" in head:
            return _known_class(head, blobs, tree.name)
        return _program(
            head, blobs, tree.name, slices
        ), "a MONAI bundle, run in a child process and read as ONNX"


def _ask(
    task: str,
    request: Mapping[str, Any],
    blobs: Sequence[bytes],
    name: str,
    kind: str,
    *,
    readable: Sequence[Path] = (),
) -> Message:
    short = name[:40]
    try:
        with Child(
            task,
            memory=MEMORY_BYTES,
            seconds=SECONDS,
            answer_limit=_ANSWER_BYTES,
            guarded=True,
            readable=readable,
        ) as child:
            if not child.holds >= NEEDED:
                raise ModelError(
                    f"{short} would run code, and this system cannot keep it from files and network; use Linux, or export "
                    "it as ONNX, docs/networks.md."
                )
            return child.call(request, blobs)
    except TaskError as error:
        said = printable(str(error), most=200)  # a stranger's program may have said it
        raise ModelError(said if said.startswith(printable(short)) else f"{short}: {said[:155]}") from None
    except ChildFailed as error:
        raise ModelError(_failure(error, short, kind)) from None


def _failure(error: ChildFailed, name: str, kind: str) -> str:
    if error.reason == "late":
        return (
            f"{name} ran longer than {SECONDS:.0f} s when it was loaded, and was stopped; export it as ONNX."
        )
    if error.reason == "memory":
        return f"{name} wanted more than {MEMORY_BYTES / 1e9:.0f} GB when it was loaded; export the denoiser alone."
    if error.reason == "unavailable":
        return f"{name} could not be loaded, as no child process could be started; close some programs."
    if "PermissionError" in str(error):
        return f"{name} tried to reach files, programs or the network when it was loaded, and was stopped; do not use it."
    how = printable(str(error), most=50)
    return f"{name} could not be loaded ({how}): it is damaged or no {kind} of this torch version, or wants what it may not."


class _answer_of:  # reads as a phrase
    """Whatever a stranger's program may have sent back, what comes of it is a ModelError."""

    def __init__(self, name: str) -> None:
        self._name = name[:40]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(
            error, KeyError | TypeError | ValueError | IndexError | AttributeError | RecursionError
        ):
            raise ModelError(f"{self._name} gave an answer that is none; nothing was loaded.") from error


def _checkpoint(head: Mapping[str, Any], blobs: list[bytes], name: str) -> dict[str, Any]:
    """The tensors under their names."""
    tensors = read_safetensors(blobs[0], name)

    def made(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: made(one) for key, one in value.items()}
        return None if value is None else tensors[str(int(value))]

    found = made(head["tree"])
    return found if isinstance(found, dict) else {}


def _known_class(head: Mapping[str, Any], blobs: list[bytes], name: str) -> tuple[nn.Module, str]:
    definition = {**head["arguments"], "_target_": head["target"]}
    target, arguments = Definition({"network_def": definition}).read()
    payload = _checkpoint(head, blobs, name)
    network = build(target, arguments)
    fill(network, fitting(payload, network) or nearest(payload, network, name), name, cast=True)
    rebuild_lost_buffers(network, target, arguments)
    return network, f"{target} of a MONAI bundle, its expressions evaluated in a child process"


def _program(head: Mapping[str, Any], blobs: list[bytes], name: str, slices: int) -> nn.Module:
    """The network of the ONNX form, which has to give the program's answers here too."""
    network = load_onnx(blobs[0], name[:40]).eval()
    waiting, answers = blobs[1:], {}
    for number, shape in enumerate(head["shapes"][: len(PROBES)]):
        if shape is not None:
            values = np.frombuffer(waiting.pop(0), dtype=np.float32).reshape([int(size) for size in shape])
            answers[number] = torch.from_numpy(values.copy())
    check_answers(network, answers, name[:40], slices)
    return network
