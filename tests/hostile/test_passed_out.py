"""Descriptors and credentials over a connection that leads out, and the host's abstract sockets."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limpet.contract import Backend
from tests.support.bundles import Maker

SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static long pass(int over, int what, int kind) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = kind}};
    struct ucred own = {getpid(), getuid(), getgid()};
    struct iovec byte = {"x", 1};
    size_t size = kind == SCM_RIGHTS ? sizeof what : sizeof own;
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(size);
    control.head.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control.head), kind == SCM_RIGHTS ? (void *)&what : (void *)&own, size);
    long sent = sendmsg(over, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof name.sun_family + 1 + strlen(argv[2]);
    int out = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    strcpy(name.sun_path + 1, argv[2]);
    if (argc != 3 || connect(out, (void *)&to, sizeof to))
        return 1;
    printf("%ld %ld", pass(out, 0, SCM_RIGHTS), pass(out, out, SCM_RIGHTS));
    printf(" %ld %ld\n", pass(out, 99, SCM_RIGHTS), pass(out, 0, SCM_CREDENTIALS));
    printf("%s\n", connect(local, (void *)&name, size) ? strerror(errno) : "connected");
    return 0;
}
"""


@contextmanager
def hearing(said: list[tuple[bytes, list[object]]]) -> Iterator[int]:
    """Its port; at the end, what came over one connection, with what came along."""

    def hear() -> None:
        connection, _ = server.accept()
        with connection:
            while (got := connection.recvmsg(100, 1000))[0]:
                said.append((got[0], list(got[1])))

    with socket.create_server(("127.0.0.1", 0)) as server:
        hearer = threading.Thread(target=hear, daemon=True)
        hearer.start()
        yield server.getsockname()[1]
        hearer.join(20)


def test_passed_out(make: Maker, backend: Backend) -> None:
    """As on Linux only bytes leave; an abstract socket of the host is nobody's in the guest."""
    program = make.compile(SOURCE, "passed_out")
    with socket.socket(socket.AF_UNIX) as hosts:
        hosts.bind(f"\0limpet {program.parent.name} {backend}")
        hosts.listen()
        name = hosts.getsockname()[1:].decode()
        outputs = []
        for guest in (False, True):
            said: list[tuple[bytes, list[object]]] = []
            with hearing(said) as port:
                path: Path = program
                if guest:
                    path = make(program, backend, connect=(f"127.0.0.1:{port}/tcp",)).path
                argv = [path, str(port), name]
                done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
            assert b"".join(data for data, _ in said) == b"xxxx"
            assert not [each for _, along in said for each in along]
            outputs.append(done.stdout)
    assert outputs == ["1 1 1 1\nconnected\n", "1 1 1 1\nConnection refused\n"]
