"""What is held row upon row by one another ends on the small stack of a thread's calls."""

from __future__ import annotations

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker

SOURCE = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
enum { FOLDERS = 2000, SOCKETS = 200 };

static void send_into(int by, int fd) {
    char room[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one,
                             .msg_iovlen = 1,
                             .msg_control = room,
                             .msg_controllen = sizeof room};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET, rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    if (sendmsg(by, &message, 0) != 1)
        perror("sendmsg");
    close(fd);
}

static void *folders(void *own) {
    int failed = 0;
    for (int i = 0; i < FOLDERS; i++)
        failed |= mkdir("d", 0700) | chdir("d");
    int lowest = open(".", O_RDONLY);
    for (int i = 0; i < FOLDERS; i++)
        failed |= chdir("..") | rmdir("d");
    int gone = close(lowest);
    printf("%d %d\n", failed, gone);
    return own;
}

static void *sockets(void *own) {
    int pair[2], next[2], failed = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    for (int i = 0; i < SOCKETS; i++) {
        failed |= socketpair(AF_UNIX, SOCK_STREAM, 0, next);
        send_into(next[0], pair[0]);
        send_into(next[0], pair[1]);
        pair[0] = next[0], pair[1] = next[1];
    }
    int gone = close(pair[0]);
    gone |= close(pair[1]);
    printf("%d %d\n", failed, gone);
    return own;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int failed = chdir("/tmp");
    failed |= pthread_create(&thread, NULL, argv[1][0] == 'f' ? folders : sockets, NULL);
    return failed | pthread_join(thread, NULL);
}
"""


@pytest.mark.parametrize("kind", ["folders", "sockets"])
def test_held_by_one_another(make: Maker, backend: Backend, kind: str) -> None:
    """Removed folders, each ``..`` of the next, or sockets, each in a message of the next's."""
    program = make.compile(SOURCE, "deep", "-static", "-pthread", compiler="gcc")
    ran = make(program, backend, memory=64 << 20).run(kind)
    assert (ran.stdout, ran.stderr, ran.status) == (b"0 0\n", b"", 0)
