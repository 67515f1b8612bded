"""One request to a guest, and its answer, within limits."""

from __future__ import annotations

import array
import fcntl
import math
import os
import select
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, Protocol

from limpet.errors import (
    BadAnswer,
    CpuLimit,
    Died,
    Killed,
    LimitReached,
    NeverRan,
    OutputLimit,
    PlanError,
    TimeLimit,
)
from limpet.plain import plain
from limpet.sandbox.answers import Answer, MemoryFollows, Output, Reader, ToolCall
from limpet.sandbox.guest.channel import written
from limpet.sandbox.memory import Memory
from limpet.sandbox.waiting import Waits
from limpet.tools.ends import HINT, UNTOLD, code_of

PIECE = 1 << 16
"""Bytes that are read at a time."""

_PIPE = 1 << 18
_MOST_PATIENCE = 1000
"""Milliseconds after which it is looked for signals that came right before a wait began."""

_MOST_WORDS = 300
"""Characters of what a guest said last that an error repeats."""

Told = Callable[[bytes], None]


class Limits:
    """What one request may take; 0 is no limit.

    ``wall`` and ``cpu`` are seconds, ``output`` is bytes of both streams together.
    """

    def __init__(self, wall: float = 0, cpu: float = 0, output: int = 0) -> None:
        self.wall, self.cpu, self.output = wall, cpu, output
        names = {"timeout": wall, "cpu": cpu, "output": output}
        for name, value in names.items():
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise PlanError(f"{name}: {value!r} is no limit", hint="0 for no limit")


class Heard:
    """What a guest wrote while it did what it was asked."""

    def __init__(self, on_stdout: Told | None = None, on_stderr: Told | None = None) -> None:
        self.on_stdout, self.on_stderr = on_stdout, on_stderr
        self.stdout, self.stderr = bytearray(), bytearray()

    def out(self, data: bytes) -> None:
        """Take a piece of its standard output."""
        self.stdout += data
        if self.on_stdout:
            self.on_stdout(data)

    def err(self, data: bytes) -> None:
        """Take a piece of its standard error."""
        self.stderr += data
        if self.on_stderr:
            self.on_stderr(data)

    def by(self, reached: LimitReached) -> LimitReached:
        """``reached``, with what was written until then."""
        reached.stdout = self.stdout.decode(errors="replace")
        reached.stderr = self.stderr.decode(errors="replace")
        return reached


Serve = Callable[[ToolCall], Mapping[str, Any]]
Ready = Callable[[int], None]


class Line(Protocol):
    """What a guest is to an exchange: its streams, and what may end it."""

    _in: IO[bytes]
    _out: IO[bytes]
    _err: IO[bytes]
    _reader: Reader
    _process: subprocess.Popen[bytes]
    _killed: bool
    _rewinds: bool
    _poll: select.poll
    _said: select.poll
    waits: Waits
    numbers: tuple[int, int, int]
    before: float

    def cpu(self) -> float:
        """Seconds that it has computed."""

    def kill(self) -> None:
        """End it."""

    def remind(self) -> None:
        """Of what came right before it began to wait."""


class Exchange:
    """One request and its answer."""

    _telling = _begun = _full = _alone = False
    _written = _words = 0
    _end: float | None = None
    _cpu_end: float | None = None

    def __init__(
        self,
        instance: Line,
        request: Mapping[str, Any],
        limits: Limits,
        heard: Heard,
        serve: Serve,
        memory: Memory | None,
        ready: Ready | None,
    ) -> None:
        self._memory = memory
        self._of, self._limits, self._heard, self._serve = instance, limits, heard, serve
        self._number, word = request["id"], request.get("word", 0)
        self._last = word != 0
        self._unsent = memoryview(framed(request))
        if ready:  # all that can be done before is done
            ready(word)
        if limits.wall:
            self._end = time.monotonic() + limits.wall
        instance.before = instance.cpu()
        if limits.cpu:
            self._cpu_end = instance.before + limits.cpu
        self._poll = instance._poll

    @property
    def _hears(self) -> int:
        """What comes out of a guest's standard input, if anything can."""
        return select.POLLIN if self._of._rewinds else 0

    def answer(self) -> Answer:
        """Until it is there."""
        try:
            return self._answer()
        finally:
            if self._full and not self._of._in.closed:
                self._poll.modify(self._of._in, self._hears)

    def _answer(self) -> Answer:
        of, bounded = self._of, self._end is not None or self._cpu_end is not None
        into, out, err = of.numbers
        self._send()
        while True:
            patience = self._patience() if bounded else _MOST_PATIENCE
            ready = dict(of.waits.wait(self._poll, patience))
            if bounded:
                self._check_limits()
            if not ready:
                of.remind()
            if ready.get(into, 0) & ~select.POLLIN:
                self._send()
            if err in ready:
                self._hear()
            if out in ready:
                found = self._read()
                if found:
                    if not self._alone and of._said.poll(0):  # nothing to read is an error
                        self._hear()
                    return found
            elif ready.get(into, 0) & select.POLLIN:
                self._words += 1  # the answer comes before the word, but not all at one look
                if self._words > 1:
                    raise BadAnswer("the guest was taken back before it answered")

    def _patience(self) -> float:
        """Milliseconds until a limit can be reached at the earliest."""
        ends = []
        if self._end is not None:
            ends.append(self._end - time.monotonic())
        if self._cpu_end is not None:
            ends.append(self._cpu_end - self._of.cpu())
        return min(max(min(ends), 0.0) * 1000 + 1, _MOST_PATIENCE)

    def _check_limits(self) -> None:
        if self._end is not None and time.monotonic() >= self._end:
            self._of.kill()
            raise TimeLimit(f"it took longer than {self._limits.wall:g} s")
        if self._cpu_end is not None and self._of.cpu() >= self._cpu_end:
            self._of.kill()
            raise CpuLimit(f"it computed longer than {self._limits.cpu:g} s")

    def _send(self) -> None:
        """Write what its pipe takes now; where it has ended, what it wrote last is read first."""
        pipe = self._of._in.fileno()
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(pipe, self._unsent) :]
        except BlockingIOError:
            self._full = True
            self._poll.modify(pipe, select.POLLOUT)
            return
        except (BrokenPipeError, ConnectionResetError):  # the latter of a socket, as it ends
            pass
        if self._full:
            self._full = False
            self._poll.modify(pipe, self._hears)

    def _hear(self) -> None:
        """What is there of its standard error: no more than a pipe holds, it may write for ever."""
        for _ in range(_PIPE // PIECE):
            data: bytes | None = self._of._err.read(PIECE)
            if data is None:
                return
            if not data:
                with suppress(KeyError):
                    self._poll.unregister(self._of._err)
                return
            self._count(data)
            self._heard.err(data)

    def _read(self) -> Answer | None:
        try:
            data = os.read(self._of._out.fileno(), PIECE)
        except BlockingIOError:
            return None
        if not data:
            self._gone()
        if self._telling:
            return self._take_memory(data)
        answer = self._of._reader.only(data)
        if not answer:
            return self._taken(data)
        self._expect(answer)
        self._alone = True  # what it wrote before is known: its error stream is looked at last
        return answer

    def _take_memory(self, data: bytes) -> Answer | None:
        assert self._memory
        rest = self._memory.take(data)
        if rest is None:
            return None
        self._telling = False
        return self._taken(rest)

    def _taken(self, data: bytes) -> Answer | None:
        reader = self._of._reader
        for frame in reader.feed(data):
            if isinstance(frame, Output):
                self._count(frame.data)
                self._heard.out(frame.data)
            elif isinstance(frame, MemoryFollows):
                if self._memory is None or self._memory.is_whole:
                    raise BadAnswer("the guest tells what it was not asked")
                self._telling = True
                data, reader.rest = bytes(reader.rest), bytearray()
                return self._take_memory(data)
            else:
                self._expect(frame)
                if isinstance(frame, Answer):
                    return frame
                self._called(frame)
        return None

    def _expect(self, frame: Answer | ToolCall) -> None:
        if frame.number != self._number:
            raise BadAnswer("the guest answers what it was not asked")

    def _called(self, call: ToolCall) -> None:
        """Do what the guest asks of this program, and tell it."""
        if self._last:  # nothing may be on its way when it has been taken back
            raise BadAnswer("the guest calls a function that it was not given")
        if self._unsent:  # it would fill our memory with what it does not read
            raise BadAnswer("the guest asks more before it has read what it was told")
        self._begun = True
        self._unsent = memoryview(framed(self._serve(call)))
        self._send()

    def _count(self, data: bytes) -> None:
        self._written += len(data)
        if self._limits.output and self._written > self._limits.output:
            self._of.kill()
            raise OutputLimit(f"it wrote more than {self._limits.output} bytes")

    def _gone(self) -> None:
        """It has ended: say whether it can have begun.

        Raises:
            NeverRan: it did not read all that it was asked.
            OutcomeUnknown: it did.
        """
        from limpet.contract.limits import SIGNAL_STATUS

        code = code_of(self._of._process)
        self._hear()
        status = SIGNAL_STATUS - code if code is not None and code < 0 else code
        last = plain(bytes(self._heard.stderr[-_MOST_WORDS:]).decode(errors="replace").strip())
        said = f": {last}" if last else ""
        if self._never_began():
            how = "" if status is None else f", with status {status}"
            raise NeverRan(f"the sandbox had ended{how}{said}")
        if self._of._killed:
            raise Killed("the sandbox was ended meanwhile")
        if status is None:
            raise Died(f"the sandbox ended, and nobody is told how: {UNTOLD}{said}", hint=HINT)
        raise Died(f"the sandbox ended with status {status}{said}", status=status)

    def _never_began(self) -> bool:
        """Whether some of what was asked is unsent, or was still in the kernel."""
        if self._begun or self._unsent:
            return not self._begun
        try:
            if self._of._rewinds:
                os.read(self._of._in.fileno(), 1)
                return False
        except ConnectionResetError:  # its end of a socket, which has not read all: unix(7)
            return True
        count = array.array("i", [0])
        fcntl.ioctl(self._of._in, termios.FIONREAD, count)
        return bool(count[0])


def framed(request: Mapping[str, Any]) -> bytes:
    """A request as the agent reads it."""
    data = written(request)
    return len(data).to_bytes(4, "little") + data
