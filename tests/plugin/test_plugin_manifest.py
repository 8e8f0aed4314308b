from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parent.parent.parent
MANIFEST = ROOT / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_installed_manifest_is_the_one_on_the_top_level(manifest: PluginManifest) -> None:
    installed = PluginManifest.from_distribution("napari-ctinv")
    wanted = manifest.model_dump(exclude={"package_metadata"}, exclude_unset=True)
    assert installed.model_dump(exclude={"package_metadata"}, exclude_unset=True) == wanted, "install again"


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_widgets_and_samples_have_the_names_of_the_docs(manifest: PluginManifest) -> None:
    widgets = {widget.display_name for widget in manifest.contributions.widgets or []}
    samples = {sample.key for sample in manifest.contributions.sample_data or []}
    assert widgets == {"CT Invariances"}
    assert samples == {"quarter_dose", "full_dose", "phantom"}


def test_nothing_heavy_is_imported_before_a_run() -> None:
    parts = (
        "reader",
        "writer",
        "sample_data",
        "dock",
        "sections.sampling",
        "sections.denoising",
        "session.invariances",
    )
    code = "".join(f"import napari_ctinv.{part}\n" for part in parts)
    code += "import sys; print(*(m for m in ('torch', 'monai', 'itk', 'nibabel') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_importing_the_plugin_is_free() -> None:
    """napari imports every plugin when it starts: this one brings in nothing but itself."""
    code = "import sys; before = set(sys.modules); import napari_ctinv; "
    code += "print(*({name.split('.')[0] for name in set(sys.modules) - before}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["napari_ctinv"]
