"""``module:function``: the user's own installed code, by its explicit name.

The function is called without arguments and returns the network. This runs code, as importing any package does; the name
comes from the user's own command or call, never from a bundle or a card.
"""

from __future__ import annotations

import importlib
import re

from torch import nn

from ctinv.errors import ModelError

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_factory(source: object) -> bool:
    """Whether a source reads ``module:function``."""
    return isinstance(source, str) and _REFERENCE.fullmatch(source) is not None


def call_factory(source: str) -> nn.Module:
    """What the function returns.

    Raises:
        ModelError: It cannot be imported, fails, or returns something else than a module.
    """
    module, _, function = source.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"{source[:80]!r} cannot be imported ({str(error)[:80]}); install its package or put it on PYTHONPATH."
        ) from error
    try:
        made = make()
    except Exception as error:  # the user's code may raise anything
        lines = str(error).splitlines()
        raise ModelError(
            f"{source[:80]} failed with {type(error).__name__}: {(lines[0] if lines else '')[:80]}."
        ) from error
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"{source[:80]} returned a {type(made).__name__}; an nn.Module or a ctinv.Denoiser was expected."
        )
    return made
