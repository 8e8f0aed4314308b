"""The record of a report: everything its pictures and its page are made of, sealed by hashes.

The page is a function of the content and the pictures, the pictures are a function of the content: with the same versions
of matplotlib, NumPy and Pillow both come out bit for bit. The seals detect an accident or a careless edit. They are no
signature: who changes the content can seal it anew, but not so that it fits a page printed before, which names the seal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.errors import InputError
from ctinv.jsonable import dumps, plain

KIND = "ctinv report"
FORMAT = 1


@dataclass(frozen=True)
class Record:
    """A report as data.

    Attributes:
        content: JSON values only; see `ctinv.report.build`.
        pictures: sha256 of each PNG by the name of its picture.
        page: sha256 of the HTML file.
        drawn_with: Versions of the libraries that decide the bytes of a picture.
        seal: sha256 of the content as it was when the record was made.
    """

    content: dict[str, Any]
    pictures: dict[str, str]
    page: str
    drawn_with: dict[str, str]
    seal: str

    @property
    def intact(self) -> bool:
        """Whether the content is what was sealed."""
        return seal_of(self.content) == self.seal

    def write(self) -> bytes:
        """The record as a JSON file."""
        seals = {"content": self.seal, "pictures": self.pictures, "page": self.page}
        data = {
            "kind": KIND, "format": FORMAT, "seals": seals, "drawn_with": self.drawn_with, "content": self.content
        }  # fmt: skip
        return (dumps(data, indent=1) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read what `write` made.

        Raises:
            InputError: The file is something else.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            known = data["kind"] == KIND and data["format"] == FORMAT
            seals = data["seals"]
            record = cls(
                dict(data["content"]), dict(seals["pictures"]), seals["page"], dict(data["drawn_with"]), seals["content"]
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"{path.name} cannot be read ({error.strerror}); name a report.json.") from error
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise InputError(
                f"expected the record that ctinv report writes, got another file in {path.name}; name a report.json."
            )
        return record


def seal_of(content: Mapping[str, Any]) -> str:
    """sha256 of the content as canonical JSON."""
    text = json.dumps(
        plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
    return sha256(text.encode())


def sha256(data: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


def versions() -> dict[str, str]:
    """Versions of what decides the bytes of pictures and page."""
    import jinja2
    import matplotlib
    import numpy
    import PIL

    import ctinv

    modules = {"matplotlib": matplotlib, "numpy": numpy, "Pillow": PIL}
    found = {name: str(module.__version__) for name, module in modules.items()}
    from importlib.metadata import version

    return {"ctinv": ctinv.__version__, **found, jinja2.__name__: version("jinja2")}
