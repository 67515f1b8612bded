"""A program that is not told how its children end is never told that all went well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import limpet
from limpet import SandboxSnapshot
from limpet.errors import BuildError, Died, RunError
from limpet.tools import process
from limpet.tools.ends import code_of, has_ended

CRASH = "import ctypes; ctypes.string_at(0)"


@pytest.fixture
def untold() -> Iterator[None]:
    """The kernel forgets this process's children as they end."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("code", [CRASH, "import os; os._exit(0)"])
def test_a_guest_that_ends(snapshot: SandboxSnapshot, untold: None, code: str) -> None:
    """However it ends, its status is said to be unknown, with what to do about it."""
    with snapshot.start() as sandbox:
        with pytest.raises(Died, match="nobody is told how: this program ignores SIGCHLD") as died:
            sandbox.run(code)
        assert died.value.status is None
        assert died.value.hint == "signal.signal(signal.SIGCHLD, signal.SIG_DFL)"
        assert not sandbox.alive
        sandbox.interrupt()
        sandbox.reset()
        assert sandbox.run("print(1)").stdout == "1\n"


def test_a_child_that_others_wait_for() -> None:
    """Who waits for all children takes its end away."""
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitpid(child.pid, 0)
        assert has_ended(child)
        assert code_of(child) is None


def test_what_is_built_or_run(untold: None, tmp_path: Path) -> None:
    """No compiler's, and no guest's, failure is taken for a success: neither is started."""
    with pytest.raises(BuildError, match="/bin/false: this program ignores SIGCHLD"):
        process.run(["/bin/false"], timeout=9)
    with pytest.raises(RunError, match="bundle: this program ignores SIGCHLD"):
        limpet.run(tmp_path / "bundle")


def test_how_a_child_ended() -> None:
    """By its status or its signal, before and after it was asked by others."""
    for code in ("raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)", "pass"):
        with subprocess.Popen([sys.executable, "-S", "-c", code]) as child:
            expected = {"r": 3, "i": -9, "p": 0}[code[0]]
            assert code_of(child) == expected
            assert has_ended(child)
            assert code_of(child) == child.returncode == expected


def test_commands_are_told(tmp_path: Path) -> None:
    """A command that is started by who ignores it hears of what it starts all the same."""
    source = tmp_path / "seven.c"
    source.write_text("int main(void) { return 7; }")
    words = [sys.executable, "-m", "limpet", "run", "--backend", "process"]
    done = subprocess.run(
        ["env", "--ignore-signal=CHLD", *words, "--max-output", "9", str(source)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
