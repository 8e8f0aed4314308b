"""The ten lines of the README, run in a real viewer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.gui
def test_the_ten_lines_show_samples_over_the_scan(
    make_napari_viewer: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = [
        block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "napari.Viewer" in block
    ]
    monkeypatch.setattr(
        napari, "Viewer", make_napari_viewer
    )  # the same viewer, closed at the end of the test
    monkeypatch.setattr(napari, "run", lambda: None)  # the window would wait for its user
    found: dict[str, Any] = {}
    exec(compile(script, "README.md", "exec"), found)
    viewer, samples = found["viewer"], found["samples"]
    stack = next(layer for layer in viewer.layers if layer.ndim == 4)
    assert stack.data.shape == (10, 1, 32, 32)
    np.testing.assert_array_equal(np.asarray(stack.data[3, 0]), samples.read(3))
    scan = next(layer for layer in viewer.layers if layer.data.shape == (16, 512, 512))
    corner = scan.data_to_world((8, 176, 152))
    np.testing.assert_allclose(stack.data_to_world((0, 0, 0, 0))[1:], corner, atol=1e-4)
