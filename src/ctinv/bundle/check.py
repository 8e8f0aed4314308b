"""MONAI's own verifiers over a bundle of this package: they resolve ``_target_`` and ``$``, so they run what it says.

So the config may import nothing but what this package writes, and `ctinv.denoiser.load_denoiser` has read its network as
data before. Bundles from elsewhere are never given to MONAI in this process.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from ctinv.bundle.configs import IMPORTS
from ctinv.errors import ModelError
from ctinv.models.ladder import find_network
from ctinv.models.own_bundle import is_own
from ctinv.models.shipped import INFERENCE, METADATA, read_config


def check_bundle(folder: Path, *, schema: Path | None = None) -> list[str]:
    """Verify a bundle of our own; needs the extra ``bundle``.

    Args:
        folder: The bundle.
        schema: MONAI's metadata schema on disk; without it, that check is left out.

    Returns:
        What was checked, in plain words.

    Raises:
        ModelError: A check failed; the text names it.
    """
    if not is_own(read_config(folder, METADATA)):
        raise ModelError(f"{folder.name} is no bundle of this package; MONAI would run what it says.")
    _refuse_imports(folder)
    find_network(folder)
    siblings_agree(folder)
    from monai.bundle import verify_metadata, verify_net_in_out

    done = ["static loader", "model.pt equals model.safetensors"]
    metadata, inference = (str(folder / "configs" / name) for name in ("metadata.json", "inference.json"))
    try:
        if schema is not None:
            digest = hashlib.md5(schema.read_bytes(), usedforsecurity=False).hexdigest()
            verify_metadata(meta_file=metadata, filepath=str(schema), hash_val=digest, hash_type="md5")
            done.append("verify_metadata")
        verify_net_in_out("network_def", meta_file=metadata, config_file=inference, device="cpu", any=48)
        done.append("verify_net_in_out")
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{folder.name} fails MONAI's own verification: {str(error).splitlines()[0][:120]}"
        ) from error
    return done


def _refuse_imports(folder: Path) -> None:
    """Raise ModelError for imports that this package does not write: MONAI runs all of them, whatever it is asked for."""
    texts = json.dumps(read_config(folder, INFERENCE))
    foreign = set(re.findall(r'"\$\s*(?:import|from)\b[^"]*"', texts)) - {json.dumps(one) for one in IMPORTS}
    if foreign:
        raise ModelError(
            f"{folder.name} imports {sorted(foreign)[0][:60]}, which no bundle of this package does."
        )


def siblings_agree(folder: Path) -> None:
    """Raise ModelError unless model.pt holds bit for bit the tensors of model.safetensors."""
    tensors = load_file(folder / "models" / "model.safetensors")
    pickled = torch.load(folder / "models" / "model.pt", map_location="cpu", weights_only=True)
    if tensors.keys() != pickled.keys() or not all(
        torch.equal(pickled[key], tensors[key]) for key in tensors
    ):
        raise ModelError(
            f"model.pt and model.safetensors of {folder.name} hold different weights; export it again."
        )
