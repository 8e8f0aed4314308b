"""MONAI dictionary transforms around the core functions: low-dose simulation, denoising, sampling of
invariances.

Axis order. A ``MetaTensor`` has MONAI's axes, (1, x, y) or (1, x, y, z), with an affine from index to mm in
RAS. A plain array or tensor has the axes of a NumPy image, (1, y, x) or (1, z, y, x), and 1 mm voxels.
`to_volume` brings both to a `Volume`, (z, y, x) with an affine to mm in LPS, and `from_volume` back. Nothing
is resampled or flipped: the denoisers were trained on axial slices with rows towards posterior and columns
towards the left, so put ``Orientationd(keys, axcodes="LPS")`` after ``LoadImaged``.

Importing this module imports ``monai.transforms``, which takes seconds; nothing else in the package imports
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray
from torch import Tensor, nn

from ctinv.denoiser import denoise_slices
from ctinv.errors import InputError
from ctinv.simulate import simulate_low_dose
from ctinv.volume import Box, Volume

__all__ = ["Denoised", "SampleInvariancesd", "SimulateLowDosed", "from_volume", "to_volume"]

_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
_ZYX_XYZ = np.eye(4)[[2, 1, 0, 3]]  # reverses the order of the index; its own inverse


class _Sampler(Protocol):
    """What `SampleInvariancesd` needs of an `InvarianceSampler`, whose layer lies above."""

    def sample(self, volume: Volume, box: Box, *, n: int, seed: int) -> Any: ...


def to_volume(image: Tensor | NDArray[Any], *, modality: str = "CT", unit: str = "") -> Volume:
    """A channel-first image as a volume; see the module for the axis order.

    Args:
        image: (1, …) in HU, or in the unit of another modality.
        modality: ``"CT"``, ``"MR"`` or ``"PT"``; an image does not say.
        unit: Unit of the values, that of the modality by default.

    Raises:
        InputError: There is more than one channel, or not two or three spatial axes, or the modality is unknown.
    """
    if image.ndim not in (3, 4) or image.shape[0] != 1:
        raise InputError(f"expected one channel and 2 or 3 axes, (1, …), got shape {tuple(image.shape)}.")
    hu = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    hu = np.ascontiguousarray(hu[0], dtype=np.float32)
    affine = np.eye(4)
    if isinstance(image, MetaTensor):
        hu = np.ascontiguousarray(hu.T)  # (x, y[, z]) to ([z,] y, x)
        affine = _LPS_RAS @ _full_affine(image.affine.detach().cpu().numpy()) @ _ZYX_XYZ
    hu = hu if hu.ndim == 3 else hu[None]
    uid = "sha256:" + hashlib.sha256(hu.tobytes()).hexdigest()
    return Volume(hu=hu, affine=affine, uid=uid, modality=modality, unit=unit)


def from_volume(volume: Volume, like: Tensor | NDArray[Any]) -> Tensor | NDArray[np.float32]:
    """A volume as an image of the kind and number of axes of ``like``: MetaTensor, tensor on its device, or
    array.

    A MetaTensor takes the volume's affine and keeps the other metadata of ``like``.
    """
    hu = volume.hu
    if like.ndim == 3:
        if hu.shape[0] != 1:
            raise InputError(f"expected one slice for an image of two axes, got {hu.shape[0]}.")
        hu = hu[0]
    if isinstance(like, MetaTensor):
        data = torch.from_numpy(np.ascontiguousarray(hu.T)[None]).to(like.device)
        affine = torch.from_numpy(_LPS_RAS @ volume.affine @ _ZYX_XYZ)
        history = like.applied_operations if data.shape == like.shape else None  # so that Invertd still works
        return MetaTensor(data, affine=affine, meta=_without_affine(like), applied_operations=history)
    if isinstance(like, Tensor):
        return torch.from_numpy(np.array(hu)[None]).to(like.device)
    return np.array(hu)[None]


def _without_affine(image: MetaTensor) -> dict[str, Any]:
    return {key: value for key, value in image.meta.items() if key != "affine"}


def _full_affine(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 4 x 4 affine of an image that may have a 3 x 3 one because it has two axes."""
    if affine.shape == (4, 4):
        return affine.astype(np.float64)
    full = np.eye(4)
    full[:2, :2], full[:2, 3] = affine[:2, :2], affine[:2, 2]
    return full


class SimulateLowDosed(MapTransform):
    """Insert the noise of a lower dose, `ctinv.simulate.simulate_low_dose`.

    Args:
        keys: Images in HU, replaced.
        dose: Fraction of the scan's dose.
        seed: The same seed and the same scan give the same noise.
        photons: Photons per detector element and view of the scan; None as in `simulate_low_dose`.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        dose: float,
        seed: int,
        photons: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.dose, self.seed, self.photons = dose, seed, photons

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each image by its low-dose counterpart, same place, same metadata."""
        output = dict(data)
        for key in self.key_iterator(output):
            low = simulate_low_dose(
                to_volume(output[key]), dose=self.dose, seed=self.seed, photons=self.photons
            )
            output[key] = from_volume(low, output[key])
        return output


class Denoised(MapTransform):
    """Denoise slice by slice.

    Args:
        keys: Images in HU, replaced.
        denoiser: HU to HU, (B, 1, H, W), as from `ctinv.load_denoiser`; a 2.5-D one sees the neighbouring slices, and at
            the ends of the image the first or last slice again.
        batch_size: Slices per pass.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        denoiser: nn.Module,
        *,
        batch_size: int = 4,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.denoiser, self.batch_size = denoiser, batch_size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each image by its denoised one, same place, same metadata."""
        output = dict(data)
        for key in self.key_iterator(output):
            volume = to_volume(output[key])
            planes = list(denoise_slices(self.denoiser, volume.hu, batch_size=self.batch_size))
            output[key] = from_volume(volume.with_hu(np.stack(planes)), output[key])
        return output


class SampleInvariancesd(MapTransform):
    """Sample certified invariances of a region.

    Args:
        keys: Scans in HU, kept as they are.
        sampler: An `InvarianceSampler`, or anything with its ``sample``.
        box: The region, in (z, y, x) voxels of the volume (for a MetaTensor: z is its last axis, x its
            first).
        modality: Of the scans, ``"CT"``, ``"MR"`` or ``"PT"``.
        n: Samples.
        seed: Seed of the noise.
        output_postfix: Samples go to ``<key>_<postfix>``, of shape (n, y, x), or (n, x, y[, 1]) with the
            region's affine for a MetaTensor; the certificates, a tuple, to ``<key>_<postfix>_certificates``.
        allow_missing_keys: As in MONAI.
    """

    def __init__(
        self,
        keys: KeysCollection,
        sampler: _Sampler,
        box: Box,
        *,
        modality: str = "CT",
        n: int = 250,
        seed: int = 0,
        output_postfix: str = "invariances",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.sampler, self.box, self.modality = sampler, box, modality
        self.n, self.seed, self.output_postfix = n, seed, output_postfix

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add samples and certificates for each key."""
        output = dict(data)
        for key in self.key_iterator(dict(data)):
            image, volume = output[key], to_volume(output[key], modality=self.modality)
            samples = self.sampler.sample(volume, self.box, n=self.n, seed=self.seed)
            region = volume[self.box]
            images = [from_volume(region.with_hu(x[0][None]), image) for x in np.asarray(samples.x_tilde)]
            output[f"{key}_{self.output_postfix}"] = _stacked(images)
            output[f"{key}_{self.output_postfix}_certificates"] = tuple(samples.certificates)
        return output


def _stacked(images: list[Any]) -> Any:
    """Images (1, …) joined along the channel axis; the metadata are those of the first."""
    if isinstance(images[0], MetaTensor):
        joined = torch.cat([image.as_tensor() for image in images])
        return MetaTensor(joined, affine=images[0].affine, meta=_without_affine(images[0]))
    return torch.cat(images) if isinstance(images[0], Tensor) else np.concatenate(images)
