"""Pages for people: the overview of a study, the page about the layers of a network, and the report that one can sign.

`overview` and `layer_page` draw one picture with its figures as JSON. `build` makes the report of a study as a `Record` and
its pictures; `page` turns them into one HTML file, `write_pdf` into a PDF, and `replay` draws everything again from the
record alone. Importing this package loads neither torch nor matplotlib.
"""

from __future__ import annotations

from ctinv.report.overview import (
    SHOWN,
    STAMP,
    WINDOWS,
    Study,
    choose_window,
    describe,
    layer_page,
    overview,
    table_rows,
)

__all__ = [
    "SHOWN",
    "STAMP",
    "WINDOWS",
    "Study",
    "choose_window",
    "describe",
    "layer_page",
    "overview",
    "table_rows",
]
