"""What runs in the child: load a stranger's program or pickle, and hand back data. Never imported by the parent.

A program comes back as ONNX, with the program's own answers to images that both sides draw from the same seeds. A
checkpoint comes back as its tensors.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.export
import torch.onnx
from safetensors.torch import save
from torch import Tensor, nn

from ctinv.child import Message, TaskError
from ctinv.errors import ModelError
from ctinv.models.onnx_file import load_onnx
from ctinv.models.probes import OPSET, PROBES, check_answers, probe

# torch's compiler wants a folder when it is imported, and tries to make one; nothing can be written there.
tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(torch.__file__).parent)

_MOST_TENSORS, _DEPTH = 100_000, 8
_OPERATOR = re.compile(r"operator '([\w:.]+)'")
_FLOATS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
_TYPES = _FLOATS | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}
Program = Callable[[Tensor], Any]


def load_file(head: dict[str, Any], blobs: list[bytes]) -> Message:
    """Load one file.

    Args:
        head: ``name`` for messages, ``kind``, and ``slices``, how many slices the network sees.
        blobs: The content of the file.
    """
    warnings.simplefilter("ignore")
    with refusals_told():
        return _load(io.BytesIO(blobs.pop()), head)


@contextlib.contextmanager
def refusals_told() -> Iterator[None]:
    """What the limits refused is a PermissionError, whatever a library made of it."""
    try:
        yield
    except Exception as error:
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, PermissionError) or "ermission denied" in str(link):
                raise PermissionError from None
            link = link.__cause__ or link.__context__
        raise


def _load(content: io.BytesIO, head: Mapping[str, Any]) -> Message:
    if head["kind"] == "TorchScript":
        return program_message(torch.jit.load(content, map_location="cpu").eval(), head)
    if head["kind"] == "exported program":
        return program_message(torch.export.load(content).module(), head)
    made = torch.load(content, map_location="cpu", weights_only=False)  # nosec B614  # in the child alone
    if isinstance(made, nn.Module):
        return program_message(made.eval(), head)
    return tensors_message(made, head)


def tensors_message(payload: Any, head: Mapping[str, Any]) -> Message:
    """The tensors of a checkpoint and the names they lie under; everything else becomes null."""
    tensors: dict[str, Tensor] = {}
    tree = _tree(payload, tensors, depth=0)
    if not tensors:
        raise TaskError(f"{head['name']} holds no tensors; save the network's state_dict() in it.")
    return {"tree": tree}, [save(tensors)]


def _tree(value: Any, tensors: dict[str, Tensor], *, depth: int) -> Any:
    """Nested names down to the number of a tensor."""
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Tensor) and value.dtype in _TYPES and value.layout == torch.strided:
        if len(tensors) >= _MOST_TENSORS:
            raise ValueError("more tensors than any network has")
        tensors[str(len(tensors))] = value.detach().cpu().clone().contiguous()
        return len(tensors) - 1
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {
            key: _tree(one, tensors, depth=depth + 1) for key, one in value.items() if isinstance(key, str)
        }
    return None


def program_message(program: Program, head: Mapping[str, Any]) -> Message:
    """The program as ONNX, and its own answers to the probes: null where it does not take that size.

    Raises:
        TaskError: It cannot be asked, answers by chance, or cannot be written as ONNX.
    """
    name, slices = str(head["name"]), int(head["slices"])
    with torch.no_grad():
        answers = {number: _answer(program, probe(number, slices), name) for number in range(len(PROBES))}
        known = {number: answer for number, answer in answers.items() if answer is not None}
        written = _onnx(program, known, name, slices)
    shapes = [None if answer is None else list(answer.shape) for answer in answers.values()]
    return {"shapes": shapes}, [written, *(answer.numpy().tobytes() for answer in known.values())]


def _answer(program: Program, image: Tensor, name: str) -> Tensor | None:
    """What the program makes of an image, None where it fails."""
    try:
        first, second = program(image.clone()), program(image.clone())
    except PermissionError:
        raise  # it tried what it may not: that is no question of size
    except Exception:  # a stranger's program may raise anything
        return None
    if not isinstance(first, Tensor) or not isinstance(second, Tensor) or first.dtype not in _FLOATS:
        raise TaskError(
            f"{name} gives a {type(first).__name__[:40]}; one image was expected: export what denoises."
        )
    if first.shape != second.shape or not torch.equal(first, second):
        raise TaskError(
            f"{name} gives another result each time; a denoiser without chance in it was expected."
        )
    return first.detach().float().contiguous()


def _onnx(program: Program, answers: Mapping[int, Tensor], name: str, slices: int) -> bytes:
    """The program as ONNX that gives its answers, in the first way that does.

    Raises:
        TaskError: None does; the text is about the first.
    """
    why: TaskError | None = None
    for way in (_as_it_is, _as_it_is_seen):
        try:
            content = _export(way(program, probe(0, slices)), probe(0, slices))
            check_answers(load_onnx(content, name), answers, name, slices)
            return content
        except ModelError as error:
            why = why or TaskError(str(error))
        except PermissionError:
            raise
        except Exception as error:  # exporters raise anything
            match = _OPERATOR.search(str(error))
            what = match[1] if match else type(error).__name__
            why = why or TaskError(
                f"{name} cannot be written as ONNX ({what[:50]}); export it yourself, or use module:function."
            )
    assert why is not None
    raise why


def _as_it_is(program: Any, image: Tensor) -> Any:
    """Sizes stay what they are: computed from the image. Loops and branches of a script stay too."""
    if isinstance(program, torch.jit.ScriptModule):
        return program
    return torch.jit.trace(program, image, check_trace=False)


def _as_it_is_seen(program: Program, image: Tensor) -> Any:
    """The operations that one image meets: the loops and branches of a script are gone."""
    from torch.fx.experimental.proxy_tensor import make_fx  # brings the compiler, for two seconds

    seen = make_fx(lambda one: program(one), pre_dispatch=True)(image)
    return torch.jit.trace(seen, image, check_trace=False)


def _export(program: Any, image: Tensor) -> bytes:
    file = io.BytesIO()
    sizes = {0: "b", 2: "h", 3: "w"}
    torch.onnx.export(
        program,
        (image,),
        file,  # type: ignore[arg-type]  # the annotation knows paths alone
        dynamo=False,
        opset_version=OPSET,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": sizes, "y": sizes},
    )
    return file.getvalue()
