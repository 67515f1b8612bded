"""What something was made from, and whether all of it is still the same.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ABSENT = "absent"
_OTHER = "other"


def digest_of(path: str) -> str:
    """SHA-256, in hex, of a file's content; another word where there is no file to read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # waits for no pipe
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError:
        return _OTHER
    with open(handle, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return _OTHER
        try:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:  # who reads it says what is wrong
            return _OTHER


def _at_once(path: str, flags: int) -> int:
    """Open ``path``; of a named pipe nobody waits for who writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether the file at ``path`` does; what is no file, or cannot be read, does not."""
    try:
        with open(path, "rb", opener=_at_once) as stream:
            return stream.read(len(magic)) == magic
    except OSError:
        return False


@dataclass(frozen=True)
class Inputs:
    """The files that something was made from.

    ``files`` are absolute paths with what :func:`digest_of` said of them then, :data:`ABSENT` where
    a file would have been read had it been there.  ``made`` is the SHA-256 of what came out,
    ``root`` the folder to pack that the project names, or nothing.
    """

    made: str
    root: str
    files: tuple[tuple[str, str], ...]

    @property
    def same(self) -> bool:
        """Whether every file is as it was."""
        return all(
            not os.path.exists(path) if digest == ABSENT else digest_of(path) == digest
            for path, digest in self.files
        )

    def text(self) -> str:
        """For :meth:`parse`."""
        words = [self.made, self.root]
        return "\0".join([*words, *(word for file in self.files for word in file)])

    @classmethod
    def parse(cls, text: str) -> Inputs | None:
        """What :meth:`text` wrote, ``None`` for anything else."""
        made, *rest = text.split("\0")
        if len(rest) % 2 == 0 or len(made) != 64:
            return None
        return cls(made, rest[0], tuple(zip(rest[1::2], rest[2::2], strict=True)))


def signatures(folder: Path) -> Iterator[bytes]:
    """What ``lstat`` says of a folder and of everything in it, times of change included.

    The folder can be deeper than Python may recurse, which ``os.walk`` does until Python 3.12.

    Raises:
        OSError: it is not there, or what is in it cannot be listed.
    """
    top = str(folder)
    yield signature(top, "")
    waiting = [top]
    while waiting:
        path = waiting.pop()
        for name in sorted(os.listdir(path)):
            whole = os.path.join(path, name)
            status = os.lstat(whole)
            yield signature_of(status, whole[len(top) :])
            if stat.S_ISDIR(status.st_mode):
                waiting.append(whole)


def signature(path: str, name: str) -> bytes:
    """What ``lstat`` says of a file that is called ``name``."""
    return signature_of(os.lstat(path), name)


def signature_of(status: os.stat_result, name: str) -> bytes:
    """The same of a file of which ``lstat`` was asked already."""
    fields = (
        name,
        status.st_mode,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    return repr(fields).encode()
