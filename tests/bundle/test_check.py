"""MONAI's verifiers run what a bundle says, so they see bundles of this package only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ctinv.bundle.check import check_bundle
from ctinv.errors import ModelError
from ctinv.resources import bundles_folder


def copied(tmp_path: Path, **more: Any) -> Path:
    """A shipped bundle with something more in its config."""
    folder = Path(shutil.copytree(bundles_folder() / "cnn10", tmp_path / "cnn10"))
    path = folder / "configs" / "inference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    return folder


def test_a_bundle_of_this_package_is_verified(tmp_path: Path) -> None:
    assert "verify_net_in_out" in check_bundle(copied(tmp_path))


@pytest.mark.parametrize(
    "more", [{"imports": ["$import evil_module"]}, {"x": {"y": ["$ from evil_module import z"]}}]
)
def test_imports_that_no_bundle_of_this_package_has_are_refused(tmp_path: Path, more: Any) -> None:
    with pytest.raises(ModelError, match=r"cnn10 imports .*evil_module"):
        check_bundle(copied(tmp_path, **more))


def test_a_bundle_from_elsewhere_is_not_given_to_monai(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "configs" / "metadata.json").write_text('{"version": "0.1.0"}')
    with pytest.raises(ModelError, match="cnn10 is no bundle of this package"):
        check_bundle(folder)
