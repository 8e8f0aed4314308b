"""What a denoiser is trained for, one objective per file, behind one contract.

To add one: write a frozen dataclass of its settings with ``title`` and ``turns`` in a file of its own and add its row to
`OBJECTIVES`. The loop, the checkpoints and the data are the same for all.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn

from ctinv.errors import InputError
from ctinv.training.fit import Turn
from ctinv.training.objectives.du_gan import DuGan
from ctinv.training.objectives.l2 import L2
from ctinv.training.objectives.setting import Setting
from ctinv.training.objectives.wgan_vgg import WganVgg
from ctinv.training.typed import from_table, to_table

__all__ = ["OBJECTIVES", "Objective", "Setting", "objective_from", "objective_table"]


class Objective(Protocol):
    """Settings of an objective, which know how to make the turns of the loop."""

    @property
    def title(self) -> str:
        """What was minimised, for the model card; it names every departure from the publication."""
        ...

    def turns(self, network: nn.Module, setting: Setting) -> list[Turn]:
        """The turns of a step; the one that moves the denoiser is called ``"denoiser"``."""
        ...


OBJECTIVES: dict[str, type] = {"L2": L2, "WGAN-VGG": WganVgg, "DU-GAN": DuGan}


def objective_from(table: dict[str, Any], *, where: str) -> Objective:
    """The objective that the table ``[objective]`` of a config names.

    Raises:
        InputError: There is none of this name, or a setting of it is wrong.
    """
    rest = dict(table)
    name = rest.pop("name", "L2")
    if name not in OBJECTIVES:
        raise InputError(f"{where}: there is no objective {name!r}; choose one of {', '.join(OBJECTIVES)}.")
    found: Objective = from_table(OBJECTIVES[name], rest, where=f"{where}, [objective]")
    return found


def objective_table(objective: Objective) -> dict[str, Any]:
    """The settings as JSON-able values, with the name."""
    name = next(key for key, kind in OBJECTIVES.items() if isinstance(objective, kind))
    return {"name": name, **to_table(objective)}
