"""A hostile guest with a port and endpoints: it reaches those, and nothing else of the host's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inspect import audit
from limpet.contract import Backend
from limpet.contract.limits import (
    MAX_TRANSFER,
    SOCKET_EVENTS_MOST,
    SOCKET_FLAGS,
    SOCKET_ROOM,
    SOCKET_SEND,
    SOCKET_SENDS_MOST,
    SOCKET_THEN_CLOSE,
    SOCKET_THEN_TELL,
)
from limpet.planning.choices import ADDRESS_SIZE
from limpet.planning.outside import Outside, outside
from tests.hostile.guest import Hostile
from tests.support.bundles import Made, Maker

KILLED = 159
"""128 and SIGSYS: the filter ends the process."""

EBADF, EACCES, ENOPROTOOPT = (2**64 - each for each in (9, 13, 92))
MONITOR = 0x20_0000_0000


@dataclass(frozen=True)
class Linked:
    """All attacks, with a port of the host and two endpoints; a listener of ours is one of them."""

    hostile: Hostile
    made: Made
    given: Outside
    endpoints: int
    listener: socket.socket

    @property
    def own(self) -> int:
        """Where the guest can write a copy of what it likes."""
        return self.hostile.place.arena[0] + (16 << 20)

    def reached(self) -> bool:
        """Whether something connected to the listener."""
        self.listener.settimeout(0)
        try:
            self.listener.accept()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def linked(make: Maker, backend: Backend) -> Iterator[Linked]:
    """A bundle whose port nobody else has."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        reserved.close()
        options = {
            "publish": (f"127.0.0.1:{port}:80/tcp",),
            "connect": (f"127.0.0.1:{there.getsockname()[1]}/tcp", "[::1]:9/tcp"),
            "sockets": 8,
        }
        hostile = Hostile(make, backend)
        made = hostile.made(**options)
        given = outside(limpet.Options(**options), ())  # type: ignore[arg-type]
        assert given
        yield Linked(hostile, made, given, MONITOR + 96, there)


def stubs_of(made: Made) -> dict[str, tuple[int, ...]]:
    """Where a process makes each call, as an audit finds it."""
    found: dict[str, dict[int, None]] = {}
    for facts in audit(made.path).filters:
        for rule in facts.rules:
            if rule.pointer[0] == rule.pointer[1]:
                found.setdefault(rule.call, {})[rule.pointer[0] - 2] = None
    return {call: tuple(places) for call, places in found.items()}


Cases = list[tuple[str, tuple[int, ...]]]


def misused(linked: Linked) -> Cases:
    """Each call of the plan's with one argument that is not the plan's."""
    given, own, ends = linked.given, linked.own, linked.endpoints
    slot, behind = given.connections.start, given.connections.stop
    port, events = given.listeners.start, given.events
    length = 16
    made = socket.SOCK_STREAM | SOCKET_FLAGS
    return [
        *(("socket", (family, made, 0)) for family in (1, 16, 17, 40, 0)),
        *(("socket", (2, kind, 0)) for kind in (1, 2 | SOCKET_FLAGS, 3 | SOCKET_FLAGS)),
        ("socket", (2, made, 132)),
        ("connect", (slot, own, length)),
        ("connect", (slot, ends + 2, length)),
        ("connect", (slot, ends + ADDRESS_SIZE, length)),
        ("connect", (slot, ends, 28)),
        ("connect", (slot, ends - 96, length)),
        *(("connect", (fd, ends, length)) for fd in (0, events, port, behind, 2**32 + slot)),
        *(("accept4", (fd, 0, 0, SOCKET_FLAGS)) for fd in (0, events, port + 1, slot)),
        ("accept4", (port, 0, 0, 0)),
        ("sendto", (slot, own, 1, SOCKET_SEND, own, length)),
        ("sendto", (slot, own, 1, 0, 0, 0)),
        ("sendto", (slot, own, 1, SOCKET_SEND | 0x20000000, 0, 0)),  # MSG_FASTOPEN
        ("sendto", (1, own, 1, SOCKET_SEND, 0, 0)),
        ("recvfrom", (slot, own, 1, 0, own, own)),
        ("recvfrom", (slot, own, 1, 0x2000, 0, 0)),  # MSG_ERRQUEUE
        *(("close", (fd,)) for fd in (0, 2, events, port, behind, 2**64 - 1)),
        *(("shutdown", (fd, 2)) for fd in (port, behind)),
        ("setsockopt", (slot, 1, 36, own, 4)),  # SO_MARK
        ("setsockopt", (slot, 1, 25, own, 8)),  # SO_BINDTODEVICE
        ("setsockopt", (slot, 0, 9, own, 4)),  # IPPROTO_IP
        ("setsockopt", (slot, 6, 31, own, 8)),  # TCP_ULP
        ("setsockopt", (port, 1, 9, own, 4)),
        ("setsockopt", (slot, 1, 9, own, 4096)),
        ("getsockopt", (slot, 1, 59, own, own)),  # SO_PEERGROUPS
        ("getsockopt", (slot, 41, 4, own, own)),
        ("epoll_ctl", (events, 2, port, own)),
        *(("epoll_ctl", (events, 1, fd, own)) for fd in (0, port, behind)),
        ("epoll_ctl", (slot, 1, slot, own)),
        ("epoll_pwait2", (events, own, 64, 0, own, 8)),
        ("epoll_pwait2", (slot, own, 64, 0, 0, 0)),
        ("getsockname", (port, own, own)),
    ]


ELSEWHERE = ("bind", "listen", "sendmsg", "recvmsg", "accept", "sendmmsg", "dup", "io_uring_setup")
"""No stub makes these; by one that is there, the filter sees another number."""


def test_calls_of_a_process(linked: Linked) -> None:
    """From the plan's own stubs, with anything but the plan's arguments: the end."""
    if linked.hostile.backend == "kvm":
        pytest.skip("no stubs")
    stubs = stubs_of(linked.made)
    cases = [(call, at, arguments) for call, arguments in misused(linked) for at in stubs[call]]
    for name in ELSEWHERE:
        cases.append((name, stubs["close"][0], (linked.given.connections.start, linked.own, 16)))
    for call, at, arguments in cases:
        ran = linked.made.run("jump_call", *map(str, (at, NUMBERS[call], *arguments)), timeout=20)
        assert (ran.status, ran.stdout) == (KILLED, b""), (call, arguments, ran)
    assert not linked.reached()


def test_stubs_do_what_is_given(linked: Linked) -> None:
    """The same stubs, used as they are meant to be: the endpoint is reached, and only so."""
    if linked.hostile.backend == "kvm":
        pytest.skip("no stubs")
    stubs = stubs_of(linked.made)
    (at,) = stubs["socket"]
    words = (at, NUMBERS["socket"], 2, socket.SOCK_STREAM | SOCKET_FLAGS, 0)
    ran = linked.made.run("jump_call", *map(str, words))
    slot = linked.given.connections.start
    assert ran.stdout == f"{slot}\nsurvived\n".encode()
    (at,) = stubs["connect"]
    words = (at, NUMBERS["connect"], slot, linked.endpoints, 16)
    ran = linked.made.run("jump_call", *map(str, words))
    assert ran.stdout == b"-9\nsurvived\n"  # the slot is empty


def packed(*values: int) -> list[int]:
    """Numbers of 32 bits as the 64-bit words of a block."""
    data = struct.pack(f"<{len(values)}I", *values)
    return list(struct.unpack(f"<{len(values) // 2}Q", data))


def test_blocks_of_a_machine(linked: Linked) -> None:
    """Slots, ports, endpoints, options and memory that are not the plan's: an error, no more."""
    if linked.hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    given, place = linked.given, linked.hostile.place
    at, own = place.state_end - 4096, linked.own
    ports = {call.name: call.port for call in limpet.contract.hypercalls()}
    slot = given.connections.start
    others = (0, 1, given.events, given.listeners.start, given.connections.stop, 2**32 - 1)

    def tried(name: str, attack: str, words: list[int]) -> list[bytes]:
        given = map(str, (ports[name], at, *words))
        ran = linked.made.run(attack, *given, timeout=20)
        assert ran.status == 0, (name, words, ran)
        return ran.stdout.split()

    def last(name: str, words: list[int]) -> int:
        return int(tried(name, "block", words)[-2], 16)

    def device(name: str, words: list[int]) -> int:
        return int(tried(name, "device_block", words)[0]) % 2**64

    for fd in others:
        assert last("socket_send", [*packed(fd, SOCKET_SEND), own, 1, 0]) == EBADF
        assert last("socket_receive", [*packed(fd, 0), own, 1, 0]) == EBADF
        assert int(tried("socket_close", "block", [*packed(fd, 3), 0, 0, 0])[1], 16) == EBADF
        assert device("socket_option", [*packed(fd, 1, 9, 1, 1, 0, 4, 0), 0]) == EBADF
    wrong = (0, 1, SOCKET_SEND | 1, 0x8000, SOCKET_SEND | 0x20000000)
    for flags in (*wrong, SOCKET_SEND | SOCKET_THEN_CLOSE):
        assert last("socket_send", [*packed(slot, flags), own, 1, 0]) == EBADF
    assert last("socket_receive", [*packed(slot, 0x2000), own, 1, 0]) == EBADF
    for level, name in ((1, 36), (1, 25), (0, 9), (6, 31), (6, 2), (6, 200), (41, 26)):
        words = [*packed(slot, level, name, 1, 1, 0, 4, 0), 0]
        assert device("socket_option", words) == ENOPROTOOPT
    assert device("socket_option", [*packed(slot, 1, 9, 1, 1, 0, 4096, 0), 0]) == ENOPROTOOPT
    for index in (2, 2**31, 2**32 - 1):
        assert device("socket_accept", [0, 0, 0, index << 32, 0]) == EBADF
        assert device("socket_connect", [0, 0, 0, index << 32, 0]) == EACCES
    assert not linked.reached()


def test_batches_of_a_machine(linked: Linked) -> None:
    """Each send of a batch is checked as one alone; what it fills lies in the guest."""
    if linked.hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    given, place, own = linked.given, linked.hostile.place, linked.own
    slot, untried, most = given.connections.start, -99, SOCKET_SENDS_MOST
    state = place.state_end - 8192 - SOCKET_EVENTS_MOST * SOCKET_ROOM
    (port,) = (each.port for each in limpet.contract.hypercalls() if each.name == "socket_batch")

    def tried(
        fd: int = slot,
        flags: int = SOCKET_SEND,
        address: int = own,
        *,
        events: int = 0,
        rooms: int = 0,
        accepts: int = 0,
        sends: int = state,
        count: int = 1,
        length: int = 1,
    ) -> list[int]:
        words = [0, 0, events, sends, count, rooms, accepts, 0, 1, state]
        one = [*packed(fd, flags), address, length, untried % 2**64]
        ran = linked.made.run("batch", *map(str, (port, place.state_end - 4096, *words, *one)))
        assert ran.status == 0, ran
        return list(map(int, ran.stdout.split()[:2]))

    for fd in (0, 1, given.events, given.listeners.start, given.connections.stop, 2**32 - 1):
        assert tried(fd) == [0, -9]
    for flags in (0, 1, SOCKET_SEND | 1, 0x8000, SOCKET_SEND | 0x20000000):
        assert tried(flags=flags) == [0, -9]
    # To be told of room, or closed: over no other slot either.
    for fd in (0, given.events, given.listeners.start, given.connections.stop):
        assert tried(fd, SOCKET_SEND | SOCKET_THEN_TELL | SOCKET_THEN_CLOSE) == [0, -9]
    for address in (0, place.supervisor, MONITOR, place.stack[1]):
        assert tried(address=address) == [0, -14]
        assert tried(events=address or 1) == [-14, untried]
    # The monitor writes there itself, so not where a page may be constant or missing.
    assert place.state_end <= place.arena[0] and place.stack[0] - 4096 > place.arena[1]
    ours = (0, place.guest[0], place.state - 8, place.arena[0], place.stack[0] - 4096)
    for address in (*ours, place.supervisor, MONITOR, place.stack[1]):
        assert tried(rooms=address or 8, events=own) == [-14, untried]
        assert tried(sends=address) == [-14, untried]
        assert tried(accepts=address or 8, events=own) == [-14, untried]
    assert tried(length=MAX_TRANSFER + 1) == [0, -14]
    for count in (most + 1, 2**32 + 1, 2**64 - 1):
        assert tried(count=count) == [-14, untried]
    assert tried(sends=state + 4) == tried(rooms=state + 4, events=own) == [-14, untried]
    assert tried(accepts=state + 4, events=own) == [-14, untried]
    assert tried() == [0, -9]  # the slot is empty
    assert tried(events=state + 64, rooms=state) == [0, -9]  # what comes lies over what is told
    assert tried(events=state + 64, rooms=state, accepts=state) == [0, -9]
    assert not linked.reached()
