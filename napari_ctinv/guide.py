"""The guide to the plugin, opened without a network: it travels with the package."""

from __future__ import annotations

import webbrowser
from pathlib import Path

HOME = Path(__file__).parent
GUIDE = "plugin.md"


def guide() -> Path:
    """Where the guide lies: in the installed package, or among the docs of a checkout."""
    installed = HOME / "_docs" / GUIDE
    return installed if installed.is_file() else HOME.parent / "docs" / GUIDE


def open_guide(tab: str) -> bool:
    """Open the guide at a tab's heading in the browser."""
    return webbrowser.open(f"{guide().as_uri()}#{tab.lower()}")
