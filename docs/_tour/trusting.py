"""Station: a network of somebody else that would run code, and the question before it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QDialog

from _tour.stage import Stage

WRITE = "import sys, torch; torch.jit.script(torch.nn.Conv2d(1, 1, 3, padding=1)).save(sys.argv[1])"


def trust(stage: Stage) -> None:
    """A TorchScript file is chosen, and not loaded."""
    section: Any = stage.section("Denoise", "Network")
    model = stage.session.network
    asked = stage.answer(lambda dialog: refuse(stage, dialog))
    section.own.edit.value = str(written(stage.home / "theirs.ts"))
    stage.wait_until(asked, "the question", 180)
    stage.wait_until(lambda: model.own is None, "the file is let go")


def refuse(stage: Stage, dialog: QDialog) -> None:
    """What would run is read, and the answer that costs nothing is given."""
    stage.picture("trust", dialog=dialog, shows_canvas=False)
    stage.press(dialog, "Do not load")


def written(path: Path) -> Path:
    """A TorchScript file; another process writes it, as the viewer's has no torch."""
    subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True, capture_output=True)
    return path
