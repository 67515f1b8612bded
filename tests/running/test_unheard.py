"""Output that nobody reads: an error or a signal, as on Linux, and as the guest chooses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.running.test_warm import PYTHON, bundle
from tests.support.bundles import Maker

pytestmark = pytest.mark.slow

WRITES = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static volatile sig_atomic_t heard;
static void hear(int number) { heard = number; }
int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    sigset_t pipes;
    sigemptyset(&pipes), sigaddset(&pipes, SIGPIPE);
    if (!strcmp(what, "ignores")) signal(SIGPIPE, SIG_IGN);
    if (!strcmp(what, "hears")) signal(SIGPIPE, hear);
    if (!strcmp(what, "blocks")) sigprocmask(SIG_BLOCK, &pipes, 0);
    long wrote = write(1, "?", 1);
    fprintf(stderr, "%ld %s %d\n", wrote, strerror(errno), heard);
    return 3;
}
"""

SCRIPT = """
import signal, sys
if sys.argv[1] == "default":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for number in range(20_000):
    print(number)
"""


def unheard(
    words: Sequence[str], program: Path | str, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """How it ends, and what it says of it, where nobody reads its output."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            list(words),
            executable=program,
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment or {},
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    status = done.returncode
    return status if status >= 0 else 128 - status, done.stderr


def test_of_a_program(make: Maker, backend: Backend) -> None:
    """It may ignore the signal, hear it or keep it back; else that ends it, without a word."""
    program = make.compile(WRITES, "writes")
    made = make(program, backend)
    natively = {each: unheard(["w", each], program) for each in ("", "ignores", "hears", "blocks")}
    assert natively[""] == (141, "")
    assert {each: unheard(["w", each], made.path) for each in natively} == natively


def test_of_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    """Python ignores it, and raises BrokenPipeError."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.isatty", lambda handle: False)
    (tmp_path / "ends.py").write_text(SCRIPT)
    with bundle(["ends.py", "-"], backend) as path:
        for case, status in (("default", 141), ("", 1)):
            words = [PYTHON, "ends.py", case]
            found = unheard(words, path)
            assert (unheard(words, PYTHON)[0], found[0]) == (status, status), found
            assert ("BrokenPipeError: [Errno 32] Broken pipe" in found[1]) == (status == 1), found
