"""What ports and endpoints of a Linux program need of its monitor, and whether it can use them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address

from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.formats.destinations import ANY, Destination, Name, Net, in_words
from limpet.formats.image import Image
from limpet.formats.ports import LOOPBACK, Endpoint, Port
from limpet.guests.linux.signals import ATTEND
from limpet.plain import quoted
from limpet.planning.choices import CHOICE
from limpet.planning.filters import WayOut
from limpet.planning.outside import Outside, is_single
from limpet.planning.plan import Decision

_WAITS = {"socket_wait": "process", "socket_batch": "kvm"}
"""What waits for sockets: where an exit is dear, it does more."""

_LISTENING, _ACCEPTING, _CONNECTING = ("listen",), ("accept", "accept4"), ("connect",)
_BINDING = ("bind",)
_SENDING = ("connect", "sendto", "sendmsg", "sendmmsg")


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
    _check(given, image, calls)
    why = " and ".join(each for each in (ports, ends, broad) if each)
    wait = ATTEND if ATTEND in found else "wait"
    waits = [name for name, backend in _WAITS.items() if backend in backends]
    for name in (wait, *waits, "socket_receive", "socket_send", "socket_close"):
        found[name] = (*found.get(name, ()), why)
    if ends or broad or {"setsockopt", "getsockopt"} & set(calls):
        found["socket_option"] = (why,)
    if given.listeners:
        found["socket_accept"] = (ports,)
    if given.direct:
        found["socket_connect"] = (ends,)
    if given.asks:
        found["socket_broker"] = (broad or ends or f"--log {quoted(given.log)}",)
    return found


def _check(given: Outside, image: Image, calls: Collection[str]) -> None:
    """Whether the program makes calls that can use it."""
    udp_out = any(each.udp for each in given.endpoints)
    udp_out |= any(each.ports.udp for each in given.destinations)
    for port in given.ports:
        if not (_can(calls, _BINDING) if port.udp else _can(calls, _LISTENING, _ACCEPTING)):
            never = "has a socket of UDP with a port" if port.udp else "accepts a connection"
            raise PlanError(
                f"{image.name} never {never}: it cannot use -p {port}", hint="leave out -p"
            )
    ends = [*given.endpoints, *in_words(given.destinations)]
    if ends and not _can(calls, _SENDING if udp_out else _CONNECTING):
        words = ", ".join(f"--connect {each}" for each in ends)
        raise PlanError(
            f"{image.name} never connects to anything: it cannot use {words}",
            hint="leave out --connect",
        )


def _can(calls: Collection[str], *needed: tuple[str, ...]) -> bool:
    return all(any(name in calls for name in each) for each in needed)


def outside_decisions(given: Outside | None) -> Iterator[Decision]:
    """Each way out of the guest."""
    for port in given.ports if given else ():
        if port.inherited:
            yield Decision("way out", f"-p {port}", True, _given_by_the_starter(port))
            continue
        here = port.address in (LOOPBACK, "::1") and (not port.bound or port.bound.net.whole)
        who = "this host alone" if here else "whoever reaches it"
        place = _at_most(port, "-p", "[ADDRESS:]PORT") if port.bound else port.place
        why = f"{place} leads to the guest's port {port.guest}: from {who}"
        if port.udp:
            why += ", who alone is answered"
        yield Decision("way out", f"-p {port}", True, why)
    for end in given.endpoints if given else ():
        why = "the guest may connect there, and to no other address or port"
        if end.bound:
            why = f"{_at_most(end, '--connect', 'ADDRESS:PORT')}; {why}"
        yield Decision("way out", f"--connect {end}", True, why)
    broad = given.destinations if given else ()
    why_of = {str(each): _why(each) for each in broad} | {ANY: _ANYWHERE}
    for words in in_words(broad):
        yield Decision("way out", f"--connect {words}", True, why_of[words])


def _at_most(each: Port | Endpoint, option: str, value: str) -> str:
    assert each.bound
    name, most = each.bound.name, each.bound.at_most
    return f"chosen at start ({option}:{name}={value}), at most {most}"


def _given_by_the_starter(port: Port) -> str:
    what = "that has a port of UDP" if port.udp else "that listens"
    return f"a socket {what}, of LISTEN_FDS, leads to the guest's port {port.guest}"


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


_EITHER = "0.0.0.0"
"""A socket that the starter gives leads to one of either version, as one of IPv4 does."""

_NO_LOG = "const struct outside_log *const outside_log = NULL;\n"


def outside_c(way_out: WayOut | None) -> str:
    """For ``gates.c``: where a program's ports lead, in numbers; nothing where nothing does."""
    head = '#include "parts/sockets/outside.h"\n'
    if way_out is None:
        return (
            f"{head}struct outside_broker;\n"
            "const struct network *const outside_network = NULL;\n"
            "const struct outside_broker *const outside_broker = NULL;\n"
            f"{_NO_LOG}"
        )
    given = way_out.given
    by_broker = "&outside_by_broker" if given.destinations else "NULL"
    connections = given.connections
    text = head + '#include "parts/outside/plan.h"\n'
    text += (
        f"const struct slots outside_slots = {{{given.listeners.start}, {connections.start}, "
        f"{connections.stop}}};\n"
    )
    realms = list(_realms(way_out))
    datagrams = given.carriers or realms or given.destinations
    table = "outside_with_datagrams" if datagrams else "outside"
    text += f"const struct network *const outside_network = &{table};\n"
    text += f"const struct outside_broker *const outside_broker = {by_broker};\n"
    asked = "outside_ask" if given.destinations or (not given.direct and given.asks) else "NULL"
    text += f"outside_connect *const outside_asked = {asked};\n"
    text += f"const bool outside_direct = {int(bool(given.direct))};\n"
    text += (
        "const struct outside_log *const outside_log = &outside_told;\n" if given.asks else _NO_LOG
    )
    for name, rows in (
        ("in", [_row(each.address or _EITHER, each.guest, udp=each.udp) for each in given.ports]),
        ("out", list(_single_streams(way_out))),
    ):
        text += f"const struct way ways_{name}[] = {{{', '.join(rows) or '{{0}, 0, 0, 0}'}}};\n"
        text += f"const u32 ways_{name}_count = {len(rows)};\n"
    if datagrams:
        table = ", ".join(realms) or "{{0}, 0, 0, 0, 0, 0}"
        text += f"const struct realm realms[] = {{{table}}};\n"
        text += f"const u32 realms_count = {len(realms)};\n"
    return text


def _realms(way_out: WayOut) -> Iterator[str]:
    """``struct realm``: where a guest may send datagrams, as far as that is known beforehand."""
    for end in way_out.given.endpoints:
        if end.udp:
            chosen = _chosen(way_out, end)
            yield f"{{{_host(end.address)}, 128, 0, {end.port}, {end.port}, {chosen}}}"
    for each in way_out.given.destinations:
        ports = each.ports
        if not ports.udp:
            continue
        if isinstance(each, Name):
            yield f"{{{{0}}, 0, 1, {ports.low}, {ports.high}, 0}}"
        else:
            bits = each.prefix if ":" in each.address else 96 + each.prefix
            yield f"{{{_host(each.address)}, {bits}, 0, {ports.low}, {ports.high}, 0}}"


def _single_streams(way_out: WayOut) -> Iterator[str]:
    """Each endpoint of TCP's, whoever connects to it."""
    for each in way_out.given.endpoints:
        if not each.udp:
            yield _row(each.address, each.port, udp=False, chosen=_chosen(way_out, each))
    for one in way_out.given.destinations:
        if isinstance(one, Net) and is_single(one) and not one.ports.udp:
            yield _row(one.address, one.ports.low, udp=False)


def _chosen(way_out: WayOut, each: Endpoint) -> str:
    """Where its address is once the monitor has filled it in; 0 where it is fixed."""
    if not each.bound:
        return "0"
    index = way_out.given.chosen.index(each)
    return f"(const void *){way_out.choices_at + CHOICE.size * index:#x}"


def _row(address: str, port: int, *, udp: bool, chosen: str = "0") -> str:
    """``struct way``."""
    return f"{{{_host(address)}, {port}, {int(udp)}, {chosen}}}"


def _host(address: str) -> str:
    """An IPv4 address is mapped into IPv6, as the library OS has them all."""
    known = ip_address(address)
    mapped = known.packed if known.version == 6 else bytes(10) + b"\xff\xff" + known.packed
    return f"{{{', '.join(map(str, mapped))}}}"
