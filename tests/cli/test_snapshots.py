"""``limpet snapshot``: where its bundle goes, and what is left of it where it is ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.command import Cli

ECHO = "import sys\nfor line in sys.stdin: print(line.strip(), sys.argv[1:])"

SPIN = "#include <stdio.h>\nint main(void) { volatile int on = 1; while (on); return getchar(); }"


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_its_place_at_the_end(limpet: Cli, option: str) -> None:
    """Where nothing before says it; the program has its words without it, and that is said."""
    (limpet.cwd / "echo.py").write_text(ECHO)
    python = ["--backend", "process", "--python", "/usr/bin/python3"]
    made = limpet("snapshot", *python, "echo.py", "-x", option, "made")
    assert f"limpet: {option} made at the end is not the program's" in made.stderr
    assert _ran(limpet.cwd / "made") == "line ['-x']\n"


def test_a_place_before_is_the_only_one(limpet: Cli) -> None:
    """All behind the program is the program's then."""
    (limpet.cwd / "echo.py").write_text(ECHO)
    python = ["--backend", "process", "--python", "/usr/bin/python3"]
    assert limpet("snapshot", "-o", "made", *python, "echo.py", "-o", "other").returncode == 0
    assert _ran(limpet.cwd / "made") == "line ['-o', 'other']\n"
    assert not (limpet.cwd / "other").exists()


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["cat", "a b"], "-o cat.limpet cat 'a b'"),
        (["cat", "-o", "made", "a b"], "-o made cat 'a b'"),
        (["/bin/cat", "-o"], "-o cat.limpet /bin/cat"),
    ],
)
def test_no_place(limpet: Cli, words: list[str], instead: str) -> None:
    """The error has the command as it should be."""
    refused = limpet("snapshot", *words)
    assert refused.returncode == 2
    assert "what stands behind APP is the program's" in refused.stderr
    assert refused.stderr.endswith(f"limpet: try: limpet snapshot {instead}\n")


def _ran(bundle: Path) -> str:
    return subprocess.run([bundle], input="line\n", text=True, stdout=-1, check=True).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_is_left(limpet: Cli, backend: Backend, number: signal.Signals) -> None:
    """A guest that is run for its moment ends with the command, and its folder goes."""
    (limpet.cwd / "spin.c").write_text(SPIN)
    folder = limpet.cwd / "temporary"
    folder.mkdir()
    limpet.env["TMPDIR"] = str(folder)
    words = ["snapshot", "--backend", backend, "-o", "made", "spin.c"]
    taking = subprocess.Popen(
        [sys.executable, "-c", _AS_IN_A_SHELL, *words],
        cwd=limpet.cwd,
        env=limpet.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with taking:
        _until(lambda: _running_below(folder))
        taking.send_signal(number)
        assert taking.wait(60) == (130 if number == signal.SIGINT else -number)
    assert not list(folder.iterdir())
    _until(lambda: not _running_below(folder))


def test_what_it_said_last(limpet: Cli) -> None:
    """Of one that ends before its moment, on its standard output where nothing else is."""
    (limpet.cwd / "says.c").write_text(
        "#include <stdio.h>\n"
        'int main(int n, char **w) { puts("no zones"); return n ? 3 : getchar(); }'
    )
    done = limpet("snapshot", "--backend", "process", "-o", "made", "says.c")
    assert "it ended with status 3 before it waited" in done.stderr
    assert done.stderr.splitlines()[0].endswith("/dev/limpet/snapshot: no zones")


def test_a_signal_that_another_thread_takes(limpet: Cli, backend: Backend) -> None:
    """Python notes it there, and who waits for the guest is not woken: it looks by itself."""
    (limpet.cwd / "spin.c").write_text(SPIN)
    folder = limpet.cwd / "temporary"
    folder.mkdir()
    limpet.env["TMPDIR"] = str(folder)
    words = ["snapshot", "--backend", backend, "-o", "made", "spin.c"]
    command = [sys.executable, "-c", _AS_IN_A_SHELL, *words]
    with subprocess.Popen(command, cwd=limpet.cwd, env=limpet.env) as taking:
        _until(lambda: _running_below(folder))
        others = [int(each.name) for each in Path(f"/proc/{taking.pid}/task").iterdir()]
        others.remove(taking.pid)
        ctypes.CDLL(None).syscall(NUMBERS["tgkill"], taking.pid, others[-1], signal.SIGTERM)
        try:
            assert taking.wait(20) == -signal.SIGTERM
        finally:
            taking.kill()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_second_signal(first: signal.Signals, second: signal.Signals) -> None:
    """Whichever comes second ends a command at once, without a word."""
    command = [sys.executable, "-c", _ENDS_SLOWLY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ending:
        assert ending.stdout is not None
        for each in (first, second):
            assert ending.stdout.readline()
            ending.send_signal(each)
        assert ending.communicate(timeout=60) == (b"", b"")
    assert ending.returncode == -second


_ENDS_SLOWLY = """
import signal, time
from limpet import cli
def slow(**named):
    try:
        print("begins", flush=True)
        time.sleep(60)
    finally:
        print("ends", flush=True)
        time.sleep(60)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
cli.cli = slow
cli.main()
"""


_AS_IN_A_SHELL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind `&`
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup
from limpet.cli import main
main()
"""


def _running_below(folder: Path) -> list[str]:
    """The processes whose program is in that folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/exe"):
        try:
            found += [name] if (name := os.readlink(each)).startswith(f"{folder}/") else []
        except OSError:
            continue
    return found


def _until(holds: object) -> None:
    assert callable(holds)
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
