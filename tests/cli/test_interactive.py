"""An interactive Python in a real terminal: what is typed and shown is as with python itself."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from limpet.contract import Backend
from tests.support.bundles import need
from tests.support.large import large

PYTHON = Path("/usr/bin/python3")
PROMPT = b">>> "
TYPED = (
    b"1+1\r",
    b"\x1b[A\r",  # the line before
    b"abc\x1b[D\x1b[Dx\r",  # an arrow to the left, twice
    b"impor\tsys\r",
    b"sys.ver\t\r",
    b"12\x03",  # no line: Ctrl-C
    b"while True: pass\r",
    b"\r",
    b"\x03",  # it runs: Ctrl-C
    b"\x03",
    b"\x04",
)


def _shown(handle: int) -> bytes:
    """Until the next prompt, or the end; a program that runs shows none for a second."""
    shown, end = b"", time.monotonic() + 60
    while time.monotonic() < end and not shown.endswith(PROMPT):
        if not select.select([handle], [], [], 1)[0] and shown:
            break
        try:
            data = os.read(handle, 4096)
        except OSError:  # nobody has the other end any more
            break
        if not data:
            break
        shown += data
    return shown


def session(argv: Sequence[str]) -> tuple[list[bytes], int]:
    """What is shown behind each of :data:`TYPED`, and the status; Ctrl-C may be Python's end."""
    pid, handle = pty.fork()
    if not pid:
        os.execvpe(argv[0], list(argv), {**os.environ, "TERM": "xterm"})
    try:
        _shown(handle)
        found = []
        for keys in TYPED:
            os.write(handle, keys)
            found.append(_shown(handle))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return found, status if status >= 0 else 128 - status  # as a shell has it
    finally:
        os.close(handle)


@large
def test_as_python_itself(backend: Backend) -> None:
    """Line editing, history, completion, Ctrl-C, also while code runs, and Ctrl-D."""
    python = str(need(PYTHON, "python3"))
    ours = [sys.executable, "-m", "limpet", "run", "--backend", backend, python, "-q"]
    assert session(ours) == session([python, "-q"])
