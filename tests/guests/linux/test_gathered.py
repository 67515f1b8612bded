"""What is sent together, or sent later than the program was told: all of it arrives, in order."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker
from tests.support.ends import LOCAL, free_port

GATHERED = SUPPORT / "programs" / "gathered.c"
ANSWERS, ANSWER = 40, 11


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process", ""])
def server(request: pytest.FixtureRequest, make: Maker) -> Iterator[tuple[Path, int, int]]:
    """A bundle, or the program natively, with the host's port and its own."""
    program = make.compile(GATHERED.read_text(encoding="utf-8"), "gathered")
    port = free_port(LOCAL)
    backend: Backend | str = request.param
    if backend:
        published = (f"{LOCAL}:{port}:80/tcp",)
        yield make(program, request.param, publish=published).path, port, 80
    else:
        yield program, port, port


def asked(server: tuple[Path, int, int], mode: str) -> tuple[subprocess.Popen[str], socket.socket]:
    """A server and a client that had all of its answers."""
    path, port, own = server
    argv = [str(path), mode, str(own)]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={})
    assert running.stdout and running.stdout.readline() == "listening\n"
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
    client.connect((LOCAL, port))
    for number in range(ANSWERS):
        client.sendall(b"next")
        first = number * ANSWER
        said = client.recv(ANSWER)
        together = len(said) == ANSWER  # TCP_CORK and MSG_MORE stay in the guest
        assert together or number % 3 == 2 or server[1] == server[2]
        while len(said) < ANSWER:
            said += client.recv(ANSWER - len(said)) or pytest.fail("it has ended")
        assert said == bytes(each % 251 for each in range(first, first + ANSWER))
    return running, client


@pytest.mark.parametrize("mode", ["close", "shut", "deaf", "exit", "more"])
def test_all_arrives(server: tuple[Path, int, int], mode: str) -> None:
    """Bytes that a send has taken come, though the program closes, shuts or ends at once; who
    wants to hear nothing more is told that there is nothing."""
    running, client = asked(server, mode)
    assert running.stdout
    sent = int(running.stdout.readline())
    time.sleep(0.1)  # the host has no room meanwhile
    got = b""
    with client:
        while more := client.recv(1 << 16):
            got += more
        if mode == "shut":
            client.sendall(b"x")
    if mode == "close":
        socket.create_connection((LOCAL, server[1]), timeout=20).close()
    assert running.wait(20) == 0
    first = ANSWERS * ANSWER
    assert len(got) == sent - first
    assert got == bytes(each % 251 for each in range(first, sent))


def test_unread(server: tuple[Path, int, int]) -> None:
    """Who closes with bytes that it has not read resets the connection, as the kernel does."""
    running, client = asked(server, "unread")
    client.sendall(b"two")
    assert running.communicate(timeout=20)[0] == "took 1 of what came\n"
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_peek_of_all(server: tuple[Path, int, int]) -> None:
    """Nothing is told twice to who looks at bytes and wants more of them than there are."""
    running, client = asked(server, "peek")
    with client:
        client.sendall(b"abc")
        time.sleep(0.2)
        with suppress(ConnectionError):  # it may have ended
            client.sendall(b"def")
        said = running.communicate(timeout=20)[0].rstrip()
    assert said in ("abc", "abcdef")


ROUNDS = 20
TURNS = f"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {{
    struct sockaddr_in to = {{.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))}};
    struct epoll_event event = {{.events = EPOLLIN}};
    int fd = socket(AF_INET, SOCK_STREAM, 0), all = epoll_create1(0);
    char said[9];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (void *)&to, sizeof to) || epoll_ctl(all, EPOLL_CTL_ADD, fd, &event))
        return 1;
    for (int i = 0; i < {ROUNDS}; i++)
        if (write(fd, "hello", 5) != 5 || epoll_wait(all, &event, 1, -1) != 1 ||
            read(fd, said, sizeof said) != 5)
            return 2;
    return 0;
}}
"""


@pytest.mark.kvm
def test_who_was_connected_by_another(make: Maker) -> None:
    """What comes to a connection that stands beside the guest made is brought by the wait as well:
    no read asks the host by itself."""
    program = make.compile(TURNS, "turns")

    def answer() -> None:
        connection, _ = there.accept()
        with connection:
            while said := connection.recv(5, socket.MSG_WAITALL):
                time.sleep(0.002)  # it waits by then
                connection.sendall(said)

    with socket.create_server((LOCAL, 0)) as there:
        at = there.getsockname()[1]
        threading.Thread(target=answer, daemon=True).start()
        words = ["--backend", "kvm", "--connect", f"{LOCAL}:{at}", "--connect", f"{LOCAL}:9/udp"]
        argv = [sys.executable, "-m", "limpet", "trace", *words, str(program), str(at)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("-> socket_batch(") > ROUNDS / 2
    assert done.stderr.count("-> socket_receive(") < ROUNDS / 2


CONNECTIONS, LAST = 60, 15_000
SERVES = f"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {{
    struct sockaddr_in at = {{.sin_family = AF_INET, .sin_port = htons(80)}};
    struct epoll_event event = {{.events = EPOLLIN, .data.fd = socket(AF_INET, SOCK_STREAM, 0)}};
    int port = event.data.fd, all = epoll_create1(0), done = 0, few = 4096;
    static char said[9], page[{LAST}];
    if (bind(port, (void *)&at, sizeof at) || listen(port, 9) || fcntl(port, F_SETFL, O_NONBLOCK) ||
        epoll_ctl(all, EPOLL_CTL_ADD, port, &event))
        return 1;
    while (done < {CONNECTIONS} && epoll_wait(all, &event, 1, -1) == 1) {{
        if (event.data.fd == port) {{
            event.data.fd = accept(port, NULL, NULL);
            setsockopt(event.data.fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof few);
            epoll_ctl(all, EPOLL_CTL_ADD, event.data.fd, &event);
            continue;
        }}
        int got = read(event.data.fd, said, sizeof said), size = *said == 'l' ? {LAST} : 5;
        done += got == 5 && write(event.data.fd, page, size) == size;
        close(event.data.fd);
        if (argc > 1) {{
            struct sockaddr_in to = {{.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))}};
            int out = socket(AF_INET, SOCK_STREAM, 0);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (connect(out, (void *)&to, sizeof to) || close(out))
                return 2;
        }}
    }}
    return 0;
}}
"""


def _connected(port: int) -> socket.socket:
    for _ in range(400):
        with suppress(ConnectionRefusedError):
            client = socket.socket()
            client.settimeout(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect((LOCAL, port))
            return client
        time.sleep(0.05)
    pytest.fail("nobody listens there")


@pytest.mark.kvm
def test_connections_that_come_and_go(make: Maker) -> None:
    """The wait takes them from their port, with what has come, and closes them behind the last,
    all of which arrives, though the host has not enough room for it."""
    program, port = make.compile(SERVES, "serves"), free_port(LOCAL)
    words = ["--backend", "kvm", "-p", f"{LOCAL}:{port}:80", str(program)]
    argv = [sys.executable, "-m", "limpet", "trace", *words]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as running:
        try:
            for number in range(CONNECTIONS):
                large = number % 12 == 11
                with _connected(port) as client, client.makefile("rb") as answer:
                    client.sendall(b"large" if large else b"small")
                    time.sleep(0.01 * large)
                    assert len(answer.read()) == (LAST if large else 5)
            said = running.communicate(timeout=20)[1]
        finally:
            running.kill()
    assert running.returncode == 0, said
    assert said.count("-> socket_accept(") < 4
    assert said.count("-> socket_close(") < CONNECTIONS  # at once until it has waited soon
    assert said.count("-> socket_batch(") < 3 * CONNECTIONS


CONNECTS = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
int main(int count, char **words) {
    struct sockaddr_in to = {AF_INET, htons(atoi(words[1])), {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < 4; i++)
        printf("%d ", connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to) ? errno : 0);
    return count != 2;
}
"""


def test_no_slot_is_left(make: Maker, backend: Backend) -> None:
    """As Linux without a free port; who started it reads once which word gives more."""
    with socket.create_server((LOCAL, 0)) as there:
        at = there.getsockname()[1]
        made = make(
            make.compile(CONNECTS, "connects"),
            backend,
            connect=(f"{LOCAL}:{at}/tcp",),
            sockets=2,
        )
        ran = made.run(str(at))
    none = errno.EADDRNOTAVAIL
    assert (ran.status, ran.stdout) == (0, f"0 0 {none} {none} ".encode())
    said = "limpet: connects has all of its 2 connections in use: give more with --sockets"
    assert ran.stderr.decode() == f"{said}, backend {backend}\n"


@pytest.mark.kvm
def test_the_last_slot(make: Maker) -> None:
    """What the program has closed it can use at once, where it has no other."""
    program, port = make.compile(SERVES, "serves"), free_port(LOCAL)
    with socket.create_server((LOCAL, 0), backlog=2 * CONNECTIONS) as there:
        at = there.getsockname()[1]
        publish, connect = (f"{LOCAL}:{port}:80/tcp",), (f"{LOCAL}:{at}/tcp",)
        made = make(program, "kvm", publish=publish, connect=connect, sockets=1)
        with subprocess.Popen([made.path, str(at)]) as running:
            with suppress(PermissionError):  # on a busy host it would not wait soon
                os.sched_setscheduler(running.pid, os.SCHED_FIFO, os.sched_param(1))
            try:
                for _ in range(CONNECTIONS):
                    with _connected(port) as client, client.makefile("rb") as answer:
                        client.sendall(b"small")
                        assert len(answer.read()) == 5
                assert running.wait(20) == 0
            finally:
                running.kill()


ACCEPTS = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct timespec began, now;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (void *)&at, sizeof at);
    listen(fd, 5);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (accept(fd, NULL, NULL) >= 0)
        ;
    fcntl(fd, F_SETFL, 0);
    write(1, "none\n", 5);
    clock_gettime(CLOCK_MONOTONIC, &began);
    do /* and asks the host for nothing: it comes meanwhile */
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 <
           began.tv_sec * 1000 + began.tv_nsec / 1000000 + 500);
    return accept(fd, NULL, NULL) < 0;
}
"""


def test_accepts_what_a_glance_took(make: Maker, backend: Backend) -> None:
    """A connection that came while the program computed, which nobody waited for yet."""
    port = free_port(LOCAL)
    program = make.compile(ACCEPTS, "accepts", "-O1")
    path = make(program, backend, publish=(f"{LOCAL}:{port}:80/tcp",)).path
    with subprocess.Popen([str(path)], stdout=subprocess.PIPE, text=True, env={}) as running:
        try:
            assert running.stdout and running.stdout.readline() == "none\n"
            with socket.create_connection((LOCAL, port), timeout=20):
                assert running.wait(20) == 0
        finally:
            running.kill()
