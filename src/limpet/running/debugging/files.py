"""The files that a debugger asks for: the guest's program and what is packed, and nothing of this
host's.  They are there to be read only.

Source: gdb's manual, appendix E.7, "File-I/O" of the host: vFile.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable

from limpet.running.debugging.packets import MOST, escaped

OPEN_MOST = 64
"""Files that are open at a time."""

_NOT_THERE, _BAD_FILE, _INVALID, _TOO_MANY, _READ_ONLY = 2, 9, 22, 24, 30
_CLOSED = -1
_STAT = struct.Struct(">7IQQQ3I")  # struct stat of the protocol


class FileError(Exception):
    """An error with a number of the protocol's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Files:
    """Those that ``content`` knows by their path in the guest."""

    def __init__(self, content: Callable[[str], bytes | None]) -> None:
        self._content = content
        self._open: dict[int, bytes] = {}

    def answer(self, text: bytes) -> bytes:
        """What to reply to ``vFile:`` and ``text``."""
        name, _, rest = text.partition(b":")
        arguments = rest.split(b",")
        try:
            match name, len(arguments):
                case b"setfs", 1:
                    return b"F0"
                case b"open", 3:
                    return self._opened(_path(arguments[0]), _number(arguments[1]))
                case b"close", 1:
                    return self._shut(_number(arguments[0]))
                case b"pread", 3:
                    return self._read(*map(_number, arguments))
                case b"fstat", 1:
                    return self._status(_number(arguments[0]))
                case b"readlink", 1:
                    raise FileError(_INVALID)
                case ((b"pwrite" | b"unlink"), _):
                    raise FileError(_READ_ONLY)
        except FileError as error:
            return b"F-1,%x" % error.number
        return b""

    def _opened(self, path: str, flags: int) -> bytes:
        if flags:
            raise FileError(_READ_ONLY)
        content = self._content(path)
        if content is None:
            raise FileError(_NOT_THERE)
        number = next((n for n in range(3, 3 + OPEN_MOST) if n not in self._open), _CLOSED)
        if number == _CLOSED:
            raise FileError(_TOO_MANY)
        self._open[number] = content
        return b"F%x" % number

    def _of(self, number: int) -> bytes:
        if number not in self._open:
            raise FileError(_BAD_FILE)
        return self._open[number]

    def _shut(self, number: int) -> bytes:
        self._of(number)
        del self._open[number]
        return b"F0"

    def _read(self, number: int, size: int, offset: int) -> bytes:
        content = self._of(number)
        return _attached(content[offset : offset + min(size, MOST // 2 - 32)])

    def _status(self, number: int) -> bytes:
        size = len(self._of(number))
        mode = stat.S_IFREG | 0o444
        return _attached(_STAT.pack(0, 0, mode, 1, 0, 0, 0, size, 4096, -(-size // 512), 0, 0, 0))


def _attached(data: bytes) -> bytes:
    return b"F%x;" % len(data) + escaped(data)


def _path(text: bytes) -> str:
    try:
        return bytes.fromhex(text.decode("ascii")).decode(errors="surrogateescape")
    except ValueError:
        raise FileError(_INVALID) from None


def _number(text: bytes) -> int:
    try:
        if not 0 < len(text) <= 16:
            raise ValueError
        return int(text, 16)
    except ValueError:
        raise FileError(_INVALID) from None
