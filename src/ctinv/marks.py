"""Text between two marks of a Markdown file, so that figures in a page are written by code and the rest by hand."""

from __future__ import annotations

import re
from pathlib import Path

from ctinv.atomic import write_atomic
from ctinv.errors import InputError


def write_between(path: Path, name: str, text: str) -> None:
    """Put text between ``<!-- name -->`` and ``<!-- /name -->``; a file that is not there is begun.

    Args:
        path: The Markdown file.
        name: Name of the marks.
        text: What goes between them.

    Raises:
        InputError: The file does not hold the marks once.
        ResourceError: The disk refuses.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before = path.read_text(encoding="utf-8") if path.is_file() else f"{begin}\n{end}\n"
    block = f"{begin}\n{text}\n{end}"
    changed, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, before, flags=re.DOTALL
    )
    if count != 1:
        raise InputError(
            f"expected the marks {begin} and {end} once in {path.name}, got {count}; write them there."
        )
    write_atomic(path, changed.encode(), parents=True)
