"""What a debugger has to know of what stands beside a guest.

It is made again with the bundle, from the same sources: the bundle itself has nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Code of the program that a jump has replaced, for the system call at ``site`` in it.

    ``trampoline`` has the same instructions, the ten bytes of ``CALL_SIZE`` in the place of the
    call.  The jump is at ``start``, or at ``slot``, which lies elsewhere and was padding.
    """

    start: int
    site: int
    trampoline: int
    original: bytes
    slot: int = 0
    padding: bytes = b""

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + len(self.original)

    @property
    def back(self) -> int:
        """Where the trampoline goes on behind the call, if anything of the window is there."""
        return self.trampoline + self.site - self.start + CALL_SIZE

    @property
    def trampoline_end(self) -> int:
        """The first address behind the trampoline, the jump at its end included."""
        behind = self.end - self.site - SITE_SIZE
        return self.back + (behind + JUMP_SIZE if behind else 0)


CALL_SIZE, SITE_SIZE, JUMP_SIZE = 10, 2, 5


@dataclass(frozen=True)
class LibraryOS:
    """The library OS of a guest: its code, and where in its memory a debugger looks.

    ``code`` is [low, high) with the trampolines in front, whose end is ``entries``; ``symbols`` are
    addresses by name, ``offsets`` those of members of its structures, as ``struct.member``.
    ``windows`` are what was rewritten, by their trampolines.
    """

    code: tuple[int, int]
    entries: int
    windows: tuple[Window, ...]
    symbols: Mapping[str, int]
    offsets: Mapping[str, int]


@dataclass(frozen=True)
class Inside:
    """Where a guest begins, and what is beside it.

    ``first`` is the first instruction that its processor executes and ``start`` the first of the
    program itself: ``None`` in a snapshot, which has begun long ago.  ``ring`` is that of the
    program on kvm.
    """

    first: int
    start: int | None
    ring: int
    library: LibraryOS | None
