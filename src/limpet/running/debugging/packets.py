"""The bytes of gdb's remote protocol: packets from a debugger, and answers to it.

Whoever reaches the socket can send anything: what is no packet ends the connection, and nothing is
kept that is longer than the stub said it takes.

Source: gdb's manual, appendix E, "Remote Serial Protocol".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from limpet.errors import RunError

MOST = 0x4000
"""Bytes of a packet that is taken, and of an answer."""

_ESCAPE, _FLIP = ord("}"), 0x20
_SPECIAL = b"#$}*"


class ProtocolError(RunError):
    """What came is not gdb's remote protocol."""


class Mark(Enum):
    """What comes beside packets."""

    TAKEN = "+"
    AGAIN = "-"
    INTERRUPT = "\x03"
    DAMAGED = "a packet whose checksum is wrong"


@dataclass(frozen=True)
class Packet:
    """What stands between ``$`` and ``#``, as it was before it was escaped."""

    data: bytes


Message = Packet | Mark

_MARKS = {ord(each.value): each for each in (Mark.TAKEN, Mark.AGAIN, Mark.INTERRUPT)}
_DIGITS = b"0123456789abcdefABCDEF"


class Reader:
    """Takes bytes as they come and gives what is whole."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes.

        Raises:
            ProtocolError: it is none.
        """
        self._data += data
        while self._data:
            first = self._data[0]
            if first in _MARKS:
                del self._data[:1]
                yield _MARKS[first]
                continue
            if first != ord("$"):
                raise ProtocolError("what came is no packet of a debugger", hint="connect with gdb")
            end = self._data.find(b"#")
            if (end if end >= 0 else len(self._data)) > MOST:
                raise ProtocolError("a packet is longer than was agreed", hint="connect with gdb")
            if end < 0 or len(self._data) < end + 3:
                return
            text, sum_ = bytes(self._data[1:end]), bytes(self._data[end + 1 : end + 3])
            del self._data[: end + 3]
            right = all(each in _DIGITS for each in sum_) and int(sum_, 16) == sum(text) & 0xFF
            yield Packet(unescaped(text)) if right else Mark.DAMAGED


def unescaped(text: bytes) -> bytes:
    """The bytes that were escaped; what ends within an escape loses it."""
    found = bytearray()
    each = iter(text)
    for byte in each:
        if byte == _ESCAPE:
            following = next(each, None)
            if following is not None:
                found.append(following ^ _FLIP)
        else:
            found.append(byte)
    return bytes(found)


def escaped(data: bytes) -> bytes:
    """``data`` as it stands in a packet."""
    found = bytearray()
    for byte in data:
        found += bytes((_ESCAPE, byte ^ _FLIP)) if byte in _SPECIAL else bytes((byte,))
    return bytes(found)


def packed(data: bytes) -> bytes:
    """A whole packet of bytes that are escaped already."""
    return b"$%b#%02x" % (data, sum(data) & 0xFF)
