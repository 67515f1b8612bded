"""Calls with all that belongs to each: when it was, how long it took, its hypercalls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from limpet.contract.limits import BACKEND_KVM, TRACE_BEGUN, TRACE_CALL, TRACE_SIGNAL, TRACE_TIME
from limpet.running.tracing.records import Record, stays_inside

_THREADS_MOST = 4096
_HYPERCALLS_MOST = 256
"""What is kept of calls that go on; a guest that makes up more loses them."""


@dataclass(frozen=True)
class Event:
    """A call of a thread; ``done`` is false of one that has not returned.

    Or a signal that it takes, of which ``call`` is the record.
    """

    call: Record
    done: bool
    at: float  # seconds since the first call
    took: float  # seconds
    hypercalls: tuple[tuple[Record, float], ...]  # each with its seconds
    inside: bool  # no hypercall left the guest

    @property
    def is_signal(self) -> bool:
        """Whether it is a signal."""
        return self.call.kind == TRACE_SIGNAL


class Clock:
    """Seconds from ticks of the guest's processor."""

    def __init__(self) -> None:
        self._first: tuple[int, int] | None = None
        self._zero: int | None = None
        self._rate = 0.0  # seconds a tick
        self.backend = 0

    def told(self, record: Record) -> None:
        """A record of the time: the monotonic clock, the real-time clock, kHz, the backend."""
        monotonic, _, khz, self.backend = record.arguments[:4]
        self._first = self._first or (record.ticks, monotonic)
        ticks, nanoseconds = record.ticks - self._first[0], monotonic - self._first[1]
        if khz:
            self._rate = 1 / (khz * 1e3)
        elif ticks > 0 and nanoseconds > 0:
            self._rate = nanoseconds / ticks / 1e9

    def at(self, ticks: int) -> float:
        """When that was, from the first one that is asked for."""
        if self._zero is None:
            self._zero = ticks
        return max(ticks - self._zero, 0) * self._rate

    def lasts(self, ticks: int) -> float:
        """How long that is."""
        return ticks * self._rate


class Events:
    """Puts records together."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._begun: dict[int, Record] = {}
        self._hypercalls: dict[int, list[Record]] = {}

    def taken(self, record: Record) -> Iterator[Event]:
        """The call that ends with ``record``, if one does."""
        if record.kind == TRACE_TIME:
            self.clock.told(record)
        elif record.kind == TRACE_BEGUN:
            if len(self._begun) < _THREADS_MOST:
                self._begun[record.thread] = record
        elif record.kind == TRACE_CALL:
            self._begun.pop(record.thread, None)
            yield self._event(record, done=True)
        elif record.kind == TRACE_SIGNAL:
            yield Event(record, True, self.clock.at(record.ticks), 0.0, (), True)
        elif len(self._hypercalls) < _THREADS_MOST:
            own = self._hypercalls.setdefault(record.thread, [])
            if len(own) < _HYPERCALLS_MOST:
                own.append(record)

    def left(self) -> Iterator[Event]:
        """The calls that go on."""
        for record in list(self._begun.values()):
            yield self._event(record, done=False)
        self._begun.clear()

    def _event(self, call: Record, *, done: bool) -> Event:
        made = self._hypercalls.pop(call.thread, [])
        by_itself = self.clock.backend == BACKEND_KVM
        return Event(
            call,
            done,
            self.clock.at(call.ticks),
            self.clock.lasts(call.took) if done else 0.0,
            tuple((each, self.clock.lasts(each.took)) for each in made),
            all(by_itself and stays_inside(each) for each in made),
        )
