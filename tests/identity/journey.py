"""The whole way through the product on one scan, and everything that it lets out."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BOX = "1,40:56,36:52"


@dataclass
class Heard:
    """What a program said: streams at the level of file descriptors, log records of every level, warnings, reprs, errors."""

    folder: Path
    said: list[tuple[str, str]] = field(default_factory=list)

    def note(self, sink: str, text: str) -> None:
        """Keep a text."""
        self.said.append((sink, text))

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every text by where it was heard, and the two streams."""
        yield from ((sink, text.encode("utf-8", "replace")) for sink, text in self.said)
        yield from ((name, (self.folder / name).read_bytes()) for name in ("stdout", "stderr"))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear everything inside the block; nothing of it reaches the caller's streams."""
        handler = _Recorder(self)
        root, level = logging.getLogger(), logging.getLogger().level
        with self._streams(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            root.addHandler(handler)
            root.setLevel(logging.DEBUG)
            try:
                yield
            finally:
                root.setLevel(level)
                root.removeHandler(handler)
        self.said += [("warning", f"{one.category} {one.message} {one.filename}") for one in told]

    @contextmanager
    def _streams(self) -> Iterator[None]:
        sys.stdout.flush(), sys.stderr.flush()
        kept, streams = [os.dup(1), os.dup(2)], (sys.stdout, sys.stderr)
        with (self.folder / "stdout").open("a") as out, (self.folder / "stderr").open("a") as err:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = out, err
            try:
                yield
            finally:
                out.flush(), err.flush()
                sys.stdout, sys.stderr = streams
                for number, one in zip((1, 2), kept, strict=True):
                    os.dup2(one, number)
                    os.close(one)


class _Recorder(logging.Handler):
    def __init__(self, heard: Heard) -> None:
        super().__init__(logging.DEBUG)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.heard.note(f"log of {record.name}", f"{record.getMessage()} {trace} {record.pathname}")


@dataclass(frozen=True)
class Scans:
    """The inputs: a DICOM series, the same voxels as other files, and a folder of two patients."""

    dicom: Path
    nifti: Path
    nrrd: Path
    mha: Path
    array: Path
    patients: Path


def ctinv(*words: object) -> int:
    """Run the command line in this process."""
    from ctinv.cli import main

    try:
        main([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    raise AssertionError("main returns never")


def commands(scans: Scans, bundle: Path, out: Path) -> Iterator[tuple[object, ...]]:
    """Every command that a scan or what came of it can be given to; the output names are neutral."""
    one = ("--denoiser", bundle)
    dose = ("--photons", 2000)
    study = out / "study.zarr"
    for scan in (scans.dicom, scans.nifti, scans.nrrd, scans.mha, scans.array):
        yield ("info", scan)
        yield ("--verbose", "info", scan, "--json")
    yield ("info", next(scans.dicom.iterdir()), "--uid", "#1")
    for name in ("denoised.nii.gz", "denoised.npy", "denoised_series"):
        yield ("denoise", scans.dicom, *one, "--out", out / name)
    yield ("simulate", scans.dicom, "--dose", 0.5, *dose, "--out", out / "low_series", "--json")
    yield ("denoise", scans.nifti, *one, "--out", out / "from_nifti.nii")
    drawn = ("sample", scans.dicom, *one, "--box", BOX, "--n", 6, *dose, "--out", study)
    yield ("--verbose", *drawn, "--overview", out / "overview.png")
    yield (*drawn, "--json")
    yield ("certify", study, *one, "--scan", scans.dicom)
    yield ("info", study, "--json")
    yield ("dimension", scans.dicom, *one, "--box", BOX, *dose, "--json")
    yield ("analyse", study, *one, "--out", out / "findings")
    yield (
        "find-blind", scans.dicom, *one, "--box", BOX, *dose, "--diameters", "4,6", "--device", "cpu",
        "--out", out / "blind.json", "--figure", out / "blind.png",
    )  # fmt: skip
    (out / "page.md").write_text(f"<!-- comparison {BOX} -->\n<!-- /comparison {BOX} -->\n")
    yield (
        "compare", scans.dicom, *one, *one, "--box", BOX, *dose, "--n", 2, "--device", "cpu",
        "--out", out / "compare.json", "--figure", out / "compare.png", "--table", out / "page.md",
    )  # fmt: skip
    yield (
        "layers", scans.dicom, *one, "--box", BOX, *dose, "--n", 2, "--device", "cpu", "--taps", "conv1",
        "--out", out / "layers.json", "--figure", out / "layers.png",
    )  # fmt: skip
    yield (
        "report",
        study,
        *one,
        "--analyses",
        "representatives",
        "--device",
        "cpu",
        "--out",
        out / "report.html",
    )
    yield ("report", "--replay", out / "report.json")
    names = {
        "dicom": "",
        "parametric-map": "",
        "nifti": "",
        "ome-zarr": ".ome.zarr",
        "png": ".png",
        "svg": ".svg",
    }
    for to, ending in names.items():
        yield ("export", study, "--to", to, "--out", out / f"export_{to}{ending}")
    yield (
        "population", scans.patients, *one, "--regions", "soft tissue", "--size", 16, "--n", 2, *dose, "--device", "cpu",
        "--out", out / "population.json", "--table", out / "patients.md", "--figure", out / "population.png",
    )  # fmt: skip
    (out / "tiny.toml").write_text(CONFIG)
    yield ("train", "denoiser", "--config", out / "tiny.toml", "--data", scans.patients, "--out", out / "run")


CONFIG = """
name = "tiny"
network = "CNN10"
mean = 0.0
std = 200.0
layout = "full-dose"
split = "random"
dose = 0.5
photons = 2000.0
steps = 2
batch = 1
patch = 24
margin = 7
learning_rate = 1e-3
warm_up = 1
validate_every = 2
validate_slices = 1
save_every = 1
"""


def through_the_core(scans: Scans, heard: Heard) -> None:
    """Read, list and print whatever the core hands out."""
    from ctinv.io import read
    from ctinv.io._headers import scan_folder
    from ctinv.io._quiet import quiet
    from ctinv.io.dicom import list_series
    from ctinv.population.folder import scans_of
    from ctinv.training.sources import find_pairs

    for path in (scans.dicom, scans.nifti, scans.nrrd, scans.mha, scans.array):
        volume = read(path)
        heard.note("volume", f"{volume!r} {volume.notes} {volume.acquisition} {volume.uid}")
    listed = list_series(scans.dicom)
    heard.note(
        "list", f"{listed!r} {' '.join(map(str, listed))} {[(one.kernel, one.warnings) for one in listed]}"
    )
    with quiet():
        found = scan_folder(scans.dicom)
    heard.note("headers", f"{found!r} {found.headers!r}")
    heard.note("patients", repr(list(scans_of(scans.patients))))
    heard.note("pairs", repr(find_pairs(scans.patients, "full-dose")))


def through_the_plugin(scans: Scans, study: Path, out: Path, heard: Heard) -> None:
    """Open everything as layers, print names and metadata, and save what can be saved."""
    from napari_ctinv.layers import layer_info
    from napari_ctinv.reader import get_reader
    from napari_ctinv.writer import write_dicom, write_nifti, write_ome_zarr, write_parametric_map

    for number, path in enumerate((scans.dicom, scans.nifti, scans.nrrd, scans.mha, study)):
        reader = get_reader(str(path))
        assert reader is not None, path.suffix
        layers = reader(str(path))
        write_ome_zarr(str(out / f"layers{number}.ome.zarr"), layers)
        for data, meta, kind in layers:
            heard.note("layer", f"{kind} {meta!r} {data!r}")
            heard.note("values of a layer", np.asarray(data).tobytes().decode("latin-1"))
            if path in (scans.dicom, scans.nifti):
                write_nifti(str(out / f"layer{number}.nii.gz"), data, meta)
                write_dicom(str(out / f"layer{number}_series"), data, meta)
            if layer_info(meta["metadata"])["kind"] == "map":
                write_parametric_map(str(out / f"layer{number}_{len(list(out.iterdir()))}.dcm"), data, meta)


def refused(call: Callable[[], object], heard: Heard, name: str) -> bool:
    """Whether a call is refused; its message and the trace that a person would see are kept."""
    try:
        call()
    except Exception as error:
        heard.note(f"refusal of {name}", f"{error} {error!r}")
        return True
    return False
