"""``ctinv view``: open scans and studies in napari.

The core knows no viewer, so napari runs as a process of its own and reads the paths through the plugin.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ctinv.cli.app import command, exit_code_of
from ctinv.cli.files import is_study
from ctinv.cli.options import AsJson
from ctinv.cli.outcome import Outcome, Stopped
from ctinv.errors import CtinvError, InputError
from ctinv.names import bare

_HOW = "install it with pip install 'napari-ctinv[all]'"


@command("view")
def view(
    paths: Annotated[list[Path], typer.Argument(metavar="CT|STUDY...", help="Scans and studies to open.")],
    as_json: AsJson = False,
) -> Outcome:
    """Open scans and studies in napari."""
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no file or folder {bare(path)} to open.")
        if path.suffix == ".npy":
            raise InputError(
                f"{bare(path)} does not say where it lies in mm; view a DICOM, NIfTI or NRRD scan."
            )
    if not has_napari():
        raise CtinvError(f"napari is not installed; {_HOW}.")
    if not has_screen():
        raise CtinvError(
            "there is no screen to open napari on; look at the overview picture of the study instead."
        )
    opened = [path.name if is_study(path) else bare(path) for path in paths]
    return Outcome({"opened": opened}, lambda console: None, afterwards=lambda: open_napari(paths))


def open_napari(paths: Sequence[Path]) -> None:
    """Open the paths in napari and wait until its window is closed.

    Raises:
        CtinvError: napari ended with an error.
    """
    # What napari prints goes to standard error: standard output belongs to our own result.
    try:
        code = subprocess.run(napari_command(paths), stdout=sys.stderr.fileno(), check=False).returncode
    except KeyboardInterrupt as stop:
        raise Stopped("stopped; the window is closed.", exit_code=exit_code_of(stop)) from None
    if code != 0:
        raise CtinvError(f"napari ended with exit code {code}; its own message stands above.")


def napari_command(paths: Sequence[Path]) -> list[str]:
    """The process that opens these paths through the plugin's reader."""
    return [sys.executable, "-m", "napari", "--plugin", "napari-ctinv", *(str(path) for path in paths)]


def can_view() -> bool:
    """Whether napari is installed and there is a screen."""
    return has_napari() and has_screen()


def has_napari() -> bool:
    """Whether napari is installed; it is not imported."""
    return importlib.util.find_spec("napari") is not None


def has_screen() -> bool:
    """Whether windows can be opened: on Linux by the display's environment variables, elsewhere assumed."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
