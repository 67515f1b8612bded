"""What a folder of the host's has natively and not as a volume: the list of docs/servers.md."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.running.test_volumes import fill_rights
from tests.support.bundles import BUSYBOX, Maker, execute, need

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *what, long result) {
    printf("%s: %d\n", what, result < 0 ? errno : 0);
}

static long is_bound(int call(int, const struct sockaddr *, socklen_t), const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, path);
    return call(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof at);
}

static int is_mapped(int how, int fd) {
    return mmap(NULL, 4096, PROT_READ, how, fd, 0) != MAP_FAILED;
}

int main(int argc, char **argv) {
    if (argc < 2 || chdir(argv[1]))
        return 1;
    signal(SIGIO, SIG_IGN);
    int fd = open("file", O_RDWR | O_CREAT, 0600), names = inotify_init();
    struct flock range = {.l_type = F_RDLCK};
    say("write", write(fd, "bytes", 5));
    say("truncate", ftruncate(fd, 1 << 20));
    say("chown", chown("file", 1234, 1234));
    say("set-ID", chmod("file", 04700));
    say("mkfifo", mkfifo("pipe", 0600));
    say("bind", is_bound(bind, "socket"));
    say("connect", is_bound(connect, "file"));
    say("O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 0600));
    say("setxattr", setxattr("file", "user.a", "1", 1, 0));
    say("getxattr", getxattr("file", "user.a", NULL, 0));
    say("inotify", inotify_add_watch(names, ".", IN_CREATE));
    say("F_NOTIFY", fcntl(open(".", O_RDONLY), F_NOTIFY, DN_CREATE));
    say("F_SETLEASE", fcntl(open("file", O_RDONLY), F_SETLEASE, F_RDLCK));
    say("F_OFD_SETLK", fcntl(fd, F_OFD_SETLK, &range));
    say("collapse", fallocate(fd, 8, 0, 4096));
    say("insert", fallocate(fd, 32, 0, 4096));
    say("punch", fallocate(fd, 3, 0, 4096));
    say("linkat", linkat(fd, "", AT_FDCWD, "other", AT_EMPTY_PATH));
    say("again", pwrite(fd, "bytes", 5, 0));
    say("MAP_SHARED", is_mapped(MAP_SHARED, fd) ? 0 : -1);
    say("MAP_PRIVATE", is_mapped(MAP_PRIVATE, fd) ? 0 : -1);
    int reader = open("file", O_RDONLY);
    say("beside a writer", is_mapped(MAP_SHARED, reader) ? 0 : -1);
    close(fd);
    char *shared = mmap(NULL, 8192, PROT_READ, MAP_SHARED, reader, 0);
    say("to read it", shared != MAP_FAILED && !memcmp(shared, "bytes", 6) ? 0 : -1);
    say("to write to it", mprotect(shared, 4096, PROT_READ | PROT_WRITE));
    say("more of it", mremap(shared, 8192, 12288, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    say("F_SETLK", fcntl(reader, F_SETLK, &range));
    say("a locked one", is_mapped(MAP_SHARED, reader) ? 0 : -1);
    say("MAP_PRIVATE of it", is_mapped(MAP_PRIVATE, reader) ? 0 : -1);
    char deep[256] = {0};
    int made = 0;
    memset(deep, 'd', 200);
    while (made < 30 && !mkdir(deep, 0700) && !chdir(deep))
        made++;
    say("6,000 bytes", made < 30 ? -1 : 0);
    return 0;
}
"""

LIMITS = {
    "chown": "EPERM",
    "set-ID": "EPERM",
    "mkfifo": "EPERM",
    "bind": "EPERM",
    "O_TMPFILE": "EOPNOTSUPP",
    "setxattr": "EOPNOTSUPP",
    "getxattr": "EOPNOTSUPP",
    "inotify": "EOPNOTSUPP",
    "F_NOTIFY": "EINVAL",
    "F_SETLEASE": "EINVAL",
    "collapse": "EOPNOTSUPP",
    "insert": "EOPNOTSUPP",
    "linkat": "EXDEV",
    "MAP_SHARED": "ENODEV",
    "beside a writer": "ENODEV",
    "a locked one": "ENODEV",
    "6,000 bytes": "ENAMETOOLONG",
}
"""Each is as docs/servers.md says; all else is as on Linux."""


def test_what_a_volume_has_not(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """All of the list is refused by the error that is named there, and nothing else is."""
    program = make.compile(SOURCE, "volume_limits")
    here, folder = tmp_path / "native", tmp_path / "guest"
    for each in (here, folder):
        each.mkdir()
        os.chown(each, 65534, 65534)
    fill_rights(folder)
    try:
        native = execute(["limits", str(here)], program).stdout.decode().splitlines()
        made = make(program, backend, devices=("volume:/w",))
        ran = made.run(f"--volume:/w={folder}", "--", "/w")
    finally:
        for each in (here, folder):
            shutil.rmtree(each)  # deeper than a path is long
    assert (ran.status, ran.stderr) == (0, b"")
    lines = ran.stdout.decode().splitlines()
    said, linux = (
        {each.split(": ")[0]: named(each) for each in every} for every in (lines, native)
    )
    assert said == {**linux, **LIMITS}
    assert len(native) > len(LIMITS)


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
def test_a_full_disk(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """What a host says of a file is told as it is."""
    made = make(need(BUSYBOX, "busybox-static"), backend, devices=("volume:/w",))
    fill_rights(tmp_path / "small")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "small", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        words = ["dd", "if=/dev/zero", "of=/w/file", "bs=4096", "count=99"]
        ran = made.run(f"--volume:/w={tmp_path}", "--", *words)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert ran.status == 1 and b"No space left on device\n" in ran.stderr


ASKS = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int main(void) {
    puts(open("/w/none", O_RDONLY) < 0 ? "ready" : "");
    fflush(stdout);
    getchar();
    printf("%d\n", mkdir("/w/made", 0700) ? errno : 0);
    return 0;
}
"""


def test_names_without_a_namer(make: Maker, tmp_path: Path) -> None:
    """Where the process that changes names is killed, it is an error, and the guest goes on."""
    made = make(make.compile(ASKS, "asks"), "process", devices=("volume:/w",))
    tmp_path.chmod(0o777)
    fill_rights(tmp_path / "made")
    pipe = subprocess.PIPE
    words = [str(made.path), f"--volume:/w={tmp_path}"]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout and running.stdout.readline() == "ready\n"
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        assert running.communicate("\n", timeout=20)[0] == f"{errno.EIO}\n"
    assert not (tmp_path / "made").exists()


def named(line: str) -> str:
    """The error that a line tells of."""
    number = int(line.split(": ")[1])
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, "")
