"""A name server that says what a test tells it to, and DNS packets (RFC 1035)."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

A, CNAME, TXT, AAAA = 1, 5, 16, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
_HEAD = struct.Struct(">HHHHHH")


def packed(name: str) -> bytes:
    """A name as packets have it."""
    labels = [each.encode() for each in name.split(".") if each]
    return b"".join(bytes([len(each)]) + each for each in labels) + b"\0"


def query(name: str, kind: int = A, number: int = 7) -> bytes:
    """A question as a resolver sends it."""
    return _HEAD.pack(number, 0x0100, 1, 0, 0, 0) + packed(name) + struct.pack(">HH", kind, 1)


@dataclass(frozen=True)
class Record:
    """One record of an answer; ``data`` is an address, or a name for a CNAME."""

    owner: str
    kind: int
    data: str
    seconds: int = 300

    def __bytes__(self) -> bytes:
        if self.kind == CNAME:
            data = packed(self.data)
        else:
            family = socket.AF_INET if self.kind == A else socket.AF_INET6
            data = socket.inet_pton(family, self.data)
        head = struct.pack(">HHIH", self.kind, 1, self.seconds, len(data))
        return packed(self.owner) + head + data


def addresses(reply: bytes) -> tuple[int, list[str], int]:
    """The code of a reply, its addresses, and the time that its last record has."""
    _, flags, _, answers, _, _ = _HEAD.unpack_from(reply)
    at = _skip(reply, _HEAD.size) + 4
    found, seconds = [], 0
    for _ in range(answers):
        at = _skip(reply, at)
        kind, _, seconds, size = struct.unpack_from(">HHIH", reply, at)
        data = reply[at + 10 : at + 10 + size]
        found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
        at += 10 + size
    assert at == len(reply)
    return flags & 15, found, seconds


def _skip(packet: bytes, at: int) -> int:
    while packet[at]:
        if packet[at] >= 0xC0:
            return at + 2
        at += 1 + packet[at]
    return at + 1


Said = Sequence[Record] | int | None


@dataclass
class Server:
    """What each question is answered with, in turn, the last one for good; ``None``: nothing."""

    socket: socket.socket
    says: dict[tuple[str, int], list[Said]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    wrong_first: bool = False  # before each answer, some that a stranger could send

    def __post_init__(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def tell(self, name: str, *said: str | Said, kind: int = A, seconds: int = 300) -> None:
        """Answer questions for ``name`` with an address, with records or with a code."""
        self.says[name, kind] = [
            [Record(name, kind, each, seconds)] if isinstance(each, str) else each for each in said
        ]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                packet, whom = self.socket.recvfrom(2000)
                if not packet:  # the end
                    return
                self.raw.append(packet)
                for reply in self._replies(packet):
                    self.socket.sendto(reply, whom)

    def _replies(self, packet: bytes) -> list[bytes]:
        end = _skip(packet, _HEAD.size)
        (kind,) = struct.unpack_from(">H", packet, end)
        name = _dotted(packet)
        self.asked.append((name, kind))
        said = self.says.get((name, kind), [NO_SUCH_NAME])
        now = said.pop(0) if len(said) > 1 else said[0]
        if now is None:
            return []
        question = packet[_HEAD.size : end + 4]
        (number,) = struct.unpack_from(">H", packet)
        right = _reply(number, question, now)
        if not self.wrong_first:
            return [right]
        bad = [Record(name, A, "203.0.113.66")]
        other = packed("other.test") + question[-4:]
        return [
            *(_reply(number ^ 1, question, bad), _reply(number, other, bad)),
            *(packet, right[:9], right),
        ]


def _reply(number: int, question: bytes, said: Sequence[Record] | int) -> bytes:
    records = [] if isinstance(said, int) else said
    code = said if isinstance(said, int) else NO_ERROR
    head = _HEAD.pack(number, 0x8180 | code, 1, len(records), 0, 0)
    return head + question + b"".join(map(bytes, records))


def _dotted(packet: bytes) -> str:
    labels, at = [], _HEAD.size
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels)
