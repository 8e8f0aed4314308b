"""System calls that the child gives up, by a seccomp filter: sockets of every kind, further processes, other processes.

Landlock knows files; a network namespace needs rights that many systems do not give, and leaves the sockets that lie in
the file system, such as those of a display or a container daemon. The filter needs no rights, and stays for good.

References:
    seccomp, https://docs.kernel.org/userspace-api/seccomp_filter.html
    Numbers of the calls: ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h`` of Linux.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from typing import Any

# name: (x86_64, aarch64); None where an architecture lacks it
_REFUSED: dict[str, tuple[int, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),  # does what others do, past this filter
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
_CLONE, _CLONE3, _SECCOMP = (56, 220), (435, 435), (317, 277)
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEW_THREAD = 0x00010000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]  # the way of ctypes


def refuse_syscalls(libc: Any) -> set[str]:
    """Give them up for good.

    Args:
        libc: Of ctypes.

    Returns:
        ``"programs"`` and ``"network"`` where the system has promised it, else nothing.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        return set()
    which = list(_ARCHITECTURES).index(machine)
    content = _filter(which, _ARCHITECTURES[machine])
    program = _Program(len(content) // 8, content)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = libc.syscall(_SECCOMP[which], _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0
    return {"programs", "network"} if done else set()


def _filter(which: int, architecture: int) -> bytes:
    """The filter as instructions of the kernel's packet filter: code, jumps if true and if false, value."""
    refused = _ERROR | errno.EPERM
    absent = (
        _ERROR | errno.ENOSYS
    )  # for clone3, whose flags cannot be looked at: the C library then takes clone
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, refused),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # the other interface of x86
        (_RETURN, 0, 0, refused),
    ]
    for numbers in _REFUSED.values():
        number = numbers[which]
        if number is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refused)]
    steps += [
        (_EQUAL, 0, 1, _CLONE3[which]),
        (_RETURN, 0, 0, absent),
        (_EQUAL, 0, 3, _CLONE[which]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _NEW_THREAD),
        (_RETURN, 0, 0, refused),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
