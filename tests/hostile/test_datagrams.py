"""A hostile guest with ports and endpoints of UDP: it tells something to nobody else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.contract import Backend
from limpet.contract.limits import SOCKET_SEND
from limpet.guests.linux.layout import Layout
from limpet.planning.outside import Outside, outside
from tests.guests.linux.test_datagrams import datagrams
from tests.hostile.test_sockets import KILLED, stubs_of
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker, Ran
from tests.support.ends import free_port
from tests.support.seen import Seen

SOURCE = r"""
/* Sends what a library OS would not: a frame of its own to a carrier, or by any call. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>

static struct { struct sockaddr_in to; char rest[16]; char bytes[8]; } frame;
struct block { uint32_t fd, flags; uint64_t at, size; int64_t result; };

static long call_at(uint64_t at, long number, long fd, long size, long flags, long to,
                    long length) {
    register long r10 __asm__("r10") = flags;
    register long r8 __asm__("r8") = to;
    register long r9 __asm__("r9") = length;
    long result;
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     : "=a"(result)
                     : [at] "b"(at), "a"(number), "D"(fd), "S"(&frame), "d"(size), "r"(r10),
                       "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

int main(int argc, char **argv) {
    uint64_t at = strtoull(argv[2], 0, 0);
    long number = atol(argv[3]), fd = atol(argv[4]), flags = atol(argv[5]), size = atol(argv[6]);
    frame.to.sin_family = (sa_family_t)atoi(argv[7]);
    frame.to.sin_port = htons((uint16_t)atoi(argv[8]));
    inet_pton(AF_INET, "127.0.0.1", &frame.to.sin_addr);
    memcpy(frame.bytes, "stolen", 6);
    if (argc > 100) { /* what a program with such options has */
        int own = socket(AF_INET, SOCK_DGRAM, 0);
        bind(own, (void *)&frame.to, sizeof frame.to);
        connect(own, (void *)&frame.to, sizeof frame.to);
        sendto(own, &frame, 1, 0, 0, 0);
        accept(listen(own, 1), 0, 0);
    }
    struct block *block = (struct block *)strtoull(argv[10], 0, 0);
    for (long left = argv[11] ? atol(argv[11]) : 1; left; left--) {
        *block = (struct block){(uint32_t)fd, (uint32_t)flags, (uint64_t)&frame, (uint64_t)size, 0};
        if (!strcmp(argv[1], "kvm"))
            __asm__ volatile("outl %0, %1" ::"a"((uint32_t)(uint64_t)block), "Nd"((uint16_t)at)
                             : "memory");
        else
            block->result = call_at(at, number, fd, size, flags,
                                    atol(argv[9]) ? (long)&frame.to : 0, atol(argv[9]));
        if (block->result == -11) /* the porter has not taken the last ones */
            left++;
    }
    printf("%ld\n", (long)block->result);
    fflush(stdout);
    getchar();
    return 0;
}
"""


@dataclass(frozen=True)
class Carried:
    """The program, with a published port of UDP and endpoints of both kinds."""

    made: Made
    backend: Backend
    given: Outside
    log: Path
    stranger: socket.socket  # nobody's endpoint, who never wrote
    at: int  # where sendto is called from, or the hypercall's port
    block: int  # where an argument block can be

    def send(self, fd: int, flags: int, size: int, family: int, address: int = 0) -> Ran:
        """One sendto; ``address`` is the length of what it names, which is the stranger's."""
        return self.made.run(*self.words(fd, flags, size, family, address), timeout=20)

    def words(self, fd: int, flags: int, size: int, family: int, address: int = 0) -> list[str]:
        """What the program takes for it."""
        port = self.stranger.getsockname()[1]
        words = (
            self.backend,
            self.at,
            NUMBERS["sendto"],
            fd,
            flags,
            size,
            family,
            port,
            address,
            self.block,
        )
        return [*map(str, words)]


@pytest.fixture
def carried(make: Maker, backend: Backend, tmp_path: Path) -> Iterator[Carried]:
    """A bundle whose ports nobody else has."""
    with datagrams("127.0.0.1") as stranger:
        log = tmp_path / "log"
        options = replace(
            limpet.Options(backends=(backend,)),
            publish=(f"127.0.0.1:{free_port('127.0.0.1', socket.SOCK_DGRAM)}:53/udp",),
            connect=("192.0.2.1:443/tcp", "192.0.2.1:53/udp"),
            sockets=8,
            log=str(log),
        )
        program = make.compile(SOURCE, "carriers", "-O1")
        plan = limpet.plan(limpet.load(program), options)
        made, given = Made(tmp_path / "bundle", "carriers"), outside(options, ())
        limpet.build(plan).write(made.path)
        assert given and isinstance(plan.layout, Layout)
        at = next(each.port for each in limpet.contract.hypercalls() if each.name == "socket_send")
        if backend == "process":
            at = stubs_of(made)["sendto"][0]
        block = plan.layout.state_end - 4096
        yield Carried(made, backend, given, log, stranger, at, block)


def test_to_a_stranger(carried: Carried) -> None:
    """Frames that the library OS would not make: dropped, and each refusal is in the log."""
    (carrier,) = carried.given.carriers
    for size, family in ((38, 2), (32, 2), (38, 10), (38, 1), (38, 0), (31, 2), (1, 2)):
        ran = carried.send(carrier, SOCKET_SEND, size, family)
        assert (ran.status, ran.stdout) == (0, b"%d\n" % size)
    carried.stranger.settimeout(0.2)
    with pytest.raises(TimeoutError):
        carried.stranger.recv(100)
    told = [json.loads(line) for line in carried.log.read_text().splitlines()]
    port = carried.stranger.getsockname()[1]
    assert {(each["address"], each["port"], each["protocol"]) for each in told} >= {
        ("127.0.0.1", port, "udp")
    }
    assert len(told) == 5  # those that are whole


@contextmanager
def beside(carried: Carried, count: int) -> Iterator[Seen]:
    """The process beside a guest that has sent ``count`` frames to a stranger, and waits."""
    argv = [str(carried.made.path), *carried.words(carried.given.carriers[0], SOCKET_SEND, 38, 2)]
    argv += [str(count)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as guest:
        try:
            assert guest.stdout and guest.stdout.readline() == b"38\n"
            text = Path(f"/proc/{guest.pid}/task/{guest.pid}/children").read_text()
            (porter,) = (each for each in map(int, text.split()) if os.getsid(each) == each)
            yield Seen(porter)
        finally:
            guest.kill()


def test_its_porter(carried: Carried) -> None:
    """It has a filter, no right, no file but the log, which is bounded, and ends with its guest."""
    with beside(carried, 400) as porter:
        status, limits = porter.status, porter.limits
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert {status[each].strip("0") for each in ("CapPrm", "CapEff", "CapInh")} == {""}
        if os.geteuid() == 0:
            assert (status["Uid"].split(), status["Gid"].split()) == (["65534"] * 4, ["65534"] * 4)
        ends = [os.readlink(f"/proc/{porter.pid}/fd/{each}") for each in porter.descriptors]
        assert sorted(each.partition(":")[0] for each in ends) == [
            str(carried.log),
            *["socket"] * 3,
        ]
        assert limits["Max processes"] == limits["Max core file size"] == "0 0"
        soft, hard = map(int, limits["Max open files"].split())
        assert soft == hard < 100
        until, lines = time.monotonic() + 20, 0
        while lines < 256 and time.monotonic() < until:
            lines = len(carried.log.read_text().splitlines())
            time.sleep(0.02)
        assert 256 <= lines < 300
    while Path(f"/proc/{porter.pid}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{porter.pid}").exists()


def test_calls(carried: Carried) -> None:
    """With an address, over another descriptor, with other flags: the end, or an error on kvm."""
    (carrier,) = carried.given.carriers
    slot = carried.given.connections.start
    cases = [(carrier, 0, 0), (carrier, 0x20004000, 0), (carried.given.broker, SOCKET_SEND, 0)]
    cases += [(fd, SOCKET_SEND, 0) for fd in (0, 1, carried.given.events)]
    if carried.backend == "process":
        cases += [(fd, SOCKET_SEND, 16) for fd in (carrier, slot)]
    for fd, flags, address in cases:
        ran = carried.send(fd, flags, 38, 2, address)
        ends = (KILLED, b"") if carried.backend == "process" else (0, b"-9\n")
        assert (ran.status, ran.stdout) == ends, (fd, flags, address, ran)
    carried.stranger.settimeout(0.2)
    with pytest.raises(TimeoutError):
        carried.stranger.recv(100)


def test_no_connect_of_its_own(carried: Carried) -> None:
    """Beside sockets of UDP a guest connects none: one could go to an endpoint of TCP's."""
    filters = {each.backend: each for each in audit(carried.made.path).filters}
    calls = {rule.call for rule in filters[carried.backend].rules}
    assert not {"connect", "socket", "bind"} & calls
    assert "connect" in {rule.call for rule in filters["porter"].rules}


ASKS = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    inet_pton(AF_INET, argv[argc - 2], &to.sin_addr);
    long sent = sendto(fd, "x", 1, 0, (void *)&to, sizeof to);
    printf("%ld %d\n", sent, sent < 0 ? errno : 0);
    return 0;
}
"""


@pytest.mark.parametrize(
    ("connect", "to"),
    [("127.0.0.1:9/udp", ("127.0.0.1", "9")), ("example.org:443", ("192.0.2.53", "53"))],
    ids=["porter", "broker"],
)
def test_sockets_on_their_way(make: Maker, connect: str, to: tuple[str, str]) -> None:
    """A user's other guests take no socket that they were sent: this one is told, and goes on."""
    program = make.compile((SUPPORT / "programs" / "on_their_way.c").read_text(), "on_their_way")
    path = make(make.compile(ASKS, "asks"), "process", connect=(connect,)).path
    for others, said in (("0", "1 0\n"), ("200", "-1 105\n")):
        argv: list[str | Path] = [program, others, path, *to]
        ran = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20)
        assert (ran.stdout, ran.returncode) == (said, 0), ran
