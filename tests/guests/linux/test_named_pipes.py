"""Named pipes and splice between threads: the same lines as on Linux."""

from __future__ import annotations

import subprocess
from pathlib import Path

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker

PROGRAM = SUPPORT / "programs" / "named_pipes.c"


def test_named_pipes(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Who opens waits for the other side, or is told; bytes and readiness are the kernel's."""
    program = make.compile(PROGRAM.read_text(encoding="utf-8"), "named_pipes")
    native = subprocess.run([program], capture_output=True, check=True, cwd=tmp_path)
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.status) == (native.stdout.decode(), 0)


def test_asynchronous(make: Maker, backend: Backend) -> None:
    """O_ASYNC: who owns a pipe or a socket gets the signals that Linux sends."""
    text = (SUPPORT / "programs" / "asynchronous.c").read_text(encoding="utf-8")
    program = make.compile(text, "asynchronous")
    native = subprocess.run([program], capture_output=True, check=True)
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.status) == (native.stdout.decode(), 0)


ALONE = """
#include <fcntl.h>
#include <sys/stat.h>
int main(void) {
    return mkfifo("/tmp/name", 0600) || open("/tmp/name", O_RDONLY) < 0;
}
"""


def test_nobody_else_opens(make: Maker, backend: Backend) -> None:
    """What Linux would wait for without end is told."""
    ran = make(make.compile(ALONE, "alone"), backend).run()
    assert ran.status == 121
    assert b"waits for the other side of a named pipe that nobody else opens" in ran.stderr
