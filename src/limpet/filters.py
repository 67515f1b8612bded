"""Rules of the filter that monitors of every kind of guest have."""

from __future__ import annotations

from limpet import layout
from limpet.contract import Pin
from limpet.seccomp import Rule

KVM_RUN = 0xAE80
KVM_FD, VCPU_FD = 3, 5
"""Descriptors in the monitor: nothing else is open from 3 on when it opens ``/dev/kvm``."""

_MONITOR = (layout.MONITOR_BASE, layout.MONITOR_BASE + layout.MONITOR_SIZE)
_MONITOR_AND_STACK = (layout.MONITOR_BASE, layout.HOST_END)


def _line(memory: tuple[int, int]) -> tuple[Pin, ...]:
    """A short write to standard error from ``memory``."""
    return Pin(0, (2,)), Pin(1, range=memory), Pin(2, max=256)


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
