"""What a declared system call may be given, once the plan is known: its pins resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType

from limpet.contract import DEVICE_FD, Backend, HostCall, Hypercall, Pin, opening
from limpet.contract.limits import SLOT_COUNT, SLOT_FD
from limpet.formats.manifest import VOLUME, Device
from limpet.planning import sealed
from limpet.planning.blobs import Blobs
from limpet.planning.outside import Outside, kind_of, ways
from limpet.planning.regions import HOST_END, MONITOR_BASE, MONITOR_SIZE

_MONITOR = (MONITOR_BASE, MONITOR_BASE + MONITOR_SIZE)
_MONITOR_AND_STACK = (MONITOR_BASE, HOST_END)


WHOLE, KNOWN = "code", "loaded"
"""The names of places that change as a whole: a rule has each, or the monitor knows them."""


def has_device(hypercall: Hypercall, devices: Sequence[Device]) -> bool:
    """Whether ``hypercall`` needs no device, or one of a kind that is among ``devices``."""
    return not hypercall.device or any(each.kind == hypercall.device for each in devices)


def resolved(
    host: HostCall,
    backend: Backend,
    devices: Sequence[Device],
    places: Mapping[str, Sequence[tuple[int, int]]] = MappingProxyType({}),
    way_out: WayOut | None = None,
) -> Iterator[tuple[Pin, ...]]:
    """The pins of each rule for ``host``: for all devices of a kind, or for each disk by itself.

    A process has no memory but the guest's, and so no pins on addresses, unless what is there
    changes: then a rule for every choice of the ranges that ``places`` has under a pin's name.
    """
    for either in host.either:
        found = (*host.pins, *either)
        pins = [pin for pin in found if backend == "kvm" or not (pin.guest or pin.own)]
        if any(pin.place == WHOLE for pin in pins):
            yield from _whole(pins, places[WHOLE])
            continue
        if any(pin.place == KNOWN for pin in pins):
            yield _within(pins, places[KNOWN])
            continue
        if any(pin.sealed == sealed.OPEN_WAYS for pin in pins):
            yield from _openings(pins, devices)
            continue
        for each in _out(pins, way_out):
            yield from _of_devices(each, devices, places)


def _whole(pins: Sequence[Pin], ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[Pin, ...]]:
    """From its first page, with exactly its length in the argument behind: no piece and no more."""
    index = next(pin.index for pin in pins if pin.place)
    others = [pin for pin in pins if not pin.place]
    for low, high in ranges:
        yield (*others, Pin(index, (low,)), Pin(index + 1, (high - low,)))


def _within(pins: Sequence[Pin], ranges: Sequence[tuple[int, int]]) -> tuple[Pin, ...]:
    """From a page between the first and the last, and no more than the largest has."""
    index = next(pin.index for pin in pins if pin.place)
    others = [pin for pin in pins if not pin.place]
    most = max(high - low for low, high in ranges)
    where = Pin(index, range=(ranges[0][0], ranges[-1][1]))
    return (*others, where, Pin(index + 1, max=most))


@dataclass(frozen=True)
class WayOut:
    """What leads out of a guest, and where its tables are: what is fixed, what a start chooses."""

    given: Outside
    endpoints_at: int
    choices_at: int = 0


def way_out_of(leads: Outside | None, constants: Blobs, choices_at: int) -> WayOut | None:
    """Where everything that leads out is."""
    return WayOut(leads, constants.addresses().get("ENDPOINTS", 0), choices_at) if leads else None


def _out(pins: Sequence[Pin], way_out: WayOut | None) -> Iterator[list[Pin]]:
    """``pins`` with the descriptors of the plan's sockets, for the endpoints of each family."""
    if not any(pin.sockets for pin in pins):
        yield list(pins)
        return
    assert way_out, "a call about sockets, and none are in the plan"
    given = way_out.given
    known = {
        "events": Pin(0, values=(given.events,)),
        "listeners": Pin(0, values=tuple(given.listeners)),
        "broker": Pin(0, values=(given.broker,)),
    }
    slots = Pin(0, range=(given.connections.start, given.connections.stop))
    known["slots"] = known["taken"] = known["links"] = slots
    if not given.listeners and any(pin.sockets in ("listeners", "taken") for pin in pins):
        return  # no port, nothing that was taken from one
    fixed = [replace(known.get(pin.sockets, pin), index=pin.index) for pin in pins]
    ends = next((pin.index for pin in fixed if pin.sockets == "endpoints"), None)
    if ends is not None:
        yield from _to_endpoints([pin for pin in fixed if not pin.sockets], ends, way_out)
        return
    yield fixed
    if given.carriers and any(pin.sockets == "links" for pin in pins):
        carriers = Pin(0, values=tuple(given.carriers))
        yield [
            replace(carriers, index=pin.index) if pin.sockets == "links" else each
            for pin, each in zip(pins, fixed, strict=True)
        ]


def _to_endpoints(others: list[Pin], ends: int, way_out: WayOut) -> Iterator[list[Pin]]:
    """Making a socket, or connecting it: for the endpoints of each family."""
    kinds = tuple(sorted({kind_of(each) for each in way_out.given.endpoints}))
    found = list(ways(way_out.given, way_out.endpoints_at, way_out.choices_at))
    if ends == 0:
        for family in dict.fromkeys(family for family, _, _ in found):
            yield [*others, Pin(0, (family,)), Pin(1, kinds), Pin(2, (0,))]
        return
    for _, ends_at, length in found:
        yield [*others, Pin(ends, ends_at), Pin(ends + 1, (length,))]


def _of_devices(
    pins: list[Pin], devices: Sequence[Device], places: Mapping[str, Sequence[tuple[int, int]]]
) -> Iterator[tuple[Pin, ...]]:
    disks = [each for each in devices if each.kind == "block"]
    by_disk = any(pin.capacity for pin in pins)
    if by_disk:  # what is the same for all comes first: the filter asks it once
        pins.sort(key=lambda pin: bool(pin.capacity or pin.devices))
    for disk in disks if by_disk else [None]:
        yield from product(*(_choices(_resolved(pin, devices, disk), places) for pin in pins))


def _openings(pins: Sequence[Pin], devices: Sequence[Device]) -> Iterator[tuple[Pin, ...]]:
    """Opening below every volume, to read; below those that can be written, to write as well."""
    table = sealed.ADDRESSES[sealed.OPEN_WAYS]
    volumes = [each for each in devices if each.kind == VOLUME]
    writable = [each for each in volumes if not each.read_only]
    ways = opening.places(table, writes=False)
    for own, places in (
        (volumes, ways),
        (writable, opening.places(table, writes=True)[len(ways) :]),
    ):
        if own:
            yield tuple(
                replace(pin, sealed="", values=places)
                if pin.sealed == sealed.OPEN_WAYS
                else _resolved(pin, own, None)
                for pin in pins
            )


def _choices(pin: Pin, places: Mapping[str, Sequence[tuple[int, int]]]) -> list[Pin]:
    return [Pin(pin.index, range=each) for each in places[pin.place]] if pin.place else [pin]


def _resolved(pin: Pin, devices: Sequence[Device], disk: Device | None) -> Pin:
    if pin.own:
        return Pin(pin.index, range=_MONITOR_AND_STACK)
    if pin.monitor:
        return Pin(pin.index, range=_MONITOR)
    if pin.more:
        assert pin.max is not None
        count = sum(each.kind == pin.more for each in devices)
        return replace(pin, max=pin.max + count, more="")
    if pin.slots:
        return Pin(pin.index, range=(SLOT_FD, SLOT_FD + SLOT_COUNT))
    if pin.sealed:
        return Pin(pin.index, (sealed.ADDRESSES[pin.sealed],))
    if pin.capacity and disk:
        return Pin(pin.index, slot=("within", disk.handle))
    if pin.devices:
        own = [disk] if disk else [each for each in devices if each.kind == pin.devices]
        return Pin(pin.index, tuple(DEVICE_FD + each.handle for each in own))
    return pin
