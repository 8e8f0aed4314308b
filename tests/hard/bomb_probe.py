"""Opens one bomb in a process of its own and says what it took: one line of JSON.

Not a test: `test_bombs` starts it, with the kind of the bomb and its path.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def peak_bytes(pid: int | str = "self") -> int:
    """VmHWM: the most memory that a process ever had at once."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def cpu_seconds() -> float:
    """Of this process and of its children, dead and alive."""
    import psutil

    here = psutil.Process()
    times = [here.cpu_times(), *(child.cpu_times() for child in here.children(recursive=True))]
    own = sum(t.user + t.system for t in times)
    return own + times[0].children_user + times[0].children_system


def door(kind: str) -> Callable[[Path], object]:
    """The way in for a kind, with all that it imports before it looks at a file."""
    if kind == "scan":
        import ctinv.io.dicom
        import ctinv.io.nifti  # noqa: F401
        from ctinv.io import read

        return read
    if kind == "model":
        from ctinv.denoiser import load_denoiser
        from ctinv.models import ladder  # noqa: F401

        return load_denoiser
    if kind == "naive":
        import nibabel as nib
        import numpy as np

        return lambda path: np.asanyarray(nib.load(path).dataobj)
    from ctinv.sampler import Store

    def whole(path: Path) -> object:
        study = Store.open(path)
        return study.setting, list(study.batches()), study.summary()

    return whole


def main(kind: str, path: Path) -> None:
    import psutil

    from ctinv.errors import CtinvError

    enter = door(kind)
    base, cpu, wall = peak_bytes(), cpu_seconds(), time.monotonic()
    found: dict[str, Any] = {}
    try:
        enter(path)
        found["error"] = None
    except CtinvError as error:
        found["error"], found["words"] = type(error).__name__, str(error)
    except BaseException as error:
        found["error"], found["words"] = f"untyped {type(error).__name__}", str(error)[:200]
    found["wall"], found["cpu"] = time.monotonic() - wall, cpu_seconds() - cpu
    children = psutil.Process().children(recursive=True)
    found["base"], found["peak"] = base, peak_bytes() + sum(peak_bytes(child.pid) for child in children)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
