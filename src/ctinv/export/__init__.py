"""A study for other programs: DICOM series, parametric maps, NIfTI, OME-Zarr and pictures.

`export_study` writes one folder or file at once or not at all, over nothing that exists, and with nobody's name in it
unless the caller asks for that in words (`take_over_identity`). Importing this package loads none of the libraries that
write, nor torch.
"""

from __future__ import annotations

from ctinv.export.run import FORMATS, TAKES, Exported, export_study
from ctinv.export.wanted import IMAGES, MAPS, Wanted, parse_rows

__all__ = ["FORMATS", "IMAGES", "MAPS", "TAKES", "Exported", "Wanted", "export_study", "parse_rows"]
