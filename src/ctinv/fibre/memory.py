"""How much memory a region takes, known before anything is allocated."""

from __future__ import annotations

import psutil
import torch

from ctinv.errors import ResourceError
from ctinv.fibre.covariance import RING
from ctinv.fibre.factor import PRODUCT_BYTES
from ctinv.fibre.iterative import MARGIN
from ctinv.fibre.region import Region

DENSE_PIXELS_CPU = 96 * 96
DENSE_PIXELS_GPU = 128 * 128
_BYTES_PER_ENTRY = 44  # of J: coordinates, values, CSR and its transpose while it is built
_LARGEST_JACOBIAN = 6 * 2**30
_SHARE = 0.8
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")


def is_small(region: Region) -> bool:
    """Whether the region has few enough pixels for one dense factor; larger ones are solved by conjugate gradients."""
    height, width = region.shape
    most = DENSE_PIXELS_CPU if region.context.device.type == "cpu" else DENSE_PIXELS_GPU
    return height * width <= most


def is_dense(region: Region, radius: int | None = None) -> bool:
    """Whether there is one dense factor: the region is small, and J, known up to a radius, fits as a matrix."""
    return is_small(region) and is_sparse(region, radius)


def is_sparse(region: Region, radius: int | None = None) -> bool:
    """Whether J is kept as a matrix: not where radius, channels and region together make it too large.

    Args:
        region: The region.
        radius: Pixels on each side up to which J is taken; the receptive-field radius by default.
    """
    return _entries(region, radius) * _BYTES_PER_ENTRY <= _LARGEST_JACOBIAN


def _entries(region: Region, radius: int | None) -> int:
    height, width = region.shape
    reach = region.tap_radius if radius is None else radius
    return int(height * width * (2 * reach + 1) ** 2 * region.reference.shape[1])


def estimate_bytes(region: Region, radius: int | None = None) -> int:
    """Peak memory of setting a region up and sampling it, in bytes; within about a factor of 1.5."""
    height, width = region.shape
    pixels = height * width
    entries = _entries(region, radius) if is_sparse(region, radius) else 0
    if is_dense(region, radius):
        frame = (height + 2 * RING) * (width + 2 * RING)
        product = min(8 * region.reference[0].numel() * pixels, PRODUCT_BYTES)
        linear = max(24 * frame**2, 16 * frame**2 + 32 * pixels**2 + product)
    else:
        linear = 25 * (max(height, width) + 2 * MARGIN + 32) ** 2 * 8 * 8
    hidden = 64 * 4 * 4 * region.images_per_pass * region.context[0].numel()
    samples = 25 * 4 * 6 * region.reference[0].numel()
    return int(entries * _BYTES_PER_ENTRY + linear + hidden + samples)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch has no class of its own for that of the CPU and of its libraries."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def check_memory(region: Region, budget: int | None, radius: int | None = None) -> None:
    """Raise ResourceError with the numbers if the region does not fit.

    Args:
        region: The region.
        budget: Bytes that may be used; 80 % of what is free by default.
        radius: Pixels on each side up to which J is taken; the receptive-field radius by default.
    """
    available = int(_SHARE * free_bytes(region.context.device)) if budget is None else budget
    needed = estimate_bytes(region, radius)
    if needed > available:
        height, width = region.shape
        raise ResourceError(
            f"a region of {height} x {width} voxels at {region.representation.tap!r} needs about "
            f"{needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB may be used; choose a smaller box."
        )


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return int(psutil.virtual_memory().available)
