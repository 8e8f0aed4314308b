"""Nothing of a patient leaves: not in a file, a name, a stream, a log, a warning, a layer, a cache or a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import canaries
import numpy as np
import pytest
from canaries import PLACES, number, word
from finder import files_below, leaks
from journey import Heard, Scans, commands, ctinv, through_the_core, through_the_plugin

from ctinv.io.identity import digest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Scans:
    """The inputs, every one called by the name of the patient."""
    folder = tmp_path_factory.mktemp("in")
    hu, person = canaries.voxels(), f"{word('nifti file')}_{number('patient ID')}"
    dicom = canaries.write_series(folder / "one", hu)
    patients = folder / f"{word('folder')}_patients"
    for index, seed in enumerate((4, 5)):
        place = canaries.write_series(folder / f"patient{index}", canaries.voxels(seed), series=f".{index}")
        patients.mkdir(exist_ok=True)
        place.rename(patients / f"{word('folder')}_{word('family name')}{index}")
    array = folder / f"{word('array file')}_{canaries.DATES['birth date']}.npy"
    np.save(array, hu)
    return Scans(
        dicom=dicom,
        nifti=canaries.write_nifti(folder / f"{person}.nii.gz", hu),
        nrrd=canaries.write_nrrd(folder / f"{person}.nrrd", hu),
        mha=canaries.write_mha(folder / f"{person}.mha", hu),
        array=array,
        patients=patients,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small network that smooths."""
    import torch

    from ctinv.bundle import export_bundle
    from ctinv.networks import CNN10

    network = CNN10(channels=(6, 4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.conv1.weight[0, 0, 3:6, 3:6] += 1.0 / 9.0
        network.conv1.bias[0] += 2.0  # keeps air, which the network sees as -1, above the ReLU
        network.conv2.weight[0, 0, 1, 1] += 1.0
        network.conv3.weight[0, 0, 2, 2] += 1.0
        network.conv3.bias -= 2.0
    return export_bundle(
        tmp_path_factory.mktemp("bundle") / "small",
        network=network,
        target="CNN10",
        name="small",
        mean=0.0,
        std=1000.0,
        taps={"conv1": "relu1"},
        arguments={"channels": [6, 4]},
    )


@pytest.fixture(scope="module")
def gone(
    scans: Scans, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Heard]]:
    """The folder of everything that was written, and everything that was said."""
    out, said = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("said")
    heard = Heard(said)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(out / "home" / name.lower()))
        patch.setenv("CTINV_CACHE", str(out / "home" / "cache"))
        with heard.listening():
            through_the_core(scans, heard)
            for words in commands(scans, bundle, out):
                assert ctinv(*words) == 0, (words, (said / "stderr").read_text()[-2000:])
            assert ctinv("verify", out / "study.zarr") == 0
            assert ctinv("info", scans.patients) == 0
            through_the_plugin(scans, out / "study.zarr", out, heard)
        yield out, heard


def test_no_file_and_no_name_of_a_file_holds_a_word(gone: tuple[Path, Heard]) -> None:
    out, _ = gone
    written = {path.relative_to(out).parts[0] for path in out.rglob("*") if path.is_file()}
    assert written >= {
        "denoised.nii.gz", "denoised.npy", "denoised_series", "low_series", "study.zarr", "overview.png", "findings",
        "blind.json", "blind.png", "compare.png", "layers.png", "report.html", "report.json", "population.json",
        "population.png", "run", "home", "layer0.nii.gz", "layer0_series", "export_dicom", "export_parametric-map",
        "export_nifti", "export_ome-zarr.ome.zarr", "export_png.png", "export_svg.svg", "layers0.ome.zarr",
        "layers4.ome.zarr",
    }  # fmt: skip
    assert any(path.suffix == ".npy" for path in (out / "home").rglob("*"))
    assert leaks(files_below(out), PLACES) == {}


def test_nothing_that_was_said_holds_a_word(gone: tuple[Path, Heard]) -> None:
    _, heard = gone
    sinks = {sink for sink, _ in heard.contents()}
    assert {"volume", "list", "headers", "patients", "pairs", "layer", "stdout", "stderr"} <= sinks
    assert b"study.zarr" in dict(heard.contents())["stdout"] + dict(heard.contents())["stderr"]
    assert leaks(heard.contents(), PLACES) == {}


def test_no_hash_of_the_patient_leaves_either(gone: tuple[Path, Heard]) -> None:
    """Somebody who guesses name and number could compare it."""
    out, heard = gone
    guesses = {digest(number("patient ID") + more, canaries.PERSON) for more in ("", ".0", ".1")}
    guesses |= {digest(canaries.PERSON)} | {digest(number("patient ID") + more) for more in (".0", ".1")}
    for name, content in (*files_below(out), *heard.contents()):
        assert not [one for one in guesses if one[:8].encode() in content], name


def test_one_word_too_much_would_be_found(gone: tuple[Path, Heard]) -> None:
    out, heard = gone
    found = leaks(
        [(name, content + word("family name").encode()) for name, content in files_below(out)][:5], PLACES
    )
    assert set.union(*found.values()) == {"family name"}
    told = Heard(heard.folder, [("a", PLACES["birth date"])])
    assert leaks(told.contents(), PLACES) == {"a": {"birth date"}}


def test_what_was_written_says_what_it_is(gone: tuple[Path, Heard]) -> None:
    from pydicom import dcmread

    from ctinv import __version__

    out, _ = gone
    words = (b"derived or synthetic", b"not for diagnosis")
    for name in (
        "report.html",
        "overview.png",
        "blind.png",
        "compare.png",
        "layers.png",
        "population.png",
        "export_png.png",
        "export_svg.svg",
        "export_ome-zarr.ome.zarr/zarr.json",
        "layers4.ome.zarr/zarr.json",
    ):
        content = (out / name).read_bytes().lower()
        assert all(one in content for one in words), name
        assert __version__.encode() in content, name
    assert all(one in (out / "study.zarr" / "zarr.json").read_bytes().lower() for one in words)
    for folder in (
        "denoised_series",
        "low_series",
        "layer0_series",
        "export_dicom/sample_0000",
        "export_parametric-map",
    ):
        ds = dcmread(next((out / folder).glob("*.dcm")))
        assert all(one.decode() in ds.ImageComments.lower() for one in words), folder
