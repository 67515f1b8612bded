"""What a porter's filter may let through, written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.support.bpf import Spans
from tests.support.may_pass import (
    CLOCK_GETTIME,
    CLOSE,
    CONNECT,
    EXIT_GROUP,
    MONITOR,
    POLL,
    RECVFROM,
    SENDMSG,
    SENDTO,
    SOCKET,
    WRITE,
    Call,
    most,
    one,
)

PORTS: Spans = ((4, 35),)
PAIRS: Spans = ((36, 67),)


def porter(ends: Mapping[int, Sequence[int]]) -> Iterable[Call]:
    """One that has ports, and makes sockets to addresses by their length."""
    nobody = {4: one(0), 5: one(0)}
    yield Call(POLL, {0: MONITOR, 1: most(65)})
    somebody = {4: MONITOR, 5: MONITOR}
    yield Call(RECVFROM, {0: PORTS, 1: MONITOR, 2: one(65536), 3: one(0x40), **somebody})
    yield Call(SENDTO, {0: PAIRS, 1: MONITOR, 3: one(0x4040), **nobody})
    yield Call(RECVFROM, {0: PAIRS, 1: MONITOR, 3: one(0x40), **nobody})
    yield Call(SENDTO, {0: PORTS, 1: MONITOR, 2: most(65536), 3: one(0x4040), 5: one(16, 28)})
    yield Call(RECVFROM, {0: one(3), 1: MONITOR, 2: one(24), 3: one(0x60), **nobody})
    for length, places in ends.items():
        yield Call(SOCKET, {0: one({16: 2, 28: 10}[length]), 1: one(0x80801, 0x80802), 2: one(0)})
        yield Call(CONNECT, {1: one(*places), 2: one(length)})
    yield Call(SENDMSG, {0: one(3), 1: MONITOR, 2: one(0x4040)})
    yield Call(CLOSE, {})
    yield Call(CLOCK_GETTIME, {0: one(0, 1), 1: MONITOR})
    yield Call(WRITE, {0: one(2), 1: MONITOR, 2: most(2048)})
    yield Call(EXIT_GROUP, {0: one(0)})
