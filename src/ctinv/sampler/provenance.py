"""Provenance: where a sample comes from, as a small JSON-able record without any identity.

The key of a study is a hash of everything that decides sample k. It leaves out how many samples were asked
for, the device and the library versions, so that a study can be continued, extended and checked elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ctinv.errors import InputError
from ctinv.volume import hash_series

__all__ = ["Provenance", "hash_series", "plain"]

_NOT_IN_KEY = ("n", "device", "versions", "window_source")
# Fields that came later: at these values they are left out of the key, so that older studies keep theirs.
_LATER: dict[str, Any] = {
    "slices": 1,
    "unit": "HU",
    "step": 1.0,
    "window_source": "given",
    "generator_sha256": {},
    "domain": "input",
}
# Fitted numbers of the noise model agree between machines to about 1e-7; a key must not hang on the rest.
_KEY_DIGITS = 5


@dataclass(frozen=True)
class Provenance:
    """Everything needed to draw the same samples again.

    Attributes:
        series: sha256 of the series UID (`hash_series`), 64 hexadecimal digits.
        box: ``"z,y0:y1,x0:x1"`` in the voxels of the scan as read.
        volume_shape: (Z, Y, X) of the whole scan.
        affine: 4 x 4 of the whole scan, index (z, y, x, 1) to mm (LPS).
        denoiser: Name of the denoiser.
        weights_sha256: sha256 of each weight file by its bare name.
        tap: Layer at which the representation is taken.
        generator: Name of the generator of candidates.
        tier: Tier that was asked for.
        tolerance: ε, in `tolerance_unit`.
        tolerance_unit: The unit of the scan, ``"HU"`` for a CT, or ``"relative"``.
        window_hu: Width W of the display window of tier T2 in the scan's unit.
        noise: Source and parameters of the noise covariance C; JSON values only.
        seed: Seed of the draws.
        n: Number of samples asked for.
        device: Device the samples were drawn on.
        versions: Versions of ctinv, torch, numpy and, as ``"method"``, of the sampling rule itself.
        slices: Neighbouring slices that the denoiser sees; the middle one is denoised.
        unit: Unit of the scan; whatever a name calls ``hu`` is in it.
        step: Step q of the scan's stored numbers, by which tier T1 is defined, in its unit.
        window_source: ``"given"``, ``"usual"``, ``"header"`` or ``"percentiles 1 to 99"``.
        generator_sha256: sha256 of each weight file of a trained generator; empty for the others.
        domain: ``"input"`` where samples are scans, ``"target"`` where they are images as f should make them.

    Raises:
        InputError: The series is not a hash, or a value has no JSON form.
    """

    series: str
    box: str
    volume_shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]
    denoiser: str
    weights_sha256: dict[str, str]
    tap: str
    generator: str
    tier: str
    tolerance: float
    tolerance_unit: str
    window_hu: float
    noise: dict[str, Any]
    seed: int
    n: int
    device: str
    versions: dict[str, str]
    slices: int = 1
    unit: str = "HU"
    step: float = 1.0
    window_source: str = "given"
    generator_sha256: dict[str, str] = field(default_factory=dict)
    domain: str = "input"

    def __post_init__(self) -> None:
        if re.fullmatch(r"[0-9a-f]{64}", self.series) is None:
            raise InputError(
                "provenance holds the sha256 of a series UID, never the UID; use hash_series(uid)."
            )
        set_field = object.__setattr__  # the one way to normalise fields of a frozen dataclass
        set_field(self, "volume_shape", tuple(int(size) for size in self.volume_shape))
        set_field(self, "affine", tuple(tuple(float(value) for value in row) for row in self.affine))
        for name in ("tolerance", "window_hu", "step"):
            set_field(self, name, float(getattr(self, name)))
        for name in ("seed", "n", "slices"):
            set_field(self, name, int(getattr(self, name)))
        for name in ("weights_sha256", "generator_sha256", "noise", "versions"):
            set_field(self, name, plain(getattr(self, name)))

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; `from_json` gives an equal record back."""
        return dict(plain(asdict(self)))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Provenance:
        """Read what `to_json` wrote.

        Raises:
            InputError: A field is missing or unknown.
        """
        wanted, given = {field.name for field in fields(cls)}, {*_LATER, *data}
        if wanted != given:
            raise InputError(
                f"provenance does not fit this version: missing or unknown fields {sorted(wanted ^ given)}."
            )
        return cls(**data)

    def with_n(self, n: int) -> Provenance:
        """The same record for another number of samples; its key stays."""
        return replace(self, n=n)

    def deciding(self) -> dict[str, Any]:
        """The fields that decide sample k, as JSON values; floats rounded to 5 significant digits."""
        data = {name: value for name, value in self.to_json().items() if name not in _NOT_IN_KEY}
        data = {name: value for name, value in data.items() if _LATER.get(name) != value}
        data["method"] = self.versions.get("method", "")
        return dict(_rounded(data))

    def key(self) -> str:
        """16 hexadecimal digits, equal for requests that give the same sample k whatever n and device are."""
        text = json.dumps(self.deciding(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: Provenance) -> dict[str, tuple[Any, Any]]:
        """Deciding fields in which two records differ: name → (value here, value there)."""
        mine, theirs = self.deciding(), other.deciding()
        both = [{**_LATER, **record} for record in (mine, theirs)]
        return {name: (both[0][name], both[1][name]) for name in both[0] if both[0][name] != both[1][name]}


def plain(value: Any) -> Any:
    """Python's own JSON types for nested dicts, sequences and NumPy numbers.

    Raises:
        InputError: A value has no JSON form, such as an array, NaN or a non-string key.
    """
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InputError("provenance needs strings as keys.")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise InputError(
        f"provenance holds finite numbers, text, lists and dicts; got {type(value).__name__} {value!r:.40}."
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.{_KEY_DIGITS - 1}e}") + 0.0
    return rounded if math.isfinite(rounded) else value  # the largest numbers round up to infinity
