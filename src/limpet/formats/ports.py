"""What leads out of a guest: ports of the host that lead to it, and endpoints that it may reach.

Each has one spelling, which a bundle's record keeps: ``127.0.0.1:8080:80/tcp``, ``fd:3:80/tcp`` and
``192.0.2.1:443/tcp``, with brackets around an IPv6 address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from limpet.contract.limits import FIRST_FD, PARKED_FD
from limpet.errors import PlanError

LOOPBACK = "127.0.0.1"

_ADDRESS = r"([0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\])"
_PUBLISHED = re.compile(rf"(?:{_ADDRESS}:)?([0-9]{{1,5}}):([0-9]{{1,5}})(?:/(tcp|udp))?")
_ENDPOINT = re.compile(rf"{_ADDRESS}:([0-9]{{1,5}})(?:/(tcp|udp))?")
_INHERITED = re.compile(
    r"fd:(?:([0-9]{1,3})|([A-Za-z][A-Za-z0-9._@-]{0,30})):([0-9]{1,5})(?:/(tcp|udp))?"
)
_NUMBERS = range(FIRST_FD, PARKED_FD)
_PORTS = 1 << 16


@dataclass(frozen=True)
class Port:
    """A port at an address of the host that leads to one of the guest's.

    Where ``inherited`` says something, the bundle's starter gives its socket: the number or name
    that this has among those of LISTEN_FDS.
    """

    address: str
    host: int
    guest: int
    udp: bool = False
    inherited: str = ""

    def __str__(self) -> str:
        return f"{self.place}:{self.guest}/{_protocol(self.udp)}"

    @property
    def place(self) -> str:
        """The host's side of it."""
        if self.inherited:
            return f"fd:{self.inherited}"
        return f"{_bracketed(self.address)}:{self.host}"


@dataclass(frozen=True)
class Endpoint:
    """An address and port that a guest may connect to."""

    address: str
    port: int
    udp: bool = False

    def __str__(self) -> str:
        return f"{_bracketed(self.address)}:{self.port}/{_protocol(self.udp)}"


def port(given: str, *, free: bool = False) -> Port:
    """``-p [ADDRESS:]HOST:GUEST[/udp]`` or ``-p fd:N:GUEST[/udp]``.

    Args:
        free: whether the host's may be 0, for any that is free.

    Raises:
        PlanError: it is not written as it should be.
    """
    if given.startswith("fd:"):
        return _inherited(given)
    match = _PUBLISHED.fullmatch(given)
    least = 0 if free else 1
    if not match or not (least <= int(match[2]) < _PORTS and 0 < int(match[3]) < _PORTS):
        raise PlanError(
            f"-p {given}: not [ADDRESS:]HOST:GUEST",
            hint="for example -p 8080:80, 53:53/udp, or 0.0.0.0:8080:80 for every interface",
        )
    address = _address(match[1] or LOOPBACK)
    if address is None:
        raise PlanError(
            f"-p {given}: {match[1]} is not an address", hint="for example -p 192.0.2.1:8080:80"
        )
    return Port(address, int(match[2]), int(match[3]), match[4] == "udp")


def anywhere(given: str) -> str:
    """``-p`` as given, but at any port of the host's that is free.

    Raises:
        PlanError: it is a socket that the starter gives.
    """
    found = port(given, free=True)
    if found.inherited:
        raise PlanError(
            f"-p {given}: a snapshot has no sockets of its starter's",
            hint="give [ADDRESS:]HOST:GUEST",
        )
    return str(replace(found, host=0))


def _inherited(given: str) -> Port:
    match = _INHERITED.fullmatch(given)
    if not match or not 0 < int(match[3]) < _PORTS:
        raise PlanError(
            f"-p {given}: not fd:N:GUEST",
            hint="for example -p fd:3:80, or fd:web:80 for the name that LISTEN_FDNAMES has",
        )
    if match[1] and int(match[1]) not in _NUMBERS:
        raise PlanError(
            f"-p {given}: no socket can be given at {match[1]}",
            hint=f"the first is {_NUMBERS[0]}, as LISTEN_FDS has it, and the last {_NUMBERS[-1]}",
        )
    name = str(int(match[1])) if match[1] else match[2]
    return Port("", 0, int(match[3]), match[4] == "udp", name)


def endpoint(given: str) -> Endpoint:
    """``--connect ADDRESS:PORT[/udp]``.

    Raises:
        PlanError: it is not written as it should be, or nothing can be connected to there.
    """
    match = _ENDPOINT.fullmatch(given)
    address = _address(match[1]) if match else None
    if not match or address is None or not 0 < int(match[2]) < _PORTS:
        raise PlanError(
            f"--connect {given}: not ADDRESS:PORT",
            hint="for example --connect 192.0.2.1:443, or [2001:db8::1]:443",
        )
    if why := _unreachable(address):
        raise PlanError(f"--connect {given}: {why}", hint="name the one address to connect to")
    return Endpoint(address, int(match[2]), match[3] == "udp")


def _protocol(udp: bool) -> str:
    return "udp" if udp else "tcp"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _address(given: str) -> str | None:
    """Its one spelling; ``None`` where it is none."""
    from ipaddress import IPv4Address, IPv6Address

    try:
        bare = given.strip("[]")
        return str(IPv6Address(bare) if given.startswith("[") else IPv4Address(bare))
    except ValueError:
        return None


def _unreachable(address: str) -> str:
    """Why one address names no one endpoint, or nothing."""
    from ipaddress import IPv6Address, ip_address

    known = ip_address(address)
    if isinstance(known, IPv6Address) and known.ipv4_mapped:
        return f"an IPv4 address in other words; write {known.ipv4_mapped}"
    if known.is_unspecified or known.is_multicast or address == "255.255.255.255":
        return "no address of one host"
    if isinstance(known, IPv6Address) and known.is_link_local:
        return "a link-local address means nothing without an interface"
    return ""
