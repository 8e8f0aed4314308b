"""The record: the same bytes again from it alone, and no change in it goes unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.report.arrays import pack, unpack
from ctinv.report.build import Report
from ctinv.report.record import Record, seal_of
from ctinv.report.replay import replay


@pytest.fixture
def record(plain: Report, tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_bytes(plain.record.write())
    return path


def changed(path: Path, edit: Any, *, seal: bool = False) -> Path:
    """The record with an edit of its content, sealed anew if asked."""
    data = json.loads(path.read_text())
    edit(data["content"])
    if seal:
        data["seals"]["content"] = seal_of(data["content"])
    path.write_text(json.dumps(data))
    return path


def test_everything_comes_out_again_bit_for_bit(record: Path, plain: Report) -> None:
    again = replay(record)
    assert again.problem is None
    assert again.report is not None
    assert again.report.pictures == plain.pictures
    assert again.report.html == plain.html
    assert again.report.record.write() == plain.record.write()


def test_a_user_style_does_not_change_a_picture(record: Path) -> None:
    """In a process of its own: whatever matplotlibrc says, and without torch."""
    code = (
        "import sys, matplotlib\n"
        "matplotlib.rcParams.update({'font.size': 20, 'image.cmap': 'jet', 'axes.grid': True, 'savefig.dpi': 50})\n"
        "from pathlib import Path\n"
        "from ctinv.report.replay import replay\n"
        f"assert replay(Path({str(record)!r})).problem is None\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_changed_number_is_caught(record: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["summary"]["rmse_hu"]["max"] += 1e-9

    found = replay(changed(record, edit))
    assert not found.intact
    assert found.report is None  # nothing is drawn of it
    assert found.problem is not None
    assert "changed after it was written" in found.problem


def test_a_changed_image_is_caught_even_if_it_is_sealed_anew(record: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        scan = unpack(content["images"]["scan"])
        scan[3, 3] += 400.0
        content["images"]["scan"] = pack(scan)

    found = replay(changed(record, edit, seal=True))
    assert found.intact
    assert "F1/scan" in found.different
    assert "F1/spread" not in found.different
    assert not found.same_page
    assert found.problem is not None
    assert "F1/scan" in found.problem


def test_other_versions_are_named(record: Path) -> None:
    data = json.loads(record.read_text())
    data["drawn_with"]["matplotlib"] = "3.1.4"
    data["seals"]["pictures"]["F2/nps"] = "0" * 64
    record.write_text(json.dumps(data))
    found = replay(record)
    assert found.different == ("F2/nps",)
    assert found.problem is not None
    assert "it was drawn with matplotlib 3.1.4, here are" in found.problem


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "ctinv report", "format": 99}', "\x00"])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"other\.json"):
        Record.read(path)


def test_arrays_survive_json() -> None:
    values = np.array([[0.1, np.nan, -0.0], [np.inf, 1e-40, 3e38]], dtype=np.float32)
    back = unpack(json.loads(json.dumps(pack(values))))
    assert back.tobytes() == values.tobytes()
    for broken in (
        {},
        {"shape": [2], "float32_le": "AAAA"},
        {"shape": [1], "float32_le": "?"},
        {"shape": None},
    ):
        with pytest.raises(InputError, match="base64"):
            unpack(broken)
