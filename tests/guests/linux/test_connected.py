"""What is asked of a connection that leads out, and has no answer but an error: as on Linux."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from limpet.contract import Backend
from tests.support.bundles import Maker
from tests.support.ends import LOCAL

SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TELL(call)                                                                                 \
    do {                                                                                           \
        long result = (call);                                                                      \
        printf("%s: %ld %s\n", #call, result, result < 0 ? strerror(errno) : "");                  \
    } while (0)

static char large[4 << 20];
static int pipes;

static void count(int number) {
    pipes += number == SIGPIPE;
}

/* read and write, which need no message: a bad address, more than there is room for, an end. */
static void plain(int fd, char *bytes) {
    char *volatile bad = (char *)8;
    TELL(read(fd, bad, 9));
    TELL(recv(fd, bad, 9, 0));
    TELL(recv(fd, bytes, 5, MSG_WAITALL));
    TELL(read(fd, bytes, 2));
    TELL(write(fd, bad, 5));
    TELL(send(fd, bad, 5, 0));
    TELL(write(fd, bytes, 0));
    TELL(write(fd, large, sizeof large));
    TELL(send(fd, large, sizeof large, 0));
    TELL(read(fd, bytes, 9));
    TELL(recv(fd, bytes, 9, MSG_DONTWAIT));
    TELL(shutdown(fd, SHUT_WR));
    TELL(write(fd, bytes, 1));
    TELL(send(fd, bytes, 1, 0));
    TELL(send(fd, bytes, 1, MSG_NOSIGNAL));
    TELL(read(fd, bytes, 9));
    printf("SIGPIPE: %d\n", pipes);
}

static int revents(int fd, int time) {
    struct pollfd ready = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return poll(&ready, 1, time) < 0 ? -1 : ready.revents;
}

static int failed(int fd) {
    socklen_t size = sizeof(int);
    int error = -1;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

/* An end that a read has met is seen, and an error that was asked for is over. */
static void ends(const struct sockaddr_in *to, char *bytes) {
    int ended = socket(AF_INET, SOCK_STREAM, 0), reset = socket(AF_INET, SOCK_STREAM, 0);
    TELL(connect(ended, (const void *)to, sizeof *to));
    TELL(recv(ended, bytes, 9, MSG_WAITALL));
    TELL(revents(ended, 0));
    TELL(connect(reset, (const void *)to, sizeof *to));
    TELL(send(reset, "x", 1, 0));
    TELL(revents(reset, 20000));
    TELL(failed(reset));
    TELL(failed(reset));
    TELL(revents(reset, 0));
    TELL(recv(reset, bytes, 9, 0));
}

static int told;

static void hear(int number) {
    told += number == SIGIO;
}

static int connected(const struct sockaddr_in *to) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (const void *)to, sizeof *to) ? -1 : fd;
}

static int set;

static void *wait_for_all(void *unused) {
    struct epoll_event event;
    return (void *)(long)(epoll_wait(set, &event, 1, 5000) + !!unused);
}

/* A thread waits, and then there is something to wait for. */
static void added(const struct sockaddr_in *to) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    pthread_t thread;
    void *found = NULL;
    set = epoll_create1(0);
    pthread_create(&thread, NULL, wait_for_all, NULL);
    usleep(50000);
    int fd = connected(to);
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    TELL(send(fd, "x", 1, 0));
    pthread_join(thread, &found);
    printf("added: %ld\n", (long)found);
}

/* Waits, and for no connection, until the other side has done something and has been heard. */
static void until_done(void) {
    char byte;
    read(0, &byte, 1);
    usleep(50000);
}

/* Nobody has waited for the connection when that happens to it. */
static void unseen(const struct sockaddr_in *to, char *bytes) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int shut = connected(to), reset = connected(to), broken = connected(to), heard = connected(to);
    int segment = 0;
    getsockopt(shut, IPPROTO_TCP, TCP_MAXSEG, &segment, &(socklen_t){sizeof segment});
    printf("TCP_MAXSEG: %d\n", segment);
    TELL(shutdown(shut, SHUT_RD));
    TELL(recv(shut, bytes, 9, MSG_DONTWAIT));
    TELL(send(shut, "x", 1, 0));
    until_done();
    TELL(recv(shut, bytes, 9, 0));
    TELL(recv(shut, bytes, 9, 0));
    TELL(getpeername(reset, (void *)&peer, &size));
    TELL(send(reset, "x", 1, 0));
    until_done();
    TELL(getpeername(reset, (void *)&peer, &size));
    TELL(failed(reset));
    TELL(send(broken, "x", 1, 0));
    until_done();
    TELL(failed(broken));
    signal(SIGIO, hear);
    TELL(fcntl(heard, F_SETOWN, getpid()));
    TELL(fcntl(heard, F_SETFL, O_ASYNC));
    TELL(send(heard, "x", 1, 0));
    printf("SIGIO: %d %d\n", sleep(20) > 0, told > 0);
    TELL(ioctl(heard, FIOASYNC, &(int){0}));
    TELL(fcntl(heard, F_GETFL) & O_ASYNC);
}

static void ask(int fd, int level, int name, int value) {
    TELL(setsockopt(fd, level, name, &value, sizeof value));
}

/* Options, before there is a connection and after, until the other side has looked at them. */
static void optioned(const struct sockaddr_in *to, char *bytes) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ask(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    ask(fd, IPPROTO_TCP, TCP_KEEPIDLE, 100);
    ask(fd, IPPROTO_TCP, TCP_SYNCNT, 3);
    TELL(connect(fd, (const void *)to, sizeof *to));
    ask(fd, IPPROTO_TCP, TCP_KEEPINTVL, 20);
    ask(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 70000);
    TELL(send(fd, "x", 1, 0));
    TELL(recv(fd, bytes, 1, 0));
}

int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), single = socket(AF_INET, SOCK_DGRAM, 0);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char bytes[9];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setvbuf(stdout, NULL, _IONBF, 0);
    TELL(recv(fd, bytes, 9, MSG_ERRQUEUE));
    TELL(connect(fd, (void *)&to, sizeof to));
    TELL(bind(fd, (void *)&to, sizeof to));
    TELL(listen(fd, 5));
    TELL(accept(fd, NULL, NULL));
    TELL(send(fd, "hello", 5, 0));
    TELL(poll(&ready, 1, 20000));
    TELL(recv(fd, bytes, 9, MSG_OOB));
    TELL(recv(fd, bytes, 9, MSG_ERRQUEUE));
    TELL(recv(fd, bytes, 9, MSG_OOB | MSG_ERRQUEUE));
    TELL(recv(single, bytes, 9, MSG_ERRQUEUE));
    printf("urgent: %ld\n", (long)send(fd, "!", 1, MSG_OOB));
    signal(SIGPIPE, count);
    plain(fd, bytes);
    ends(&to, bytes);
    unseen(&to, bytes);
    added(&to);
    optioned(&to, bytes);
    return 0;
}
"""


def test_what_a_connection_is_not(make: Maker, backend: Backend) -> None:
    """It is bound already, listens not, has no urgent data and no errors in a queue; nothing of
    that waits, and the program goes on: reads and writes, with their ends, are Linux's, and so is
    what has happened meanwhile to a connection that nobody waits for."""
    program = make.compile(SOURCE, "connected")
    goes_on, go_on = os.pipe()
    running: list[int] = []
    options: list[list[int]] = []

    def answer() -> None:
        for _ in range(2):
            connection, _ = there.accept()
            with connection:
                said = connection.recv(5, socket.MSG_WAITALL)
                connection.sendall(said[:2])
                time.sleep(0.2)  # who waits for all has had a part
                connection.sendall(said[2:] + b"end")
                while connection.recv(1 << 20):
                    pass
            ended, _ = there.accept()
            ended.sendall(b"end")
            ended.shutdown(socket.SHUT_WR)
            reset, _ = there.accept()
            reset.recv(1)
            break_off(reset)
            ended.close()
            shut, reset, broken, heard = (there.accept()[0] for _ in range(4))
            shut.recv(1)
            shut.sendall(b"late")
            os.write(go_on, b"x")
            for each in (reset, broken):
                each.recv(1)
                break_off(each)
                os.write(go_on, b"x")
            heard.recv(1)
            time.sleep(0.2)
            heard.sendall(b"x")
            added, _ = there.accept()
            added.recv(1)
            time.sleep(0.1)
            added.sendall(b"x")
            optioned, name = there.accept()
            optioned.recv(1)
            options.append(seen(running[-1], name))
            optioned.sendall(b"x")
            for each in (shut, heard, added, optioned):
                each.close()

    with socket.create_server((LOCAL, 0)) as there:
        port = str(there.getsockname()[1])
        threading.Thread(target=answer, daemon=True).start()
        made = make(program, backend, connect=(f"{LOCAL}:{port}/tcp",)).path
        native, guest = (said(path, port, goes_on, running) for path in (program, made))
    os.close(goes_on)
    os.close(go_on)
    urgent = native.index("urgent: 1")
    assert guest.pop(urgent) == "urgent: -1"  # which is not served
    assert guest == [*native[:urgent], *native[urgent + 1 :]]
    assert options == [list(OPTIONS.values())] * 2
    assert len(native) == 68 and "bind" in native[2] and "Invalid argument" in native[2]
    assert native[28] == "SIGPIPE: 2"
    assert native[31].startswith(f"revents(ended, 0): {0x2001}") and ": 104" in native[35]
    assert ": 0" in native[41] and ": 4" in native[43] and "not connected" in native[47]
    assert {"failed(broken): 104 ", "SIGIO: 1 1", "added: 1"} < set(native)


def break_off(connection: socket.socket) -> None:
    """Close it so that the other side hears of an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.SOL_TCP, socket.TCP_KEEPIDLE): 100,
    (socket.SOL_TCP, socket.TCP_SYNCNT): 3,
    (socket.SOL_TCP, socket.TCP_KEEPINTVL): 20,
    (socket.SOL_TCP, socket.TCP_USER_TIMEOUT): 70000,
}
PIDFD_GETFD = 438


def seen(pid: int, name: tuple[str, int]) -> list[int]:
    """What the host has of these options for the connection ``name`` of that process."""
    if os.geteuid():
        return list(OPTIONS.values())  # only root looks into a monitor
    process, found = os.pidfd_open(pid), []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        if str(each.readlink()).startswith("socket:"):
            handle = ctypes.CDLL(None).syscall(PIDFD_GETFD, process, int(each.name), 0)
            with socket.socket(fileno=handle) as own:
                if own.getsockname() == name:
                    found = [own.getsockopt(*option) for option in OPTIONS]
    os.close(process)
    return found


def said(path: Path, port: str, stdin: int, running: list[int]) -> list[str]:
    """Its lines; ``running`` is told of the process."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [path, port], stdin=stdin, stdout=pipe, stderr=pipe, text=True
    ) as process:
        running.append(process.pid)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    return out.splitlines()
