"""A generator's networks from its settings, with weights from one seed."""

from __future__ import annotations

import torch

from ctinv.errors import InputError
from ctinv.generators.model import GeneratorModel
from ctinv.networks.autoencoders import AUTOENCODERS, Autoencoder
from ctinv.networks.flows import FLOWS, Flow
from ctinv.training.generator.config import GeneratorConfig

Definition = dict[str, object]


def definitions(config: GeneratorConfig, channels: int) -> tuple[Definition | None, Definition | None]:
    """Autoencoder and flow as a bundle names them: ``_target_`` and literal arguments.

    Args:
        config: The training.
        channels: C of Φ(x).
    """
    first, second = config.autoencoder_stage, config.flow_stage
    autoencoder, flow = None, None
    if first.network:
        autoencoder = {"_target_": first.network, **first.arguments}
    if second.network:
        latent, ratio = {}, {}
        if first.network:
            made = make_autoencoder(autoencoder)
            latent, ratio = {"latent": made.latent}, {} if made.patch else {"ratio": float(made.factor)}
            if made.patch:
                ratio = {"size": made.patch}
        flow = {"_target_": second.network, **latent, "channels": channels, **ratio, **second.arguments}
    return autoencoder, flow


def build_model(config: GeneratorConfig, channels: int) -> GeneratorModel:
    """Networks with the initial weights of the config's seed; global random state is not touched.

    Raises:
        InputError: The arguments do not fit a class, or the parts are not those of the kind.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        autoencoder, flow = definitions(config, channels)
        made = make_autoencoder(autoencoder) if autoencoder else None
        if made is not None and made.patch not in (None, config.patch):
            raise InputError(
                f"this autoencoder takes patches of {made.patch} pixels, the training draws {config.patch}; make them equal."
            )
        return GeneratorModel(
            config.kind,
            autoencoder=made,
            flow=make_flow(flow) if flow else None,
            mean=config.mean,
            std=config.std,
            scale=config.scale,
        )


def make_autoencoder(definition: Definition | None) -> Autoencoder:
    """An autoencoder of the registry.

    Raises:
        InputError: The arguments do not fit the class.
    """
    return _make(AUTOENCODERS, definition)


def make_flow(definition: Definition | None) -> Flow:
    """A flow of the registry.

    Raises:
        InputError: The arguments do not fit the class.
    """
    return _make(FLOWS, definition)


def _make(known: dict, definition: Definition | None):  # type: ignore[no-untyped-def]
    assert definition is not None
    arguments = {key: value for key, value in definition.items() if key != "_target_"}
    try:
        return known[definition["_target_"]](**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{key} = {value}" for key, value in arguments.items())
        raise InputError(
            f"the arguments {given} do not fit {definition['_target_']}; see its docstring."
        ) from error
