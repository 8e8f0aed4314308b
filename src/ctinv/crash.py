"""What may be shown of an error that nobody foresaw, fit to be pasted into a public issue.

The text of a foreign exception quotes header values and paths, and so do the variables of a frame. Shown are the types of
the chain, the lines of this package and of installed ones, by their module only, and the versions.
"""

from __future__ import annotations

import platform
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, TracebackType

from ctinv.errors import CtinvError

_OURS = ("ctinv", "napari_ctinv")
_MOST_FRAMES = 30


def report(error: BaseException) -> str:
    """Lines that tell where an error came from and nothing about the data.

    Args:
        error: Any exception; only the text of a `CtinvError` is shown.
    """
    from ctinv import __version__

    lines = [f"ctinv {__version__}, Python {platform.python_version()}, {platform.system()}"]
    for number, (link, one) in enumerate(_chain(error)):
        lines += [f"{link}:"] if number else []
        lines += _frames(one.__traceback__)
        lines.append(_type(one))
    return "\n".join(lines)


def _chain(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """The error and what it came from, the outermost first."""
    seen: set[int] = set()
    link, one = "", error
    while id(one) not in seen:
        seen.add(id(one))
        yield link, one
        if one.__cause__ is not None:
            link, one = "caused by", one.__cause__
        elif one.__context__ is not None and not one.__suppress_context__:
            link, one = "while handling", one.__context__
        else:
            return


def _frames(trace: TracebackType | None) -> list[str]:
    frames = [_frame(one.f_code, line) for one, line in traceback.walk_tb(trace)]
    left_out = len(frames) - _MOST_FRAMES
    return frames if left_out <= 0 else [f"  {left_out} frames left out", *frames[-_MOST_FRAMES:]]


def _frame(code: CodeType, line: int) -> str:
    place = _where(Path(code.co_filename))
    return f"  {place}:{line} in {code.co_name}" if place else "  code outside the packages"


def _where(path: Path) -> str:
    """A file below the folder of its package, such as ``ctinv/io/dicom.py``; "" for code from elsewhere."""
    for root in _roots():
        if path.is_relative_to(root):
            ours = root.name in _OURS
            return path.relative_to(root.parent if ours else root).as_posix()
    return ""


def _roots() -> Iterator[Path]:
    """Folders of this package's parts, then of installed packages and of Python's own library."""
    for name in _OURS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            yield Path(file).parent
    for kind in ("purelib", "platlib", "stdlib", "platstdlib"):
        yield Path(sysconfig.get_path(kind))


def _type(error: BaseException) -> str:
    """The type by its full name; the text only where this package wrote it."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{name}: {error}" if isinstance(error, CtinvError) else name


def show(error: BaseException) -> None:
    """Print a report to standard error."""
    print(report(error), file=sys.stderr, flush=True)
