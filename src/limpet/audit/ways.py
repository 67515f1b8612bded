"""What leads out of a guest, read from a bundle's bytes: published ports, and endpoints.

A published port is an address that the monitor's code binds; an endpoint is an address that the
filter lets the guest connect to.  Both are constants in memory that cannot be written, or places of
a table that a start fills and closes: what is neither is told as such.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.chosen import choice
from limpet.audit.inside import Inside
from limpet.audit.seccomp_decode import Decoded
from limpet.contract.limits import SOCKET_ADDRESS_SIZE
from limpet.formats.destinations import in_words
from limpet.planning.broker import read_policy
from limpet.planning.choices import UDP_AT

_BIND, _CONNECT, _SECCOMP = NUMBERS["bind"], NUMBERS["connect"], NUMBERS["seccomp"]
_GETSOCKOPT = NUMBERS["getsockopt"]
_SOCKET, _KIND = NUMBERS["socket"], 0xF
_ARGUMENT = 5  # of the call that installs the filter: what enter.h hands over, in the same register
_POLICY_MOST = 64 << 10
_WRITE = 2
_MOST = 64
ANYWHERE = "anywhere"
"""What cannot be told from the bytes can be anything."""
INHERITED = "inherited"
"""Sockets that the starter gives: a monitor asks them alone whether they listen."""


def published(inside: Inside) -> Iterator[str]:
    """Addresses at which the host's ports lead to the guest."""
    for call in inside.code.calls:
        if _GETSOCKOPT in call.numbers and call.argument(2) == socket.SO_ACCEPTCONN:
            yield INHERITED
        if _BIND not in call.numbers:
            continue
        if not call.arguments[1]:
            yield ANYWHERE
        for at in sorted(call.arguments[1]):
            yield choice(inside, at) or address(inside, at) + _carried(inside, at)


def _carried(inside: Inside, at: int) -> str:
    """Whether a published port is one of UDP, as the structure says by which the monitor goes."""
    try:
        return "/udp" if inside.bundle.memory(at + UDP_AT, 1) == b"\1" else ""
    except ValueError:
        return ""


def endpoints(inside: Inside) -> Iterator[str]:
    """Addresses that the guest may connect to, and what its broker may."""
    for decoded in inside.filters.values():
        if inside.backend(decoded) == "broker":
            yield from _destinations(inside)
            continue
        protocols = tuple(_protocols(decoded))
        for each in decoded.allowed:
            if each.number != _CONNECT:
                continue
            for low, high in each.arguments[1]:
                if high - low >= _MOST:
                    yield ANYWHERE
                    continue
                for at in range(low, high + 1):
                    chosen = choice(inside, at)
                    fixed = (address(inside, at) + words for words in protocols)
                    yield from (chosen,) if chosen else fixed


def _protocols(decoded: Decoded) -> Iterator[str]:
    """Of the sockets that a filter lets through, which are those that it lets connect."""
    kinds = {
        kind & _KIND
        for each in decoded.allowed
        if each.number == _SOCKET
        for low, high in each.arguments[1]
        for kind in (range(low, high + 1) if high - low < _MOST else (0,))
    }
    known = {int(socket.SOCK_STREAM): "", int(socket.SOCK_DGRAM): "/udp"}
    yield from (known.get(kind, "/any") for kind in sorted(kinds))


def _destinations(inside: Inside) -> Iterator[str]:
    """What the policy says: its address is what the broker's code is entered with."""
    for call in inside.code.calls:
        program = call.argument(2)
        if call.numbers != {_SECCOMP} or program is None:
            continue
        at = call.state.word(inside.bundle, program + 8)
        decoded = inside.filters.get(at or 0)
        if decoded is None or inside.backend(decoded) != "broker":
            continue
        yield from _policy(inside, call.argument(_ARGUMENT))


def _policy(inside: Inside, at: int | None) -> Iterator[str]:
    part = inside.bundle.part_at(at) if at is not None else None
    if at is None or part is None or part.flags & _WRITE:
        yield ANYWHERE
        return
    try:
        found = read_policy(inside.bundle.memory(at, min(part.end - at, _POLICY_MOST)))
    except ValueError:
        yield ANYWHERE
    else:
        yield from (each.removesuffix("/tcp") for each in in_words(found))


def address(inside: Inside, at: int) -> str:
    """A constant ``struct sockaddr_in`` or ``sockaddr_in6``, as ``-p`` and ``--connect`` say it."""
    part = inside.bundle.part_at(at)
    if part is None or part.flags & _WRITE or at + SOCKET_ADDRESS_SIZE > part.end:
        return ANYWHERE
    data = inside.bundle.memory(at, SOCKET_ADDRESS_SIZE)
    (family,) = struct.unpack_from("<H", data)
    (port,) = struct.unpack_from(">H", data, 2)
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(socket.AF_INET, data[4:8])}:{port}"
    if family == socket.AF_INET6:
        return f"[{socket.inet_ntop(socket.AF_INET6, data[8:24])}]:{port}"
    return ANYWHERE
