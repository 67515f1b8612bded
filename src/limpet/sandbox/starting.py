"""Guests are started by a thread that ends with this process: the kernel ends them with it.

A guest that computes would else go on when this process is killed (``--feature starter``).  The
kernel counts the thread, and most threads end long before their process does.  The first one does
not; for all others another one starts guests.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from limpet.errors import NeverRan

if TYPE_CHECKING:
    import queue
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
_Asked = tuple["Future[subprocess.Popen[bytes]]", _Start]


class _Starter:
    """That other thread, which begins when it is asked first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a child, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[_Asked] | None = None

    def started(self, start: _Start) -> subprocess.Popen[bytes]:
        """What ``start`` starts there."""
        from concurrent.futures import Future  # who has one thread does without

        made: Future[subprocess.Popen[bytes]] = Future()
        with self._lock:
            self._asked = self._asked or _begun()
            self._asked.put((made, start))
        return made.result()


def _begun() -> queue.SimpleQueue[_Asked]:
    """What a thread of its own is asked by."""
    import queue

    asked = queue.SimpleQueue[_Asked]()
    threading.Thread(target=_serve, args=(asked,), name="limpet starter", daemon=True).start()
    return asked


def _serve(asked: queue.SimpleQueue[_Asked]) -> None:
    while True:
        made, start = asked.get()
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
