"""JSON that may be hostile: each text asked for has a grammar, and each number and list a bound.

What is not so is a ``TypeError`` or ``ValueError``, which whoever reads a file makes its error of.
"""

from __future__ import annotations

import re
from typing import Any

MOST = 4096
"""Entries of a list or table."""

WORD = re.compile(r"[a-z0-9_]{1,64}")
"""The name of something."""


class Table:
    """A JSON object whose members are asked for by kind."""

    def __init__(self, known: object) -> None:
        if not isinstance(known, dict) or len(known) > MOST:
            raise TypeError("a table is missing")
        self.known: dict[str, Any] = known

    def text(self, name: str, grammar: re.Pattern[str]) -> str:
        """A member that matches."""
        return text_of(self.known[name], grammar)

    def number(self, name: str, most: int = (1 << 64) - 1) -> int:
        """A member of that size at most."""
        return number_of(self.known[name], most)

    def list(self, name: str, most: int = MOST) -> list[Any]:
        """A member with so many entries at most."""
        return list_of(self.known[name], most)

    def table(self, name: str) -> Table:
        """A member that is one as well."""
        return Table(self.known[name])

    def words(self, name: str) -> tuple[str, ...]:
        """A member that is a list of names."""
        return tuple(text_of(each, WORD) for each in self.list(name))


def text_of(given: object, grammar: re.Pattern[str]) -> str:
    """It, if it is a text that matches."""
    if not isinstance(given, str) or not grammar.fullmatch(given):
        raise ValueError(f"{given!r:.60} stands where {grammar.pattern} should")
    return given


def number_of(given: object, most: int) -> int:
    """It, if it is a whole number up to ``most``."""
    if type(given) is not int or not 0 <= given <= most:
        raise ValueError(f"{given!r:.60} stands where a number up to {most} should")
    return given


def list_of(given: object, most: int = MOST) -> list[Any]:
    """It, if it is a list that is no longer."""
    if not isinstance(given, list) or len(given) > most:
        raise TypeError(f"a list of at most {most} is missing")
    return given
