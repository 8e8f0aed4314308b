"""What a process gives up for good: memory, files, programs and the network, as far as the system knows how.

Linux has all of it: rlimits, Landlock (since 5.13) and a network namespace. Other systems have the rlimits or nothing;
what holds is returned, so that nobody has to believe it. `guard` is a second line inside Python, for systems without
the first.

References:
    Landlock, https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Access rights that each version of Landlock added, as the number of bits that are known to it.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_SYSTEM_FOLDERS = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
)
_DEVICES = ("/dev/null", "/dev/urandom", "/sys/devices/system/cpu")


def before_imports() -> set[str]:
    """Leave the network and tie this process to its parent, while there is one thread only."""
    if sys.platform != "linux":
        return set()
    libc = _libc()
    libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return {"network"}
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return set()
    with contextlib.suppress(OSError):  # without a mapping this process is nobody and can read less
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return {"network"}


def confine(*, memory: int) -> set[str]:
    """Close the limits; what is imported by now is all there will be, but for further modules of Python's own folders.

    Args:
        memory: Bytes of address space beyond what is taken now.
    """
    holds = set()
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if sys.platform == "linux":
            bound = _address_space() + memory
            resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
            holds.add("memory")
    if sys.platform == "linux":
        holds |= _landlock()
    return holds


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _landlock() -> set[str]:
    """No file is written and no program started; only Python's own files and the system's libraries are read."""
    libc = _libc()
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return set()
    rights = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    network = 3 if version >= 4 else 0  # bind and connect by TCP
    scope = 3 if version >= 6 else 0  # abstract sockets and signals of other processes
    attributes = (ctypes.c_uint64 * 3)(rights, network, scope)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return set()
    try:
        for path in _readable():
            _allow(libc, ruleset, path)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        closed = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)
    return {"files", "programs"} if closed else set()


def _readable() -> list[str]:
    python = [sys.prefix, sys.base_prefix, *(entry for entry in sys.path if Path(entry).is_absolute())]
    return [path for path in dict.fromkeys([*python, *_SYSTEM_FOLDERS, *_DEVICES]) if Path(path).exists()]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]  # the way of ctypes


def _allow(libc: Any, ruleset: int, path: str) -> None:
    with contextlib.suppress(OSError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
            libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(_PathBeneath(allowed, parent)), 0)
        finally:
            os.close(parent)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


_REFUSED = (
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.startfile",
    "os.symlink",
    "os.system",
    "os.truncate",
    "pty.spawn",
    "shutil.",
    "socket.",
    "subprocess.",
    "urllib.",
    "webbrowser.",
    "winreg.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def guard() -> None:
    """Refuse inside Python what a program of a stranger has no business with; cannot be undone in this process."""
    readable = tuple(f"{Path(path).resolve()}{os.sep}" for path in _readable())

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING:
                raise PermissionError("this process writes no files")
            if isinstance(path, str | bytes) and not _inside(os.fsdecode(path), readable):
                raise PermissionError("this process reads no such files")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"this process may not {event}")

    sys.addaudithook(hook)


def _inside(path: str, folders: tuple[str, ...]) -> bool:
    return f"{os.path.realpath(path)}{os.sep}".startswith(folders)
