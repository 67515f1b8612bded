"""How the host waits for what a guest is about to say.

To be woken takes longer than a small call, on both sides: the kernel runs who is woken on the
processor of who wakes it, one after the other, and a processor that has slept takes its time.  So
in a row of small calls the host looks for the answer again and again before it sleeps, with the
guest on another processor, as a hypervisor does for a virtual machine that halts (KVM's
``halt_poll_ns``).  Where that is in vain, since others want the processors, it is left for longer
and longer.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

SOON = 200_000
"""Nanoseconds: for how long is looked, and what lies between the calls of a row at most."""

_LEAST, _MOST = 1_000_000, 1_000_000_000
"""Nanoseconds for which it is left when it was in vain: twice as long each time."""

_ENOUGH = 100
"""Looks, one after another, that were not in vain: what was in vain before counts no more."""

_STAT = "/proc/thread-self/stat"
_PROCESSOR = 36
"""Its field 39, counted from behind the name (proc_pid_stat(5))."""

_waiting: set[int] = set()
"""Who waits now: where more than one does, all processors have something to do."""


class Waits:
    """The waits for one guest.

    Args:
        pid: its process, a child that nobody has waited for.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last = self._again = self._found = 0
        self._pause = _LEAST
        self._soon = self._apart = False

    def wait(self, streams: select.poll, patience: float | None) -> list[tuple[int, int]]:
        """What of ``streams`` is ready, as their ``poll(patience)`` says it."""
        if patience == 0:
            return streams.poll(0)
        _waiting.add(id(self))
        try:
            begun = time.perf_counter_ns()
            in_a_row = self._soon and begun - self._last < SOON and begun > self._again
            found = in_a_row and len(_waiting) == 1 and self._looked(streams, begun + SOON)
            if not found:
                found = streams.poll(patience)
                self._last = time.perf_counter_ns()
                self._soon = self._last - begun < 2 * SOON
            return found
        finally:
            _waiting.discard(id(self))

    def _looked(self, streams: select.poll, end: int) -> list[tuple[int, int]]:
        """The same, within a short time."""
        if not self._apart:
            self._apart = True
            _moved(self._pid)
        while (now := time.perf_counter_ns()) < end:
            if found := streams.poll(0):
                self._last = now
                self._found += 1
                if self._found == _ENOUGH:
                    self._pause = _LEAST
                return found
        self._apart, self._found = False, 0
        self._again, self._pause = end + self._pause, min(2 * self._pause, _MOST)
        return []


def _moved(pid: int) -> None:
    """Have the process on another processor than this thread, for now."""
    with suppress(OSError):  # it has ended, or nobody may
        with open(_STAT, "rb") as stream:
            here = int(stream.read().rpartition(b")")[2].split()[_PROCESSOR])
        allowed = os.sched_getaffinity(pid)
        others = allowed - {here}
        if others:
            os.sched_setaffinity(pid, others)
            os.sched_setaffinity(pid, allowed)
