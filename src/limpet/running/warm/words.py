"""What stands behind ``python3``: its own options, and what it is to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FLAGS = frozenset("bBEIOPqsSuv")
"""Letters of options that only say how the interpreter is to be."""

_VALUED = ("-W", "-X")


@dataclass(frozen=True)
class Words:
    """The words of an interpreter: its ``options``, and the ``rest``, which names a program."""

    options: tuple[str, ...]
    rest: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``-c``, ``-m``, ``-`` for a program from standard input, or nothing for a file."""
        first = self.rest[0] if self.rest else "-"
        return first if first in ("-c", "-m", "-") else ""

    @property
    def is_whole(self) -> bool:
        """Whether what ``-c`` and ``-m`` want is there."""
        return self.kind not in ("-c", "-m") or len(self.rest) > 1


def words_of(given: Sequence[str]) -> Words | None:
    """``given`` taken apart; ``None`` where it asks for more than running a program."""
    waiting = list(given)
    options: list[str] = []
    while waiting:
        word = waiting[0]
        if word in _VALUED:
            if len(waiting) < 2:
                return None
            options += waiting[:2]
            del waiting[:2]
        elif word.startswith(_VALUED) or (len(word) > 1 and _is_flags(word)):
            options.append(waiting.pop(0))
        elif word.startswith("-") and word not in ("-", "-c", "-m"):
            return None
        else:
            break
    found = Words(tuple(options), tuple(waiting))
    return found if found.is_whole else None


def _is_flags(word: str) -> bool:
    return word[0] == "-" and _FLAGS.issuperset(word[1:])
