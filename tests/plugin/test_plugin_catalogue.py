"""What the form offers is what there is, read without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError
from ctinv.generators.find import GENERATORS, available
from ctinv.generators.kinds import TRAINING_FREE
from ctinv.representation import Representation
from napari_ctinv.catalogue import generators_of, taps_of


def test_the_light_list_is_the_registry() -> None:
    assert set(TRAINING_FREE) == set(GENERATORS)


@pytest.mark.parametrize(
    ("denoiser", "tap"), [("cnn10", "output"), ("wganvgg", "conv3"), ("redcnn32", "output")]
)
def test_offered_generators_are_the_available_ones(denoiser: str, tap: str) -> None:
    assert generators_of(denoiser, tap) == available(Representation(load_denoiser(denoiser), tap))


def test_a_file_of_weights_offers_what_needs_no_training(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"x")
    assert generators_of(path, "output") == list(TRAINING_FREE)
    assert taps_of(path) == ["output", "input"]
    with pytest.raises(ModelError, match="no file and no bundle"):
        taps_of(tmp_path / "nothing")


def test_the_catalogue_loads_no_torch() -> None:
    code = "import sys, napari_ctinv.catalogue as c; c.generators_of('cnn10', 'output'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
