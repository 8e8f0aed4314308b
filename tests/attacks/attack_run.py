"""Loads attacks in this process and watches it: run as a program, so that nothing else has happened in it before.

``python attack_run.py REQUEST.json`` writes ANSWER.json beside it: for each attack what was said and what was done.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from attack_naive import LOADERS
from attack_place import FLAG

warnings.simplefilter("ignore")
RUNS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pty.spawn",
    "exec.stranger",
)
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """An audit hook that notes what leaves a folder."""

    def __init__(self, own: list[str], child: bool) -> None:
        self.own = tuple(f"{folder}{os.sep}" for folder in own)
        self.child = child  # whether the one child process of the product may be started
        self.folder = ""
        self.done: list[str] = []
        self.on = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            writes = isinstance(arguments[2], int) and arguments[2] & _WRITING
            if path == os.devnull:  # where the child's messages go
                return
            if writes and not path.startswith(self.own[0]):
                self.done.append(f"wrote {path}")
            elif not f"{path}{os.sep}".startswith((*self.own, self.folder, "/proc/self")):
                self.done.append(f"read {path}")
        elif event.startswith(RUNS):
            ours = event == "subprocess.Popen" and "ctinv.child.serve" in list(arguments[1])
            if not (self.child and (ours or event in ("os.posix_spawn", "os.exec"))):
                self.done.append(f"ran {event}")
        elif event in NETWORK:
            self.done.append(f"reached {event}")
        elif event == "exec" and getattr(arguments[0], "co_filename", "").startswith(self.folder):
            self.done.append("ran a stranger's code")


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Load every attack, with or without trust."""
    import monai.networks.nets
    import onnx.checker
    import torch

    from ctinv.denoiser import load_denoiser
    from ctinv.errors import CtinvError
    from ctinv.generators.library import is_generator, read_entry
    from ctinv.generators.trained import Trained
    from ctinv.models import trusted  # noqa: F401  # what is imported lazily is no deed of an attack
    from ctinv.models.would_run import lines_of, what_would_run

    assert onnx.checker
    assert monai.networks.nets

    def load(path: Path, trust: str | None, naive: str) -> None:
        if naive:
            LOADERS[naive](path)
            return
        if path.is_dir() and is_generator(path):
            entry = read_entry(path)
            Trained(entry, entry.taps[0]).load(torch.device("cpu"))
        load_denoiser(path, trust=trust)

    tripped: list[str] = []
    for module, name in (
        (torch.jit, "load"),
        (torch.export, "load"),
        (torch._C, "import_ir_module_from_buffer"),
    ):
        setattr(module, name, lambda *_, name=name, **__: tripped.append(name))
    watch = Watch([request["temporary"], *request["own"]], child=request["trust"])
    found: dict[str, Any] = {}
    for name, about in request["attacks"].items():
        path = Path(about["path"])
        watch.folder = f"{os.path.realpath(about['folder'])}{os.sep}"
        watch.done, before, since = [], set(sys.modules), time.monotonic()
        tripped.clear()
        watch.on = True
        said, kind, listed = "", "", 0
        try:
            trust = what_would_run(path).sha256 if request["trust"] else None
            load(path, trust, about.get("naive", ""))
        except CtinvError as error:
            said, kind = str(error), type(error).__name__
        except BaseException as error:
            said, kind = repr(error), f"untyped {type(error).__name__}"
        if kind == "TrustError":
            text = "\n".join(lines_of(what_would_run(path)))
            listed = len(text) if text.isascii() else -1
        watch.on = False
        strange = [one for one in set(sys.modules) - before if one.startswith(("evil", "scripts", "beside"))]
        found[name] = {
            "said": said,
            "kind": kind,
            "listed": listed,
            "done": [*watch.done, *(f"imported {one}" for one in strange), *tripped],
            "flag": os.environ.pop(FLAG, ""),
            "seconds": time.monotonic() - since,
        }
        tripped.clear()
    return found


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.with_suffix(".answer").write_text(json.dumps(main(json.loads(place.read_text()))))
