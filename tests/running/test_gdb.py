"""A guest under Debian's gdb: on both backends, from its first instruction and while it runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import unikernels
from tests.support.bundles import BUSYBOX, need
from tests.support.large import large
from tests.support.symbols import with_symbols

GDB = Path("/usr/bin/gdb")

PROGRAM = r"""
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int table[4] = {1, 2, 3, 4};
static __thread int own = 5;
static volatile double half;
__attribute__((noinline)) int inner(int a, int b) {
    half = 1.5 * a;
    return table[a & 3] += b;
}
static void *other(void *given) {
    own = 7;
    inner(1, 10);
    return given;
}
static volatile int caught;
static void handler(int number) {
    caught = number;
}
int main(int n, char **a) {
    pthread_t thread;
    char byte;
    signal(SIGUSR1, handler);
    pthread_create(&thread, NULL, other, NULL);
    pthread_join(thread, NULL);
    raise(SIGUSR1);
    printf("%d %d\n", caught, table[1]);
    fflush(stdout);
    if (read(0, &byte, 1) == 0)
        *(volatile int *)8 = n;
    return 3 + !a;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That program, with what a debugger wants to know."""
    return with_symbols(PROGRAM, tmp_path_factory.mktemp("debugged"), "debugged")


def _limpet(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "limpet", "-q", *map(str, words)]


def _gdb(file: Path | None, target: str, *commands: str) -> str:
    need(GDB, "gdb")
    argv: list[str | Path] = [GDB, "-q", "-batch", "-nx", *([file] if file else [])]
    words = ["set remotetimeout 60", f"target remote {target}", *commands]
    argv += [word for each in words for word in ("-ex", each)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def _piped(*words: str | Path) -> str:
    return f"| {' '.join(_limpet(*words))}"


def test_a_program(program: Path, backend: Backend) -> None:
    """All that one session can show; its symbols are found without its file being named."""
    said = _gdb(
        None,
        _piped("run", "--gdb=-", "--backend", backend, program),
        *("break inner", "continue", "backtrace", "info threads", "print own"),
        *("print table[2] = 30", "next", "print half", "print $xmm0.v2_double[0]"),
        *("watch table[1]", "continue", "delete", "print inner(2, 5)", "thread 1", "print own"),
        *("continue", "backtrace", "next", "next", "print caught", "print $fctrl"),
        *("tbreak printf", "continue", "finish", "print (int)$rax"),
        *("continue", "print $pc", "continue"),
    )
    assert "_start ()" in said and "Reading symbols from target:/bin/debugged" in said
    assert "Thread 2 hit Breakpoint 1, inner (a=1, b=10)" in said
    assert re.search(r"#0 .*inner \(a=1, b=10\).*\n#1 .*other \(given=0x0\)", said)
    assert re.search(r"\n  1 +Thread 1 .*\n\* 2 +Thread 2 ", said)
    for number, value in enumerate(("7", "30", "1.5", "1.5"), 1):
        assert f"\n${number} = {value}\n" in said
    assert "Old value = 2\nNew value = 12\n" in said
    assert "\n$5 = 35\n" in said and "\n$6 = 5\n" in said
    assert "Thread 1 received signal SIGUSR1" in said
    assert re.search(r"#1 .*raise \(.*\n#2 .*main \(n=1", said)
    assert "\n$7 = 10\n$8 = 895\n" in said
    assert re.search(r"Temporary breakpoint 3, .*printf \(.*\nmain \(.*\n.*\n\$9 = 6\n", said)
    assert "received signal SIGSEGV" in said and re.search(r"\$10 = .*<main\+\d+>\n", said)
    assert "10 12\n" in said and "exited with code 0213]" in said


@pytest.mark.kvm
def test_busybox() -> None:
    """A program without symbols: its code is shown as it was, and it ends with its own status."""
    busybox = need(BUSYBOX, "busybox-static")
    words = "run", "--gdb=-", "--backend", "kvm", busybox, "sh", "-c", "'echo hi; exit 4'"
    said = _gdb(busybox, _piped(*words), "x/i $pc", "stepi", "continue")
    assert re.search(r"=> 0x[0-9a-f]+:\txor +%ebp,%ebp\n", said)
    assert "hi\n" in said and "[Inferior 1 (Remote target) exited with code 04]\n" in said


def test_with_processes_beside(program: Path, tmp_path: Path) -> None:
    """What counts its output, and what reports its end, go on beside a guest that is debugged."""
    report = tmp_path / "report.json"
    words = "--backend", "process", "--max-output", "4k", "--report", report
    said = _gdb(None, _piped("run", "--gdb=-", *words, program), "continue", "continue", "continue")
    assert "received signal SIGUSR1" in said and "10 12\n" in said
    assert '"status": 139,' in report.read_text()
    report.unlink()
    _gdb(None, _piped("run", "--gdb=-", *words, program), "break main", "continue", "kill")
    assert '"status": 137,' in report.read_text()


def test_clear_ends(program: Path, tmp_path: Path) -> None:
    """Who gives nothing, a bundle that may not be run, or what does not go together, is told so."""
    bundle, process = tmp_path / "bundle", ("--backend", "process")
    subprocess.run(_limpet("build", *process, program, "-o", bundle), check=True)

    def said(*words: str | Path) -> tuple[int, str]:
        none = subprocess.DEVNULL
        argv = [sys.executable, "-m", "limpet", *map(str, words)]
        done = subprocess.run(argv, stdin=none, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    status, text = said("gdb", "-l", "-", bundle)
    assert status == 128 + signal.SIGKILL and "the debugger is gone: its guest was ended" in text
    argv = _limpet("gdb", "-l", tmp_path / "socket", bundle)
    with subprocess.Popen(argv) as waits:
        while not (tmp_path / "socket").exists():
            time.sleep(0.02)
        time.sleep(0.3)
        waits.send_signal(signal.SIGINT)
        assert waits.wait(60) == 128 + signal.SIGINT
    status, text = said("gdb", "1")
    assert status == 125 and "started with --gdb" in text and "limpet run --gdb" in text
    bundle.chmod(0o600)
    assert said("gdb", "-l", "-", bundle) == (125, f"limpet: {bundle}: Permission denied\n")
    status, text = said("gdb", "-l", "nowhere.invalid:1", bundle)
    assert status == 125 and text.startswith("limpet: nowhere.invalid:1: no such address\n")
    status, text = said("run", "--gdb=-", "--dumpcore", tmp_path, program)
    assert status == 2 and "--gdb and --dumpcore do not go together" in text


@pytest.mark.parametrize("target", [pytest.param("hvt", marks=pytest.mark.kvm), "spt"])
def test_a_unikernel(target: str, tmp_path: Path) -> None:
    """A finished bundle, which has nothing for it: breakpoints, steps, what is watched, memory."""
    kernel, bundle = unikernels.build(tmp_path, target), tmp_path / "bundle"
    subprocess.run(_limpet("build", kernel, "-o", bundle), check=True)
    said = _gdb(
        kernel,
        _piped("gdb", "-l", "-", bundle, "--", "exit7"),
        *("break put", "continue", "backtrace 2", "stepi", "info threads", "delete", "finish"),
        *("set $at = $rsp - 8", "set {long}$at = 77", "watch *(long *)$at", "continue"),
        *("delete", "continue"),
    )
    assert re.match(r"0x[0-9a-f]+ in start \(\)\n", said)
    assert re.search(r"Breakpoint 1, .* in put \(\)\n#0 .* in put \(\)\n#1 .* in run \(\)\n", said)
    assert "\n* 1    Thread 1 " in said and "Old value = 77\n" in said
    assert "hello exit7\n" in said and "exited with code 07]\n" in said


@pytest.mark.kvm
def test_ring_0(tmp_path: Path) -> None:
    """A guest that brings a ring 0 of its own is refused in a line."""
    kernel = unikernels.build(tmp_path, "hvt", ring_0=True)
    done = subprocess.run(
        _limpet("run", "--gdb", kernel), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode and "runs in ring 0, where a debugger cannot follow" in done.stderr


@contextmanager
def _waiting(place: Path, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    argv = [each for each in _limpet(*words) if each != "-q"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        assert child.stderr
        while f"target remote {place}'" not in (line := child.stderr.readline()):
            assert line, "it ended"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_while_it_runs(program: Path, backend: Backend, tmp_path: Path) -> None:
    """Who is no debugger changes nothing; it goes on without one, and stops for the next."""
    place = tmp_path / "socket"
    run = "run", f"--gdb={place}", "--backend", backend, program
    with _waiting(place, *run) as child:
        assert place.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(place))
            stranger.sendall(b"GET / HTTP/1.0\r\n$D#44\r\n")
            assert stranger.recv(1) == b""
        said = _gdb(program, str(place), "break main", "continue", "detach")
        assert "Breakpoint 1, main (n=1" in said and "detached]" in said
        assert child.stdout and child.stdout.readline() == "10 12\n"
        said = _gdb(program, str(place), "backtrace", "detach")
        assert re.search(r"#\d .*main \(n=1", said)
        assert _interrupted(program, str(place))
        assert child.wait(60) == 128 + signal.SIGKILL
    assert not place.exists()


def _interrupted(program: Path, place: str) -> bool:
    """Whether ^C stops it while it waits, and kill ends it."""
    argv = [GDB, "-q", "-nx", program, "-ex", f"target remote {place}", "-ex", "continue"]
    argv += ["-ex", "backtrace", "-ex", "kill", "-ex", "quit"]
    with subprocess.Popen(
        list(map(str, argv)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout
        said = ""
        while "Continuing." not in said:
            said += child.stdout.readline()
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGINT)
        said = child.communicate(timeout=60)[0]
    return "received signal SIGINT" in said and "main (n=1" in said and "killed]" in said


@large
def test_a_dynamic_program(backend: Backend, tmp_path: Path) -> None:
    """With its shared objects where the guest has them, read from the bundle."""
    (tmp_path / "dynamic.c").write_text(PROGRAM)
    made = tmp_path / "dynamic"
    subprocess.run(["gcc", "-g", "-O0", tmp_path / "dynamic.c", "-o", made], check=True)
    said = _gdb(
        made,
        _piped("run", "--gdb=-", "--backend", backend, made),
        *("break inner", "continue", "print own", "info sharedlibrary", "continue", "backtrace"),
    )
    assert "hit Breakpoint 1, inner (a=1, b=10)" in said and "$1 = 7" in said
    assert re.search(r"Yes[ (*)]+target:/lib/x86_64-linux-gnu/libc\.so\.6", said)
    assert re.search(r"#\d .*main \(n=1", said)
