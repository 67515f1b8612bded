"""What a start chooses, and what it may choose at most: ``NAME=WHERE:PORTS`` at build time.

The bundle is given ``--connect:NAME=ADDRESS:PORT`` or ``-p:NAME=[ADDRESS:]PORT`` at its start: an
address within the network and a port within the range.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from limpet.contract.limits import CHOICE_NAME_SIZE
from limpet.errors import PlanError
from limpet.formats.destinations import Net
from limpet.plain import quoted

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{CHOICE_NAME_SIZE - 2}}}")


@dataclass(frozen=True)
class Bound:
    """The addresses and ports among which a start chooses one; ``name`` is what its word has."""

    name: str
    net: Net

    @property
    def at_most(self) -> str:
        """The network and the ports, without the protocol."""
        return str(self.net).rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.name}={self.at_most}"


def is_chosen(given: str) -> bool:
    """Whether a ``-p`` or ``--connect`` is one that a start chooses."""
    return "=" in given


def named(option: str, given: str) -> tuple[str, str]:
    """The name, and the bound in words.

    Raises:
        PlanError: it is no name.
    """
    name, _, rest = given.partition("=")
    if not _NAME.fullmatch(name):
        raise PlanError(
            f"{option} {quoted(given)}: {quoted(name)} is no name for what a start chooses",
            hint="a letter, then letters, digits, _ and -, at most "
            f"{CHOICE_NAME_SIZE - 1} characters",
        )
    return name, rest
