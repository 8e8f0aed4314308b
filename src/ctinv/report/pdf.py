"""The page as a PDF, printed by a browser without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ctinv.atomic import write_atomic
from ctinv.errors import ResourceError

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_SECONDS = 120
_QUIET = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-pdf-header-footer",
)


def find_browser() -> str:
    """The program of a browser that can print.

    Raises:
        ResourceError: There is none.
    """
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    found = found or next((place for place in _PLACES if Path(place).is_file()), None)
    if found is None:
        raise ResourceError(
            "a PDF is printed by a browser and none was found; install chromium (Debian: apt-get install chromium), "
            "or open the HTML file and print it."
        )
    return found


def write_pdf(html: Path, pdf: Path, *, browser: str | None = None) -> None:
    """Print an HTML file.

    Args:
        html: The page.
        pdf: Where the PDF goes; replaced as a whole.
        browser: Program to use; the first one found by default.

    Raises:
        ResourceError: There is no browser, or it printed nothing.
    """
    program = browser or find_browser()
    with tempfile.TemporaryDirectory(prefix="ctinv-print-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "report.pdf"
        words = [program, *_QUIET, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}"]
        if sys.platform.startswith("linux") and os.geteuid() == 0:
            words.append("--no-sandbox")  # as root Chromium refuses to run with one
        try:
            subprocess.run(
                [*words, html.resolve().as_uri()], check=True, capture_output=True, timeout=_SECONDS
            )
            data = made.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise ResourceError(
                f"{Path(program).name} could not print {html.name} ({type(error).__name__}); open it and print it "
                "instead."
            ) from error
    write_atomic(pdf, data)
