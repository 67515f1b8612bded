"""``--dumpcore``: what a debugger finds of a guest that crashed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limpet.contract import Backend
from limpet.formats.core import Core, Run, Thread, TooLargeError, write
from tests.support import unikernels
from tests.support.bundles import Maker, need
from tests.support.symbols import with_symbols

GDB = Path("/usr/bin/gdb")

CRASHES = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int table[4] = {1, 2, 3, 4};
static __thread int own = 5;
__attribute__((noinline)) int inner(volatile int *at, int depth) {
    return *at + depth;
}
__attribute__((noinline)) int outer(char *heap, volatile int *at) {
    volatile int there = 42;
    int result = inner(at, heap[0]);
    return result + there;
}
static void *other(void *heap) {
    own = 7;
    __asm__ volatile("movq %0, %%xmm9" : : "r"(0x777L) : "xmm9");
    return (void *)(long)outer(heap, (int *)8);
}
int main(int n, char **a) {
    pthread_t thread;
    char *heap = malloc(100000);
    __asm__ volatile("movq %0, %%xmm9" : : "r"(0x1234567890abcdefL) : "xmm9");
    strcpy(heap, "on the heap");
    table[2] = 77;
    if (n > 1 && !strcmp(a[1], "abort"))
        abort();
    if (n > 1 && !strcmp(a[1], "exit"))
        return 255;
    if (n > 1 && !strcmp(a[1], "thread") && !pthread_create(&thread, NULL, other, heap))
        pthread_join(thread, NULL);
    return outer(heap, (int *)8);
}
"""

WAITS = """
#include <unistd.h>
int main(void) {
    char byte = '!';
    return write(1, &byte, 1) + read(0, &byte, 1);
}
"""

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That program, with what a debugger wants to know."""
    return with_symbols(CRASHES, tmp_path_factory.mktemp("crashes"), "crashes")


def _run(*words: str | Path) -> Ran:
    argv = [sys.executable, "-m", "limpet", "run", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def _only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def _gdb(program: Path, core: Path, *commands: str) -> str:
    need(GDB, "gdb")
    own = "-iex", "set libthread-db-search-path /none"  # threads are those that the core has
    argv: list[str | Path] = [GDB, "-q", "-batch", "-nx", *own, program, core]
    argv += [word for each in commands for word in ("-ex", each)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_program(program: Path, backend: Backend, tmp_path: Path) -> None:
    """Where it crashed, its variables, memory and registers; the line says where the core is."""
    done = _run("--backend", backend, "--dumpcore", tmp_path, program)
    assert done.returncode == 139
    core = _only(tmp_path)
    assert re.fullmatch(rf"core\.{re.escape(program.name)}\.\d+", core.name)
    assert core.stat().st_mode & 0o777 == 0o600
    assert done.stderr.endswith(f"limpet: dumpcore: dumped guest core to: {core}\n")
    assert core.stat().st_blocks * 512 < 16 << 20  # what was never touched takes no room
    asked = "bt", "info threads", "p table", "info registers rip", "frame 1", "p there"
    said = _gdb(program, core, *asked)
    assert "terminated with signal SIGSEGV" in said
    assert re.search(r"\* 1 +LWP 1 .*inner \(", said)  # with the number that its C library knows
    assert re.search(r"#0 .*inner \(at=0x8, depth=111\).*\n#1 .*outer \(", said)
    assert "{1, 2, 77, 4}" in said and "<inner+" in said and "$2 = 42" in said


def test_abort(program: Path, backend: Backend, tmp_path: Path) -> None:
    """A program that ends itself by a signal, in the call that did."""
    assert _run("--backend", backend, "--dumpcore", tmp_path, program, "abort").returncode == 134
    said = _gdb(program, _only(tmp_path), "bt")
    assert "signal SIGABRT" in said and re.search(r"abort \(.*\n(.*\n)*#\d.* main \(", said)


def test_threads(program: Path, backend: Backend, tmp_path: Path) -> None:
    """Each has its registers, and that which crashed is the first; memory that pages were placed in
    later is there, on kvm by the page tables."""
    assert _run("--backend", backend, "--dumpcore", tmp_path, program, "thread").returncode == 139
    commands = "info threads", "thread apply 1 bt 3", "thread apply 2 bt", "thread 1", "up 2"
    vectors = [f"thread apply {number} p $xmm9.uint128" for number in (1, 2)]
    said = _gdb(program, _only(tmp_path), *commands, "p (char *)heap", *vectors)
    assert re.search(r"\* 1 +LWP 2 .* inner \(.*\n  2 +LWP 1 ", said)
    crashed, waits = said.split("Thread 2 (LWP 1)")[:2]
    assert re.search(r"inner \(.*\n#1 .*outer \(.*\n#2 .*other \(", crashed)
    assert re.search(r"#\d .* main \(", waits) and '"on the heap"' in waits
    assert f"= {0x777}\n" in said and f"= {0x1234567890ABCDEF}\n" in said


def test_no_core(program: Path, tmp_path: Path) -> None:
    """A program that ends by itself leaves none, whatever its status; nor one that is ended."""
    done = _run("--backend", "process", "--dumpcore", tmp_path, program, "exit")
    assert (done.returncode, done.stderr) == (255, "")
    assert not list(tmp_path.iterdir())
    missing = _run("--dumpcore", tmp_path / "none", program)
    assert missing.returncode == 125
    assert "cannot open dir: No such file or directory" in missing.stderr


@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_a_unikernel(target: str, tmp_path: Path) -> None:
    """As Solo5's own test of it: status 255, and a line that ends with the name of the core."""
    if target == "hvt" and not os.access("/dev/kvm", os.W_OK):
        pytest.skip("no KVM here")
    cores = tmp_path / "cores"
    cores.mkdir()
    kernel = unikernels.build(tmp_path, target)
    argv = [sys.executable, "-c", f"from limpet.cli.tender import {target}; {target}()"]
    done = subprocess.run(
        [*argv, f"--dumpcore={cores}", kernel, "abort"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 255, done.stderr
    core = _only(cores)
    assert re.search(rf"core\.solo5-{target}\.\d+$", done.stderr.rstrip("\n"))
    said = _gdb(kernel, core, "info registers rip", "x/s &constant", "p *(char *)&constant@8")
    assert "constant" in said and re.search(r"rip +0x1", said)
    plain = subprocess.run(
        [*argv, f"--dumpcore={cores}", kernel, "exit7"], capture_output=True, check=False
    )
    assert plain.returncode == 7 and _only(cores) == core


def test_signals_reach_the_guest(make: Maker, tmp_path: Path) -> None:
    """Who watches passes on what is sent to it, and ends as the guest does."""
    waits = make.compile(WAITS, "waits")
    argv = [sys.executable, "-m", "limpet", "run", "--backend", "process", "--dumpcore"]
    with subprocess.Popen(
        [*argv, tmp_path, waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdout.read(1) == b"!"
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 143
    assert not list(tmp_path.iterdir())


# --- the file ---


def _core(*pieces: tuple[int, bytes]) -> Core:
    return Core("x", 7, 11, [Thread(7, {"rip": 5})], (), [Run(0x1000, 0x9000, 6, list(pieces))])


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    """What is too large, or has a name that is there, leaves everything as it was."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "core.x.7").symlink_to(precious)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(FileExistsError):
            write(_core((0, b"data")), folder, "core.x.7", 1 << 20)
        with pytest.raises(TooLargeError):
            write(_core((0, bytes(4096)), (4096, bytes(4096))), folder, "core.large", 12000)
        assert precious.read_text() == "kept"
        assert sorted(os.listdir(tmp_path)) == ["core.x.7", "precious"]
        write(_core((0x1000, b"data")), folder, "core.fits", 1 << 20)
    finally:
        os.close(folder)
    data = (tmp_path / "core.fits").read_bytes()
    assert data[:4] == b"\x7fELF" and data[16] == 4
    assert data.index(b"data") == 0x1000 + (len(data) - 0x8000)
