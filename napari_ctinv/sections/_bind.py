"""A field of a model and a form's widget, each following the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from magicgui.widgets.bases import ValueWidget


def bind(model: Any, name: str, widget: ValueWidget) -> None:
    """Let a magicgui widget show a field of an evented model and change it; the model's value wins at first.

    Args:
        model: A model with psygnal ``events``.
        name: The field.
        widget: Shows it.
    """

    def to_widget(value: Any) -> None:
        if widget.value != value:
            widget.value = value

    def to_model(value: Any) -> None:
        if getattr(model, name) != value:
            setattr(model, name, value)

    to_widget(getattr(model, name))
    listen(widget.native, getattr(model.events, name), to_widget)
    widget.changed.connect(to_model)


def listen(owner: Any, signal: Any, slot: Callable[..., Any], **how: Any) -> None:
    """Connect a signal of a model or of the viewer for as long as a Qt widget lives; models outlive their views.

    Args:
        owner: The Qt widget.
        signal: Of psygnal or of napari.
        slot: Is called.
        how: Further arguments of the signal's ``connect``.
    """
    signal.connect(slot, **how)

    def let_go() -> None:
        with suppress(ValueError, KeyError, RuntimeError, AttributeError):  # the other side went first
            signal.disconnect(slot)

    owner.destroyed.connect(let_go)


def offer(widget: Any, choices: Any) -> None:
    """Other choices for a combo box; the value stays where it is among them."""
    value = widget.value
    widget.choices = list(choices)
    offered = list(widget.choices)
    if value in offered:
        widget.value = value
