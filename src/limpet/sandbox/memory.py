"""``Memory``: all that a guest had in memory at a moment, for starts of the same bundle.

A guest tells it in pieces (``c/guest/parts/snapshot/live.c``): where one lies and how long it is,
sixteen bytes, and its bytes, or none where all are zero.  Only guests read what is in them; here
they are counted.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Iterator, Mapping

from limpet.errors import BadAnswer, NeverRan

VARIABLE = "LIMPET_MEMORY"
"""A start whose environment has it goes on with memory that it reads first."""

_PIECE = struct.Struct("<QQ")
_ZEROS = 1 << 63
_PATIENCE = 60.0
"""Seconds in which a start has to have read all of it, where nobody says how long it may take."""


def given_memory() -> Mapping[str, str]:
    """The environment of a start that is given memory."""
    return {VARIABLE: "input"}


class Memory:
    """Takes what a guest tells, and gives it to others.

    Args:
        most: bytes that it may be.
    """

    def __init__(self, most: int) -> None:
        self._file = os.memfd_create("limpet memory")
        self._most = most
        self._size = 0
        self._head = b""
        self._left = 0
        self.is_whole = False

    def __del__(self) -> None:
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self._size

    def take(self, data: bytes) -> bytes | None:
        """Take what comes next; what comes behind the last piece, once that is there.

        Raises:
            BadAnswer: a piece is none, or it is more than it may be.
        """
        rest = memoryview(data)
        while rest and not self.is_whole:
            if self._left:
                piece = rest[: self._left]
                self._left -= len(piece)
                self._write(piece)
                rest = rest[len(piece) :]
            else:
                rest = self._next(rest)
        return bytes(rest) if self.is_whole else None

    def _next(self, rest: memoryview) -> memoryview:
        wanted = _PIECE.size - len(self._head)
        self._head += rest[:wanted]
        if len(self._head) == _PIECE.size:
            _, size = _PIECE.unpack(self._head)
            self.is_whole = size == 0
            self._left = 0 if size & _ZEROS else size
            if self._left > self._most:
                raise BadAnswer("a piece of the guest's memory is larger than all of it can be")
            self._write(memoryview(self._head))
            self._head = b""
        return rest[wanted:]

    def _write(self, piece: memoryview) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise BadAnswer(f"the guest says that it has more memory than {self._most} bytes")
        while piece:
            piece = piece[os.write(self._file, piece) :]

    def pieces(self, most: int) -> Iterator[bytes]:
        """All of it, so many bytes at a time."""
        for at in range(0, self._size, most):
            yield os.pread(self._file, min(most, self._size - at), at)

    def give(self, pipe: int, seconds: float) -> None:
        """Write all of it to a start that reads it.

        Args:
            pipe: its standard input, which does not block.
            seconds: that this may take; 0 for a minute.

        Raises:
            NeverRan: it does not read all of it.
        """
        end, at = time.monotonic() + (seconds or _PATIENCE), 0
        ready = select.poll()
        ready.register(pipe, select.POLLOUT)
        while at < self._size:
            left = end - time.monotonic()
            if left <= 0 or not ready.poll(left * 1000 + 1):
                raise NeverRan("a sandbox does not go on from a snapshot: it does not read it")
            try:
                at += os.sendfile(pipe, self._file, at, self._size - at)
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise NeverRan("a sandbox does not go on from a snapshot: it has ended") from None
