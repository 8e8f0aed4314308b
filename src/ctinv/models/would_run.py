"""What a stranger's model would run if it were trusted: a list for people to read. Nothing is run to make it.

The list is not what protects; that are the allow-lists, trust by sha256, and the child process. It says more than would
run rather than less: of a bundle every target and expression of the config that is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctinv.models.bundle_tree import BundleTree, read_tree
from ctinv.models.files import read_bytes, sha256
from ctinv.models.pickles import Calls, archive_files, pickle_calls
from ctinv.models.weights import is_exported_program, is_torchscript

Kind = Literal["TorchScript", "exported program", "pickle", "bundle"]
_HARMLESS = ("collections.OrderedDict", "torch._utils._rebuild_", "torch.serialization._get_layout")
_STORAGE = "Storage"


@dataclass(frozen=True)
class WouldRun:
    """What a file or a bundle would run.

    Attributes:
        name: Its bare name.
        kind: What it is.
        sha256: What trust is given to: of the file, or of all files of the bundle.
        targets: Classes and functions that a config names.
        expressions: Python expressions and file macros of a config.
        globals: What pickles name, but for what every file of weights names.
        code: File name to text of Python and TorchScript code.
        files: File name to sha256 of everything that would be read.
        complete: Whether the list could be made to its end; a malformed file may do more than it shows.
    """

    name: str
    kind: Kind
    sha256: str
    targets: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    globals: tuple[str, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True


def what_would_run(path: Path) -> WouldRun:
    """Everything that a model of a stranger would run: its targets, expressions, code and pickles, found without running it.

    Args:
        path: A TorchScript file, exported program, pickled file or the folder of a bundle.

    Raises:
        ModelError: It cannot be read.
    """
    if path.is_dir():
        return _of_bundle(read_tree(path))
    content = read_bytes(path)
    calls = pickle_calls(content)
    scripted = is_torchscript(content)
    kind: Kind = (
        "TorchScript" if scripted else "exported program" if is_exported_program(content) else "pickle"
    )
    return WouldRun(
        name=path.name,
        kind=kind,
        sha256=sha256(content),
        globals=_telling(calls, scripted=scripted),
        code=_code(content, calls) if scripted else {},
        files={path.name: sha256(content)},
        complete=calls.complete,
    )


def _of_bundle(tree: BundleTree) -> WouldRun:
    _, config = tree.config()
    targets, expressions = [], []
    for key, value in _texts(config):
        if key == "_target_":
            targets.append(value)
        elif key.startswith("_") and key != "_desc_":
            expressions.append(f"{key}: {value}")
        elif value.startswith("$") or "%" in value:
            expressions.append(value)
    code, calls = {}, Calls()
    for file, content in tree.files.items():
        if file.endswith(".py"):
            code[file] = _text(content)
        elif file.startswith("models/") and not file.endswith(".safetensors"):
            inner = pickle_calls(content)
            calls.complete = calls.complete and inner.complete
            for one in _telling(inner, scripted=is_torchscript(content)):
                calls.add(one)
            if is_torchscript(content):
                code |= {f"{file}/{part}": text for part, text in _code(content, calls).items()}
    return WouldRun(
        name=tree.name,
        kind="bundle",
        sha256=tree.sha256,
        targets=tuple(dict.fromkeys(targets)),
        expressions=tuple(dict.fromkeys(expressions)),
        globals=tuple(calls.names),
        code=code,
        files=tree.hashes,
        complete=calls.complete,
    )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a config with the key it stands under; keys that are expressions count as texts."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str) and name[:1] in ("$", "%"):
                yield "", name
            yield from _texts(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def _telling(calls: Calls, *, scripted: bool) -> tuple[str, ...]:
    """The names that say something: not those of tensors, nor a TorchScript archive's names of its own classes."""
    return tuple(
        name
        for name in calls.names
        if not name.startswith(_HARMLESS)
        and not (name.startswith("torch.") and name.endswith(_STORAGE))
        and not (scripted and name.startswith(("__torch__.", "torch.jit._pickle.")))
    )


def _code(content: bytes, calls: Calls) -> dict[str, str]:
    """The code in a TorchScript archive, without the name of the archive."""
    return {
        name.partition("/")[2]: _text(inner)
        for name, inner in archive_files(content, calls)
        if name.endswith(".py")
    }


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def printable(text: str, *, most: int | None = None) -> str:
    """Text of a stranger for a terminal: on one line, without control characters and look-alikes of letters.

    Args:
        text: Any text.
        most: Characters after which it is cut off.
    """
    plain = "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode() for one in text)
    return plain if most is None or len(plain) <= most else f"{plain[: most - 1]}…"


def lines_of(found: WouldRun) -> list[str]:
    """The list in words, one line each."""
    lines = [f"{printable(found.name)}: {found.kind}, sha256 {found.sha256}"]
    lines += [f"target      {printable(one)}" for one in found.targets]
    lines += [f"expression  {printable(one)}" for one in found.expressions]
    lines += [f"pickle      {printable(one)}" for one in found.globals]
    for name, text in found.code.items():
        lines += [f"code        {printable(name)}", *(f"    {printable(line)}" for line in text.splitlines())]
    if not found.complete:
        lines.append("some of it cannot be followed: it may do more than is listed here")
    return lines
