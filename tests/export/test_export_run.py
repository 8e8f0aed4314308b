"""One export: what is refused before any work, what is left after a stop, pictures, and the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from export_studies import make_scan, make_study
from PIL import Image

from ctinv import __version__
from ctinv.atomic import creating
from ctinv.errors import InputError, ResourceError, SeriesError
from ctinv.export import FORMATS, Wanted, export_study
from ctinv.sampler import Samples

NAMES = {"ome-zarr": "a.ome.zarr", "png": "a.png", "svg": "a.svg"}


@pytest.fixture(scope="module")
def study() -> Samples:
    return make_study(make_scan())


@pytest.mark.parametrize("to", FORMATS)
def test_an_existing_target_is_refused_and_stays(study: Samples, tmp_path: Path, to: str) -> None:
    target = tmp_path / NAMES.get(to, "a")
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_study(study, target, to=to)
    assert [path.name for path in tmp_path.rglob("*")] == [target.name, "mine.txt"]


@pytest.mark.parametrize("to", FORMATS)
def test_a_wrong_name_or_a_missing_folder_is_refused(study: Samples, tmp_path: Path, to: str) -> None:
    wrong = "a.tif" if to not in NAMES else "a"
    with pytest.raises(InputError, match=r"ends in|leave its ending out"):
        export_study(study, tmp_path / wrong, to=to)
    with pytest.raises(InputError, match="there is no folder gone"):
        export_study(study, tmp_path / "gone" / NAMES.get(to, "a"), to=to)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["dicom", "parametric-map", "nifti", "ome-zarr"])
def test_a_stop_leaves_nothing(study: Samples, tmp_path: Path, to: str) -> None:
    told = []

    def stop(text: str, fraction: float) -> None:
        told.append((text, fraction))
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_study(study, tmp_path / NAMES.get(to, "a"), to=to, progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert all(np.isnan(fraction) or 0 <= fraction < 1 for _, fraction in told)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with creating(tmp_path / "a") as part:
            (part / "b").write_text("b")
            raise OSError(28, "No space left on device")

    with pytest.raises(ResourceError, match="No space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "wanted", "sentence"),
    [
        ("dicom", {"maps": ("eta",)}, "holds no maps"),
        ("parametric-map", {"samples": (0,)}, "holds no samples"),
        ("dicom", {"samples": (9,)}, "no sample 9"),
        ("dicom", {"samples": (), "images": ()}, "nothing is chosen"),
        ("png", {"samples": (0,)}, "leave the choice"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(
    study: Samples, tmp_path: Path, to: str, wanted: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        export_study(study, tmp_path / NAMES.get(to, "a"), to=to, wanted=Wanted(**wanted))
    assert list(tmp_path.iterdir()) == []


def test_unknown_words_are_refused_with_those_that_are_known(study: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of dicom, parametric-map"):
        export_study(study, tmp_path / "a", to="tiff")
    with pytest.raises(InputError, match="choose from scan, denoised, mean"):
        Wanted(images=("x",))
    with pytest.raises(InputError, match="choose from spread, worst, eta"):
        Wanted(maps=("sigma",))
    with pytest.raises(InputError, match="twice"):
        Wanted(samples=(1, 1))


def test_what_a_study_cannot_give_is_left_out_with_its_reason(tmp_path: Path) -> None:
    one = make_study(make_scan(), rows=1, eta=False)
    made = export_study(one, tmp_path / "a", to="nifti")
    assert made.files == tuple(f"{name}.nii.gz" for name in ("denoised", "mean", "samples", "scan", "worst"))
    assert made.left_out == {
        "spread": "that takes two samples or more",
        "eta": "the lesion map was not evaluated",
    }
    with pytest.raises(InputError, match="no eta: the lesion map was not evaluated"):
        export_study(one, tmp_path / "b", to="nifti", wanted=Wanted(maps=("eta",)))
    target = make_study(make_scan(), domain="target")
    made = export_study(target, tmp_path / "c", to="dicom", wanted=Wanted(samples=(0,), images=()))
    assert made.files == ("sample_0000/IM0001.dcm",)
    assert "target domain" in export_study(target, tmp_path / "d", to="parametric-map").left_out["worst"]


def test_another_modality_is_no_ct_series_but_has_maps(tmp_path: Path) -> None:
    mr = make_study(replace(make_scan(), modality="MR", unit="a.u."))
    with pytest.raises(SeriesError, match="for CT only"):
        export_study(mr, tmp_path / "a", to="dicom")
    assert not (tmp_path / "a").exists()
    assert export_study(mr, tmp_path / "b", to="parametric-map").files == (
        "eta.dcm",
        "spread.dcm",
        "worst.dcm",
    )


def test_pictures_are_the_same_each_time_and_say_what_they_are(study: Samples, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_study(study, tmp_path / f"{name}.svg", to="svg")
        export_study(study, tmp_path / f"{name}.png", to="png")
    for ending in ("svg", "png"):
        content = (tmp_path / f"a.{ending}").read_bytes()
        assert content == (tmp_path / f"b.{ending}").read_bytes()
        assert b"not for diagnosis" in content
        assert __version__.encode() in content
    drawing = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert drawing.tag.endswith("svg")
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}image"))) >= 15
    assert "date" not in {element.tag.rsplit("}", 1)[-1] for element in drawing.iter()}
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1600, 960)
        assert np.asarray(picture).std() > 20


def test_a_picture_shows_the_slice_of_its_own_scan_only(study: Samples, tmp_path: Path) -> None:
    export_study(study, tmp_path / "with.png", to="png", scan=make_scan())
    export_study(study, tmp_path / "without.png", to="png")
    left = {}
    for name in ("with", "without"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            left[name] = float(np.asarray(picture)[120:300, 30:270].std())
    assert left["with"] > 20
    assert left["without"] == 0
    with pytest.raises(InputError, match="not the one that this study was drawn from"):
        export_study(study, tmp_path / "other.png", to="png", scan=make_scan(uid="1.2.3"))
    assert not (tmp_path / "other.png").exists()


def test_no_identity_where_a_format_has_no_place_for_it(study: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="carries no identity"):
        export_study(study, tmp_path / "a", to="nifti", template=tmp_path / "x.dcm", take_over_identity=True)


def test_asking_for_an_export_loads_nothing_heavy() -> None:
    heavy = {"torch", "highdicom", "matplotlib", "pydicom", "nibabel", "zarr"}
    code = f"import sys, ctinv.export; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_is_any_function(study: Samples, tmp_path: Path) -> None:
    said: list[str] = []
    note: Callable[[str, float], None] = lambda text, fraction: said.append(text)  # noqa: E731
    export_study(study, tmp_path / "a", to="dicom", progress=note, wanted=Wanted(samples=(0, 1)))
    assert said == [
        "writing scan",
        "writing denoised",
        "writing mean",
        "writing sample 0000",
        "writing sample 0001",
    ]
