"""Contents that may be large: bytes, or a view of a file that is not read into memory."""

from __future__ import annotations

from typing import cast

from limpet.contract.pages import PAGE, align_up

Content = bytes | bytearray | memoryview


def in_place(view: memoryview) -> bytes:
    """A view in the place of bytes that are too many to be copied.

    It can be cut, compared with :func:`same`, hashed and written, and nothing else is done with
    what is as large as that: the packed files, and what is in a bundle.
    """
    return cast(bytes, view)


_PIECE = 1 << 20
"""Bytes that are looked at together; what is compared is copied so much at a time."""


def same(one: Content, other: Content) -> bool:
    """Whether these are the same bytes."""
    if len(one) != len(other):
        return False
    pieces = (slice(at, at + _PIECE) for at in range(0, len(one), _PIECE))
    return one is other or all(bytes(one[each]) == bytes(other[each]) for each in pieces)


def is_zero(content: Content) -> bool:
    """Whether there is nothing but zeros."""
    return without_zeros(content) == 0


def without_zeros(content: Content) -> int:
    """How many bytes there are before the zeros at the end."""
    end = len(content)
    while end:
        start = max(end - _PIECE, 0)
        left = len(bytes(content[start:end]).rstrip(b"\0"))
        if left:
            return start + left
        end = start
    return 0


def cut(content: bytes, size: int) -> bytes:
    """Its first bytes; the same object where these are all."""
    return content if size >= len(content) else content[:size]


def padded(content: bytes, size: int) -> bytes:
    """With zeros behind it up to ``size`` bytes; the same object where there are so many."""
    return content if size <= len(content) else bytes(content).ljust(size, b"\0")


def in_pages(content: bytes) -> bytes:
    """With zeros up to the end of its last page."""
    return padded(content, align_up(len(content), PAGE))
