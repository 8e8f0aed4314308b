"""Files read once, whole and up to a size: what was hashed is what is used."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError

MAX_TEXT_BYTES = 1_000_000
MAX_WEIGHT_BYTES = 2_000_000_000


def read_bytes(path: Path, *, limit: int = MAX_WEIGHT_BYTES) -> bytes:
    """Content of a file of weights.

    Raises:
        ModelError: It cannot be read or is larger than the limit.
    """
    try:
        if path.stat().st_size > limit:
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
    kind = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML"}.get(path.suffix.lower(), "JSON")
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ModelError(f"{bare} is larger than {MAX_TEXT_BYTES // 1000} kB; it is no such file.")
        found = _parse(path.read_text(encoding="utf-8"), kind)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{bare} is missing or no valid {kind}; get it again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{bare} must hold a {kind} object; get it again.")
    return found


def _parse(text: str, kind: str) -> Any:
    """Data of a text; ValueError where it is not valid."""
    if kind == "TOML":
        return tomllib.loads(text)
    if kind == "JSON":
        return json.loads(text)
    import yaml  # MONAI's bundles may be written in it; the safe loader builds plain data only

    if "&" in text and "*" in text and len(text) > MAX_TEXT_BYTES // 20:
        raise ValueError("a large YAML text with aliases can expand without bound")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no valid YAML") from error
