"""A segment of a bundle's file, as its headers have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A loaded segment of the file, by the name of its section."""

    name: str
    address: int
    offset: int
    size: int  # bytes in the file
    memory_size: int
    flags: int

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.memory_size

    @property
    def rights(self) -> str:
        """Such as ``r-x``."""
        return "".join(c if self.flags & bit else "-" for c, bit in (("r", 4), ("w", 2), ("x", 1)))
