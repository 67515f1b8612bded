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


AGAIN = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static const char *link_of(int fd, const char *name) {
    static char path[2][50];
    static int last;
    snprintf(path[last ^= 1], 50, "/proc/self/fd/%d%s", fd, name);
    return path[last];
}
static void tell(long result) {
    printf("%d ", result < 0 ? errno : 0);
}
int main(int argc, char **argv) {
    char byte = 0;
    chdir(argv[argc - 1]);
    int folder = open(".", O_RDONLY), file = open("file", O_RDWR);
    tell(mkdir(link_of(folder, "/sub"), 0755));
    tell(rename(link_of(folder, "/sub"), link_of(folder, "/sub2/")));
    tell(access(link_of(folder, "/sub2/../file"), F_OK));
    tell(open(link_of(folder, "/"), O_RDONLY));
    tell(open(link_of(folder, "/nothing"), O_RDONLY));
    tell(open(link_of(file, "/nothing"), O_RDONLY));
    tell(read(open(link_of(file, ""), O_RDWR | O_CREAT, 0600), &byte, 1));
    rename("file", "moved");
    tell(pread(open(link_of(file, ""), O_RDONLY), &byte, 1, 1));
    printf("%c\n", byte);
    link("moved", "kept"), unlink("moved");
    tell(open(link_of(file, ""), O_RDWR | O_CREAT, 0600)), tell(access("moved", F_OK));
    close(open("moved", O_CREAT | O_WRONLY, 0600)), truncate("moved", 7);
    tell(open(link_of(file, ""), O_RDWR | O_TRUNC));
}
"""


def test_opened_again(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """/proc/self/fd leads to what is open, and on below a folder; a name that is gone or another
    file's by now leads nowhere, and makes and cuts nothing."""
    program = make.compile(AGAIN, "again", "-O1")
    said = []
    for name in ("native", "guest"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text("file")
        for each in (folder, folder / "file"):
            os.chown(each, 65534, 65534)
        if name == "native":
            done = subprocess.run([program, folder], capture_output=True, check=True)
            said.append(done.stdout.decode().splitlines())
        else:
            made = make(program, backend, devices=("volume:/w",))
            said.append(made.run(f"--volume:/w={folder}", "--", "/w").stdout.decode().splitlines())
        assert (folder / "moved").stat().st_size == 7
    assert said[0] == ["0 0 0 0 2 20 0 0 i", "0 2 0 "]
    assert said[1] == ["0 0 0 0 2 20 0 0 i", f"{errno.ENOENT} 2 {errno.ENOENT} "]


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
