"""Rules of the filter that monitors of every kind of guest have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from limpet.contract import DEVICE_FD, Backend, HostCall, Hypercall, Pin
from limpet.contract.limits import LINE_MOST, STDERR, VCPU_FD
from limpet.formats.manifest import Device
from limpet.planning.regions import HOST_END, MONITOR_BASE, MONITOR_SIZE
from limpet.planning.seccomp import Rule

KVM_RUN = 0xAE80

_MONITOR = (MONITOR_BASE, MONITOR_BASE + MONITOR_SIZE)
_MONITOR_AND_STACK = (MONITOR_BASE, HOST_END)


def _line(memory: tuple[int, int]) -> tuple[Pin, ...]:
    """A short write to standard error from ``memory``."""
    return Pin(0, (STDERR,)), Pin(1, range=memory), Pin(2, max=LINE_MOST)


def kvm_run_rule() -> Rule:
    """The one request that is left on the one vCPU."""
    pins = Pin(0, (VCPU_FD,)), Pin(1, (KVM_RUN,)), Pin(2, (0,))
    return Rule("ioctl", "KVM_RUN on the one vCPU: runs the guest", pins)


def monitor_line_rule(*, built: bool = False) -> Rule:
    """The line that says why the monitor ended (kvm): a constant, or ``built`` on its stack."""
    memory = _MONITOR_AND_STACK if built else _MONITOR
    return Rule("write", "the line that says why the monitor ended", _line(memory))


def timeout_rules() -> list[Rule]:
    """What the alarm's handler does (in a process, from its stubs only)."""
    return [
        Rule("write", "the line of a timeout", _line(_MONITOR), "host_timeout_write"),
        Rule("exit_group", "ends after a timeout", (), "host_timeout_exit_group"),
    ]


def has_device(hypercall: Hypercall, devices: Sequence[Device]) -> bool:
    """Whether ``hypercall`` needs no device, or one of a kind that is among ``devices``."""
    return not hypercall.device or any(each.kind == hypercall.device for each in devices)


def resolved(
    host: HostCall, backend: Backend, devices: Sequence[Device]
) -> Iterator[tuple[Pin, ...]]:
    """The pins of each rule for ``host``: for all devices of a kind, or for each disk by itself.

    A process has no memory but the guest's, and so no pins on addresses.
    """
    pins = [pin for pin in host.pins if backend == "kvm" or not (pin.guest or pin.own)]
    disks = [each for each in devices if each.kind == "block"]
    by_disk = any(pin.capacity for pin in pins)
    if by_disk:  # what is the same for all comes first: the filter asks it once
        pins.sort(key=lambda pin: bool(pin.capacity or pin.devices))
    for disk in disks if by_disk else [None]:
        yield tuple(_resolved(pin, devices, disk) for pin in pins)


def _resolved(pin: Pin, devices: Sequence[Device], disk: Device | None) -> Pin:
    if pin.own:
        return Pin(pin.index, range=_MONITOR_AND_STACK)
    if pin.more:
        assert pin.max is not None
        count = sum(each.kind == pin.more for each in devices)
        return replace(pin, max=pin.max + count, more="")
    if pin.capacity and disk:
        return Pin(pin.index, slot=("within", disk.handle))
    if pin.devices:
        own = [disk] if disk else [each for each in devices if each.kind == pin.devices]
        return Pin(pin.index, tuple(DEVICE_FD + each.handle for each in own))
    return pin
