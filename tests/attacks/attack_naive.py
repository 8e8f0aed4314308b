"""The negative control: the usual loaders, which fall for the same files. Run as a program of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")


def _torch(path: Path) -> None:
    import torch

    torch.load(path, weights_only=False)


def _pickle(path: Path) -> None:
    import pickle

    pickle.loads(path.read_bytes())


def _script(path: Path) -> None:
    import torch

    torch.jit.load(path)(torch.zeros(1, 1, 8, 8))


def _program(path: Path) -> None:
    import torch

    torch.export.load(io.BytesIO(path.read_bytes()))


def _monai(path: Path, key: str = "network_def") -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(path / "configs" / "inference.json")
    sys.path.insert(0, str(path))
    try:
        parser.get_parsed_content(key)
    finally:
        sys.path.remove(str(path))
        for name in [name for name in sys.modules if name.startswith(("scripts", "evil_module"))]:
            del sys.modules[name]


def _yaml(path: Path) -> None:
    import yaml

    yaml.unsafe_load((path / "configs" / "inference.yaml").read_text())


def _array(path: Path) -> None:
    import numpy as np

    made = np.load(path, allow_pickle=True)
    if hasattr(made, "files"):
        made["w"]


LOADERS: dict[str, Callable[[Path], Any]] = {
    "torch.load": _torch,
    "pickle": _pickle,
    "torch.jit.load": _script,
    "torch.export.load": _program,
    "monai": _monai,
    "monai d": lambda path: _monai(path, "d"),
    "monai weights": lambda path: _torch(path / "models" / "model.pt"),
    "yaml": _yaml,
    "npy": _array,
    "npz": _array,
}

if __name__ == "__main__":
    for name, path in json.loads(Path(sys.argv[1]).read_text()):
        with (
            contextlib.suppress(Exception),
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            LOADERS[name](Path(path))
