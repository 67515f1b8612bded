"""What is sent between the ends of a socket pair, beside the same on Linux."""

from __future__ import annotations

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker, execute

PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int pair[2], heard;
static char bytes[1 << 20];

static void hear(int number) {
    (void)number;
    heard++;
}
static void say(const char *what, long result) {
    printf("%s %ld %s signals %d\n", what, result, result < 0 ? strerror(errno) : "", heard);
}
#define SAY(what) say(#what, what)

static void *answer(void *own) {
    usleep(20000);
    send(pair[1], "late", 4, 0);
    usleep(20000);
    send(pair[1], "later", 5, 0);
    return own;
}
static void *empty(void *own) {
    for (long left = sizeof bytes; left > 0;)
        left -= recv(pair[1], bytes, 70000, 0);
    return own;
}

int main(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    pthread_t thread;
    int pipes[2];
    signal(SIGPIPE, hear);
    SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SAY(send(pair[0], "hello", 5, 0));
    SAY(recv(pair[1], bytes, 3, MSG_PEEK));
    SAY(recv(pair[1], bytes, 3, 0));
    printf("%.3s\n", bytes);
    SAY(recvfrom(pair[1], bytes, 9, MSG_DONTWAIT, (struct sockaddr *)&address, &length));
    printf("%u\n", length);
    SAY(recv(pair[1], bytes, 1, MSG_DONTWAIT));
    SAY(recv(pair[1], bytes, 1, MSG_DONTWAIT | MSG_PEEK));
    SAY(send(pair[0], "", 0, 0));
    SAY(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&address, sizeof address));
    SAY(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&address, 1000));
    SAY(sendto(pair[0], (void *)-4096L, 1, 0, NULL, 0));
    SAY(recv(77, bytes, 1, 0));
    SAY(pipe(pipes));
    SAY(send(pipes[1], "x", 1, 0));
    SAY(recv(pipes[0], bytes, 1, 0));
    SAY(recv(open("/dev/null", O_RDONLY), bytes, 1, 0));
    pthread_create(&thread, NULL, answer, NULL);
    SAY(recv(pair[0], bytes, 9, MSG_WAITALL));
    printf("%.9s\n", bytes);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, empty, NULL);
    SAY(send(pair[0], bytes, sizeof bytes, 0));
    pthread_join(thread, NULL);
    SAY(send(pair[0], "rest", 4, 0));
    close(pair[0]);
    SAY(recv(pair[1], bytes, 9, 0));
    SAY(recv(pair[1], bytes, 9, 0));
    SAY(send(pair[1], "x", 1, MSG_NOSIGNAL));
    SAY(send(pair[1], "x", 1, 0));
    return 0;
}
"""


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "trapped"])
def test_as_on_linux(make: Maker, backend: Backend, rewrite: bool) -> None:
    """Bytes, flags, ends that are gone and every error, in Linux's order."""
    program = make.compile(PROGRAM, "pairs")
    native = execute(["pairs"], program)
    assert native.status == 0 and b"signals 1" in native.stdout
    ran = make(program, backend, rewrite=rewrite).run()
    assert (ran.stdout.decode(), ran.stderr, ran.status) == (native.stdout.decode(), b"", 0)
