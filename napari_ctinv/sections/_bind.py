"""A field of a model and a form's widget, each following the other."""

from __future__ import annotations

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
    getattr(model.events, name).connect(to_widget)
    widget.changed.connect(to_model)


def offer(widget: Any, choices: Any) -> None:
    """Other choices for a combo box; the value stays where it is among them."""
    value = widget.value
    widget.choices = list(choices)
    offered = list(widget.choices)
    if value in offered:
        widget.value = value
