"""Guests are started by a thread that ends with this process: the kernel ends them with it.

A guest that computes would else go on when this process is killed (``--feature starter``).  The
kernel counts the thread, and most threads end long before their process does.  The first one does
not; for all others another one starts guests.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

_Start = Callable[[], "subprocess.Popen[bytes]"]


class _Starter:
    """That other thread, which begins when it is asked first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a child, which has none of its parent's threads."""
        self._lock, self._begun = threading.Lock(), False
        self._asked: queue.SimpleQueue[tuple[Future[subprocess.Popen[bytes]], _Start]]
        self._asked = queue.SimpleQueue()

    def started(self, start: _Start) -> subprocess.Popen[bytes]:
        """What ``start`` starts there."""
        from concurrent.futures import Future  # who has one thread does without

        with self._lock:
            if not self._begun:
                threading.Thread(target=self._serve, name="limpet starter", daemon=True).start()
                self._begun = True
        made: Future[subprocess.Popen[bytes]] = Future()
        self._asked.put((made, start))
        return made.result()

    def _serve(self) -> None:
        while True:
            made, start = self._asked.get()
            try:
                made.set_result(start())
            except BaseException as error:
                made.set_exception(error)
            del made, start  # what was started is theirs who asked


_starter = _Starter()
os.register_at_fork(after_in_child=_starter.forget)


def started(start: _Start) -> subprocess.Popen[bytes]:
    """What ``start`` starts, by a thread that does not end before this process does.

    Raises:
        OSError: as ``start``.
    """
    own = threading.get_native_id() == os.getpid()
    return start() if own else _starter.started(start)
