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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from limpet.errors import NeverRan

if TYPE_CHECKING:
    from concurrent.futures import Future

_ENDING = "interpreter shutdown", "register atexit", "shutting down"
"""What Python says where it starts no thread, and imports nothing, any more."""


@contextmanager
def unless_ending() -> Iterator[None]:
    """Have what fails since this program is ending say so.

    Raises:
        NeverRan: it is.
    """
    try:
        yield
    except (RuntimeError, ImportError) as error:
        if not any(each in str(error) for each in _ENDING):
            raise
        raise NeverRan(
            f"this program is ending, and no sandbox can be started any more: {error}",
            hint="start and ask it before: not in atexit, nor in __del__",
        ) from error


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
        NeverRan: this program is ending.
    """
    own = threading.get_native_id() == os.getpid()
    with unless_ending():
        return start() if own else _starter.started(start)
