"""The verdict on a guest: what it asks for that it will not get, and how surely it asks."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from limpet.arch.x86_64.calls import Calls

_NAMED = 5
"""System calls that a sentence names."""


class Certainty(enum.Enum):
    """How surely a program asks for something; ``docs/verdict.md`` defines the words."""

    CERTAIN = "certainly"
    PROBABLE = "probably"
    CONCEIVABLE = "conceivably"


@dataclass(frozen=True)
class Asked:
    """Something that a program asks for and does not get.

    Attributes:
        what: a verb and its object, as in "starts threads".
        certainty: how surely.
        calls: the system calls with which it asks, by name.
        consequence: what happens then, and what can be done.
        evidence: where the code asks, one line each.
    """

    what: str
    certainty: Certainty
    calls: tuple[str, ...]
    consequence: str
    evidence: tuple[str, ...]

    def sentence(self, program: str) -> str:
        """The verdict in a line."""
        more = f" and {len(self.calls) - _NAMED} more" if len(self.calls) > _NAMED else ""
        calls = f" ({', '.join(self.calls[:_NAMED])}{more})" if self.calls else ""
        return f"{program} {self.certainty.value} {self.what}{calls}: {self.consequence}"


@dataclass(frozen=True)
class Judged:
    """A verdict, and the calls of the program that it was found by."""

    asked: tuple[Asked, ...]
    calls: Calls
