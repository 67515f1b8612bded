"""What comes with the opening of a file on kvm: with it, and not any later."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.running.test_own_mounts import LENT
from tests.running.test_volumes import fill_rights
from tests.support.bundles import Maker

pytestmark = [
    pytest.mark.kvm,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may use KVM and gives up what it may"),
]

FILES, SPIN = 20, 400_000_000  # files; ticks of the clock, more than 80 milliseconds
PROGRAM = f"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {{
    struct stat stat_;
    char name[300], bytes[8192] = "", later[9] = "", size[9] = "";
    for (int i = 0; i < {FILES} && argc > 1; i++) {{
        snprintf(name, sizeof name, "/w/%d", i);
        int fd = open(name, O_RDONLY), large = i % 2 * 6000;
        if (fstat(fd, &stat_) || stat_.st_size != 200 + large || read(fd, bytes, 100) != 100 ||
            read(fd, bytes, 8192) != 100 + large || bytes[99 + large] != 'x' || close(fd))
            return 1;
    }}
    int fd = open("/w/counter", O_RDONLY);
    for (long until = __builtin_ia32_rdtsc() + {SPIN}L; (long)__builtin_ia32_rdtsc() < until;)
        ; /* without a system call, which might be an exit */
    fstat(fd, &stat_);
    snprintf(size, sizeof size, "%ld", (long)stat_.st_size);
    if (pread(fd, bytes, 8, 0) != 8 || lseek(fd, 0, SEEK_HOLE) < 0 || pread(fd, later, 8, 0) != 8)
        return 2;
    printf("%.8s %s %s\\n", bytes, later, size);
    return 0;
}}
"""


def _counts(path: Path, ended: threading.Event) -> None:
    """A number of eight digits that changes all the time, in a file that grows as it does."""
    with path.open("r+b", buffering=0) as stream:
        for number in range(10**8):
            os.pwrite(stream.fileno(), b"%08d" % number, 0)
            os.truncate(stream.fileno(), 8 + number)
            if ended.wait(0.001):
                return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small files, larger ones, and a number."""
    made = tmp_path / "data"
    made.mkdir()
    for number in range(FILES):
        (made / str(number)).write_bytes(b"x" * (200 + number % 2 * 6000))
    (made / "counter").write_bytes(b"00000000")
    fill_rights(made)
    return made


def test_with_the_opening(make: Maker, folder: Path) -> None:
    """Small files are opened, looked at and read in one exit, whoever made the volume's mount."""
    words = ["--backend", "kvm", "--volume", f"{folder}:/w:ro", str(make.compile(PROGRAM, "ahead"))]
    argv = [sys.executable, "-m", "limpet", "trace", *words, "many"]
    for before in (), LENT:
        words = [*before, *argv]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("-> volume_open(") == FILES + 1
        assert done.stderr.count("-> volume_read(") < FILES
        assert done.stderr.count("-> volume_tell(") < FILES / 2


def test_not_any_later(make: Maker, folder: Path) -> None:
    """Who reads, or looks, some time after it was opened sees what is new."""
    made = make(make.compile(PROGRAM, "ahead"), "kvm", devices=("volume:/w:ro",))
    ended = threading.Event()
    counting = threading.Thread(target=_counts, args=(folder / "counter", ended))
    counting.start()
    try:
        ran = made.run(f"--volume:/w={folder}")
    finally:
        ended.set()
        counting.join()
    first, later, size = map(int, ran.stdout.split())
    assert later - first < 20 and later - (size - 8) < 20
