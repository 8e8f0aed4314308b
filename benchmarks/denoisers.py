"""Every shipped denoiser beside the unprocessed low dose and classical filters at their best setting.

    python benchmarks/denoisers.py                       everything that is installed
    python benchmarks/denoisers.py --only networks       the classical figures stay as they are
    python benchmarks/denoisers.py --only nlm bilateral
    python benchmarks/denoisers.py --only                the page from the figures there are

Reads the pairs of scripts/prepare_training_data.py; writes docs/denoisers.json and the tables of docs/denoisers.md. The
setting of a filter is the one of least body RMSE on three slices of the validation patient; then all slices of the
validation and the test patient are measured. BM3D needs ``pip install bm3dornl`` (MIT) and Python 3.12 or later, but no
torch: ``PYTHONPATH=src python3.12 benchmarks/denoisers.py --only bm3d``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ctinv.jsonable import dumps
from ctinv.quality.fidelity import body_rmse
from ctinv.quality.measure import measure
from ctinv.quality.table import LEGEND, absolute, full_row, table, verdict

DOCS = Path(__file__).parent.parent / "docs"
PATIENTS = {"chest_lung2": "validation", "abdomen_ts": "test"}
SEARCHED_ON = "chest_lung2"
SEARCH_SLICES = (5, 15, 25)
LOWEST_HU, SPAN_HU = -1024.0, 4096.0
BEGIN, END = "<!-- figures: written by benchmarks/denoisers.py -->", "<!-- end of figures -->"

Image = NDArray[np.float32]
Setting = dict[str, float]


def nlm(image: Image, *, h_hu: float, sigma_hu: float, patch: float, distance: float) -> Image:
    """Non-local means of scikit-image, in float64: its running sums of squared HU need it."""
    from skimage.restoration import denoise_nl_means

    found = denoise_nl_means(
        image.astype(np.float64),
        patch_size=int(patch),
        patch_distance=int(distance),
        h=h_hu,
        sigma=sigma_hu,
        fast_mode=True,
    )
    return found.astype(np.float32)


def bilateral(image: Image, *, range_hu: float, spatial_px: float) -> Image:
    """Bilateral filter of ITK; that of scikit-image 0.26 is off by the noise itself on images in HU."""
    import itk

    found = itk.BilateralImageFilter.New(
        Input=itk.image_from_array(np.ascontiguousarray(image)), DomainSigma=spatial_px, RangeSigma=range_hu
    )
    found.SetNumberOfRangeGaussianSamples(1000)
    found.Update()
    return np.asarray(itk.array_from_image(found.GetOutput()), dtype=np.float32)


def bm3d(image: Image, *, sigma_hu: float) -> Image:
    """BM3D for white noise; bm3dornl works on values in [0, 1]."""
    from bm3dornl import bm3d_ring_artifact_removal

    if image.min() < LOWEST_HU or image.max() > LOWEST_HU + SPAN_HU:
        image = np.clip(image, LOWEST_HU, LOWEST_HU + SPAN_HU)
    unit = ((image - LOWEST_HU) / SPAN_HU).astype(np.float32)
    found = bm3d_ring_artifact_removal(unit, mode="generic", sigma_random=sigma_hu / SPAN_HU)
    return (found * SPAN_HU + LOWEST_HU).astype(np.float32)


FILTERS: dict[str, tuple[str, str, Callable[..., Image], dict[str, list[float]]]] = {
    "nlm": (
        "non-local means",
        "scikit-image",
        nlm,
        {
            "h_hu": [6, 9, 12, 15, 18, 22, 27, 33],
            "sigma_hu": [0, 8, 13, 18, 23],
            "patch": [3, 5, 7],
            "distance": [3, 5, 7, 10],
        },
    ),
    "bilateral": (
        "bilateral",
        "itk-filtering",
        bilateral,
        {
            "range_hu": [20, 30, 40, 50, 60, 75, 90, 120, 160],
            "spatial_px": [0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0],
        },
    ),
    "bm3d": ("BM3D", "bm3dornl", bm3d, {"sigma_hu": [15, 20, 25, 30, 35, 40, 50, 60]}),
}


def pair(data: Path, name: str) -> tuple[Image, Image, float]:
    """Low and full dose of a patient, memory-mapped, and the size of a pixel in mm."""
    low, full = (np.load(data / f"{name}_{side}.npy", mmap_mode="r") for side in ("low", "full"))
    facts = json.loads((data / f"{name}.json").read_text(encoding="utf-8"))
    return low, full, float(facts["spacing_mm"][-1])


def search(key: str, data: Path) -> dict[str, Any]:
    """The setting of least RMSE on three slices of the validation patient, and every one that was tried.

    One value after the other is moved to its neighbours on the grid as long as that helps.
    """
    _, _, function, grid = FILTERS[key]
    low, full, _ = pair(data, SEARCHED_ON)
    tried: dict[tuple[int, ...], float] = {}

    def setting(place: tuple[int, ...]) -> Setting:
        return {name: values[i] for (name, values), i in zip(grid.items(), place, strict=True)}

    def rmse(place: tuple[int, ...]) -> float:
        if place not in tried:
            of = [body_rmse(function(low[z].copy(), **setting(place)), full[z]) for z in SEARCH_SLICES]
            tried[place] = round(float(np.mean(of)), 4)
            print(key, setting(place), tried[place], flush=True)
        return tried[place]

    best, before = tuple(len(values) // 2 for values in grid.values()), None
    while best != before:
        before = best
        for axis, values in enumerate(grid.values()):
            line = [
                (*best[:axis], i, *best[axis + 1 :]) for i in (best[axis] - 1, best[axis], best[axis] + 1)
            ]
            best = min((place for place in line if 0 <= place[axis] < len(values)), key=rmse)
    return {
        "setting": setting(best),
        "searched_on": {"patient": SEARCHED_ON, "slices": SEARCH_SLICES},
        "grid": grid,
        "tried": [{**setting(place), "rmse_hu": of} for place, of in tried.items()],
    }


def networks(low: Image) -> Iterator[tuple[str, Callable[[int], Image], dict[str, Any]]]:
    """Every shipped CT denoiser as a function of the slice number, with its weights' hash."""
    from ctinv.denoiser import denoise_slices, load_denoiser
    from ctinv.models.shipped import shipped

    for name in shipped():
        denoiser = load_denoiser(name)
        if denoiser.unit != "HU":
            continue
        about = {
            "parameters": sum(weight.numel() for weight in denoiser.network.parameters()),
            "weights_sha256": denoiser.weights_sha256,
        }

        def one(z: int, denoiser: Any = denoiser) -> Image:
            return next(iter(denoise_slices(denoiser, low, first=z, last=z + 1)))

        yield name, one, about


def measured(found: dict[str, Any], key: str, data: Path) -> None:
    """Add the figures of one filter, or of all networks, for both patients."""
    if key != "networks":
        package = f"{FILTERS[key][1]} {importlib.metadata.version(FILTERS[key][1])}"
        known = found["filters"].get(key, {})
        if (known.get("package"), known.get("grid")) != (package, FILTERS[key][3]):  # else the search stands
            found["filters"][key] = {"label": FILTERS[key][0], "package": package, **search(key, data)}
    for name, role in PATIENTS.items():
        low, full, spacing = pair(data, name)
        images: dict[str, Callable[[int], Image]] = {"low": lambda z, low=low: np.asarray(low[z])}
        if key == "networks":
            found["networks"] = {}
            for network, function, about in networks(low):
                images[network], found["networks"][network] = function, about
        else:
            setting = found["filters"][key]["setting"]
            images[key] = lambda z, low=low, s=setting: FILTERS[key][2](np.asarray(low[z]), **s)
        rows = measure(full, images, range(len(full)), spacing_mm=spacing)
        of = found["patients"].setdefault(name, {"role": role, "images": {}})
        of |= {
            "slices": len(full),
            "spacing_mm": spacing,
            "places": rows.pop("places"),
            "full": rows.pop("full"),
        }
        of["images"] |= rows
        for image, row in rows.items():
            print(name, image, {k: round(v, 4) for k, v in row.items() if v is not None}, flush=True)


def page(found: dict[str, Any]) -> str:
    """The tables, and what they say, in Markdown."""
    labels = {key: f"{of['label']}, best setting" for key, of in found["filters"].items()}
    parts = []
    for name, of in found["patients"].items():
        rows = {"full dose": full_row(of["full"]), "low dose, 25 %": of["images"]["low"]}
        rows |= {label: of["images"][key] for key, label in labels.items()}
        rows |= {f"`{network}`": of["images"][network] for network in found["networks"]}
        places = of["places"]
        parts.append(f"## {name}, {of['role']} patient, {of['slices']} slices")
        parts.append(table(rows))
        parts.append(
            f"{absolute(of['full'])} {places['squares']} squares, {places['edges']} edges, "
            f"{places['low_edges']} low-contrast edges."
        )
        classical = {of_["label"]: of["images"][key] for key, of_ in found["filters"].items()}
        said = {
            network: verdict(of["images"][network], of["images"]["low"], classical)
            for network in found["networks"]
        }
        parts.append("\n".join(f"- `{network}`: {' '.join(lines)}" for network, lines in said.items()))
    settings = [
        f"- {of['label']} ({of['package']}): "
        + ", ".join(f"{key} {value:g}" for key, value in of["setting"].items())
        + f"; the best of {len(of['tried'])} on slices {', '.join(map(str, of['searched_on']['slices']))} of {SEARCHED_ON}."
        for of in found["filters"].values()
    ]
    return "\n\n".join(
        [*(part for part in parts if part), LEGEND, "## Settings of the filters", "\n".join(settings)]
    )


def write_atomic(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def installed(key: str) -> bool:
    if key == "networks":
        return True
    try:
        importlib.metadata.version(FILTERS[key][1])
    except importlib.metadata.PackageNotFoundError:
        print(f"{FILTERS[key][1]} is not installed: {key} stays as it was")
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [*FILTERS, "networks"]
    cache = Path(platformdirs.user_cache_dir("ctinv")) / "public_ct" / "pairs"
    parser.add_argument("--data", type=Path, default=cache, help="folder of the pairs")
    parser.add_argument("--only", nargs="*", choices=everything, default=everything, metavar="WHAT")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where denoisers.json and denoisers.md lie")
    arguments = parser.parse_args()
    figures, document = arguments.docs / "denoisers.json", arguments.docs / "denoisers.md"
    found = json.loads(figures.read_text(encoding="utf-8")) if figures.is_file() else {}
    found = {"filters": {}, "networks": {}, "patients": {}, **found}
    for key in arguments.only:
        if installed(key):
            measured(found, key, arguments.data)
            write_atomic(figures, dumps(found, indent=1) + "\n")
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomic(document, f"{before}{BEGIN}\n\n{page(found)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
