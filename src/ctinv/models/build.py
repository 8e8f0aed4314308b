"""The allow-list of classes, and a network built from one of them without running anything else.

The list is a dict of classes, not of names: the networks of this package, and the public ``nn.Module`` classes of
``monai.networks.nets``, which are looked up only when one is asked for. A network is built on torch's meta device
first, where it has shapes and no memory, so that its size is known before any is spent.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from ctinv.errors import CodeError, CtinvError, ModelError
from ctinv.models.literals import can_fetch, refuse_fetching
from ctinv.networks import NETWORKS

MAX_PARAMETERS = 200_000_000
OURS, MONAI = "ctinv.networks.", "monai.networks.nets."


def network_class(target: str) -> type[nn.Module]:
    """The class that a target names: ours by its name in any case or with ``ctinv.networks.``, MONAI's by its full path.

    Raises:
        ModelError: It is not on the allow-list.
    """
    name = our_name(target)
    found = None if name is None else NETWORKS[name].network
    if target.startswith(MONAI):
        module, _, name = target.removeprefix(MONAI).rpartition(".")
        found = _monai_classes().get(name)
        if found is not None and module and found.__module__ != f"{MONAI}{module}":
            found = None
    if found is None:
        raise CodeError(
            f"network_def asks for {target[:40]!r}, which is not allowed",
            "; allowed are the networks of ctinv.networks and of monai.networks.nets",
        )
    return found


def our_name(target: str) -> str | None:
    """Name in `ctinv.networks.NETWORKS` that a target or a word such as ``redcnn`` stands for."""
    if target.startswith(OURS):
        name = target.removeprefix(OURS)
        return name if name in NETWORKS else None
    return next((name for name in NETWORKS if name.lower() == target.lower()), None)


@cache
def _monai_classes() -> dict[str, type[nn.Module]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MONAI's own imports, at their first import
        from monai.networks import nets
    found = {name: getattr(nets, name) for name in dir(nets) if not name.startswith("_")}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) and issubclass(value, nn.Module)
    }


def build(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    """An allowed class with literal arguments, on the meta device.

    Raises:
        ModelError: The class is not allowed, the arguments do not fit it, or it is too large.
    """
    network_type = network_class(target)
    if network_type.__module__.startswith("monai."):
        refuse_fetching(arguments)
        _refuse_fetching_defaults(network_type, arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.device("meta"):
                network = network_type(**arguments)
        size = sum(parameter.numel() for parameter in network.parameters())
    except (
        CtinvError,
        TypeError,
        ValueError,
        RuntimeError,
        OverflowError,
        LookupError,
        AssertionError,
    ) as error:
        raise ModelError(
            f"the arguments of {target[:60]} in network_def do not fit the class ({_first_line(error)})."
        ) from error
    except (NotImplementedError, ImportError, AttributeError) as error:
        raise ModelError(
            f"{target[:60]} in network_def cannot be built here without memory or another package "
            f"({_first_line(error)})."
        ) from error
    if size > MAX_PARAMETERS:
        raise ModelError(
            f"network_def asks for {size:,} parameters, more than the {MAX_PARAMETERS:,} allowed."
        )
    return network


def rebuild_lost_buffers(network: nn.Module, target: str, arguments: Mapping[str, Any]) -> None:
    """Fill in what no checkpoint holds: buffers that the class computes itself, from a second instance.

    To be called after the weights are in place; the size is known to be allowed by then.
    """
    lost = [name for name, value in network.named_buffers() if value.is_meta]
    if not lost:
        return
    with torch.random.fork_rng(devices=[]):  # the second instance draws weights that are thrown away
        fresh = dict(network_class(target)(**arguments).named_buffers())
    for name in lost:
        parent, _, leaf = name.rpartition(".")
        network.get_submodule(parent)._buffers[leaf] = fresh[name]


def _refuse_fetching_defaults(network_type: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    """A default may fetch as well: ``pretrained=True`` must be switched off in the config."""
    for name, parameter in inspect.signature(network_type).parameters.items():
        default = parameter.default
        if name in arguments or default is inspect.Parameter.empty:
            continue
        if can_fetch(name, default):
            raise ModelError(
                f"{network_type.__name__} in network_def fetches files unless {name!r} is set to false; set it."
            )


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:80] if lines else type(error).__name__
