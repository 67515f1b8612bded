"""What of a volume is no file of the guest's to change: other names', and what is none."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import BUSYBOX, Maker, need
from tests.support.refusing import refusing

NAMED_OTHERWISE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    const struct timespec times[2] = {{5, 7}, {9, 11}};
    int file = open("/w/first", O_RDWR);
    int moved = syscall(SYS_renameat2, AT_FDCWD, "/w/first", AT_FDCWD, "/w/second", 2);
    int mode = fchmod(file, 0640), of_mode = errno, time = futimens(file, times);
    printf("%d %d %d %d %d\n", moved, mode, of_mode, time, errno);
}
"""


@pytest.mark.parametrize("since_6_6", [True, False])
def test_the_name_is_another_files(
    make: Maker, backend: Backend, tmp_path: Path, since_6_6: bool
) -> None:
    """What has an open file's name now keeps its mode and times."""
    program = make.compile(NAMED_OTHERWISE, "named_otherwise", "-O1")
    made = make(program, backend, devices=("volume:/w",))
    files = [tmp_path / "first", tmp_path / "second"]
    for each in (tmp_path, *files):
        each.touch()
        os.chown(each, 65534, 65534)
    before = [(each.stat().st_mode, each.stat().st_mtime_ns) for each in files]
    done = subprocess.run(
        ["named", f"--volume:/w={tmp_path}"],
        executable=made.path,
        capture_output=True,
        preexec_fn=None if since_6_6 else refusing(NUMBERS["fchmodat2"], errno.ENOSYS),
        check=False,
    )
    assert done.stdout.decode() == f"0 -1 {errno.ENOENT} -1 {errno.ENOENT}\n"
    assert [(each.stat().st_mode, each.stat().st_mtime_ns) for each in files] == before[::-1]


def test_modes_of_no_files(
    make: Maker, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may use a socket or a pipe of the host's is not changed."""
    made = make(need(BUSYBOX, "busybox-static"), backend, devices=("volume:/w",))
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    os.mkfifo("pipe")
    for name in (".", "socket", "pipe"):
        os.chown(name, 65534, 65534)
        Path(name).chmod(0o700)
    ran = made.run(f"--volume:/w={tmp_path}", "--", "chmod", "666", "/w/socket", "/w/pipe")
    refused = (f"chmod: /w/{each}: Operation not permitted\n" for each in ("socket", "pipe"))
    assert ran.stderr.decode() == "".join(refused)
    assert {stat.S_IMODE(Path(each).stat().st_mode) for each in ("socket", "pipe")} == {0o700}
