"""What leads out of a guest: ports of the host that lead to it, and endpoints that it may reach.

Each has one spelling, which a bundle's record keeps: ``127.0.0.1:8080:80/tcp``, ``fd:3:80/tcp`` and
``192.0.2.1:443/tcp``, with brackets around an IPv6 address; and ``web=127.0.0.1:8000-8010:80/tcp``,
``api=10.0.0.0/8:443/tcp`` where a start chooses among them (:mod:`limpet.formats.bounds`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limpet.contract.limits import FIRST_FD, PARKED_FD
from limpet.errors import PlanError
from limpet.formats.bounds import Bound, is_chosen, named
from limpet.formats.destinations import Net, Ports, destination
from limpet.plain import quoted

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

LOOPBACK = "127.0.0.1"

_ADDRESS = r"([0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\])"
_PUBLISHED = re.compile(rf"(?:{_ADDRESS}:)?([0-9]{{1,5}}):([0-9]{{1,5}})(?:/(tcp|udp))?")
_EXAMPLES = (
    "for example -p 8080:80, 53:53/udp, [::1]:8080:80, or 0.0.0.0:8080:80 for every interface; "
    "one -p for each port"
)
_ENDPOINT = re.compile(rf"{_ADDRESS}:([0-9]{{1,5}})(?:/(tcp|udp))?")
_INHERITED = re.compile(
    r"fd:(?:([0-9]{1,3})|([A-Za-z][A-Za-z0-9._@-]{0,30})):([0-9]{1,5})(?:/(tcp|udp))?"
)
_CHOSEN = re.compile(
    r"(?:([0-9.]{7,15}(?:/[0-9]{1,2})?|\[[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?\]):)?"
    r"([0-9]{1,5})(?:-([0-9]{1,5}))?:([0-9]{1,5})(?:/(tcp|udp))?"
)
_NUMBERS = range(FIRST_FD, PARKED_FD)
_PORTS = 1 << 16


@dataclass(frozen=True)
class Port:
    """A port at an address of the host that leads to one of the guest's.

    Where ``inherited`` says something, the bundle's starter gives its socket: the number or name
    that this has among those of LISTEN_FDS.  Where there is a ``bound``, a start chooses the
    address and the port of the host, and these are its first.
    """

    address: str
    host: int
    guest: int
    udp: bool = False
    inherited: str = ""
    bound: Bound | None = None

    def __str__(self) -> str:
        return f"{self.bound or self.place}:{self.guest}/{_protocol(self.udp)}"

    @property
    def place(self) -> str:
        """The host's side of it."""
        if self.inherited:
            return f"fd:{self.inherited}"
        return f"{_bracketed(self.address)}:{self.host}"


@dataclass(frozen=True)
class Endpoint:
    """An address and port that a guest may connect to; where there is a ``bound``, the first among
    which a start chooses."""

    address: str
    port: int
    udp: bool = False
    bound: Bound | None = None

    def __str__(self) -> str:
        place = f"{_bracketed(self.address)}:{self.port}"
        return f"{self.bound or place}/{_protocol(self.udp)}"


def port(given: str, *, free: bool = False) -> Port:
    """``-p [ADDRESS:]HOST:GUEST[/udp]``, ``-p fd:N:GUEST[/udp]`` or ``-p NAME=...`` of the first.

    Args:
        free: whether the host's may be 0, for any that is free.

    Raises:
        PlanError: it is not written as it should be.
    """
    if is_chosen(given):
        return _chosen(given)
    if given.startswith("fd:"):
        return _inherited(given)
    match = _PUBLISHED.fullmatch(given)
    least = 0 if free else 1
    if not match:
        raise PlanError(f"-p {given}: not [ADDRESS:]HOST:GUEST", hint=_EXAMPLES)
    if not (least <= int(match[2]) < _PORTS and 0 < int(match[3]) < _PORTS):
        raise PlanError(f"-p {given}: no such port", hint="a port is a number from 1 to 65535")
    address = _address(match[1] or LOOPBACK)
    if address is None:
        raise PlanError(
            f"-p {given}: {match[1]} is not an address", hint="for example -p 192.0.2.1:8080:80"
        )
    return Port(address, int(match[2]), int(match[3]), match[4] == "udp")


def anywhere(given: str) -> str:
    """``-p`` as given, but at any port of the host's that is free.

    Raises:
        PlanError: it is a socket that the starter gives, or what a start chooses.
    """
    found = port(given, free=True)
    if found.inherited or found.bound:
        what = "has no sockets of its starter's" if found.inherited else CHOOSES_NOTHING
        raise PlanError(f"-p {given}: a snapshot {what}", hint="give [ADDRESS:]HOST:GUEST")
    return str(replace(found, host=0))


CHOOSES_NOTHING = "goes on with what it had, and its starts choose nothing"


def _chosen(given: str) -> Port:
    name, rest = named("-p", given)
    match = _CHOSEN.fullmatch(rest)
    low, high = (int(match[2]), int(match[3] or match[2])) if match else (0, 0)
    if not match or not (0 < low <= high < _PORTS and 0 < int(match[4]) < _PORTS):
        raise PlanError(
            f"-p {quoted(given)}: not NAME=[ADDRESS:]PORTS:GUEST",
            hint="for example -p web=8080:80, or web=10.0.0.0/8:8000-8010:80",
        )
    address, prefix = _network(given, match[1] or LOOPBACK)
    net = Net(address, prefix, Ports(low, high, match[5] == "udp"))
    return Port(address, low, int(match[4]), net.ports.udp, bound=Bound(name, net))


def _network(given: str, where: str) -> tuple[str, int]:
    """What addresses of the host a start may choose."""
    from ipaddress import IPv4Network, IPv6Network

    try:
        net = IPv6Network(where.strip("[]")) if where[0] == "[" else IPv4Network(where)
    except ValueError as error:
        raise PlanError(
            f"-p {quoted(given)}: {error}",
            hint="give an address, or the first address of a network: 10.0.0.0/8",
        ) from None
    if why := _no_places(net):
        raise PlanError(f"-p {quoted(given)}: {why}", hint="give 0.0.0.0 for every interface")
    return str(net.network_address), net.prefixlen


def _no_places(net: IPv4Network | IPv6Network) -> str:
    """Why not all of a network are addresses of one host: the first can be every interface's."""
    from ipaddress import IPv6Address

    first = net.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped:
        return f"IPv4 addresses in other words; write {first.ipv4_mapped}"
    if first.is_unspecified and 0 < net.prefixlen < net.max_prefixlen:
        return "its first address stands for every interface, which is more than the network"
    return ""


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
    """``--connect ADDRESS:PORT[/udp]``, or ``--connect NAME=NETWORK:PORTS[/udp]``.

    Raises:
        PlanError: it is not written as it should be, or nothing can be connected to there.
    """
    if is_chosen(given):
        return _chosen_endpoint(given)
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


def _chosen_endpoint(given: str) -> Endpoint:
    name, rest = named("--connect", given)
    net = destination(rest)
    if not isinstance(net, Net):
        raise PlanError(
            f"--connect {quoted(given)}: a start chooses an address, and no name",
            hint=f"name a network, as in {name}=10.0.0.0/8:443; a name is allowed as such: "
            f"--connect {rest}",
        )
    return Endpoint(net.address, net.ports.low, net.ports.udp, Bound(name, net))


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
