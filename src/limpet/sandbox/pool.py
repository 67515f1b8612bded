"""``Pool``: sandboxes that were started beforehand, each call in one as nobody has used it.

A call finds an interpreter as it was when its snapshot was taken, whatever the calls before it did.
Where its monitor can take a guest back, many calls share one, one after the other; else each has a
guest of its own, that starts while nobody waits for it.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from limpet.errors import NeverRan, PlanError
from limpet.sandbox import room
from limpet.sandbox.result import Result
from limpet.sandbox.rewinding import Kept, Turn
from limpet.sandbox.sandbox import Sandbox, SandboxSnapshot
from limpet.sandbox.starting import unless_ending

_AGAIN = 3
"""How often a call is tried that never ran."""

_SOON = 0.2
"""Seconds that a call waits for a guest that is being taken back, before it starts another one."""

_LOOK = 1.0
"""Seconds after which who waits for a turn looks for signals that came right before."""

_LATE = 1.0
"""Seconds in which a guest has to be back, also when nobody waits for it: it may compute."""


class _Member:
    """A guest of a pool: one that is kept serves one call after the other, any other only one."""

    def __init__(self, snapshot: SandboxSnapshot, *, waits: bool = True) -> None:
        self._own, self._kept = _started(snapshot, waits=waits)
        self.is_kept = self._kept is not None
        """Whether it serves more than one call."""
        self._asks_nothing = not self._own._tools.names
        self._lent: Sandbox | None = None
        self._since = 0.0
        self._back = True

    def lend(self, *, once: bool) -> Sandbox:
        """It, for one call, which with ``once`` asks for one thing."""
        lent = Sandbox.__new__(Sandbox)
        lent.__dict__.update(self._own.__dict__)
        if self._kept:
            once = once and self._asks_nothing
            lent._instance = Turn(self._kept, once=once, back=self._is_back_soon)
        self._lent = lent
        return lent

    def give_back(self) -> bool:
        """Take it from who had it, and have it taken back; whether others may have it then."""
        lent = self._lent
        if lent is None:  # nobody has come to have it
            return self._own.alive
        lent._prepared = None
        turn = lent._instance
        if not self._kept or not isinstance(turn, Turn):
            return False
        untouched = turn.untouched
        if not turn.end():
            return False
        self._lent = None
        if not untouched:
            self._since, self._back = time.monotonic(), False
        return True

    def is_back(self, seconds: float) -> bool:
        """Whether it is as it was kept, within that time."""
        self._back = self._back or (self._kept is not None and self._kept.is_back(seconds))
        return self._back

    def _is_back_soon(self) -> bool:
        return self.is_back(_SOON)

    @property
    def is_late(self) -> bool:
        """Whether it should have been back, and is not."""
        return not self.is_back(0) and time.monotonic() - self._since > _LATE

    def kill(self) -> None:
        """End it, whoever has it, and what was started in its place by :meth:`Sandbox.reset`."""
        self._own.kill()
        if self._lent:
            self._lent.kill()

    def close(self) -> None:
        """End it, and take what is left of it from the host."""
        self._own.close()
        if self._lent:
            self._lent.close()


def _started(snapshot: SandboxSnapshot, *, waits: bool) -> tuple[Sandbox, Kept | None]:
    """A guest, kept where it can be."""
    prepared = snapshot._prepared
    keeps = prepared.rewinds
    own = SandboxSnapshot(prepared.rewinding()).start()
    try:
        if keeps or waits:
            own.run("0")  # so that a call finds all it needs in memory
        return own, Kept(own._instance) if keeps else None
    except BaseException as error:
        own.close()
        if not keeps or not isinstance(error, NeverRan) or not prepared.rewinds_not_here():
            raise
    return _started(snapshot, waits=waits)


class Pool:
    """Makes calls in sandboxes, each in one that is as nobody has used it.

    Args:
        snapshot: what they start from: ``Sandbox.prepare(...)``.
        min: sandboxes that wait for a call.
        max: calls that run at a time; others wait.

    Raises:
        PlanError: the numbers are none, or more than can be there at a time.
        NeverRan: no sandbox can be started.
    """

    def __init__(self, snapshot: SandboxSnapshot, min: int = 2, max: int | None = None) -> None:
        most = max if max is not None else room.within((os.cpu_count() or 1) * 2)
        if not isinstance(snapshot, SandboxSnapshot):
            what = f"a pool takes what Sandbox.prepare gives, and not {type(snapshot).__name__}"
            raise PlanError(what, hint="Pool(Sandbox.prepare(timeout=5))")
        if not all(isinstance(each, int) and each >= 1 for each in (min, most)):
            raise PlanError(
                f"a pool of {min!r} to {most!r} sandboxes", hint="whole numbers from 1 on"
            )
        room.check("min", min)
        room.check("max", most)
        self._snapshot, self._min, self.max = snapshot, min, most
        self._ready: deque[_Member] = deque()
        self._used: set[_Member] = set()
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._turns, self._waiting = most, 0
        self._gone: queue.SimpleQueue[_Member | None] = queue.SimpleQueue()
        self._closed = False
        self._keeper = threading.Thread(target=self._keep, name="limpet pool", daemon=True)
        try:
            for _ in range(min):
                self._ready.append(_Member(snapshot))
            with unless_ending():
                self._keeper.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, function: Callable[..., Any] | str, /, *arguments: Any, **named: Any) -> Any:
        """As :meth:`Sandbox.call`, in a sandbox of its own."""
        return self.once(lambda sandbox: sandbox.call(function, *arguments, **named))

    def run(self, code: str, *, timeout: float | None = None) -> Result:
        """As :meth:`Sandbox.run`, in a sandbox of its own."""
        done: Result = self._use(lambda sandbox: sandbox.run(code, timeout=timeout), once=True)
        return done

    def use(self, work: Callable[[Sandbox], Any]) -> Any:
        """What ``work`` returns, which is given a sandbox that is another's afterwards, or ends.

        What never ran is tried again in another one.

        Raises:
            NeverRan: the pool was closed, or no sandbox can be started.
            Exception: what ``work`` raises.
        """
        return self._use(work, once=False)

    def once(self, work: Callable[[Sandbox], Any]) -> Any:
        """As :meth:`use`, where ``work`` runs code once, or makes one call."""
        return self._use(work, once=True)

    def _use(self, work: Callable[[Sandbox], Any], *, once: bool) -> Any:
        for left in reversed(range(_AGAIN)):
            try:
                return self._one(work, once, hurries=once and left == _AGAIN - 1)
            except NeverRan:
                if not left or self._closed:
                    raise
        raise AssertionError

    def close(self) -> None:
        """End all of them; calls that run end as ``Killed``."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, deque()
            for each in self._used:
                each.kill()
        self._gone.put(None)
        for each in ready:
            each.close()
        if self._keeper.is_alive():  # it may be starting one
            self._keeper.join()

    def _one(self, work: Callable[[Sandbox], Any], once: bool, *, hurries: bool) -> Any:
        mine, held = False, list[_Member]()
        try:
            with self._lock:
                if not self._turns:
                    self._wait_for_turn()
                self._turns -= 1
                mine = True  # before the lock is free: an interrupt may come as soon as it is
                self._hold_ready(held)
            if not (hurries and held and held[0].is_kept):
                self._take(held)
            return work(held[0].lend(once=once))
        finally:
            if mine:
                self._give_back(held)

    def _wait_for_turn(self) -> None:
        while not self._turns:
            self._waiting += 1
            try:
                self._turn.wait(_LOOK)
            finally:
                self._waiting -= 1

    def _give_back(self, held: list[_Member]) -> None:
        """A turn, and the one member that it had, if any."""
        with self._lock:
            self._turns += 1
            if self._waiting:
                self._turn.notify()
            for member in held:
                self._used.discard(member)
                if not self._closed and member.give_back():
                    self._ready.append(member)
                    return
        for member in held:
            self._end(member)

    def _end(self, member: _Member) -> None:
        """End it now, and take it away while nobody waits; nobody does where all are closed."""
        member.kill()
        with self._lock:
            if not self._closed:
                self._gone.put(member)
                return
        member.close()

    def _hold_ready(self, held: list[_Member]) -> None:
        """Hold one that nobody has, if there is any: for who has the lock.

        Whoever interrupts a call gives back what is held; it may be on its way still.
        """
        if self._closed:
            raise NeverRan("the pool was closed", hint="make another")
        if self._ready:
            held.append(self._ready.pop())  # what it has is in caches still
            self._used.add(held[0])

    def _take(self, held: list[_Member]) -> None:
        """Hold one that is as it was kept."""
        while not held or not held[0].is_back(_SOON):
            for late in held:
                with self._lock:
                    self._used.discard(late)
                self._end(late)
            held.clear()
            with self._lock:
                self._hold_ready(held)
            if not held:
                held.append(_Member(self._snapshot, waits=False))
                self._use_fresh(held[0])

    def _use_fresh(self, member: _Member) -> None:
        with self._lock:
            self._used.add(member)
            if self._closed:
                member.kill()

    def _keep(self) -> None:
        """In a thread of its own: take away what was used, and start others, while nobody waits."""
        while True:
            with suppress(queue.Empty):
                used = self._gone.get(timeout=_LATE)
                if used is None:
                    break
                used.close()
            self._end_late_ones()
            with suppress(NeverRan):
                while self._too_few() and not self._closed:
                    self._offer(_Member(self._snapshot))
        with suppress(queue.Empty):
            while member := self._gone.get_nowait():
                member.close()

    def _too_few(self) -> bool:
        """Whether fewer wait than should; those that are kept come back."""
        coming = len(self._used) if self._snapshot._prepared.rewinds else 0
        return len(self._ready) + coming < self._min

    def _end_late_ones(self) -> None:
        """Those that nobody has, and that compute nevertheless."""
        with self._lock:
            late = [each for each in self._ready if each.is_late]
            for each in late:
                self._ready.remove(each)
        for each in late:
            each.close()

    def _offer(self, fresh: _Member) -> None:
        with self._lock:
            if not self._closed:
                self._ready.appendleft(fresh)
                return
        fresh.close()
