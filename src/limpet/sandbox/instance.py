"""One guest that runs: asked one thing at a time, and ended when it breaks a limit or its word."""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import (
    BadAnswer,
    CpuLimit,
    Died,
    Killed,
    LimitReached,
    NeverRan,
    OutputLimit,
    TimeLimit,
)
from limpet.plain import plain
from limpet.sandbox.answers import Answer, MemoryFollows, Output, Reader, ToolCall
from limpet.sandbox.memory import Memory

_PIECE, _PIPE = 1 << 16, 1 << 18
_MOST_WORDS = 300
"""Characters of what a guest said last that an error repeats."""

Told = Callable[[bytes], None]


@dataclass(frozen=True)
class Limits:
    """What one request may take; 0 is no limit.

    ``wall`` and ``cpu`` are seconds, ``output`` is bytes of both streams together.
    """

    wall: float = 0
    cpu: float = 0
    output: int = 0


@dataclass
class Heard:
    """What a guest wrote while it did what it was asked."""

    on_stdout: Told | None = None
    on_stderr: Told | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

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


Serve = Callable[[ToolCall], Mapping[str, Any]]


class Instance:
    """A bundle that was started, and the line to the agent in it.

    Args:
        path: the bundle.
        words: its ``argv``.
        environment: what its start has.

    Raises:
        NeverRan: it cannot be started.
    """

    def __init__(
        self, path: Path, words: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        try:
            self._process = subprocess.Popen(
                words,
                executable=path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment or {},
                start_new_session=True,  # a ^C is for who asks, who may then interrupt
            )
        except OSError as error:
            raise NeverRan(f"{path}: cannot be started: {error.strerror}") from error
        self._in, self._out = _end(self._process.stdin), _end(self._process.stdout)
        self._err = _end(self._process.stderr)
        for each in (self._in, self._out, self._err):
            os.set_blocking(each.fileno(), False)
        self._reader = Reader()
        self._number = 0
        self._killed = False
        self._one = threading.Lock()

    @property
    def pid(self) -> int:
        """Of the bundle's process."""
        return self._process.pid

    @property
    def input(self) -> int:
        """The descriptor of its standard input."""
        return self._in.fileno()

    @property
    def alive(self) -> bool:
        """Whether it can be asked more."""
        return not self._killed and self._process.poll() is None

    def cpu(self) -> float:
        """Seconds that it has computed since it was started."""
        try:
            return time.clock_gettime(~self.pid << 3 | 2)  # clock_getcpuclockid(3)
        except OSError:
            return 0.0  # it has ended

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in what it runs; nothing where nothing runs."""
        self._process.send_signal(signal.SIGUSR1)  # who starts us may ignore SIGINT

    def kill(self) -> None:
        """End it, whoever waits for its answer."""
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """End it, and take what is left of it from the host."""
        self.kill()
        self._process.wait()
        for each in (self._in, self._out, self._err):
            each.close()

    def ask(
        self,
        request: Mapping[str, Any],
        limits: Limits,
        heard: Heard,
        serve: Serve,
        memory: Memory | None = None,
    ) -> Answer:
        """Ask one thing, and wait for the answer.

        Args:
            request: what, in the words of the agent.
            limits: beyond which it is ended.
            heard: takes what it writes.
            serve: does what it asks of the host.
            memory: takes that of the guest, if it tells it; else it must not.

        Raises:
            NeverRan: it had ended before it read what it was asked.
            OutcomeUnknown: it was ended, or ended, before it answered.
        """
        if not self._one.acquire(blocking=False):
            raise NeverRan("a sandbox does one thing at a time", hint="start another")
        try:
            self._number += 1
            numbered = {**request, "id": self._number}
            exchange = _Exchange(self, numbered, limits, heard, serve, memory)
            try:
                return exchange.answer()
            except ValueError:
                if not self._in.closed:  # by another thread
                    raise
                raise Killed("the sandbox was closed meanwhile") from None
        except LimitReached as error:
            error.stdout = heard.stdout.decode(errors="replace")
            error.stderr = heard.stderr.decode(errors="replace")
            raise
        except BaseException:
            self.kill()
            raise
        finally:
            self._one.release()


def _end(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream
    return stream


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        instance: Instance,
        request: Mapping[str, Any],
        limits: Limits,
        heard: Heard,
        serve: Serve,
        memory: Memory | None,
    ) -> None:
        self._memory, self._telling = memory, False
        self._of, self._limits, self._heard, self._serve = instance, limits, heard, serve
        self._number = request["id"]
        self._unsent = memoryview(_framed(request))
        self._begun = False
        self._written = 0
        self._end = time.monotonic() + limits.wall if limits.wall else None
        self._cpu_end = instance.cpu() + limits.cpu if limits.cpu else None
        self._poll = select.poll()
        self._poll.register(instance._out, select.POLLIN)
        self._poll.register(instance._err, select.POLLIN)

    def answer(self) -> Answer:
        """Until it is there."""
        self._send()
        while True:
            ready = dict(self._poll.poll(self._patience()))
            self._check_limits()
            if self._of._in.fileno() in ready:
                self._send()
            if self._of._err.fileno() in ready:
                self._hear()
            if self._of._out.fileno() in ready:
                found = self._read()
                if found:
                    self._hear()
                    return found

    def _patience(self) -> float | None:
        """Milliseconds until a limit can be reached at the earliest."""
        ends = []
        if self._end is not None:
            ends.append(self._end - time.monotonic())
        if self._cpu_end is not None:
            ends.append(self._cpu_end - self._of.cpu())
        return max(min(ends), 0.0) * 1000 + 1 if ends else None

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
            self._poll.register(pipe, select.POLLOUT)
            return
        except BrokenPipeError:
            pass
        with suppress(KeyError):
            self._poll.unregister(pipe)

    def _hear(self) -> None:
        """What is there of its standard error: no more than a pipe holds, it may write for ever."""
        for _ in range(_PIPE // _PIECE):
            try:
                data = os.read(self._of._err.fileno(), _PIECE)
            except BlockingIOError:
                return
            if not data:
                with suppress(KeyError):
                    self._poll.unregister(self._of._err)
                return
            self._count(data)
            self._heard.err(data)

    def _read(self) -> Answer | None:
        try:
            data = os.read(self._of._out.fileno(), _PIECE)
        except BlockingIOError:
            return None
        if not data:
            self._gone()
        return self._take_memory(data) if self._telling else self._taken(data)

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
            elif frame.number != self._number:
                raise BadAnswer("the guest answers what it was not asked")
            elif isinstance(frame, ToolCall):
                if self._unsent:  # it would fill our memory with what it does not read
                    raise BadAnswer("the guest asks more before it has read what it was told")
                self._begun = True
                self._unsent = memoryview(_framed(self._serve(frame)))
                self._send()
            else:
                return frame
        return None

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
        self._of._process.wait()
        self._hear()
        code = self._of._process.returncode
        status = code if code >= 0 else SIGNAL_STATUS - code
        last = plain(bytes(self._heard.stderr[-_MOST_WORDS:]).decode(errors="replace").strip())
        said = f": {last}" if last else ""
        if self._never_began():
            raise NeverRan(f"the sandbox had ended, with status {status}{said}")
        if self._of._killed:
            raise Killed("the sandbox was ended meanwhile")
        raise Died(f"the sandbox ended with status {status}{said}", status=status)

    def _never_began(self) -> bool:
        """Whether some of what was asked is unsent, or still in the kernel."""
        count = array.array("i", [0])
        fcntl.ioctl(self._of._in, termios.FIONREAD, count)
        return not self._begun and bool(self._unsent or count[0])


def _framed(request: Mapping[str, Any]) -> bytes:
    data = json.dumps(request, separators=(",", ":")).encode()
    return len(data).to_bytes(4, "little") + data
