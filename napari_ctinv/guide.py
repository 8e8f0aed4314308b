"""The guide to the plugin, opened without a network: it travels beside the manifest."""

from __future__ import annotations

import webbrowser
from importlib.util import find_spec
from pathlib import Path

GUIDE = "plugin.md"


def guide() -> Path:
    """Where the guide lies.

    Raises:
        FileNotFoundError: The plugin is not installed.
    """
    spec = find_spec("napari_ctinv_manifest")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(folder) / GUIDE).is_file():
            return Path(folder) / GUIDE
    raise FileNotFoundError(GUIDE)


def open_guide(tab: str) -> bool:
    """Open the guide at a tab's heading in the browser."""
    return webbrowser.open(f"{guide().as_uri()}#{tab.lower()}")
