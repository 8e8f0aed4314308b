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


class ChoiceError(SeriesError):
    """Several series where one is read: one must be chosen, by its number or its uid."""


class ModelError(CtinvError):
    """A network or bundle that is unknown, damaged or not allowed."""


class CodeError(ModelError):
    """A model that says more than data: what it asks for would have to run.

    Args:
        cause: What it asks for, a sentence without its end.
        remedy: The rest of it without its full stop: what its author could do instead.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}{remedy}.")
        self.cause = cause
        self.remedy = remedy


class TrustError(ModelError):
    """A model that may be loaded once the user trusts its sha256, after having seen what it would run.

    Attributes:
        sha256: Of the file, or of all files of a bundle.
    """

    def __init__(self, message: str, *, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


class StoreError(CtinvError):
    """A study that cannot be opened, continued or written."""


class ResourceError(CtinvError):
    """Not enough memory or disk for the request; the text holds the needed and the available amount."""
