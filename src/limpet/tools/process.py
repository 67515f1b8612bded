"""The one door through which Limpet starts other programs."""

from __future__ import annotations

import os
import resource
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from limpet.errors import BuildError
from limpet.tools import landlock
from limpet.tools.ends import check_told

MOST_OUTPUT = 1 << 20
"""Bytes that are kept of what a program writes to each stream."""

_running: set[subprocess.Popen[bytes]] = set()
"""What is waited for at the moment, by any thread."""


_LOOK = 0.5
"""Seconds after which it is looked for signals that came right before a wait began."""


@dataclass(frozen=True)
class Completed:
    """How a program ended: its exit code (negative: by that signal) and what it wrote."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Bounds:
    """What a program gets that may be misled by what it reads.

    It reads and runs only what lies below ``readable``, writes only below ``writable`` (where the
    kernel has Landlock, see ``limpet doctor``), and has no more than ``memory`` bytes of address
    space and ``size`` bytes in each file.  It has these from its start, unless it is ``ours``, and
    all that it reads: then they follow a moment later.  To put them on before, the whole of this
    process has to be copied (``fork``), which takes 20 ms when a guest is in its memory.
    """

    readable: tuple[str, ...]
    writable: tuple[str, ...]
    memory: int = 16 << 30
    size: int = 1 << 30
    ours: bool = False


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
    bounds: Bounds | None = None,
    priority: int = 0,
) -> Completed:
    """Run ``argv`` to its end, without a shell and without standard input.

    Args:
        timeout: seconds, after which it and everything it started is killed.
        check: raise when it does not exit with 0.
        umask: of what it writes; -1 is this process's.
        bounds: what it may use.
        priority: how far it gives way to others (``nice``), this process among them.

    Raises:
        BuildError: it cannot be started, took too long, or failed with ``check``; the message
            holds the command in a form that can be pasted.  Or nobody could say how it ends.
    """
    words = [str(word) for word in argv]
    check_told(BuildError, words[0])
    misled = bounds is not None and not bounds.ours
    first = partial(_limit, 0, bounds) if bounds and misled else None
    with _in_memory("stdout") as out, _in_memory("stderr") as error:

        def start() -> subprocess.Popen[bytes]:
            if bounds:
                landlock.confine((*bounds.readable, os.devnull), (*bounds.writable, os.devnull))
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                cwd=cwd,
                env=env,
                # a session has its share of its own (sched(7), autogroup), and no terminal
                start_new_session=misled,
                process_group=None if misled else 0,
                umask=umask,
                preexec_fn=first,  # noqa: PLW1509  takes no lock
            )

        process = _started(start, words, bounds)
        with suppress(ProcessLookupError):  # it has ended already
            if bounds and bounds.ours:
                _limit(process.pid, bounds)
            if priority:
                own = os.getpriority(os.PRIO_PROCESS, 0)  # nobody but root takes less
                os.setpriority(os.PRIO_PROCESS, process.pid, own + priority)
        _running.add(process)
        try:
            _wait(process, timeout, words)
        finally:
            _running.discard(process)
        done = Completed(process.returncode, _text(out), _text(error))
    if check and done.code:
        raise BuildError(f"failed with status {done.code}:\n  {shlex.join(words)}\n{done.stderr}")
    return done


def end_all() -> None:
    """End all that runs, and what that has started: nobody waits for it any more.

    It takes no lock, so that a signal's handler may call it.
    """
    for each in list(_running):
        if each.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)


def _in_memory(name: str) -> BinaryIO:
    """A file that is in no folder: there may be none that can be written but the cache."""
    return open(os.memfd_create(name), "w+b")


def _limit(process: int, bounds: Bounds) -> None:
    """Limit ``process``: in the child itself (0) before it can have started others, which nothing
    would limit, or from outside where it is ours."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (bounds.size, bounds.size))
    resource.prlimit(process, resource.RLIMIT_AS, (bounds.memory, bounds.memory))


def _started(
    start: Callable[[], subprocess.Popen[bytes]], words: Sequence[str], bounds: Bounds | None
) -> subprocess.Popen[bytes]:
    """Start it; within bounds from a thread of its own, which is confined with it and ends."""
    try:
        if bounds is None:
            return start()
        with ThreadPoolExecutor(1) as thread:
            process = thread.submit(start).result()
    except OSError as error:
        raise BuildError(f"cannot start {words[0]}: {error.strerror}") from error
    return process


def _wait(process: subprocess.Popen[bytes], timeout: float, words: Sequence[str]) -> None:
    try:
        started = time.monotonic()
        _await_end(process.pid, timeout)
        process.wait(max(0.0, started + timeout - time.monotonic()))
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BuildError(
                f"took longer than {timeout:.0f} s and was ended:\n  {shlex.join(words)}"
            ) from error
        raise


def _await_end(pid: int, timeout: float) -> None:
    """Return as soon as a child has ended, or after ``timeout`` seconds.

    Python's own waiting looks every 50 ms, as long as a small file takes to compile.
    """
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):  # an old kernel, here or where Python was built, or a filter
        return
    with open(handle, "rb", buffering=0):
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and not ends.poll(min(left, _LOOK) * 1000):
            pass


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(MOST_OUTPUT).decode(errors="replace")
