"""The guest's end of the line to the host: frames, and standard streams that do not mix with them.

What the guest was started with as standard input and output becomes the line, on descriptors of its
own.  Descriptor 0 is empty from then on, 1 is a file in memory: what C code writes there is sent
as output in the order in which it was written, and never stands between frames.  Descriptor 2
stays the host's.

A frame to the host is one byte of its kind, four of its length (little-endian), and its contents;
one from the host has no kind.  Behind a frame of memory, which is empty, the library OS itself
tells all of the guest's memory (``c/guest/parts/snapshot/live.c``).
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

OUTPUT, ANSWER, CALL, MEMORY = b"o", b"a", b"c", b"m"
MOST_OUTPUT, MOST_ANSWER = 1 << 16, 16 << 20
"""Bytes of one frame of output, and of any other: the host reads no longer ones."""

MOST_SHOWN = 1000
"""Values that code shows before one answer, which its user's notebook draws one by one."""

LEAST_NUMBER, LEAST_WORD = 1 << 32, 1 << 62
"""Of a request, and by which it is known that a guest is back.  Those that are used have as many
digits, and so has what is rehearsed: what is longer lies elsewhere in memory, where it is new."""

_HEAD, _LEAST, _MOST = 4, 1 << 14, 1 << 20
_decoder: Any = json.JSONDecoder()
_decode = _decoder.scan_once  # which looks for nothing behind it
_DESCRIPTOR = 900
"""From here on are the line's own, where programs do not look."""


def _writer() -> Callable[[Any], bytes]:
    """What makes JSON of plain data, once for all requests, where the interpreter lets it."""
    plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
    try:
        make: Any = getattr(json.encoder, "c_make_encoder")  # noqa: B009  there or not
        parts = make(None, plain.default, _quoted, None, ":", ",", False, False, False)
        if "".join(parts({"a": [1, ""]}, 0)) == plain.encode({"a": [1, ""]}):
            return lambda data: "".join(parts(data, 0)).encode()
    except Exception:  # one that is made in another way
        pass
    return lambda data: plain.encode(data).encode()


written = _writer()
"""JSON of data in which nothing holds itself; ``ValueError`` where a number is none of JSON's."""


class Channel:
    """The line; ``running`` says whether code runs that an interrupt may stop."""

    def __init__(self) -> None:
        self._in, self._out = os.dup2(0, _DESCRIPTOR), os.dup2(1, _DESCRIPTOR + 1)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        self._written = os.memfd_create("stdout")
        os.dup2(self._written, 1)
        self._read = b""
        self._lock, self._asks = threading.RLock(), threading.Lock()
        self._rewinds = self._nowhere = -1
        self._rehearsed: list[int] = []
        self._busy = False
        self._late = False
        self.running = False
        signal.signal(signal.SIGUSR1, self._interrupted)
        signal.signal(signal.SIGUSR2, lambda *_: None)  # ends a wait, so that the other is seen

    def receive(self) -> Any:
        """The next request of the host's, or the end of this process where there is none."""
        read = self._read or os.read(self._in, _LEAST)
        end = _HEAD + int.from_bytes(read[:_HEAD], "little")
        if len(read) == end > _HEAD:  # all of one, and no more: as a rule
            self._read = b""
            return _decode(read[_HEAD:].decode(), 0)[0]
        return self._pieced(bytearray(read))

    def _pieced(self, read: bytearray) -> Any:
        self._read_up_to(_HEAD, read)
        end = _HEAD + int.from_bytes(read[:_HEAD], "little")
        self._read_up_to(end, read)
        self._read = bytes(read[end:])
        return _decode(read[_HEAD:end].decode(), 0)[0]

    def rehearse(self, data: Any) -> None:
        """Have that be one of what :meth:`rehearsed` brings."""
        frame, asked = written(data), os.memfd_create("asked")
        os.write(asked, len(frame).to_bytes(_HEAD, "little") + frame)
        self._rehearsed.append(asked)
        if self._nowhere < 0:
            self._nowhere = os.open(os.devnull, os.O_WRONLY)

    def rehearsed(self, often: int) -> Iterator[Any]:
        """Each of that as it is received, while what is sent goes nowhere."""
        line = self._in, self._out, self._rewinds
        try:
            for asked in self._rehearsed:
                self._in, self._out, self._rewinds = asked, self._nowhere, self._nowhere
                for _ in range(often):
                    os.lseek(asked, 0, os.SEEK_SET)
                    yield self.receive()
        finally:
            self._in, self._out, self._rewinds = line

    def _read_up_to(self, end: int, read: bytearray) -> None:
        while len(read) < end:
            part = os.read(self._in, min(max(end - len(read), _LEAST), _MOST))
            if not part:
                os._exit(0)
            read += part

    def rewind(self, word: int) -> None:
        """Have the monitor keep this machine, or take it back; it says ``word`` to the host."""
        if self._rewinds < 0:
            self._rewinds = os.open("/dev/limpet/rewind", os.O_WRONLY)
            os.dup2(self._rewinds, _DESCRIPTOR + 2)
            os.close(self._rewinds)
            self._rewinds = _DESCRIPTOR + 2
        os.write(self._rewinds, word.to_bytes(8, "little"))

    def send(self, kind: bytes, data: Any) -> bool:
        """Send ``data`` as JSON behind all that was written before, if it is not too long."""
        contents = written(data)
        if len(contents) > MOST_ANSWER:
            return False
        with self._lock:
            if os.lseek(self._written, 0, os.SEEK_END):
                self.output(b"")
            self._frame(kind, contents)
        return True

    def ask(self, kind: bytes, data: Any) -> Any:
        """Ask the host for something, one thread after the other; an interrupt meanwhile waits."""
        with self._asks:
            if not self.send(kind, data):
                raise ValueError("the arguments are too large for a call")
            self._busy = True
            try:
                reply = self.receive()
            finally:
                self._busy = False
        self._raise_late()
        return reply

    def _raise_late(self) -> None:
        if self._late and self.running:
            self._late = False
            raise KeyboardInterrupt

    def tell_memory(self) -> bool:
        """Have all memory told; whether this is a guest that was started with it."""
        self.output(b"")
        handle = os.open("/dev/limpet/memory", os.O_RDWR)
        try:
            before = os.pread(handle, 32, 0)
            with self._lock:
                self._frame(MEMORY, b"")
                os.write(handle, b"1")
            return os.pread(handle, 32, 0) != before
        finally:
            os.close(handle)

    def output(self, data: bytes) -> None:
        """Send what C code wrote, and then ``data``."""
        with self._lock:
            length = os.lseek(self._written, 0, os.SEEK_END)
            if length:
                for at in range(0, length, MOST_OUTPUT):
                    self._frame(OUTPUT, os.pread(self._written, MOST_OUTPUT, at))
                os.ftruncate(self._written, 0)
                os.lseek(self._written, 0, os.SEEK_SET)
            for at in range(0, len(data), MOST_OUTPUT):
                self._frame(OUTPUT, data[at : at + MOST_OUTPUT])

    def _frame(self, kind: bytes, contents: bytes) -> None:
        """Send all of a frame, for who has the lock: an interrupt meanwhile waits."""
        frame = kind + len(contents).to_bytes(4, "little") + contents
        self._busy = True
        try:
            sent = os.write(self._out, frame)
            while sent < len(frame):
                sent += os.write(self._out, memoryview(frame)[sent:])
        except BrokenPipeError:
            os._exit(0)  # nobody is there any more, whatever the code makes of it
        finally:
            self._busy = False
        if self._late:
            self._raise_late()

    def _interrupted(self, *_: object) -> None:
        if self._busy:
            self._late = True
        elif self.running:
            raise KeyboardInterrupt


class Output(io.RawIOBase):
    """What Python code writes to ``sys.stdout``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """That of the file which C code writes to."""
        return 1

    def write(self, data: Any) -> int:
        """Send all of it."""
        sent = bytes(data)
        self._channel.output(sent)
        return len(sent)


def standard_streams(channel: Channel) -> None:
    """Give the interpreter its streams."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  as long as the process
    raw = io.BufferedWriter(Output(channel), MOST_OUTPUT)
    sys.stdout = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace")
    sys.__stdin__, sys.__stdout__ = sys.stdin, sys.stdout  # type: ignore[misc]
