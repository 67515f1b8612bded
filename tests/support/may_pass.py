"""What may pass each filter, written by hand: nothing here is read from Limpet's own tables.

Sources: the numbers are those of Linux for x86-64 (``arch/x86/entry/syscalls/syscall_64.tbl``), the
ioctl is ``KVM_RUN`` of ``include/uapi/linux/kvm.h``, the limits and descriptors are those that
``docs/hypercalls.md`` and SECURITY.md promise, and what a unikernel asks is in Solo5's
``docs/architecture.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.bpf import Spans
from tests.support.filter_rules import Allowed, Disk

KILL_PROCESS, TRAP = 0x80000000, 0x00030000

READ, WRITE, IOCTL, PREAD, PWRITE, FDATASYNC = 0, 1, 16, 17, 18, 75
MPROTECT, MREMAP = 10, 25
SETITIMER, RT_SIGTIMEDWAIT = 38, 128
ARCH_PRCTL, CLOCK_GETTIME, EXIT_GROUP, PPOLL = 158, 228, 231, 271
EPOLL_PWAIT, TIMERFD_SETTIME, GETRANDOM, TIMER_SETTIME = 281, 286, 318, 223
CLOSE, SOCKET, CONNECT, SENDTO, RECVFROM, SHUTDOWN = 3, 41, 42, 44, 45, 48
GETSOCKNAME, SETSOCKOPT, GETSOCKOPT, ACCEPT4 = 51, 54, 55, 288
EPOLL_CTL, EPOLL_PWAIT2 = 233, 441

GUEST: Spans = ((-1, -1),)
"""Guest memory, which is another for each guest."""

CONSTANTS: Spans = ((0x20_0000_0000, 0x20_0000_FFFF),)
MONITOR: Spans = ((0x20_0000_0000, 0x7FFF_FFFF_EFFF),)
"""The 64 KiB of a monitor, and all from there to the end of its stack."""


def one(*values: int) -> Spans:
    """One of few values."""
    return tuple((value, value) for value in values)


def most(value: int) -> Spans:
    """A size."""
    return ((0, value),)


@dataclass(frozen=True)
class Call:
    """A system call that may pass: its number, its arguments, and which instruction makes it.

    ``within`` is a capacity that the fourth argument ends within together with the third.
    """

    number: int
    arguments: Mapping[int, Spans] = field(default_factory=dict)
    stub: str = ""
    within: int = 0

    def allowed(
        self, labels: Mapping[str, int], half: int, guest: tuple[int, int] | None
    ) -> Allowed:
        """With addresses: ``half`` is the upper half of the instruction pointer."""
        at = labels[self.stub] if self.stub else 0
        pointer = (at, at) if self.stub else (half << 32, half << 32 | 0xFFFFFFFF)
        arguments = dict(self.arguments)
        for index, spans in self.arguments.items():
            if spans == GUEST:
                assert guest
                arguments[index] = ((guest[0], guest[1] - 1),)
        within = ((3, self.within),) if self.within else ()
        return Allowed(self.number, (pointer,), arguments, within)


HELLO_KVM = (
    Call(IOCTL, {0: one(5), 1: one(0xAE80), 2: one(0)}),
    Call(EXIT_GROUP, {0: most(255)}),
    Call(WRITE, {0: one(1, 2), 1: GUEST, 2: most(1 << 20)}),
    Call(WRITE, {0: one(2), 1: CONSTANTS, 2: most(256)}),
)
"""A program that writes and ends, in a virtual machine."""

HELLO_PROCESS = (
    Call(EXIT_GROUP, {0: most(255)}, "host_exit_exit_group"),
    Call(WRITE, {0: one(1, 2), 2: most(1 << 20)}, "host_console_out_write"),
)

TIMEOUT_PROCESS = (
    Call(WRITE, {0: one(2), 1: CONSTANTS, 2: most(256)}, "host_timeout_write"),
    Call(EXIT_GROUP, {0: most(255)}, "host_timeout_exit_group"),
)
"""The alarm's handler, which on kvm needs nothing more than there is."""


TRACE_KVM = (
    Call(WRITE, {0: one(4), 1: GUEST, 2: most(1 << 20)}),
    Call(PPOLL, {0: MONITOR, 1: most(1), 2: MONITOR, 3: one(0), 4: one(0)}),
    Call(CLOCK_GETTIME, {0: one(0, 1), 1: MONITOR}),
)
TRACE_PROCESS = (
    Call(WRITE, {0: one(4), 2: most(1 << 20)}, "host_trace_write"),
    Call(PPOLL, {1: most(1), 3: one(0), 4: one(0)}, "host_wait_ppoll"),
    Call(CLOCK_GETTIME, {0: one(0, 1)}, "host_wait_clock_gettime"),
)
"""Records of what a program asks for, and the time that stands in them."""

TERMINAL_KVM = (Call(IOCTL, {0: one(0, 1, 2), 1: one(0x5402, 0x5403, 0x5404, 0x5413), 2: MONITOR}),)
TERMINAL_PROCESS = (
    Call(IOCTL, {0: one(0, 1, 2), 1: one(0x5402, 0x5403, 0x5404, 0x5413)}, "host_terminal_ioctl"),
)
"""The modes and the size of a terminal; the numbers are those of ``asm-generic/ioctls.h``."""

TICK_KVM = (
    Call(SETITIMER, {0: one(2), 1: CONSTANTS, 2: one(0)}),
    Call(RT_SIGTIMEDWAIT, {0: CONSTANTS, 1: one(0), 2: CONSTANTS, 3: one(8)}),
)
"""Threads take turns by a timer of the process's own time (ITIMER_PROF); nothing else is set."""

TICK_PROCESS = (Call(SETITIMER, {0: one(2), 1: CONSTANTS, 2: one(0)}, "host_tick_setitimer"),)


def more_kvm(networks: int, *, hears: bool = False) -> tuple[Call, ...]:
    """Input, waiting, time and entropy of a program with that many networks.

    One that ``hears`` signals from outside has one descriptor more, for them.
    """
    return (
        *((Call(READ, {0: one(3), 1: MONITOR, 2: one(128)}),) if hears else ()),
        Call(READ, {0: one(0), 1: GUEST, 2: most(1 << 20)}),
        Call(PPOLL, {0: MONITOR, 1: most(1 + hears + networks), 2: MONITOR, 3: one(0), 4: one(0)}),
        Call(CLOCK_GETTIME, {0: one(0, 1), 1: MONITOR}),
        Call(GETRANDOM, {0: MONITOR, 1: one(48), 2: one(0)}),
    )


def more_process(networks: int, *, hears: bool = False) -> tuple[Call, ...]:
    """The same in a process."""
    waits = "host_attend" if hears else "host_wait"
    return (
        *((Call(READ, {0: one(3), 2: one(128)}, "host_attend_read"),) if hears else ()),
        Call(READ, {0: one(0), 2: most(1 << 20)}, "host_console_in_read"),
        Call(PPOLL, {1: most(1 + hears + networks), 3: one(0), 4: one(0)}, f"{waits}_ppoll"),
        Call(CLOCK_GETTIME, {0: one(0, 1)}, f"{waits}_clock_gettime"),
        Call(GETRANDOM, {1: one(48), 2: one(0)}, "host_entropy_getrandom"),
    )


SOL_SOCKET, IPPROTO_TCP = 1, 6
SET_OF_SOCKET, SET_OF_TCP = (7, 8, 9, 13), (1, 3, 4, 5, 6, 7, 12, 18)
"""SO_SNDBUF, RCVBUF, KEEPALIVE, LINGER; TCP_NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, QUICKACK
and USER_TIMEOUT."""


def sockets(
    ports: int,
    ends: Mapping[int, Sequence[int]],
    slots: int,
    *,
    kvm: bool,
    broker: bool = False,
    carriers: int = 0,
) -> Iterable[Call]:
    """Connections of a program: ``slots`` of them, from ``ports``, to addresses by their length.

    The set of what is waited for is descriptor 6, ports follow, those of UDP last, then a broker's,
    then the slots.
    """
    events, first = one(6), 7 + ports + carriers + broker
    slot: Spans = ((first, first + slots - 1),)

    def call(number: int, stub: str, arguments: dict[int, Spans], **memory: Any) -> Call:
        if kvm:
            own = {int(name[1:]): spans for name, spans in memory.items()}
            return Call(number, arguments | own)
        return Call(number, arguments, f"host_socket_{stub}")

    wait = {0: events, 2: one(64), 4: one(0)}
    yield call(EPOLL_PWAIT2, "wait_epoll_pwait2", wait, _1=GUEST, _3=MONITOR)
    both = {1: one(2), 3: one(0), 4: one(0)}
    yield call(PPOLL, "wait_ppoll", both, _0=MONITOR, _2=MONITOR)
    watch = {0: events, 1: one(1), 2: slot}
    none = {4: one(0), 5: one(0)}
    carried: Spans = ((7 + ports, 6 + ports + carriers),)
    for link in (slot, carried) if carriers else (slot,):
        received = {0: link, 2: most(1 << 20), 3: one(0, 2), **none}
        yield call(RECVFROM, "receive_recvfrom", received, _1=GUEST)
        sent = {0: link, 2: most(1 << 20), 3: one(0x4000, 0xC000), **none}
        yield call(SENDTO, "send_sendto", sent, _1=GUEST)
    yield call(CLOSE, "close_close", {0: slot})
    yield call(SHUTDOWN, "close_shutdown", {0: slot, 1: one(0, 1, 2)})
    for level, read, written in (
        (SOL_SOCKET, (4, *SET_OF_SOCKET), SET_OF_SOCKET),
        (IPPROTO_TCP, (2, *SET_OF_TCP), SET_OF_TCP),
    ):
        got = {0: slot, 1: one(level), 2: one(*read)}
        yield call(GETSOCKOPT, "option_getsockopt", got, _3=MONITOR, _4=MONITOR)
        given = {0: slot, 1: one(level), 2: one(*written), 4: most(8)}
        yield call(SETSOCKOPT, "option_setsockopt", given, _3=MONITOR)
    if ports:
        taken = {0: ((7, 6 + ports),), 3: one(0x80800)}
        yield call(ACCEPT4, "accept_accept4", taken, _1=MONITOR, _2=MONITOR)
        more = watch | {1: one(1, 3)} if kvm else watch
        yield call(EPOLL_CTL, "accept_epoll_ctl", more, _3=MONITOR)
    for length, places in ends.items():
        family = {16: 2, 28: 10}[length]
        made = {0: one(family), 1: one(0x80801), 2: one(0)}
        yield call(SOCKET, "connect_socket", made)
        yield call(CONNECT, "connect_connect", {0: slot, 1: one(*places), 2: one(length)})
    if ends:
        yield call(EPOLL_CTL, "connect_epoll_ctl", watch, _3=MONITOR)
        yield call(CLOSE, "connect_close", {0: slot})
        yield call(GETSOCKNAME, "connect_getsockname", {0: slot}, _1=MONITOR, _2=MONITOR)


def arranging(arena: tuple[int, int], program: Sequence[tuple[int, int, bool]]) -> Iterable[Call]:
    """A program that moves its own pages, or makes them read-only or out of reach.

    Of ``program``, its segments and whether they can be written, nothing else becomes writable.
    """
    whole = ((program[0][0], program[-1][1] - 1),)
    yield Call(MPROTECT, {0: whole, 1: most(1 << 30), 2: one(0, 1)}, "host_protect_mprotect")
    for low, high, writable in program:
        if writable:
            page = {0: ((low, high - 1),), 1: most(4096), 2: one(3)}
            yield Call(MPROTECT, page, "host_protect_mprotect")
    places: tuple[Spans, ...] = (
        ((arena[0], arena[1] - 1),),
        ((0x40_0000_0000, 0x6FFF_FFFF_FFFF),),
    )
    for old in places:
        yield Call(MPROTECT, {0: old, 1: most(1 << 30), 2: one(0, 1, 3)}, "host_protect_mprotect")
        for new in places:
            arguments = {0: old, 1: most(1 << 30), 2: most(1 << 30), 3: one(3), 4: new}
            yield Call(MREMAP, arguments, "host_place_mremap")


def executing(arena: tuple[int, int]) -> Iterable[Call]:
    """A program that runs code it has made: to read and to run, and nothing else."""
    for old in (((arena[0], arena[1] - 1),), ((0x40_0000_0000, 0x6FFF_FFFF_FFFF),)):
        yield Call(MPROTECT, {0: old, 1: most(1 << 30), 2: one(5)}, "host_execute_mprotect")


def devices_kvm(disks: Mapping[int, Disk], networks: Sequence[int]) -> Iterable[Call]:
    """Disks and networks of a program; the device N has the descriptor 16 + N."""
    for handle, disk in disks.items():
        for number in (PREAD, PWRITE):
            yield Call(
                number,
                {0: one(16 + handle), 1: GUEST, 2: most(1 << 20)},
                within=disk.capacity,
            )
        yield Call(FDATASYNC, {0: one(16 + handle)})
    for handle in networks:
        for number in (READ, WRITE):
            yield Call(number, {0: one(16 + handle), 1: GUEST, 2: most(1 << 16)})


def devices_process(disks: Mapping[int, Disk], networks: Sequence[int]) -> Iterable[Call]:
    """The same in a process."""
    for handle, disk in disks.items():
        for number, stub in (
            (PREAD, "host_block_read_pread64"),
            (PWRITE, "host_block_write_pwrite64"),
        ):
            arguments = {0: one(16 + handle), 2: most(1 << 20)}
            yield Call(number, arguments, stub, disk.capacity)
        yield Call(FDATASYNC, {0: one(16 + handle)}, "host_block_flush_fdatasync")
    for handle in networks:
        yield Call(READ, {0: one(16 + handle), 2: most(1 << 16)}, "host_net_read_read")
        yield Call(WRITE, {0: one(16 + handle), 2: most(1 << 16)}, "host_net_write_write")


MUNMAP, POLL, SOCKETPAIR, SENDMSG, RECVMSG = 11, 7, 53, 46, 47

BROKER = (
    Call(MUNMAP, {0: one(0), 1: one(0x20_0000_0000)}),
    Call(READ, {0: one(4, 5)}),
    Call(POLL, {1: most(97)}),
    Call(CLOCK_GETTIME, {0: one(0, 1)}),
    Call(RECVFROM, {2: most(1232), 3: one(0x40, 0x60), 4: one(0)}),
    Call(SENDTO, {2: most(512), 3: one(0x4040), 4: one(0)}),
    Call(SENDMSG, {0: one(3), 2: one(0x4040)}),
    Call(SETSOCKOPT, {0: one(3), 1: one(1), 2: one(7)}),
    Call(SOCKETPAIR, {0: one(1), 1: one(0x80805), 2: one(0)}),
    Call(SOCKET, {0: one(2, 10), 1: one(0x80801, 0x80802), 2: one(0)}),
    Call(CONNECT, {2: one(16, 28)}),
    Call(GETSOCKNAME),
    Call(GETRANDOM, {1: one(2), 2: one(0)}),
    Call(CLOSE),
    Call(WRITE, {0: one(2), 2: most(2048)}),
    Call(EXIT_GROUP, {0: one(0)}),
)
"""A broker: sockets that lead where its policy says, its log, and two files of the host's."""


def broker(ports: int, slots: int, *, kvm: bool) -> Iterable[Call]:
    """What a guest asks its broker: descriptor 7 behind no ports, and the slots behind that."""
    pair, slot = one(7 + ports), ((8 + ports, 7 + ports + slots),)

    def call(number: int, stub: str, arguments: dict[int, Spans], **memory: Any) -> Call:
        own = {int(name[1:]): spans for name, spans in memory.items()} if kvm else {}
        return Call(number, arguments | own, "" if kvm else f"host_socket_broker_{stub}")

    asked = {0: pair, 2: one(24), 3: one(0x4000), 4: one(0), 5: one(0)}
    yield call(SENDTO, "sendto", asked, _1=MONITOR)
    yield call(RECVMSG, "recvmsg", {0: pair, 2: one(0x40000000)}, _1=MONITOR)
    watch = {0: one(6), 1: one(1), 2: slot}
    yield call(EPOLL_CTL, "epoll_ctl", watch, _3=MONITOR)
    yield call(GETSOCKNAME, "getsockname", {0: slot}, _1=MONITOR, _2=MONITOR)


def hvt(disks: Mapping[int, Disk], networks: Sequence[int]) -> Iterable[Call]:
    """A unikernel in a virtual machine."""
    yield Call(IOCTL, {0: one(5), 1: one(0xAE80), 2: one(0)})
    yield Call(CLOCK_GETTIME, {0: one(0), 1: MONITOR})
    yield Call(WRITE, {0: one(1), 1: GUEST, 2: most(1 << 20)})
    yield Call(WRITE, {0: one(2), 1: MONITOR, 2: most(256)})
    yield Call(PPOLL, {0: MONITOR, 1: most(63), 2: MONITOR, 3: one(0), 4: one(0)})
    yield Call(EXIT_GROUP, {0: most(255)})
    for handle, disk in disks.items():
        for number in (PREAD, PWRITE):
            arguments = {0: one(16 + handle), 1: GUEST, 2: most(0xFFFFFFFF)}
            yield Call(number, arguments, within=disk.capacity)
    for handle in networks:
        for number in (READ, WRITE):
            yield Call(number, {0: one(16 + handle), 1: GUEST, 2: most(1 << 16)})
    if networks:  # frames are gathered for a time, whose end is a signal
        yield Call(TIMER_SETTIME, {0: one(0), 1: one(0), 2: CONSTANTS, 3: one(0)})
        yield Call(RT_SIGTIMEDWAIT, {0: CONSTANTS, 1: one(0), 2: CONSTANTS, 3: one(8)})


def spt(disks: Mapping[int, Disk], networks: Sequence[int]) -> Iterable[Call]:
    """A unikernel in a process makes its own calls: one sector at a time, none behind the last."""
    yield Call(EPOLL_PWAIT, {0: one(3), 4: one(0)})
    yield Call(TIMERFD_SETTIME, {0: one(4), 1: one(0, 1)})
    yield Call(CLOCK_GETTIME, {0: one(0, 1)})
    yield Call(WRITE, {0: one(1)})
    yield Call(EXIT_GROUP)
    yield Call(ARCH_PRCTL, {0: one(0x1002)})
    for handle, disk in disks.items():
        for number in (PREAD, PWRITE):
            last = disk.capacity - disk.sector
            yield Call(number, {0: one(16 + handle), 2: one(disk.sector), 3: most(last)})
    for handle in networks:
        yield Call(READ, {0: one(16 + handle)})
        yield Call(WRITE, {0: one(16 + handle)})
