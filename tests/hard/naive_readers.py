"""What tutorials do: the libraries' own readers, used as they come. They are here to be convicted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Read = tuple[NDArray[Any], NDArray[np.float64], tuple[str, ...]]


def nibabel_as_it_is(path: Path, modality: str) -> Read:
    """Values and affine of nibabel; the affine is in RAS, which the tutorial does not know."""
    import nibabel as nib

    image: Any = nib.load(path)
    return image.get_fdata().transpose(2, 1, 0), image.affine[:, [2, 1, 0, 3]], ()


def nibabel_in_lps(path: Path, modality: str) -> Read:
    """The same by somebody who knows of LPS."""
    values, affine, _ = nibabel_as_it_is(path, modality)
    return values, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, ()


def itk_as_it_is(path: Path, modality: str) -> Read:
    """ITK's reader, which finds the format itself."""
    import itk

    image = itk.imread(str(path))
    affine = np.eye(4)
    direction = np.asarray(itk.array_from_matrix(image.GetDirection()))
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return itk.array_from_image(image), affine, ()


def main(folder: Path, names: list[str]) -> None:
    """Judge ITK on the named cases, in this process, which a damaged file may end; prints the verdicts as JSON."""
    import json
    import warnings
    from dataclasses import asdict

    from image_cases import CASES as IMAGES
    from judge_files import judge
    from nifti_cases import CASES as NIFTI

    warnings.simplefilter("ignore")
    wanted = [case for case in [*NIFTI, *IMAGES] if case.name in names]
    for number, case in enumerate(wanted):
        print(json.dumps(asdict(judge(case, folder / str(number) / "c", itk_as_it_is))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
