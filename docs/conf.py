"""How Sphinx builds these pages: `make docs`. They are plain Markdown, so that a forge shows the same."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "napari-ctinv"
author = "The napari-ctinv developers"
project_copyright = "The napari-ctinv developers. Research use only, not for diagnosis"
release = version = version_of("napari-ctinv")

extensions = ["myst_parser"]
exclude_patterns = ["_tour"]
source_suffix = {".md": "markdown"}
nitpicky = True

# Anchors are those of a forge, `#code-of-others`, so that one link serves both; a link to a missing one is a warning.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = "napari-ctinv"
html_copy_source = False
html_show_sphinx = False
html_theme_options: dict[str, list[str]] = {"footer_icons": [], "top_of_page_buttons": []}
