"""A guest that its monitor takes back to how it was kept, and who has it meanwhile.

The guest may be hostile, so that it says so counts for nothing.  It is told a word by chance,
behind which nothing more is sent; only its monitor can say that where its standard input is, once
everything is as it was, or, in a process, where nothing but its own code runs until that is so.
So the word and what is behind it are proof: nothing of the last call is left to run, and nothing
that it was told is left to read.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from limpet.errors import NeverRan, PlanError
from limpet.sandbox.answers import Answer
from limpet.sandbox.exchange import Heard, Limits, Serve, framed
from limpet.sandbox.guest.channel import LEAST_WORD
from limpet.sandbox.instance import Instance
from limpet.sandbox.memory import Memory
from limpet.sandbox.prepared import Prepared
from limpet.sandbox.tools import Tools

_WORD = 8
"""Bytes."""

_END = bytes(8)
"""What is said behind the word: in a process the word is only the beginning of its way back."""

_BACK = 1.0
"""Seconds in which it has to be back where somebody waits for it, and nobody for another one."""

_KEPT = 10.0
"""Seconds in which a new one has to be kept."""


def new_word() -> int:
    """One by chance."""
    return LEAST_WORD | int.from_bytes(os.urandom(_WORD), "little") % LEAST_WORD


class Kept:
    """A guest that can be taken back.

    Args:
        instance: started with ``rewinds``; nobody else has asked it for what is not trusted.

    Raises:
        NeverRan: its monitor does not keep it.
    """

    def __init__(self, instance: Instance | Turn) -> None:
        assert isinstance(instance, Instance)
        self.instance = instance
        self.lock = threading.Lock()
        """Of its turns, which follow each other."""
        self._expected = self._heard = b""
        self._line = select.poll()
        self._line.register(instance.input, select.POLLIN)
        self.ask_back()
        if not self.is_back(_KEPT):
            instance.close()
            raise NeverRan("the monitor of a sandbox does not keep it")

    def expects(self, word: int) -> None:
        """From now on that is the one by which it is known that the guest is back."""
        self._expected, self._heard = word.to_bytes(_WORD, "little") + _END, b""

    def ask_back(self) -> None:
        """Let it be taken back; :meth:`is_back` says when it is."""
        word = new_word()
        self.expects(word)
        request = framed({"do": "rewind", "id": 0, "word": word})
        with suppress(OSError):  # it has ended, or has not read what it was asked
            if os.write(self.instance.input, request) == len(request):
                return
        self._expected = b""

    def is_back(self, seconds: float) -> bool:
        """Whether it is as it was kept, within that time; what it wrote meanwhile is lost.

        It can be asked again until it was once.
        """
        expected = self._expected
        if not expected:
            return False
        silent = not self._heard and self.instance.has_said_no_more()
        while len(self._heard) < len(expected):
            if (self._heard or not silent) and not self.instance.waits.wait(
                self._line, seconds * 1000
            ):
                return False
            try:
                heard = os.read(self.instance.input, len(expected))
            except OSError:
                heard = b""
            if not heard:  # it has ended
                break
            self._heard += heard
        self._expected = b""
        return self._heard == expected and (silent or self.instance.forget())


class Goes:
    """A guest of one owner, which goes back whenever that one wants it.

    Args:
        kept: the guest.
        tools: of the host's, that it knows by then.
    """

    def __init__(self, kept: Kept, tools: Tools) -> None:
        self._kept, self.tools = kept, tools

    @classmethod
    def kept(cls, prepared: Prepared, instance: Instance | Turn, tools: Tools) -> Goes | None:
        """``instance`` as it is now; ``None`` where that cannot be, and where that has ended it.

        Raises:
            NeverRan: its monitor does not keep it, and would anywhere.
        """
        try:
            return cls(Kept(instance), tools) if prepared.rewinds else None
        except NeverRan:
            if not prepared.rewinds_not_here():
                raise
        return None

    def goes_back(self) -> bool:
        """Have it taken back; whether it is as it was, and can be asked more.

        Not where it is asked for something now: what is sent to it for that would come behind.
        """
        with self._kept.instance.alone() as alone:
            if not alone or not self._kept.instance.alive:
                return False
            self._kept.ask_back()
            return self._kept.is_back(_BACK)


class Turn:
    """A guest for as long as one call has it: whoever keeps this longer reaches no later one.

    Args:
        kept: the guest.
        once: whether it is asked for one thing, and has itself taken back by itself then.
        back: waits until it is as it was kept, and says whether it is.
    """

    _last = _is_back = _ended = _interrupted = False
    untouched = True
    """Whether nobody has asked it for anything."""

    def __init__(self, kept: Kept, *, once: bool, back: Callable[[], bool]) -> None:
        self._kept, self._instance, self._lock = kept, kept.instance, kept.lock
        self._once, self._back = once, back
        self._asking: list[Limits] = []  # for each that asks

    def end(self) -> bool:
        """Take it away, and have it taken back, unless nobody has asked it for anything.

        Not where somebody asks it for something now, or where an interrupt may have come when it
        had been taken back already: that would be the next call's.
        """
        with self._lock:
            self._ended = True
            late = self._last and self._interrupted
            if self._asking or late or self._instance.killed:
                return False
            if not self._last and not self.untouched:
                self._kept.ask_back()
            return True

    def ask(
        self,
        request: dict[str, Any],
        limits: Limits,
        heard: Heard,
        serve: Serve,
        memory: Memory | None = None,
    ) -> Answer:
        """As :meth:`Instance.ask`.

        Raises:
            NeverRan: the call has ended, or the guest is not back in time.
            PlanError: it was for one thing.
        """
        with self._lock:
            if self._ended:
                raise NeverRan("the sandbox was closed", hint="make another")
            if self._last:
                raise PlanError(
                    "the sandbox was for one call, and has made it", hint="take Pool.use"
                )
            self._asking.append(limits)
            self._last, self.untouched = self._once, False
        if self._last:
            request["word"] = new_word()
        try:
            return self._instance.ask(request, limits, heard, serve, memory, self._ready)
        finally:
            self._asking.pop()

    def _ready(self, word: int) -> None:
        self._is_back = self._is_back or self._back()
        if not self._is_back:
            raise NeverRan("the sandbox was not taken back in time", hint="make another")
        if word:
            self._kept.expects(word)

    @property
    def alive(self) -> bool:
        """Whether it can be asked more."""
        return not self._ended and self._instance.alive

    @property
    def before(self) -> float:
        """As :attr:`Instance.before`."""
        return self._instance.before

    def cpu(self) -> float:
        """As :meth:`Instance.cpu`."""
        return self._instance.cpu()

    def interrupt(self) -> None:
        """As :meth:`Instance.interrupt`, while the call lasts."""
        with self._lock:
            if not self._ended:
                self._interrupted = True
                self._instance.interrupt()

    def kill(self) -> None:
        """As :meth:`Instance.kill`, while the call lasts."""
        with self._lock:
            if not self._ended:
                self._instance.kill()

    def close(self) -> None:
        """The same: who made it takes what is left of it."""
        self.kill()
