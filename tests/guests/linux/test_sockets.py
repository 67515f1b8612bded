"""Sockets inside the guest: the same lines as on Linux."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker

PROGRAMS = SUPPORT / "programs" / "sockets"


@pytest.mark.parametrize("name", ["unix", "internet", "headers", "lite"])
def test_as_on_linux(make: Maker, tmp_path: Path, name: str) -> None:
    """Names, bytes, descriptors passed, waiting, readiness, and every error in Linux's order.

    Natively it runs once: names of sockets are the whole host's.
    """
    head = (PROGRAMS / "said.h").read_text(encoding="utf-8")
    text = (PROGRAMS / f"{name}.c").read_text(encoding="utf-8")
    program = make.compile(text.replace('#include "said.h"\n', head), name)
    native = subprocess.run([program], capture_output=True, check=True, cwd=tmp_path, timeout=60)
    if name == "lite" and b"Protocol not supported" in native.stdout.split(b"\n")[0]:
        pytest.skip("the host's kernel has no UDP-Lite")
    for backend in BACKENDS:
        ran = make(program, backend).run()
        assert (ran.stdout.decode(), ran.stderr, ran.status) == (native.stdout.decode(), b"", 0)


IDLE = """
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { COUNT = 400 };

static unsigned long left(void) {
    struct sysinfo info;
    sysinfo(&info);
    return info.freeram * info.mem_unit;
}

int main(void) {
    static int fds[COUNT], others[COUNT];
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[9000] = "";
    if (bind(listener, (void *)&name, length) || listen(listener, 5) ||
        getsockname(listener, (void *)&name, &length))
        return 1;
    unsigned long before = left();
    for (int i = 0; i < COUNT; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (void *)&name, length) || (others[i] = accept(listener, 0, 0)) < 0)
            return 2;
    }
    for (int i = 0; i < COUNT; i++)
        if (send(fds[i], bytes, sizeof bytes, 0) != sizeof bytes ||
            recv(others[i], bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
            return 3;
    printf("%lu\\n", (before - left()) / COUNT);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]), close(others[i]);
    return 0;
}
"""


def test_idle_connections(make: Maker, backend: Backend) -> None:
    """Both ends of one that was used and is idle again take less than 4 KiB of the guest."""
    ran = make(make.compile(IDLE, "idle"), backend).run()
    assert (ran.status, ran.stderr) == (0, b"")
    assert 0 < int(ran.stdout) <= 4096


UNREACHABLE = """
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    inet_pton(AF_INET, "192.0.2.1", &name.sin_addr);
    inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
    for (int kind = SOCK_STREAM; kind <= SOCK_DGRAM; kind++) {
        int fd = socket(AF_INET, kind, 0), other = socket(AF_INET6, kind, 0);
        printf("%d ", connect(fd, (void *)&name, sizeof name) ? errno : 0);
        printf("%d ", bind(fd, (void *)&name, sizeof name) ? errno : 0);
        printf("%d ", connect(other, (void *)&six, sizeof six) ? errno : 0);
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    printf("%d ", sendto(fd, "x", 1, 0, (void *)&name, sizeof name) < 0 ? errno : 0);
    static const int families[] = {17, 40, 38}; /* packet, vsock, alg */
    for (int i = 0; i < 3; i++)
        printf("%d ", socket(families[i], SOCK_RAW, 0) < 0 ? errno : 0);
    printf("%d\\n", socket(AF_INET, SOCK_RAW, 1) < 0 ? errno : 0);
    return 0;
}
"""


def test_nothing_outside(make: Maker, backend: Backend) -> None:
    """No address but the loopback's is reached or had, and no family that could leave the guest."""
    ran = make(make.compile(UNREACHABLE, "unreachable"), backend).run()
    assert ran.stdout.split() == [b"101", b"99", b"101"] * 2 + [b"101", *[b"97"] * 3, b"1"]
