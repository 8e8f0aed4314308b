"""Errors a user can act on: one sentence that says what was expected, what came and what to do.

Messages name files by their bare name and series by a neutral number. They never hold a value read from a header that
could identify a patient.
"""

from __future__ import annotations


class CtinvError(Exception):
    """Base of every error this package raises on purpose; its text is shown to the user as it is."""


class InputError(CtinvError, ValueError):
    """An argument, a box, a tap or a number that cannot be used."""


class SeriesError(InputError):
    """A scan that cannot be read as one CT volume in true HU and millimetres."""


class ModelError(CtinvError):
    """A network or bundle that is unknown, damaged or not allowed."""


class StoreError(CtinvError):
    """A study that cannot be opened, continued or written."""


class ResourceError(CtinvError):
    """Not enough memory or disk for the request; the text holds the needed and the available amount."""
