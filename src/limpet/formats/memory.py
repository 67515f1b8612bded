"""``Memory``: what a guest's memory held at a moment, as runs of whole pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from limpet.contract.pages import PAGE

JOINED = 256 * PAGE
"""Bytes of zeros that still are no end of a run: each one is mapped apart when a bundle starts."""

MAX_HOT = 256
"""Runs of hot pages."""

MAX_SEALED = 256
"""Runs of sealed ones: in a process each is a piece of memory, and Linux starts only so many."""

Run = tuple[int, bytes]
"""Address and content."""


@dataclass(frozen=True)
class Memory:
    """Runs of whole pages, ascending; what lies between them is zero.

    ``hot`` are the pages that a start writes, [low, high), ascending, and ``sealed`` those of the
    program that could only be read: all of them, or none are named.  ``loaded`` are the inodes of
    the shared objects whose code could be run, and ``idle`` those of objects that are there and
    that a start does not use: their data is among what is sealed.  ``hidden`` are pages of its
    memory that were out of reach, where the tables of a virtual machine say that as well.
    """

    runs: tuple[Run, ...]
    hot: tuple[tuple[int, int], ...] = ()
    loaded: tuple[int, ...] = ()
    sealed: tuple[tuple[int, int], ...] = ()
    idle: tuple[int, ...] = ()
    hidden: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_pages(cls, pages: Iterable[Run], most: int = 1 << 62) -> Memory:
        """From single pages, or pieces of them, ascending; those that are zero are left out.

        Raises:
            ValueError: with the zeros between them they are more than ``most`` bytes, or they do
                not ascend.
        """
        joined: list[tuple[int, bytearray]] = []
        for address, content in pages:
            for at in range(0, len(content), PAGE):
                page = content[at : at + PAGE]
                if page.count(0) == len(page):
                    continue
                here = address + at
                end = joined[-1][0] + len(joined[-1][1]) if joined else -JOINED - 1
                if joined and here < end:
                    raise ValueError("a page that is there twice")
                most -= len(page) + (here - end if here - end <= JOINED else 0)
                if most < 0:
                    raise ValueError("more memory than expected")
                if here - end > JOINED:
                    joined.append((here, bytearray(page)))
                else:
                    joined[-1][1].extend(bytes(here - end) + page)
        return cls(tuple((address, bytes(content)) for address, content in joined))

    def within(self, low: int, high: int) -> Iterator[Run]:
        """The runs between ``low`` and ``high``, cut there."""
        for address, content in self.runs:
            start, end = max(address, low), min(address + len(content), high)
            if start < end:
                yield start, content[start - address : end - address]

    def part(self, low: int, high: int) -> Memory:
        """What is between ``low`` and ``high``, by itself."""
        return Memory.of_pages(self.within(low, high))

    def content(self, low: int, high: int) -> bytes:
        """The bytes from ``low``, up to the last run that starts before ``high``."""
        found = bytearray()
        for address, content in self.within(low, high):
            found.extend(bytes(address - low - len(found)) + content)
        return bytes(found)


def ascending(given: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Runs, [low, high), where each begins behind the one before it.

    Raises:
        ValueError: one does not.
    """
    found = tuple(given)
    if any(high > low for (_, high), (low, _) in pairwise(found)):
        raise ValueError("pages that do not ascend")
    return found
