"""How the library tells that something takes a moment, without printing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told in a few words what is done now."""

    def __call__(self, what: str, *, slow: bool = False) -> None:
        """``slow``: it takes so long that a user ought to know wherever they look."""


def silent(what: str, *, slow: bool = False) -> None:
    """Nobody is told."""
