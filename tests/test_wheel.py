"""The built wheel, installed elsewhere and used from another folder: nothing may come from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PROBE = """
import json, sys
import ctinv, napari_ctinv
from ctinv.models.shipped import shipped
from ctinv.denoiser import load_denoiser
from ctinv.io.dicom import read_series
from ctinv.resources import bundles_folder, ct_folder
from npe2 import PluginManifest

manifest = PluginManifest.from_distribution("napari-ctinv")
manifest.validate_imports()
found = {name: str(module.__file__) for name, module in sys.modules.items()
         if name.partition(".")[0] in ("ctinv", "napari_ctinv") and getattr(module, "__file__", None)}
print(json.dumps({
    "modules": found,
    "bundles": str(bundles_folder()),
    "ct": str(ct_folder()),
    "denoisers": {name: load_denoiser(name).name for name in shipped()},
    "shapes": [read_series(ct_folder() / dose).shape for dose in ("full_dose", "quarter_dose")],
    "manifest": manifest.model_dump(mode="json", exclude_unset=True),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(target),
    ]
    subprocess.run([*words, str(wheel)], check=True, capture_output=True, timeout=300)
    return target


def test_wheel_holds_what_it_must_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"ctinv", "napari_ctinv", "napari_ctinv_manifest"}
    assert not [
        name for name in names if "__pycache__" in name or "/tests/" in name or name.endswith(".part")
    ]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    # What no import would miss: the page of the report, and the last validation that it shows.
    assert {"ctinv/report/templates/page.html", "ctinv/report/templates/style.css"} <= set(names)
    assert "ctinv/_data/validation.json" in names
    with zipfile.ZipFile(wheel) as opened:
        sizes = {entry.filename: entry.compress_size for entry in opened.infolist()}
    generators = sum(size for name, size in sizes.items() if "/bundles/generators/" in name)
    assert 0 < generators < 60e6
    assert wheel.stat().st_size - generators < 20e6


def test_installed_plugin_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    outside = [file for file in found["modules"].values() if not Path(file).is_relative_to(installed)]
    assert outside == []
    assert Path(found["bundles"]).is_relative_to(installed)
    assert Path(found["ct"]).is_relative_to(installed)
    assert found["denoisers"].keys() >= {"cnn10", "wganvgg"}
    assert found["shapes"] == [[16, 512, 512]] * 2

    from npe2 import PluginManifest

    expected = PluginManifest.from_file(ROOT / "napari.yaml")
    assert (
        found["manifest"]["contributions"]
        == expected.model_dump(mode="json", exclude_unset=True)["contributions"]
    )


def test_entry_point_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    script = installed / "bin" / "ctinv"
    words = [sys.executable, str(script), "info", "cnn10", "--json"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["taps"]) == ["input", "conv1", "conv2", "output"]
