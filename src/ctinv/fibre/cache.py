"""Factors on disk: the expensive part of a region is set up once, and serves every later seed, tier check and session.

A file holds the factor of one region: numbers derived from the network and the noise around the region, no image and no
identity. Its name is a hash of everything that decides it. Files are written under another name and renamed, checked by a
sha256 of name and content when read, and the oldest are removed beyond 2 GiB. A file that cannot be read is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ctinv.atomic import sweep, write_atomic
from ctinv.errors import ResourceError
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.factor import Factor
from ctinv.fibre.jacobian import Reach, SparseJacobian, csr

_logger = logging.getLogger(__name__)

LIMIT_BYTES = 2 * 2**30
FORMAT = "3"
_HASH_LENGTH = 32
_DAY_S = 86400.0


def cache_folder() -> Path:
    """Where factors lie: ``$CTINV_CACHE`` or the user's cache folder."""
    chosen = os.environ.get("CTINV_CACHE")
    return (Path(chosen) if chosen else Path(platformdirs.user_cache_dir("ctinv"))) / "factors"


def factor_key(facts: dict[str, Any], *arrays: Tensor) -> str:
    """A name for the factor that these facts and arrays decide."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **facts}, sort_keys=True).encode())
    for array in arrays:
        digest.update(array.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def kept_bytes(key: str) -> int:
    """Size of the file of this name, 0 where there is none."""
    try:
        return _path(key).stat().st_size
    except OSError:
        return 0


def read_factor(key: str, device: torch.device) -> Factor | None:
    """The factor of this name, or None if there is none that can be trusted."""
    path = _path(key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = content[_HASH_LENGTH:]
    if _digest(key, body) != content[:_HASH_LENGTH]:
        _logger.warning("a damaged factor was removed from the cache")
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    try:
        # Cloned, as products round differently on memory that is aligned differently, and sample k must stay the same.
        parts = {name: tensor.clone().to(device) for name, tensor in load(body).items()}
    except SafetensorError:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the oldest by use goes first
    matrix, transposed = (_sparse(parts, name) for name in ("matrix", "transposed"))
    noise = DenseNoise(parts["root"].double(), parts["mean"])
    tolerance, d_eff, radius, of, error = parts["numbers"].tolist()
    jacobian = SparseJacobian(matrix, transposed, Reach(int(radius), int(of), error))
    return Factor(jacobian, noise, parts["half_gain"], tolerance, d_eff)


def write_factor(key: str, factor: Factor) -> None:
    """Keep a factor; a full disk or a read-only folder is no error, the factor is then built again next time."""
    reach = factor.jacobian.reach
    numbers = (factor.tolerance, factor.d_eff, reach.radius, reach.of, reach.error)
    tensors = {
        "root": factor.noise.small_root,
        "mean": factor.noise.mean,
        "half_gain": factor.half_gain,
        "numbers": torch.tensor(numbers, dtype=torch.float64),
    }
    for name, matrix in (("matrix", factor.jacobian.matrix), ("transposed", factor.jacobian.transposed)):
        tensors[f"{name}.rows"], tensors[f"{name}.columns"] = matrix.crow_indices(), matrix.col_indices()
        tensors[f"{name}.values"] = matrix.values()
        tensors[f"{name}.shape"] = torch.tensor(matrix.shape)
    body = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, len(body))
        write_atomic(_path(key), _digest(key, body) + body)
    except (OSError, ResourceError) as error:
        _logger.info("the factor is not kept: %s", error)


def _digest(key: str, body: bytes) -> bytes:
    """sha256 over the name too, so that a file under another's name is not believed."""
    return hashlib.sha256(key.encode() + body).digest()


def _sparse(parts: dict[str, Tensor], name: str) -> Tensor:
    rows, columns, values = (parts[f"{name}.{part}"] for part in ("rows", "columns", "values"))
    return csr(rows, columns, values, tuple(parts[f"{name}.shape"].tolist()))


def _path(key: str) -> Path:
    return cache_folder() / f"{key}.factor"


def _make_room(folder: Path, needed: int) -> None:
    sweep(folder, older_than_s=_DAY_S)
    files = sorted(folder.glob("*.factor"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = needed
    for path in files:
        total += path.stat().st_size
        if total > LIMIT_BYTES:
            path.unlink(missing_ok=True)
