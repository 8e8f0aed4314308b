"""The export model on napari's model of a viewer, with the real engine, and the writers of single layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from plugin_studies import ORIENTATIONS, make_store, make_volume
from pydicom import dcmread

from ctinv.errors import InputError
from ctinv.export import FORMATS, export_study
from ctinv.io.dicom import read_series
from ctinv.io.dicom_write import write_series
from ctinv.sampler import Store
from ctinv.volume import Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import study_layers, volume_layer
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.export import PHRASE, ExportModel
from napari_ctinv.writer import write_dicom, write_ome_zarr, write_parametric_map


@pytest.fixture
def session() -> Iterator[Session]:
    viewer = ViewerModel()
    session = session_of(viewer)
    yield session
    session.close()


@pytest.fixture
def model(session: Session, store: Store, tmp_path: Path) -> ExportModel:
    """Ready to export a study of seven samples."""
    session.export.study, session.export.target = store.path, tmp_path / "out"
    return session.export


def test_each_format_is_written_by_the_engine(model: ExportModel, tmp_path: Path) -> None:
    written = {}
    for to in FORMATS:
        model.format, model.target = to, tmp_path / f"out_{to}"
        assert model.run().wait(120).state == "done", model.activity.message
        assert model.exported is not None
        written[to] = model.exported.files
        assert "without identity" in model.said
    assert len(written["dicom"]) == 3 + 7
    assert set(written["parametric-map"]) == {"scan/IM0001.dcm", "spread.dcm", "worst.dcm", "eta.dcm"}
    assert "samples.nii.gz" in written["nifti"]
    assert (tmp_path / "out_ome-zarr.ome.zarr" / "samples" / "zarr.json").is_file()
    assert (tmp_path / "out_png.png").is_file()
    assert (tmp_path / "out_svg.svg").is_file()


def test_what_is_ticked_is_written(model: ExportModel, store: Store, tmp_path: Path) -> None:
    model.samples, model.scan, model.mean = "1, 4", False, False
    assert model.run().wait(120).state == "done"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"denoised", "sample_0001", "sample_0004"}
    back = read_series(tmp_path / "out" / "sample_0004")
    np.testing.assert_array_equal(back.hu[0], store.read(4))


def test_the_study_on_the_screen_is_exported_where_no_other_is_named(
    model: ExportModel, session: Session, store: Store
) -> None:
    model.study = None
    with pytest.raises(InputError, match="no study to export"):
        model.run()
    session.invariances.study = store
    assert model.request().study == store.path


def test_a_picture_shows_the_slice_of_the_chosen_scan(
    model: ExportModel, session: Session, store: Store
) -> None:
    model.format = "png"
    assert model.request().scan is None
    add_layers(session.viewer, [volume_layer(make_volume())])
    session.invariances.study, model.study = store, None
    scan = model.request().scan
    assert scan is not None
    assert scan.shape == make_volume().shape
    assert model.run().wait(120).state == "done", model.activity.message
    model.format = "nifti"
    assert model.request().scan is None


def test_what_is_missing_is_said_before_any_work(model: ExportModel, tmp_path: Path) -> None:
    model.samples = "first"
    with pytest.raises(InputError, match="expected sample numbers"):
        model.run()
    model.samples, model.target = "all", None
    with pytest.raises(InputError, match="no target"):
        model.run()
    assert not model.activity.running


def test_a_taken_target_is_one_sentence_and_stays(model: ExportModel, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    outcome = model.run().wait(120)
    assert outcome.state == "failed"
    assert model.activity.message == "out exists already; choose another name or delete it first."
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert model.exported is None


def source_of(volume: Volume, folder: Path) -> Path:
    """A DICOM scan with a patient, whose voxels are those of the volume."""
    write_series(volume, folder, description="scan")
    for path in folder.iterdir():
        ds = dcmread(path)
        ds.PatientName, ds.PatientID = "Doe^Jane", "12345"
        ds.save_as(path)
    return folder / "IM0003.dcm"


def test_identity_needs_a_file_and_the_words(session: Session, tmp_path: Path) -> None:
    template = source_of(make_volume(), tmp_path / "source")
    store = make_store(tmp_path / "b.zarr", read_series(tmp_path / "source"), rows=2)
    model = session.export
    model.study, model.target, model.template = store.path, tmp_path / "out", template
    with pytest.raises(InputError, match="a file of the scan is named"):
        model.run()
    for words in ("yes", "take over the identity"):
        model.words = words
        with pytest.raises(InputError, match="only on the words"):
            model.run()
    model.words = f" {PHRASE.capitalize()} "
    assert model.run().wait(120).state == "done", model.activity.message
    assert "with the patient's identity" in model.said
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert str(dcmread(path).PatientName) == "Doe^Jane"


def test_the_words_without_a_file_are_refused(model: ExportModel, tmp_path: Path) -> None:
    model.words = PHRASE
    outcome = model.run().wait(120)
    assert outcome.state == "failed"
    assert "only if both are given" in model.activity.message
    assert not (tmp_path / "out").exists()


def layers_of(store: Store) -> dict[str, Any]:
    return {layer[1]["name"]: layer for layer in study_layers(store)}


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_a_map_layer_becomes_a_parametric_map(tmp_path: Path, orientation: str) -> None:
    store = make_store(tmp_path / "s.zarr", make_volume(ORIENTATIONS[orientation]), rows=3)
    layers = layers_of(store)
    expected = {"lesion map η": ("1", "ETA"), "spread [HU]": ("[hnsf'U]", "SPREAD")}
    for number, (name, (unit, label)) in enumerate(expected.items()):
        data, meta, _ = layers[name]
        (written,) = write_parametric_map(str(tmp_path / f"{number}.dcm"), data, meta)
        ds = dcmread(written)
        (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert mapping.LUTLabel == label
        values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(-1, ds.Rows, ds.Columns)
        places = [
            g.PlanePositionSequence[0].ImagePositionPatient for g in ds.PerFrameFunctionalGroupsSequence
        ]
        for frame, place in zip(values, places, strict=True):
            index = (np.array(place)[::-1] - meta["translate"]) / meta["scale"]
            np.testing.assert_allclose(index[1:], 0, atol=1e-4)
            np.testing.assert_array_equal(frame, data[round(index[0])])


def test_what_is_no_map_is_no_parametric_map_and_no_map_is_a_series(tmp_path: Path, store: Store) -> None:
    layers = layers_of(store)
    data, meta, _ = layers["f(x) cnn10"]
    with pytest.raises(InputError, match="only maps"):
        write_parametric_map(str(tmp_path / "a.dcm"), data, meta)
    data, meta, _ = layers["spread [HU]"]
    with pytest.raises(InputError, match="a map is no CT series"):
        write_dicom(str(tmp_path / "a"), data, meta)


def test_layers_of_one_scan_are_one_dicom_study(tmp_path: Path, store: Store) -> None:
    layers = layers_of(store)
    (fx,) = write_dicom(str(tmp_path / "fx"), *layers["f(x) cnn10"][:2])
    (eta,) = write_parametric_map(str(tmp_path / "eta.dcm"), *layers["lesion map η"][:2])
    export_study(store, tmp_path / "stored", to="parametric-map")
    write_series(make_volume(), tmp_path / "scan", description="scan")
    files = [
        Path(fx) / "IM0001.dcm",
        Path(eta),
        tmp_path / "stored" / "spread.dcm",
        tmp_path / "scan" / "IM0001.dcm",
    ]
    assert len({dcmread(path).StudyInstanceUID for path in files}) == 1
    assert len({dcmread(path).FrameOfReferenceUID for path in files}) == 1


def test_layers_become_one_ome_zarr_folder(tmp_path: Path, store: Store, volume: Volume) -> None:
    layers = [volume_layer(volume), *study_layers(store)]
    (written,) = write_ome_zarr(str(tmp_path / "a.ome.zarr"), layers)
    root = zarr.open_group(written, mode="r")
    names = root["OME"].attrs["ome"]["series"]
    assert len(names) == len(layers)
    for name, (data, meta, _kind) in zip(names, layers, strict=True):
        np.testing.assert_array_equal(root[name]["0"][...], np.asarray(data))
        affine = np.array(root[name].attrs["ctinv"]["affine_lps"])
        np.testing.assert_allclose(affine[2::-1, 3], meta["translate"][-3:], atol=1e-9)
        np.testing.assert_allclose(np.abs(affine[:3, :3]).sum(0), np.abs(meta["scale"][-3:]), atol=1e-9)


def test_napari_finds_the_writers_by_name_and_layers(tmp_path: Path, store: Store) -> None:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml"))
    manager.activate("napari-ctinv")
    layers = layers_of(store)
    spread = layers["spread [HU]"]

    def writer_of(name: str, count: int) -> str:
        writer, _path = manager.get_writer(str(tmp_path / name), ["image"] * count, "napari-ctinv")
        assert writer is not None, name
        return writer.command.removeprefix("napari-ctinv.")

    assert writer_of("a.dcm", 1) == "write_parametric_map"
    assert writer_of("a.nii.gz", 1) == "write_nifti"
    assert writer_of("a.zarr", 1) == writer_of("a.zarr", 3) == "write_ome_zarr"
    writer, path = manager.get_writer(str(tmp_path / "a.dcm"), ["image"], "napari-ctinv")
    assert writer is not None
    assert writer.exec(args=(path, *spread[:2]), _registry=manager.commands) == [path]
    assert dcmread(tmp_path / "a.dcm").ContentLabel == "SPREAD"
