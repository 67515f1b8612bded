"""What ports and endpoints of a Linux program need of its monitor, and whether it can use them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address

from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.formats.destinations import ANY, Destination, Name, in_words
from limpet.formats.image import Image
from limpet.formats.ports import LOOPBACK
from limpet.guests.linux.signals import ATTEND
from limpet.planning.outside import Outside
from limpet.planning.plan import Decision

_WAITS = {"socket_wait": "process", "socket_batch": "kvm"}
"""What waits for sockets: where an exit is dear, it does more."""

_LISTENING, _ACCEPTING, _CONNECTING = ("listen",), ("accept", "accept4"), ("connect",)


def with_outside(
    users: Mapping[str, tuple[str, ...]],
    given: Outside | None,
    image: Image,
    calls: Collection[str],
    backends: Collection[Backend],
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and those of sockets where something leads out.

    Args:
        calls: names of the system calls that the program is served.

    Raises:
        PlanError: the program makes no call that could use it.
    """
    found = dict(users)
    if given is None:
        return found
    ports = ", ".join(f"-p {each}" for each in given.ports)
    ends = ", ".join(f"--connect {each}" for each in given.endpoints)
    broad = ", ".join(f"--connect {each}" for each in in_words(given.destinations))
    if given.ports and not _can(calls, _LISTENING, _ACCEPTING):
        raise PlanError(
            f"{image.name} never accepts a connection: it cannot use {ports}", hint="leave out -p"
        )
    if (ends or broad) and not _can(calls, _CONNECTING):
        raise PlanError(
            f"{image.name} never connects to anything: it cannot use {ends or broad}",
            hint="leave out --connect",
        )
    why = " and ".join(each for each in (ports, ends, broad) if each)
    wait = ATTEND if ATTEND in found else "wait"
    waits = [name for name, backend in _WAITS.items() if backend in backends]
    for name in (wait, *waits, "socket_receive", "socket_send", "socket_close"):
        found[name] = (*found.get(name, ()), why)
    if ends or broad or {"setsockopt", "getsockopt"} & set(calls):
        found["socket_option"] = (why,)
    if given.ports:
        found["socket_accept"] = (ports,)
    if given.endpoints:
        found["socket_connect"] = (ends,)
    if broad:
        found["socket_broker"] = (broad,)
    return found


def _can(calls: Collection[str], *needed: tuple[str, ...]) -> bool:
    return all(any(name in calls for name in each) for each in needed)


def outside_decisions(given: Outside | None) -> Iterator[Decision]:
    """Each way out of the guest."""
    for port in given.ports if given else ():
        who = "this host alone" if port.address in (LOOPBACK, "::1") else "whoever reaches it"
        why = f"{port.place} leads to the guest's port {port.guest}: from {who}"
        yield Decision("way out", f"-p {port}", True, why)
    for end in given.endpoints if given else ():
        why = "the guest may connect there, and to no other address or port"
        yield Decision("way out", f"--connect {end}", True, why)
    broad = given.destinations if given else ()
    why_of = {str(each): _why(each) for each in broad} | {ANY: _ANYWHERE}
    for words in in_words(broad):
        yield Decision("way out", f"--connect {words}", True, why_of[words])


_ANYWHERE = (
    "the guest may look up every name and connect to every public address: what it knows, it can "
    "tell anybody"
)


def _why(given: Destination) -> str:
    if isinstance(given, Name):
        which = "every name below it" if given.below else "the name"
        return f"the guest may look up {which}, and connect to what the broker has answered"
    which = "the address" if given.whole else "the network"
    return f"the guest may connect to {which}: its broker looks at each connection"


def outside_c(given: Outside | None) -> str:
    """For ``gates.c``: where a program's ports lead, in numbers; nothing where nothing does."""
    head = '#include "parts/sockets/outside.h"\n'
    if given is None:
        return (
            f"{head}struct outside_broker;\n"
            "const struct network *const outside_network = NULL;\n"
            "const struct outside_broker *const outside_broker = NULL;\n"
        )
    by_broker = "&outside_by_broker" if given.destinations else "NULL"
    connections = given.connections
    text = head + '#include "parts/outside/plan.h"\n'
    text += (
        f"const struct slots outside_slots = {{{given.listeners.start}, {connections.start}, "
        f"{connections.stop}}};\n"
    )
    text += "const struct network *const outside_network = &outside;\n"
    text += f"const struct outside_broker *const outside_broker = {by_broker};\n"
    for name, rows in (
        ("in", [_row(each.address, each.guest, each.udp) for each in given.ports]),
        ("out", [_row(each.address, each.port, each.udp) for each in given.endpoints]),
    ):
        text += f"const struct way ways_{name}[] = {{{', '.join(rows) or '{{0}, 0, 0}'}}};\n"
        text += f"const u32 ways_{name}_count = {len(rows)};\n"
    return text


def _row(address: str, port: int, udp: bool) -> str:
    """``struct way``: an IPv4 address is mapped into IPv6, as the library OS has them all."""
    known = ip_address(address)
    mapped = known.packed if known.version == 6 else bytes(10) + b"\xff\xff" + known.packed
    return f"{{{{{', '.join(map(str, mapped))}}}, {port}, {int(udp)}}}"
