"""What a processor can is found by instructions: those that it says it has run, and no others."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.running.snapshot import snapshot
from tests.support.bundles import Maker
from tests.support.native import INT, U64, Library


@pytest.fixture
def processor(native: Callable[[str], Library]) -> Library:
    """x86_64/processor.c."""
    return native("processor")


def _ends(processor: Library, *bits: int) -> int:
    """How a process ends that runs them: 0 or 1, or by a signal."""
    child = os.fork()
    if not child:
        faulthandler.disable()
        os._exit(processor("runs", INT, U64, U64, U64, U64)(*bits))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_instructions(processor: Library) -> None:
    """All that this processor has; what no processor has all of; and other registers."""
    has = [processor("asked", U64, INT)(which) for which in range(3)]
    assert _ends(processor, *has, 0) == 1
    assert _ends(processor, has[0], 0xFFFFFFFF, has[2], 0) == -signal.SIGILL
    assert _ends(processor, *has, 1) == 0


READS = """
#include <stdio.h>
int main(void) {
    getchar();
    puts("goes on");
}
"""


def test_cpuid_has_the_last_word(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """One that is invalid here, though CPUID says that there is it, ends no start that goes on,
    whatever signals its starter blocks."""
    options = limpet.Options(backends=(backend,), snapshot=True)
    plan = limpet.plan(limpet.load(make.compile(READS, "reads")), options)
    data = snapshot(plan, ()).bundle.data
    crc32, invalid = bytes.fromhex("f20f38f0c0"), bytes.fromhex("0f0b909090")
    assert data.count(crc32) == 1
    again = tmp_path / "again"
    again.write_bytes(data.replace(crc32, invalid))
    again.chmod(0o755)
    for blocked in (set[int](), signal.valid_signals()):
        kept = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        try:
            ran = subprocess.run([again], input=b"\n", capture_output=True, timeout=60, check=False)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"goes on\n", b"")
