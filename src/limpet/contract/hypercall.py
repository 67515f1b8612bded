"""The hypercalls: each a folder ``c/hypercalls/NAME``, read from its ``hypercall.toml``.

It names the number, the argument block, and the host system calls behind it with their reasons and
what the filter demands of their arguments, beside the C that serves it on each backend.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from limpet.contract.backends import BACKENDS, Backend
from limpet.contract.limits import PORT_BASE, number
from limpet.contract.structures import Field, Struct
from limpet.sources import C_ROOT

PORT_SPACING = {"limpet": 4, "hvt": 1}
"""Ports from one hypercall to the next, by the ABI that ``hypercall.toml`` names."""


@dataclass(frozen=True)
class Pin:
    """What the filter demands of one argument of a host system call."""

    index: int
    values: tuple[int, ...] = ()  # one of these
    max: int | None = None  # at most this
    guest: bool = False  # an address in guest memory (kvm; a process has nothing else)
    range: tuple[int, int] | None = None  # an address in [low, high)
    devices: str = ""  # a descriptor of the manifest's devices of this kind
    slots: bool = False  # a descriptor of what the guest opened on the host
    sealed: str = ""  # an address of this constant, or of one of its ways to open
    slot: tuple[str, int] | None = None  # what only the start knows of the device with this handle
    own: bool = False  # an address in the monitor's stack (kvm)
    capacity: bool = False  # with the argument before it, bytes within the device
    monitor: bool = False  # an address in the monitor's own constants
    more: str = ""  # ``max``, and one more for each device of this kind
    place: str = ""  # an address in pages of the guest's that may change, by their name
    sockets: str = ""  # descriptors or addresses of the plan's sockets: of SOCKET_PINS


@dataclass(frozen=True)
class HostCall:
    """A system call that a monitor makes to serve a hypercall, and why."""

    call: str
    why: str
    pins: tuple[Pin, ...] = ()
    either: tuple[tuple[Pin, ...], ...] = ((),)  # one of these as well
    backend: str = ""  # only there
    own: str = ""  # no stub: the C that serves it has the instruction, and a label by this name


@dataclass(frozen=True)
class Hypercall:
    """One operation that a guest asks of its monitor."""

    name: str
    number: int
    summary: str
    block: Struct | None
    host: tuple[HostCall, ...]
    port: int  # the I/O port that carries it on kvm
    device: str  # the kind of device that it is for, if any
    backends: tuple[Backend, ...] = BACKENDS  # where a monitor serves it
    fills: bool = False  # what it names in memory is written, else read
    ring0: bool = False  # on kvm, code of the plan in ring 0 serves it: the guest does not exit
    moves: str = ""  # its result is how many bytes it brought ("in") or took along ("out")
    instead: str = ""  # of this one, which it does too: no plan has both

    @property
    def sockets(self) -> bool:
        """Whether it is about what leads out of a guest."""
        return any(pin.sockets for host in self.host for pin in host.pins)

    @property
    def names_memory(self) -> bool:
        """Whether its block has an address, and how much is there."""
        fields = {each.name for each in self.block.fields} if self.block else set()
        return {"address", "length", "result"} <= fields


SOCKET_PINS = ("", "events", "listeners", "broker", "slots", "taken", "links", "endpoints")
"""What leads out of a guest: the set of what it waits for, published ports, the broker,
connections, those of a guest that takes some from ports, connections and what carries datagrams,
and, with the argument behind it, the addresses that it or its porter may connect to, and how long
each is."""


def _socket_pin(argument: dict[str, Any]) -> str:
    named: str = argument.get("sockets", "")
    assert named in SOCKET_PINS, named
    return named


def host_call(table: dict[str, Any], named: Callable[[int | str], int] = number) -> HostCall:
    """A ``[[host]]`` table; ``named`` gives the number that a name stands for."""

    def pins(arguments: list[dict[str, Any]]) -> tuple[Pin, ...]:
        return tuple(_pin(each, named) for each in arguments)

    either = tuple(pins(each) for each in table.get("either", [[]]))
    given = pins(table.get("arguments", []))
    backend, own = table.get("backend", ""), table.get("own", "")
    return HostCall(table["call"], table["why"], given, either, backend, own)


def _pin(argument: dict[str, Any], named: Callable[[int | str], int]) -> Pin:
    return Pin(
        index=argument["index"],
        values=tuple(named(each) for each in argument.get("values", ())),
        max=named(argument["max"]) if "max" in argument else None,
        guest=argument.get("guest", False),
        devices=argument.get("devices", ""),
        own=argument.get("own", False),
        capacity=argument.get("capacity", False),
        monitor=argument.get("monitor", False),
        more=argument.get("more", ""),
        place=argument.get("place", ""),
        slots=argument.get("slots", False),
        sealed=argument.get("sealed", ""),
        range=_range(argument.get("range"), named),
        sockets=_socket_pin(argument),
    )


def _range(given: Any, named: Callable[[int | str], int]) -> tuple[int, int] | None:
    return (named(given[0]), named(given[1])) if given else None


def _read_hypercall(path: Path) -> tuple[str, Hypercall]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    abi = table.get("abi", "limpet")
    fields = tuple(
        Field(f["name"], f["type"], f["doc"], number(f.get("count", 1)), f["from"])
        for f in table.get("field", ())
    )
    index, summary = table["number"], table["summary"]
    block = Struct(table["struct"], summary, fields) if fields else None
    host = tuple(host_call(call) for call in table.get("host", ()))
    kinds = {pin.devices for call in host for pin in call.pins if pin.devices}
    device = table.get("device", "".join(kinds))
    port = PORT_BASE + PORT_SPACING[abi] * index
    backends = tuple(each for each in BACKENDS if each in table.get("backends", BACKENDS))
    made = Hypercall(path.parent.name, index, summary, block, host, port, device, backends)
    more = {key: table[key] for key in ("fills", "ring0", "moves", "instead") if key in table}
    return abi, replace(made, **more)


@cache
def _read_all() -> tuple[tuple[str, Hypercall], ...]:
    found = [_read_hypercall(path) for path in C_ROOT.glob("hypercalls/*/hypercall.toml")]
    return tuple(sorted(found, key=lambda each: each[1].number))


def _of(abi: str) -> tuple[Hypercall, ...]:
    return tuple(call for known, call in _read_all() if known == abi)


def on_kvm(calls: Iterable[Hypercall]) -> list[Hypercall]:
    """Those that a virtual machine's guest makes through a port."""
    return [call for call in calls if "kvm" in call.backends]


@cache
def hypercalls() -> tuple[Hypercall, ...]:
    """All hypercalls of the library OS, by number."""
    return _of("limpet")


def least(calls: Iterable[Hypercall]) -> tuple[Hypercall, ...]:
    """``calls`` without those that others of them are instead of."""
    found = tuple(calls)
    replaced = {call.instead for call in found}
    return tuple(call for call in found if call.name not in replaced)


@cache
def hvt_hypercalls() -> tuple[Hypercall, ...]:
    """Those of Solo5's hvt ABI, by number; the ports are Solo5's."""
    return _of("hvt")
