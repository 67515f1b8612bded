"""What differs from Linux, as docs/programs.md says it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support.bundles import Maker, execute
from tests.support.shared import compiler

OUTPUT = """
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
int main(void) {
    struct pollfd output = {1, POLLOUT, 0};
    signal(SIGPIPE, SIG_IGN);
    poll(&output, 1, 0);
    long done = write(1, "x", 1);
    return done < 0 && errno == EPIPE ? output.revents : 255;
}
"""

FIXED = """
#include <errno.h>
#include <sys/mman.h>
int main(void) {
    void *at = mmap((void *)0x7fff7000, 4096, PROT_READ, 0x4032, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}
"""

KEPT = 'char kept[8192] = "of its file"; char *object(void) { return kept; }'
"""An object with data."""

CLOSED = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words) {
    void *object = dlopen(words[1], RTLD_NOW);
    char *kept = ((char *(*)(void))dlsym(object, "object"))();
    kept[0] = 'O';
    if (dlclose(object) || dlopen(words[1], RTLD_NOW | RTLD_NOLOAD))
        return 255;
    puts(kept);
    fflush(stdout);
    object = dlopen(words[1], RTLD_NOW);
    return puts(((char *(*)(void))dlsym(object, "object"))()) < 0;
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_output_that_nobody_reads(make: Maker, backend: Backend) -> None:
    """It is told at the next write, and by poll not before."""
    guest = make(make.compile(OUTPUT, "output"), backend)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([guest.path], stdout=writing, check=False)
    os.close(writing)
    assert done.returncode == 4  # POLLOUT alone


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_at_an_address_of_its_own(make: Maker, backend: Backend) -> None:
    """Far from all that the guest has."""
    assert make(make.compile(FIXED, "fixed"), backend).run().status == 12  # ENOMEM


@pytest.mark.parametrize("backend", BACKENDS)
def test_data_behind_dlclose(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """It is there still, and as it is in the file when the object is loaded again."""
    for name, source, flags in (
        ("kept.so", KEPT, ("-shared", "-fPIC")),
        ("closed", CLOSED, ()),
    ):
        argv = [compiler("glibc"), "-O2", "-o", f"{tmp_path / name}", "-x", "c", "-", *flags]
        subprocess.run(argv, input=source.encode(), check=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "kept.so").write_bytes((tmp_path / "kept.so").read_bytes())
    guest = make(tmp_path / "closed", backend, root=tmp_path / "root")
    ran = guest.run("/kept.so")
    assert (ran.stdout, ran.status) == (b"Of its file\nof its file\n", 0), ran.stderr
    native = execute(["closed", f"{tmp_path / 'kept.so'}"], tmp_path / "closed")
    assert native.stdout == b"" and native.status == 139
