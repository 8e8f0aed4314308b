"""Peak resident size of this process."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib() -> float:
    """MiB, from Linux's VmHWM: ru_maxrss would begin with the size of whatever process started this one."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.M)
    if found is None:
        raise OSError("the kernel does not tell the peak resident size; run this on Linux.")
    return int(found[1]) / 1024
