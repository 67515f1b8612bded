"""The fuzzers: saved inputs again, and what they have found before."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import ROOT
from tests.support.bundles import Maker

pytestmark = pytest.mark.slow

CORPUS = ROOT / "fuzz" / "corpus"
READERS = ("elf", "dynamic", "notes", "tree", "record", "project", "bundle", "answers")
OF_OTHERS = ("gdb", "frames")
NATIVE = ("hypercalls", "libos", "broker", "porter")


def fuzz(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``python -m fuzz`` with the tested Limpet."""
    if arguments[0] in READERS + OF_OTHERS and not importlib.util.find_spec("atheris"):
        pytest.skip("*** no atheris here: pip install -e '.[fuzz]' ***")
    if arguments[0] in NATIVE and not shutil.which("clang"):
        pytest.skip("*** no clang here: apt-get install clang ***")
    argv = [sys.executable, "-m", "fuzz", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.mark.parametrize("target", [*READERS, *OF_OTHERS, *NATIVE])
def test_saved(target: str) -> None:
    """Every saved input still ends well."""
    files = sorted((CORPUS / target).iterdir())
    assert 0 < len(files) <= 200
    assert all(path.stat().st_size <= 4096 for path in files)
    done = fuzz(target, *files)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr.count("Running: ") == len(files)


def test_plans() -> None:
    """The same programs each time, planned and built: what looks for others starts with them."""
    done = fuzz("plan", "--seconds", "0")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "plan: 100 programs" in done.stderr


def test_a_crash_is_said(tmp_path: Path) -> None:
    """A reader that fails is noticed: here, an error without a hint."""
    (tmp_path / "sitecustomize.py").write_text(
        "import limpet.errors as errors\n"
        "def bare(self, message, *, hint=''):\n"
        "    self.message, self.hint = message, ''\n"
        "errors.LimpetError.__init__ = bare\n"
    )
    if not importlib.util.find_spec("atheris"):
        pytest.skip("*** no atheris here: pip install -e '.[fuzz]' ***")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}:{ROOT}"}
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an ELF file")
    argv = [sys.executable, "-m", "fuzz.read", "elf", str(bad), f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "an error without a message or a hint" in done.stdout + done.stderr


FOUND = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static void say(const char *what, long got) {
    printf("%s %ld %d\n", what, got, got < 0 ? errno : 0);
}
int main(void) {
    struct stat stat;
    long seconds[2] = {0, 1500000}, bad[2] = {0, 2000000000}, before[2] = {-1, 0}, zero[2] = {0, 0};
    long big[4] = {1, 8603403609440256000, 1, 0}, set = 1 << 9;
    int word = 3, fd = open("f", O_CREAT | O_RDWR, 0600);
    dup2(fd, 9);
    say("close_range", syscall(SYS_close_range, (long)0x8000000000000009, 9, 0));
    say("closed", fcntl(9, F_GETFD));
    say("select", syscall(SYS_select, 0, 0, 0, 0, seconds));
    say("utimes", syscall(SYS_utimes, "f", big));
    say("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 3, bad, 0, 0));
    say("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 3, before, 0, 0));
    int past = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
    say("futex", syscall(SYS_futex, &word, past, 3, zero, 0, 1));
    say("sigtimedwait", syscall(SYS_rt_sigtimedwait, &set, 0, bad, 8));
    say("sigtimedwait", syscall(SYS_rt_sigtimedwait, &set, 0, before, 8));
    long far[4] = {1L << 40, 5, 1L << 40, 5};
    say("utimensat", syscall(SYS_utimensat, AT_FDCWD, "f", far, 0));
    fstat(fd, &stat);
    say("future", stat.st_mtim.tv_sec > 1L << 33);
    return 0;
}
"""


def test_what_was_found(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Calls that the fuzzers found to be wrong: as Linux has them."""
    program = make.compile(FOUND, "found")
    native = subprocess.run([program], cwd=tmp_path, capture_output=True, check=True)
    ran = make(program, backend).run()
    assert (ran.stdout, ran.stderr, ran.status) == (native.stdout, b"", 0)
