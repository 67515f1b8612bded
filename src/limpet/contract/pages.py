"""Pages of x86-64: what every map of memory is made of (Intel SDM volume 3, section 4.5)."""

from __future__ import annotations

PAGE = 4096
LARGE_PAGE = 2 << 20

MIN_MEMORY = 1 << 20
"""Bytes that a guest has at least: less runs nothing."""


def align_up(value: int, to: int) -> int:
    """The next multiple of ``to``."""
    return -(-value // to) * to
