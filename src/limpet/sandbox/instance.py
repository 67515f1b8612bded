"""One guest that runs: asked one thing at a time, and ended when it breaks a limit or its word."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from limpet.errors import Killed, LimitReached, NeverRan
from limpet.sandbox.answers import Answer, Reader
from limpet.sandbox.exchange import PIECE, Exchange, Heard, Limits, Ready, Serve
from limpet.sandbox.guest.channel import LEAST_NUMBER
from limpet.sandbox.memory import Memory
from limpet.sandbox.starting import started
from limpet.sandbox.waiting import Waits
from limpet.tools.ends import has_ended

if TYPE_CHECKING:
    import socket


class Instance:
    """A bundle that was started, and the line to the agent in it.

    Args:
        path: the bundle.
        words: its ``argv``.
        environment: what its start has.
        rewinds: whether its standard input is a socket, over which its monitor says that it has
            taken it back.

    Raises:
        NeverRan: it cannot be started.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        rewinds: bool = False,
    ) -> None:
        ours, theirs = _pair() if rewinds else (None, None)
        try:
            self._process = started(
                lambda: subprocess.Popen(
                    words,
                    executable=path,
                    stdin=theirs.fileno() if theirs else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env=environment or {},
                    start_new_session=True,  # a ^C is for who asks, who may then interrupt
                )
            )
        except OSError as error:
            if ours:
                ours.close()
            raise NeverRan(f"{path}: cannot be started: {error.strerror}") from error
        finally:
            if theirs:
                theirs.close()
        self._rewinds = rewinds
        self._clock = ~self._process.pid << 3 | 2  # clock_getcpuclockid(3)
        self._in = io.FileIO(ours.detach(), "wb") if ours else _end(self._process.stdin)
        self._out = _end(self._process.stdout)
        self._err = _end(self._process.stderr)
        for each in (self._in, self._out, self._err):
            os.set_blocking(each.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLIN if rewinds else 0)
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._err, select.POLLIN)
        self.numbers = self._in.fileno(), self._out.fileno(), self._err.fileno()
        """Of its streams, as they are looked at: in this order."""
        self._only_back = [(self._in.fileno(), select.POLLIN)]
        self.waits = Waits(self._process.pid)
        self._said = select.poll()
        self._said.register(self._err, select.POLLIN)
        self._reader = Reader()
        self._number = LEAST_NUMBER
        self._killed = self._interrupted = False
        self.before = 0.0
        """What :meth:`cpu` was when it was asked last."""
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
    def killed(self) -> bool:
        """Whether it was ended."""
        return self._killed

    @property
    def alive(self) -> bool:
        """Whether it can be asked more."""
        return not self._killed and not has_ended(self._process)

    def cpu(self) -> float:
        """Seconds that it has computed since it was started."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0  # it has ended

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in what it runs; nothing where nothing runs."""
        self._interrupted = True
        self._process.send_signal(signal.SIGUSR1)  # who starts us may ignore SIGINT

    def remind(self) -> None:
        """Of an interrupt that came right before its code began to wait: Python is told of it, and
        looks when that wait ends, as one does that a signal ends."""
        if self._interrupted:
            self._process.send_signal(signal.SIGUSR2)

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

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody asks it for anything now, so that nobody can meanwhile."""
        free = self._one.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._one.release()

    def has_said_no_more(self) -> bool:
        """Whether something has come where its standard input is, and nothing is left to be read.

        What it wrote before that came is seen: its standard input is looked at first.
        """
        return self._poll.poll(0) == self._only_back and not self._reader.rest

    def forget(self) -> bool:
        """What the guest wrote until now is read by nobody; nothing writes meanwhile.  True."""
        if self._reader.rest:
            self._reader = Reader()
        for number, _ in self._poll.poll(0):
            if number != self._in.fileno():
                with suppress(BlockingIOError):
                    while os.read(number, PIECE):
                        pass
        return True

    def ask(
        self,
        request: dict[str, Any],
        limits: Limits,
        heard: Heard,
        serve: Serve,
        memory: Memory | None = None,
        ready: Ready | None = None,
    ) -> Answer:
        """Ask one thing, and wait for the answer.

        Args:
            request: what, in the words of the agent; it gets a number.
            limits: beyond which it is ended.
            heard: takes what it writes.
            serve: does what it asks of the host.
            memory: takes that of the guest, if it tells it; else it must not.
            ready: comes back once the guest can be asked, right before it is; told the word by
                which it will be back, or 0.

        Raises:
            NeverRan: it had ended before it read what it was asked.
            OutcomeUnknown: it was ended, or ended, before it answered.
        """
        if not self._one.acquire(blocking=False):
            raise NeverRan("a sandbox does one thing at a time", hint="start another")
        try:
            if self._killed:  # what is left of an answer is not the next one's
                raise NeverRan("the sandbox had ended, since it was killed", hint="reset it")
            self._number += 1
            self._interrupted = False
            request["id"] = self._number
            try:
                return Exchange(self, request, limits, heard, serve, memory, ready).answer()
            except (ValueError, OSError):
                if not self._in.closed:  # by another thread
                    raise
                raise Killed("the sandbox was closed meanwhile") from None
        except LimitReached as error:
            heard.by(error)
            raise
        except BaseException:
            self.kill()
            raise
        finally:
            self._one.release()


def _pair() -> tuple[socket.socket, socket.socket]:
    import socket

    return socket.socketpair()


def _end(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream
    return stream
