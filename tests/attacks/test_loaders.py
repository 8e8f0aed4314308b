"""There is one way in for a model: every call that could run a stranger's bytes stands in a list, with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUESTS = {"src/ctinv/models/guest.py", "src/ctinv/models/guest_bundle.py"}  # run in the child alone
ALLOWED = {
    "torch.load": GUESTS,  # anywhere else with weights_only=True
    "torch.jit.load": GUESTS,
    "torch.export.load": GUESTS,
    "ConfigParser": GUESTS,
    "yaml.load": {"src/ctinv/models/files.py"},  # with a safe loader
    "importlib.import_module": {
        "src/ctinv/__init__.py",  # our own modules, by names that stand in our own code
        "src/ctinv/analysis/registry.py",
        "src/ctinv/cli/__init__.py",
        "src/ctinv/sampler/__init__.py",
        "src/ctinv/simulate/__init__.py",
        "src/ctinv/training/__init__.py",
        "src/ctinv/child/serve.py",
        "napari_ctinv/dock.py",
        "napari_ctinv/session/__init__.py",
        "napari_ctinv/engine/codec.py",  # dataclasses of this project, named by the process it is tied to by a pipe
        "napari_ctinv/engine/serve.py",  # modules of napari_ctinv.work, named by the viewer that started it
        "src/ctinv/models/factory.py",  # the user's own code, by the user's own word
    },
    "verify_net_in_out": {"src/ctinv/bundle/check.py"},  # bundles of this package, read as data before
    "verify_metadata": {"src/ctinv/bundle/check.py"},
    "subprocess.run": {
        "src/ctinv/cli/view.py",
        "src/ctinv/report/pdf.py",
    },  # programs of the system, by fixed words
    "subprocess.Popen": {
        "src/ctinv/child/__init__.py",
        "napari_ctinv/engine/process.py",  # this Python, and a module of this project
    },
}
NOWHERE = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "eval",
    "exec",
    "compile",
    "__import__",
    "runpy.run_path",
    "runpy.run_module",
    "os.system",
    "os.popen",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
    "tarfile.open",
    "shutil.unpack_archive",
    "torch.hub.load",
    "torch.jit.script",
    "joblib.load",
    "dill.load",
    "cloudpickle.load",
    "onnx.load",
    "marshal.loads",
    "shelve.open",
}
HARMLESS_IF = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
HARMLESS_IF["np.load"] = HARMLESS_IF["numpy.load"]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by its dotted name."""
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name | ast.Attribute):
            yield ast.unparse(part.func), part


def sources() -> list[Path]:
    return sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "napari_ctinv").rglob("*.py")])


def strays(path: Path, inner: str) -> list[str]:
    """Calls of a file that are in no list."""
    wrong = []
    for name, call in calls(path):
        given = {word.arg: word.value for word in call.keywords}
        if name in HARMLESS_IF:
            option, value = HARMLESS_IF[name]
            said = given.get(option)
            if isinstance(said, ast.Constant) and said.value is value:
                continue
        if name in NOWHERE or name in HARMLESS_IF or name in ALLOWED:
            if inner not in ALLOWED.get(name, set()):
                wrong.append(f"{inner}:{call.lineno} {name}")
        elif name.endswith((".extractall", ".extract")):
            wrong.append(f"{inner}:{call.lineno} {name}")
    return wrong


def test_no_file_has_a_loader_of_its_own() -> None:
    found = [one for path in sources() for one in strays(path, path.relative_to(ROOT).as_posix())]
    assert found == []


def test_what_runs_in_the_child_is_imported_nowhere_else() -> None:
    for path in sources():
        inner = path.relative_to(ROOT).as_posix()
        if inner in GUESTS:
            continue
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [part.module or ""] if isinstance(part, ast.ImportFrom) else []
            names += [name.name for name in part.names] if isinstance(part, ast.Import) else []
            assert not any(name.startswith("ctinv.models.guest") for name in names), inner


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=w)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "pickle.loads(b)",
        "eval(t)",
        "archive.extractall(p)",
        "torch.jit.load(p)",
        "ConfigParser()",
    ],
)
def test_a_loader_of_its_own_would_be_found(tmp_path: Path, text: str) -> None:
    """The negative control."""
    (tmp_path / "new.py").write_text(text)
    assert len(strays(tmp_path / "new.py", "src/ctinv/new.py")) == 1
