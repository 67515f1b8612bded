"""One debugger's connection, from its first packet to its last."""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Protocol

from limpet.running.debugging.about import About
from limpet.running.debugging.commands import DETACH, KILL, Commands, Ordered
from limpet.running.debugging.guest import Guest, Order, Report
from limpet.running.debugging.looking import OK
from limpet.running.debugging.packets import Mark, Message, Packet, ProtocolError, Reader, packed

_PIECE = 1 << 16


class End(Enum):
    """How a session ends."""

    ENDED = "the guest is no more"
    KILLED = "the debugger wants it killed"
    DETACHED = "it goes on without the debugger"
    LOST = "the connection is no more"
    STRANGER = "it never was a debugger's"


class Stream(Protocol):
    """The way to a debugger and back."""

    def fileno(self) -> int:
        """What is to be read when something has come."""

    def receive(self) -> bytes:
        """What has come; nothing at the end."""

    def send(self, data: bytes) -> None:
        """Send all of it."""


class SocketStream:
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setblocking(True)
        connected.settimeout(_SEND_MOST)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def receive(self) -> bytes:
        """What has come; nothing at the end."""
        self._socket.settimeout(None)
        return self._socket.recv(_PIECE)

    def send(self, data: bytes) -> None:
        """Send all of it, if it is taken in time."""
        self._socket.settimeout(_SEND_MOST)
        self._socket.sendall(data)


_SEND_MOST = 30.0
"""Seconds after which a debugger that takes nothing is given up."""


class StandardStream:
    """Standard input and output."""

    def fileno(self) -> int:
        """That of standard input."""
        return 0

    def receive(self) -> bytes:
        """What has come; nothing at the end."""
        return os.read(0, _PIECE)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            data = data[os.write(1, data) :]


class Session:
    """A debugger and its guest."""

    def __init__(self, stream: Stream, guest: Guest, about: About, report: Report) -> None:
        self._stream, self._guest = stream, guest
        self._reader, self._messages = Reader(), deque[Message]()
        self._commands = Commands(guest, about)
        self._commands.report = report
        self._last = b""
        self._lost = False

    def serve(self) -> End:
        """Answer until it ends."""
        known = End.STRANGER
        try:
            for message in self._all():
                end = self._take(message)
                if end:
                    return end
                known = End.LOST if isinstance(message, Packet) else known
        except (OSError, ProtocolError):
            pass
        return known

    @property
    def report(self) -> Report:
        """Why the guest stopped last."""
        return self._commands.report

    def heard(self) -> bool:
        """Something came while the guest runs: it is made to stop, if that is wanted."""
        try:
            data = self._stream.receive()
            self._messages.extend(self._reader.feed(data))
        except (OSError, ProtocolError):
            data = b""
        if not data:
            self._lost = True
        if not data or Mark.INTERRUPT in self._messages:
            while Mark.INTERRUPT in self._messages:
                self._messages.remove(Mark.INTERRUPT)
            self._guest.machine.interrupt()
        return False

    def fileno(self) -> int:
        """What may be heard, while the debugger is there."""
        return -1 if self._lost else self._stream.fileno()

    def _first(self) -> None:
        """A debugger that had to wait has sent its first packet again and again: once is enough."""
        stream = self._stream
        while select.select([stream], [], [], 0)[0] and (data := stream.receive()):
            self._messages.extend(self._reader.feed(data))
        sent = [each for each in self._messages if isinstance(each, Packet)]
        if len(sent) > 1 and len(set(sent)) == 1:
            self._messages = deque(sent[:1])

    def _all(self) -> Iterator[Message]:
        self._first()
        while not self._lost:
            while self._messages:
                yield self._messages.popleft()
            data = self._stream.receive()
            if not data:
                return
            self._messages.extend(self._reader.feed(data))

    def _take(self, message: Message) -> End | None:
        if isinstance(message, Packet):
            return self._packet(message.data)
        if message is Mark.AGAIN:
            self._stream.send(self._last)
        elif message is Mark.DAMAGED and self._commands.acknowledged:
            self._stream.send(b"-")
        return None

    def _packet(self, data: bytes) -> End | None:
        if self._commands.acknowledged:
            self._stream.send(b"+")
        try:
            self._answer(self._commands.taken(data))
        except Ordered as what:
            return self._do(what.order, data)
        return None

    def _answer(self, data: bytes) -> None:
        self._last = packed(data)
        self._stream.send(self._last)

    def _do(self, order: Order | str, packet: bytes) -> End | None:
        if order == DETACH:
            self._answer(OK)
            return End.DETACHED
        if order == KILL:
            if packet.startswith(b"vKill"):
                self._answer(OK)
            return End.KILLED
        assert isinstance(order, Order)
        reply = self._commands.stopped(self._guest.go(order))
        if not self._lost:
            self._answer(reply)
        return End.ENDED if self._commands.report.status is not None else None
