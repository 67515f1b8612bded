"""Which constants can be run, so that a program's code is in large pages.

The first touch of a page is an exit of a virtual machine, one of sixteen a fault of a process, and
2 MiB in one page are one.  A program's code begins and ends somewhere in such a piece, with
constants beside it: they get its rights.  Sources: the System V gABI, chapter 5 (a linker without
``-z separate-code`` puts them in one segment).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from limpet.contract.pages import LARGE_PAGE, align_up
from limpet.formats.bundle.write import LARGE_CONTENT
from limpet.formats.image import Access

CONSTANTS_MOST = LARGE_PAGE // 4
"""Bytes of constants that a piece has at most: at least three quarters of it are code."""

Run = tuple[int, int]
"""[low, high)"""

Rights = tuple[int, int, Access]
"""A run, and what its own file says may be done with it."""


def run_as_well(runs: Iterable[Rights]) -> Iterator[Run]:
    """The constants among ``runs`` of pages that can be run beside code, ascending.

    They are in a piece of 2 MiB that is mostly code and can nowhere be written.  No other object
    is there, since between two there is a gap; and in its file it is a large page as well.
    """
    for row in _rows(runs):
        low, high = row[0][0], row[-1][1]
        if high - low < LARGE_CONTENT:
            continue
        for piece in range(align_up(low, LARGE_PAGE), high - LARGE_PAGE + 1, LARGE_PAGE):
            found = list(_constants(row, piece, piece + LARGE_PAGE))
            if sum(end - start for start, end in found) <= CONSTANTS_MOST:
                yield from found


def _rows(runs: Iterable[Rights]) -> Iterator[list[Rights]]:
    """Those that cannot be written, one right behind the other."""
    row: list[Rights] = []
    for each in sorted(runs, key=lambda each: each[:2]):
        if row and row[-1][1] != each[0]:
            yield row
            row = []
        if Access.WRITE not in each[2]:
            row.append(each)
        elif row:
            yield row
            row = []
    if row:
        yield row


def _constants(row: Sequence[Rights], low: int, high: int) -> Iterator[Run]:
    for start, end, access in row:
        first, last = max(start, low), min(end, high)
        if first < last and Access.EXECUTE not in access:
            yield first, last
