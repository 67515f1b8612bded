"""What leads out of a guest: published ports, endpoints, and the descriptors of both.

Descriptors are fixed by the plan, so that the filter knows them: the set of what the guest waits
for, behind it the published ports, behind these the slots of connections.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from limpet.contract.limits import (
    DEVICE_FD,
    ENDPOINTS_MOST,
    PUBLISHED_MOST,
    PUBLISHED_TEXT_SIZE,
    SLOT_COUNT,
    SLOT_FD,
    SOCKET_ADDRESS_SIZE,
    SOCKET_FLAGS,
    SOCKETS_MOST,
    SOCKETS_USUAL,
    VCPU_FD,
)
from limpet.errors import PlanError
from limpet.formats.manifest import VOLUME, Device
from limpet.formats.ports import Endpoint, Port, endpoint, port
from limpet.planning.options import Options

_HOW = struct.Struct("<BBBB")
"""``struct outside_address`` behind the address."""

ENDPOINT_SIZE = SOCKET_ADDRESS_SIZE + _HOW.size


@dataclass(frozen=True)
class Outside:
    """Everything that leads out of a guest; ``first`` is the lowest of its descriptors."""

    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    slots: int
    first: int
    shared: bool = False  # the slots are those of files that a guest opens below volumes, too

    @property
    def events(self) -> int:
        """The descriptor of the set of what the guest waits for."""
        return self.first

    @property
    def listeners(self) -> range:
        """The descriptors of published ports."""
        return range(self.first + 1, self.first + 1 + len(self.ports))

    @property
    def connections(self) -> range:
        """The descriptors that connections have: the slots."""
        start = SLOT_FD if self.shared else self.listeners.stop
        return range(start, start + self.slots)

    def blobs(self) -> dict[str, bytes]:
        """The tables in the monitor's constants."""
        found = {}
        if self.ports:
            found["PUBLISHED"] = b"".join(_published(each) for each in self.ports)
        if self.endpoints:
            found["ENDPOINTS"] = b"".join(
                packed(each.address, each.port, each.udp) for each in self.endpoints
            )
        return found

    def numbers(self) -> dict[str, int]:
        """What C on both sides knows them by."""
        return {
            "EVENTS_FD": self.events,
            "LISTENERS": len(self.ports),
            "LISTENERS_FD": self.listeners.start,
            "SLOTS_FD": self.connections.start,
            "SLOTS_END": self.connections.stop,
            "ENDPOINT_COUNT": len(self.endpoints),
        }


def outside(options: Options, devices: Sequence[Device]) -> Outside | None:
    """What ``options`` let out of a guest; ``None``: nothing.

    Raises:
        PlanError: one is not written as it should be, or there are too many.
    """
    ports = tuple(port(each) for each in options.publish)
    endpoints = tuple(endpoint(each) for each in options.connect)
    if not ports and not endpoints:
        if options.sockets:
            raise PlanError(
                "--sockets without a port or an endpoint", hint="give -p or --connect as well"
            )
        return None
    _check(ports, endpoints, options.sockets)
    if options.snapshot:
        raise PlanError("a snapshot has no connections", hint="leave out -p and --connect")
    if any(each.udp for each in ports) or any(each.udp for each in endpoints):
        raise PlanError("UDP does not lead out of a program yet", hint="leave out what has /udp")
    first = DEVICE_FD + 1 + len(devices) if devices else VCPU_FD + 1
    shared = any(each.kind == VOLUME for each in devices)
    if shared and options.sockets > SLOT_COUNT:
        raise PlanError(
            f"--sockets {options.sockets}: too many beside a volume",
            hint=f"at most {SLOT_COUNT} connections and files together",
        )
    return Outside(ports, endpoints, options.sockets or SOCKETS_USUAL, first, shared)


def _check(ports: Sequence[Port], endpoints: Sequence[Endpoint], slots: int) -> None:
    if len(ports) > PUBLISHED_MOST or len(endpoints) > ENDPOINTS_MOST:
        raise PlanError(
            f"{len(ports)} ports and {len(endpoints)} endpoints are too many",
            hint=f"at most {PUBLISHED_MOST} of -p and {ENDPOINTS_MOST} of --connect",
        )
    if not 0 <= slots <= SOCKETS_MOST:
        raise PlanError(f"--sockets {slots}: too many", hint=f"at most {SOCKETS_MOST}")
    for words in ([each.place for each in ports], [str(each) for each in endpoints]):
        twice = next((each for each in words if words.count(each) > 1), None)
        if twice is not None:
            raise PlanError(f"{twice} is given twice", hint="leave one out")


def packed(address: str, port: int, udp: bool) -> bytes:
    """``struct outside_address``."""
    version_6 = ":" in address
    if version_6:
        where = struct.pack(">HI", port, 0) + socket.inet_pton(socket.AF_INET6, address) + bytes(4)
    else:
        where = struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)
    known = struct.pack("<H", socket.AF_INET6 if version_6 else socket.AF_INET) + where
    how = _HOW.pack(len(known), version_6, udp, 0)
    return known.ljust(SOCKET_ADDRESS_SIZE, b"\0") + how


def kind_of(each: Endpoint) -> int:
    """The second argument of socket(2) for it."""
    return (socket.SOCK_DGRAM if each.udp else socket.SOCK_STREAM) | SOCKET_FLAGS


def _published(each: Port) -> bytes:
    text = each.place.encode()
    assert len(text) < PUBLISHED_TEXT_SIZE
    return packed(each.address, each.host, each.udp) + text.ljust(PUBLISHED_TEXT_SIZE, b"\0")


def ways(given: Outside, at: int) -> Iterator[tuple[int, tuple[int, ...], int]]:
    """Of the endpoints of each family: its number, their addresses in memory, how long each is.

    Args:
        at: where their table is.
    """
    for family, length in ((socket.AF_INET, 16), (socket.AF_INET6, SOCKET_ADDRESS_SIZE)):
        places = tuple(
            at + ENDPOINT_SIZE * index
            for index, each in enumerate(given.endpoints)
            if (":" in each.address) == (family == socket.AF_INET6)
        )
        if places:
            yield int(family), places, length
