"""The lock holds what the project asks for, by hash; and an audit that could not ask does not pass for a clean one."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FLOORS = {
    "torch": "2.10",
    "monai": "1.6.1",
    "pydicom": "3.0.2",
    "onnx": "1.21",
    "pillow": "12.3",
    "jinja2": "3.1.6",
}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked() -> list[Requirement]:
    project = PROJECT["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    wanted = [Requirement(text) for group in groups for text in group]
    left_out = {
        "napari-ctinv",
        *(Requirement(text).name for text in project["optional-dependencies"]["astra"]),
    }
    return [one for one in wanted if one.name not in left_out]


def test_every_direct_dependency_is_locked_at_a_version_it_allows(audit: ModuleType) -> None:
    pins: dict[str, list[str]] = {}
    for name, version in audit.pins(ROOT / "requirements.lock", ROOT / "constraints.txt"):
        pins.setdefault(canonicalize_name(name), []).append(version)
    for wanted in asked():
        versions = pins.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted.name} is not locked; run make lock"
        assert all(version in wanted.specifier for version in versions), (
            f"{wanted}: {versions}; run make lock"
        )
    for name, floor in FLOORS.items():
        assert all(version in Requirement(f"{name}>={floor}").specifier for version in pins[name]), name


def test_every_pin_has_hashes_and_none_has_an_address() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) > 150
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:60]
    assert "://" not in LOCK
    assert not re.search(r"^(torch|triton|nvidia-|cuda-)", LOCK, re.MULTILINE)


PIN = ("numpy", "2.3.5")
CLEAN = {"name": "numpy", "version": "2.3.5", "vulns": []}
WEAK = {"name": "monai", "version": "1.3.0", "vulns": [{"id": "GHSA-x6ww-pf9m-m73m"}]}
SKIPPED = {"name": "numpy", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("probe", "answers", "code", "says"),
    [
        ([WEAK], [CLEAN], 0, "no known weakness in 1 packages"),
        ([WEAK], [{**CLEAN, "vulns": [{"id": "CVE-1"}]}], 1, "numpy 2.3.5: CVE-1"),
        ([WEAK], [SKIPPED], 1, "numpy 2.3.5: skipped"),
        ([WEAK], [], 1, "numpy 2.3.5: skipped"),
        ([{"name": "monai", "skip_reason": "not found"}], [SKIPPED], -1, "NOT AUDITED"),
        ([{**WEAK, "vulns": []}], [CLEAN], -1, "NOT AUDITED"),
        ([], [], -1, "NOT AUDITED"),
    ],
)
def test_silence_counts_only_where_the_probe_was_found(
    audit: ModuleType, probe: list[Any], answers: list[Any], code: int, says: str
) -> None:
    found, lines = audit.judge(probe, answers, [PIN])
    assert found == code
    assert says in lines[0]


def test_each_version_of_a_package_is_asked_about(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[list[tuple[str, str]]] = []
    monkeypatch.setattr(audit, "_ask", lambda wanted: rounds.append(list(wanted)) or [])
    audit.ask([("numpy", "2.2"), ("numpy", "2.3"), ("scipy", "1.16")])
    assert sorted(pin for now in rounds for pin in now) == [
        ("numpy", "2.2"),
        ("numpy", "2.3"),
        ("scipy", "1.16"),
    ]
    assert all(len({name for name, _ in now}) == len(now) for now in rounds)
