"""All hard DICOM cases, registered by importing them."""

from __future__ import annotations

import dicom_cases_codecs
import dicom_cases_enhanced
import dicom_cases_files
import dicom_cases_geometry
import dicom_cases_mixed
import dicom_cases_real
import dicom_cases_values
from dicom_registry import CASES, Case

THEMES = (
    dicom_cases_geometry.THEME,
    dicom_cases_values.THEME,
    dicom_cases_codecs.THEME,
    dicom_cases_enhanced.THEME,
    dicom_cases_mixed.THEME,
    dicom_cases_files.THEME,
    dicom_cases_real.THEME,
)

__all__ = ["CASES", "THEMES", "Case"]
