"""``Pool``: sandboxes that were started beforehand, each for one call and then thrown away.

A call finds an interpreter as it was when its snapshot was taken, whatever the calls before it did:
each has a guest of its own, that starts while nobody waits for it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from limpet.errors import NeverRan, PlanError
from limpet.sandbox.result import Result
from limpet.sandbox.sandbox import Sandbox, SandboxSnapshot

_AGAIN = 3
"""How often a call is tried that never ran."""


class Pool:
    """Makes calls in sandboxes, each in one that nobody has used.

    Args:
        snapshot: what they start from: ``Sandbox.prepare(...)``.
        min: sandboxes that wait for a call.
        max: calls that run at a time; others wait.

    Raises:
        PlanError: the numbers are none.
        NeverRan: no sandbox can be started.
    """

    def __init__(self, snapshot: SandboxSnapshot, min: int = 2, max: int | None = None) -> None:
        most = max if max is not None else (os.cpu_count() or 1) * 2
        if min < 1 or most < 1:
            raise PlanError(f"a pool of {min} to {most} sandboxes", hint="give numbers from 1 on")
        self._snapshot, self._min, self.max = snapshot, min, most
        self._ready: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        self._turns = threading.BoundedSemaphore(most)
        self._used: set[Sandbox] = set()
        self._lock = threading.Lock()
        self._gone: queue.SimpleQueue[Sandbox | None] = queue.SimpleQueue()
        self._closed = False
        try:
            for _ in range(min):
                self._ready.put(self._started())
        except BaseException:
            self.close()
            raise
        self._keeper = threading.Thread(target=self._keep, name="limpet pool", daemon=True)
        self._keeper.start()

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
        return self.use(lambda sandbox: sandbox.call(function, *arguments, **named))

    def run(self, code: str, *, timeout: float | None = None) -> Result:
        """As :meth:`Sandbox.run`, in a sandbox of its own."""
        done: Result = self.use(lambda sandbox: sandbox.run(code, timeout=timeout))
        return done

    def use(self, work: Callable[[Sandbox], Any]) -> Any:
        """What ``work`` returns, which is given a sandbox that ends afterwards.

        What never ran is tried again in another one.

        Raises:
            NeverRan: the pool was closed, or no sandbox can be started.
            Exception: what ``work`` raises.
        """
        for left in reversed(range(_AGAIN)):
            try:
                with self._turns, self._one() as sandbox:
                    return work(sandbox)
            except NeverRan:
                if not left or self._closed:
                    raise
        raise AssertionError

    def close(self) -> None:
        """End all of them; calls that run end as ``Killed``."""
        with self._lock:
            self._closed = True
            used = list(self._used)
        for each in used:
            each.kill()
        self._gone.put(None)
        with suppress(queue.Empty):
            while True:
                self._ready.get_nowait().close()

    def _started(self) -> Sandbox:
        """One that has been asked already, so that a call finds all it needs in memory."""
        made = self._snapshot.start()
        made.run("")
        return made

    @contextmanager
    def _one(self) -> Iterator[Sandbox]:
        try:
            sandbox = self._ready.get_nowait()
        except queue.Empty:
            sandbox = self._snapshot.start()
        try:
            with self._lock:
                if self._closed:
                    raise NeverRan("the pool was closed", hint="make another")
                self._used.add(sandbox)
            yield sandbox
        finally:
            with self._lock:
                self._used.discard(sandbox)
            sandbox.kill()
            self._gone.put(sandbox)

    def _keep(self) -> None:
        """In a thread of its own: take away what was used, and start others, while nobody waits."""
        while True:
            used = self._gone.get()
            if used is None:
                return
            used.close()
            with suppress(NeverRan):
                if self._ready.qsize() < self._min and not self._closed:
                    self._offer(self._started())

    def _offer(self, fresh: Sandbox) -> None:
        with self._lock:
            if not self._closed:
                self._ready.put(fresh)
                return
        fresh.close()
