"""The texts of one start, as the guest unpacks them: a file of the bundle that is exchanged."""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from limpet.errors import TreeError
from limpet.formats import elf

_SMALLEST, MOST = 64 << 10, 8 << 20
"""Bytes of the file: its size is one of few, so that one bundle fits many texts."""

_SIZE = 8
"""Bytes, little endian, in front of the texts: how many they are."""

_MARSHAL = 2
"""A version that every Python reads."""


@dataclass(frozen=True)
class Texts:
    """Files of the host by their path in the guest, as they are now."""

    data: bytes
    tops: frozenset[str]
    """What they could be imported as: the first part of a module's name."""

    paths: frozenset[str] = frozenset()
    least: int = _SMALLEST
    """Bytes that the file has at least."""

    def without(self, paths: Iterable[str]) -> Texts:
        """Without these, for the same bundle."""
        kept = [each for each in marshal.loads(self.data) if each[0] not in paths]
        return replace(self, data=marshal.dumps(kept, _MARSHAL), least=self.room)

    def is_below(self, folders: Iterable[str]) -> bool:
        """Whether one would be unpacked into one of ``folders`` of the guest."""
        return any(path.startswith(f"{each}/") for each in folders for path in self.paths)

    @property
    def room(self) -> int:
        """Bytes of the file that takes them."""
        size = self.least
        while size < _SIZE + len(self.data):
            size *= 2
        return size

    def filled(self) -> bytes:
        """The file's content."""
        return _with_size(self.data).ljust(self.room, b"\0")


REHEARSED = "/rehearsed/here/script.py"
"""A script that a bundle starts with before it has anybody's."""


def filler(room: int) -> bytes:
    """That script, with a rest of which no page is another's: for a bundle that is for any."""
    script = (REHEARSED, 0o644, 0, b"print('It has started.')\n")
    rest = b"".join(b"no texts yet: %18d\n" % at for at in range(0, room, 32))
    return (_with_size(marshal.dumps([script], _MARSHAL)) + rest)[:room]


def _with_size(data: bytes) -> bytes:
    """As the guest reads it, and nothing of the rest of its room."""
    return len(data).to_bytes(_SIZE, "little") + data


def texts_of(
    files: Mapping[str, Path],
    start: str,
    others: Mapping[str, Path],
    named: Mapping[str, Path] | None = None,
) -> Texts | None:
    """``files`` as the guest unpacks them; ``None`` where that cannot be: too much, or code.

    Args:
        start: the folder of the guest from which modules are imported first.
        others: what else of the user's is there.
        named: files to unpack from which nothing is imported.

    Raises:
        TreeError: one cannot be read.
    """
    packed: list[tuple[str, int, int, bytes]] = []
    size = 0
    for guest, host in sorted({**(named or {}), **files}.items()):
        try:
            with host.open("rb") as stream:
                status = os.fstat(stream.fileno())
                data = stream.read(MOST + 1)
        except OSError as error:
            raise TreeError(
                f"{host}: cannot be read: {error.strerror}", hint="give a file that can"
            ) from error
        size += len(data)
        if size > MOST // 2 or data.startswith(elf.IDENT[:4]) or not stat.S_ISREG(status.st_mode):
            return None
        packed.append((guest, status.st_mode & 0o777, status.st_mtime_ns, data))
    tops = _tops([*files, *others], start)
    return Texts(marshal.dumps(packed, _MARSHAL), tops, frozenset(files))


def _tops(files: Iterable[str], start: str) -> frozenset[str]:
    inside = (each for each in files if each.startswith(start.rstrip("/") + "/"))
    firsts = (each[len(start.rstrip("/")) + 1 :].partition("/")[0] for each in inside)
    return frozenset(each.partition(".")[0] for each in firsts)
