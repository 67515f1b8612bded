"""What leads out of a guest: published ports, endpoints, and the descriptors of both.

Descriptors are fixed by the plan, so that the filter knows them: the set of what the guest waits
for, behind it the published ports, behind these the slots of connections.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from limpet.contract.limits import (
    DEVICE_FD,
    ENDPOINTS_MOST,
    INHERITED_BY_NAME,
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
from limpet.formats.bounds import is_chosen
from limpet.formats.destinations import Destination, Net
from limpet.formats.destinations import destinations as wanted
from limpet.formats.manifest import VOLUME, Device
from limpet.formats.ports import CHOOSES_NOTHING, Endpoint, Port, endpoint, port
from limpet.plain import quoted
from limpet.planning.broker import policy
from limpet.planning.choices import ADDRESS_SIZE, CHOICE, HOW
from limpet.planning.options import Options

_FAMILIES = ((socket.AF_INET, 16), (socket.AF_INET6, SOCKET_ADDRESS_SIZE))

PATH_MOST = 4096
"""Bytes of a path with its zero (uapi linux/limits.h)."""


@dataclass(frozen=True)
class Outside:
    """Everything that leads out of a guest; ``first`` is the lowest of its descriptors."""

    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    slots: int
    first: int
    shared: bool = False  # the slots are those of files that a guest opens below volumes, too
    destinations: tuple[Destination, ...] = ()
    log: str = ""

    @property
    def events(self) -> int:
        """The descriptor of the set of what the guest waits for."""
        return self.first

    @property
    def listeners(self) -> range:
        """The descriptors of published ports of TCP."""
        return range(self.first + 1, self.first + 1 + sum(not each.udp for each in self.ports))

    @property
    def carriers(self) -> range:
        """The descriptors over which datagrams of published ports of UDP come and go."""
        start = self.listeners.stop
        return range(start, start + sum(each.udp for each in self.ports))

    @property
    def opened(self) -> tuple[Port, ...]:
        """The published ports of TCP that the monitor opens: the first of them all."""
        return tuple(each for each in self.ports if not (each.udp or each.inherited))

    @property
    def chosen(self) -> tuple[Port | Endpoint, ...]:
        """Those that a start chooses, in the order of their table: ports of TCP, of UDP, endpoints.

        Among their own kind they come behind those that the plan fixes.
        """
        every: tuple[Port | Endpoint, ...] = (*self.ports, *self.endpoints)
        return tuple(each for each in every if each.bound)

    @property
    def asks(self) -> bool:
        """Whether somebody beside the guest makes connections for it, or writes a log of those that
        it does not get: a broker, or a porter."""
        return bool(self.destinations or self.log) or any(each.udp for each in self.endpoints)

    @property
    def direct(self) -> tuple[Endpoint, ...]:
        """Those that the guest itself connects to.

        None where it has sockets of UDP as well: to a filter, which sees a descriptor and an
        address, connecting one of these to an endpoint of TCP's would be the same call.
        """
        return () if any(each.udp for each in self.endpoints) else self.endpoints

    @property
    def porter(self) -> bool:
        """Whether there is one: it has the ports of UDP, and makes sockets that are connected."""
        return bool(self.carriers) or (self.asks and not self.destinations)

    @property
    def broker(self) -> int:
        """The descriptor of the pair with whoever makes connections, where there is one."""
        return self.carriers.stop

    @property
    def connections(self) -> range:
        """The descriptors that connections have: the slots."""
        start = SLOT_FD if self.shared else self.carriers.stop + self.asks
        return range(start, start + self.slots)

    def blobs(self) -> dict[str, bytes]:
        """The tables in the monitor's constants."""
        found = {}
        if self.ports:
            found["PUBLISHED"] = b"".join(_published(each) for each in self.ports)
        if self.endpoints:
            found["ENDPOINTS"] = b"".join(
                packed(each.address, each.port, each.udp)
                for each in self.endpoints
                if not each.bound
            )
        if self.destinations:
            found["BROKER_POLICY"] = policy(self.destinations)
        if self.log:
            found["BROKER_LOG"] = os.fsencode(self.log) + b"\0"
        return found

    def numbers(self) -> dict[str, int]:
        """What C on both sides knows them by."""
        return {
            "EVENTS_FD": self.events,
            "LISTENERS": len(self.listeners),
            "LISTENERS_FD": self.listeners.start,
            "CARRIERS": len(self.carriers),
            "CARRIERS_FD": self.carriers.start,
            "SLOTS_FD": self.connections.start,
            "SLOTS_END": self.connections.stop,
            "INHERITED": sum(bool(each.inherited) for each in self.ports),
            "OPENED": len(self.opened),
            "OPENED_UDP": sum(each.udp and not each.inherited for each in self.ports),
            "ENDPOINT_COUNT": len(self.endpoints),
            "BROKER_FD": self.broker,
            "BROKER_THERE": int(self.asks),
            "ENDPOINTS_FIXED": sum(not each.bound for each in self.endpoints),
            "CHOICES": len(self.chosen),
            "CHOICE_SIZE": CHOICE.size,
            "CHOSEN_PORTS": sum(bool(each.bound) for each in self.ports),
            "OPENED_CHOSEN": sum(bool(each.bound) and not each.udp for each in self.ports),
            "OPENED_UDP_CHOSEN": sum(bool(each.bound) and each.udp for each in self.ports),
        }

    def facts(self) -> Iterator[str]:
        """What the features of its monitor are chosen by."""
        if self.listeners:
            yield "listens"
        if self.opened:
            yield "binds"
        if self.opened or self.carriers:
            yield "opens_ports"
        if any(each.inherited for each in self.ports):
            yield "inherits"
        if self.chosen:
            yield "chooses"
        if self.porter:
            yield "porter"
        if self.carriers:
            yield "udp_ports"
        if self.asks and not self.destinations:
            yield "porter_asks"
            if self.endpoints and not self.direct:
                yield "porter_connects"


def outside(options: Options, devices: Sequence[Device]) -> Outside | None:
    """What ``options`` let out of a guest; ``None``: nothing.

    Raises:
        PlanError: one is not written as it should be, or there are too many.
    """
    published = (port(each, free=options.snapshot) for each in options.publish)
    ports = tuple(sorted(published, key=_order))
    endpoints, destinations = _split(options.connect)
    chosen = next(filter(is_chosen, (*options.publish, *options.connect)), None)
    if options.snapshot and chosen:
        raise PlanError(f"{chosen}: a snapshot {CHOOSES_NOTHING}", hint="give it without a name")
    if options.log and not (ports or endpoints or destinations):
        raise PlanError(
            f"--log {quoted(options.log)}: nothing leads out, and nobody would write it",
            hint="give -p or --connect as well",
        )
    if "\0" in options.log or len(os.fsencode(options.log)) >= PATH_MOST:
        raise PlanError("--log: not the name of a file", hint="give a path")
    if not ports and not endpoints and not destinations:
        if options.sockets:
            raise PlanError(
                "--sockets without a port or an endpoint", hint="give -p or --connect as well"
            )
        return None
    _check(ports, endpoints, options.sockets)
    first = DEVICE_FD + 1 + len(devices) if devices else VCPU_FD + 1
    shared = any(each.kind == VOLUME for each in devices)
    if shared and options.sockets > SLOT_COUNT:
        raise PlanError(
            f"--sockets {options.sockets}: too many beside a volume",
            hint=f"at most {SLOT_COUNT} connections and files together",
        )
    slots = options.sockets or SOCKETS_USUAL
    return Outside(ports, endpoints, slots, first, shared, destinations, options.log)


def _order(each: Port) -> tuple[bool, ...]:
    """Those that the monitor opens come before those that it is given, fixed ones first."""
    return each.udp, bool(each.inherited), bool(each.bound)


def _split(connect: Sequence[str]) -> tuple[tuple[Endpoint, ...], tuple[Destination, ...]]:
    """Single addresses and ports, which a filter knows, and what only a broker can decide.

    Where there is a broker, and sockets of UDP, it makes all sockets (:attr:`Outside.direct`).
    """
    chosen = [endpoint(each) for each in connect if is_chosen(each)]
    found = [(each, one) for each in connect if not is_chosen(each) for one in wanted(each)]
    broker = not all(is_single(one) for _, one in found)
    udp = any(one.ports.udp for _, one in found) or any(each.udp for each in chosen)
    by_broker = broker and udp
    if by_broker and chosen:
        raise PlanError(
            f"--connect {chosen[0]}: a broker connects all sockets here, and what it is to "
            "decide is fixed in the bundle",
            hint="give it without a name, or no names and networks beside UDP",
        )
    endpoints: list[Endpoint] = []
    destinations: list[Destination] = []
    for each, one in found:
        if is_single(one) and not by_broker:
            endpoints.append(endpoint(each))
        else:
            destinations.append(one)
    return (*endpoints, *chosen), tuple(destinations)


def is_single(found: Destination) -> bool:
    """Whether it is one address and port."""
    return isinstance(found, Net) and found.whole and found.ports.low == found.ports.high


def _check(ports: Sequence[Port], endpoints: Sequence[Endpoint], slots: int) -> None:
    if len(ports) > PUBLISHED_MOST or len(endpoints) > ENDPOINTS_MOST:
        raise PlanError(
            f"{len(ports)} ports and {len(endpoints)} endpoints are too many",
            hint=f"at most {PUBLISHED_MOST} of -p and {ENDPOINTS_MOST} of --connect",
        )
    if not 0 <= slots <= SOCKETS_MOST:
        raise PlanError(f"--sockets {slots}: too many", hint=f"at most {SOCKETS_MOST}")
    places = [_taken(each) for each in ports if (each.host or each.inherited) and not each.bound]
    names = [f"the name {each.bound.name} of -p" for each in ports if each.bound]
    ends = [f"the name {each.bound.name} of --connect" for each in endpoints if each.bound]
    for words in ([str(each) for each in endpoints], places, names, ends):
        twice = next((each for each in words if words.count(each) > 1), None)
        if twice is not None:
            raise PlanError(f"{twice} is given twice", hint="leave one out")


def _taken(given: Port) -> str:
    return f"{given.place}/udp" if given.udp and not given.inherited else given.place


def packed(address: str, port: int, udp: bool) -> bytes:
    """``struct outside_address``."""
    version_6 = ":" in address
    if version_6:
        where = struct.pack(">HI", port, 0) + socket.inet_pton(socket.AF_INET6, address) + bytes(4)
    else:
        where = struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)
    known = struct.pack("<H", socket.AF_INET6 if version_6 else socket.AF_INET) + where
    how = HOW.pack(len(known), version_6, udp, 0)
    return known.ljust(SOCKET_ADDRESS_SIZE, b"\0") + how


def kind_of(each: Endpoint) -> int:
    """The second argument of socket(2) for it."""
    return (socket.SOCK_DGRAM if each.udp else socket.SOCK_STREAM) | SOCKET_FLAGS


def _published(each: Port) -> bytes:
    text = (f"-p:{each.bound.name} as given" if each.bound else each.place).encode()
    assert len(text) < PUBLISHED_TEXT_SIZE
    if each.inherited:
        by = int(each.inherited) if each.inherited.isdecimal() else INHERITED_BY_NAME
        at = bytes(SOCKET_ADDRESS_SIZE) + HOW.pack(0, 0, each.udp, by)
    elif each.bound:
        at = bytes(SOCKET_ADDRESS_SIZE) + HOW.pack(0, ":" in each.address, each.udp, 0)
    else:
        at = packed(each.address, each.host, each.udp)
    return at + text.ljust(PUBLISHED_TEXT_SIZE, b"\0")


def ways(given: Outside, at: int, choices: int) -> Iterator[tuple[int, tuple[int, ...], int]]:
    """Of the endpoints of each family: its number, their addresses in memory, how long each is.

    What is fixed and what a start chooses are far from each other, and come one after the other.

    Args:
        at: where their table is.
        choices: where the table of what a start chooses is.
    """
    fixed = [(e, at + ADDRESS_SIZE * i) for i, e in enumerate(given.endpoints) if not e.bound]
    chosen = [
        (each, choices + CHOICE.size * index)
        for index, each in enumerate(given.chosen)
        if isinstance(each, Endpoint)
    ]
    for found, (family, length) in product((fixed, chosen), _FAMILIES):
        places = tuple(
            place for each, place in found if (":" in each.address) == (family == socket.AF_INET6)
        )
        if places:
            yield int(family), places, length
