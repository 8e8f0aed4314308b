"""Files read once, whole and up to a size: what was hashed is what is used."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError

_SENTENCE = 200  # characters of a refusal
MAX_TEXT_BYTES = 1_000_000
MAX_WEIGHT_BYTES = 2_000_000_000
_MERGE = "tag:yaml.org,2002:merge"


def read_bytes(path: Path, *, limit: int = MAX_WEIGHT_BYTES) -> bytes:
    """Content of a file of weights.

    Raises:
        ModelError: It cannot be read or is larger than the limit.
    """
    try:
        if _size(path) > limit:
            raise ModelError(
                f"{path.name} is larger than {limit / 1e6:,.0f} MB; save the weights of the denoiser alone."
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read; check that it exists and may be read.") from error


def sha256(content: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_object(path: Path, *, bare: str | None = None) -> dict[str, Any]:
    """The mapping that a JSON, TOML or YAML file holds, read as data.

    Args:
        path: Its suffix says the format.
        bare: How messages name the file; its bare name by default.

    Raises:
        ModelError: It is missing, too large, no valid file of its kind, or holds something else.
    """
    bare = path.name if bare is None else bare
    try:
        if _size(path) > MAX_TEXT_BYTES:
            raise ModelError(f"{bare} is larger than {MAX_TEXT_BYTES // 1000} kB; it is no such file.")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{bare} is missing or cannot be read; get it again.") from error
    return parse_object(content, path.suffix, bare)


def parse_object(content: bytes, suffix: str, bare: str) -> dict[str, Any]:
    """The mapping in the content of a JSON, TOML or YAML file, read as data.

    Args:
        content: Of the file.
        suffix: Says the format.
        bare: How messages name the file.

    Raises:
        ModelError: It is no valid file of its kind, or holds something else.
    """
    kind = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML"}.get(suffix.lower(), "JSON")
    try:
        found = _parse(content.decode("utf-8"), kind)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{bare} is no valid {kind}; get it again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{bare} must hold a {kind} object; get it again.")
    return found


def _size(path: Path) -> int:
    """Bytes of a regular file; OSError for pipes and devices, which could be read for ever."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise OSError("no regular file")
    return about.st_size


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Refusals in here name the file or folder that they are about.

    Args:
        name: Its bare name.

    Raises:
        ModelError: As in here, after the name where it was missing.
    """
    try:
        yield
    except ModelError as error:
        if name[:30] in str(error):
            raise
        room = _SENTENCE - 2 - len(str(error))  # the name gives way, the remedy at the end does not
        shown = f"{name[: min(30, room)]}: " if room >= 8 else ""
        raise ModelError(f"{shown}{error}") from error


def inside(folder: Path, inner: str | Path) -> Path:
    """The path of a file in a bundle.

    Raises:
        ModelError: A link on its way leads out of the bundle.
    """
    path = folder / inner
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(
            f"{path.name[:60]} of {folder.name[:40]} is a link that leads out of it, which is not followed; copy the file."
        )
    return path


def _parse(text: str, kind: str) -> Any:
    """Data of a text; ValueError where it is not valid, or says one key twice: readers differ in which they take."""
    if kind == "TOML":
        return tomllib.loads(text)
    if kind == "JSON":
        return json.loads(text, object_pairs_hook=_once)
    import yaml  # MONAI's bundles may be written in it; the safe loader builds plain data only

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            if len({repr(key) for key in keys}) != len(keys):
                raise yaml.YAMLError("a key stands there twice")
            return super().construct_mapping(node, deep)

    if "&" in text and "*" in text and len(text) > MAX_TEXT_BYTES // 20:
        raise ValueError("a large YAML text with aliases can expand without bound")
    try:
        return yaml.load(text, Loader)  # nosec B506  # a safe loader that asks for more
    except yaml.YAMLError as error:
        raise ValueError("no valid YAML") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found
