"""Where the shipped models and the shipped CT lie, in a wheel as in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent.parent


def bundles_folder() -> Path:
    """Folder of the shipped MONAI bundles."""
    packaged = _PACKAGE / "_data" / "bundles"
    return packaged if packaged.is_dir() else _CHECKOUT / "bundles"


def ct_folder() -> Path:
    """Folder of the shipped CT: one DICOM series per subfolder, ``full_dose`` and ``quarter_dose``."""
    packaged = _PACKAGE / "_data" / "ct"
    return packaged if packaged.is_dir() else _CHECKOUT / "data"


def configs_folder() -> Path:
    """Folder of the shipped settings of trainings: one TOML file each, those of generators in ``generators``."""
    packaged = _PACKAGE / "_data" / "configs"
    return packaged if packaged.is_dir() else _CHECKOUT / "configs"


def validation_file() -> Path:
    """The last full result of ``ctinv validate``."""
    packaged = _PACKAGE / "_data" / "validation.json"
    return packaged if packaged.is_file() else _CHECKOUT / "docs" / "validation.json"


def feature_weights_folder() -> Path:
    """The user's cache folder of perceptual feature weights, which are fetched and never shipped."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("ctinv")) / "features"
