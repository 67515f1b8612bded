"""``Inside``: what was read of one bundle, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from limpet.arch.x86_64.host import REQUESTS
from limpet.arch.x86_64.machine_read import Machine
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.bpf import Fuel
from limpet.audit.model import Finding
from limpet.audit.monitor_code import Call, MonitorCode
from limpet.audit.objects import Object, objects
from limpet.audit.recorded import RecordedRule, recorded_rule
from limpet.audit.seccomp_decode import Decoded
from limpet.formats.bundle.read import BundleFile
from limpet.formats.bundle.record import Record
from limpet.formats.contents import Content
from limpet.formats.tree.layout import Entry
from limpet.planning.large_code import Run

_IOCTL = NUMBERS["ioctl"]
_TAKES = NUMBERS["recvfrom"]
_PEEK_NOW = 0x42
"""MSG_PEEK and MSG_DONTWAIT: a guest that goes back only looks whether there is something."""
_BESIDE = {
    "broker": NUMBERS["socketpair"],
    "porter": NUMBERS["poll"],
}
"""What of all filters only theirs has, in this order."""
_MOST_TRIED = 12_000_000
"""Instructions of filters that are run to try them, five times what 63 devices need."""


@dataclass
class Inside:
    """What was read of one bundle, before it is put into words."""

    bundle: BundleFile
    record: Record
    code: MonitorCode
    filters: dict[int, Decoded] = field(default_factory=dict)
    programs: dict[int, bytes] = field(default_factory=dict)
    data: list[range] = field(default_factory=list)  # of the monitor, known to be no code
    machine: Machine | None = None
    tree: Content = b""
    files: tuple[Entry, ...] = ()
    guest: bytes | None = None
    findings: list[Finding] = field(default_factory=list)
    fuel: Fuel = field(default_factory=lambda: Fuel(_MOST_TRIED))

    @cached_property
    def rules(self) -> dict[str, tuple[RecordedRule, ...]]:
        """The record's rules for each backend.

        Raises:
            BundleError: one names a system call that there is not.
        """
        filters = self.record.filters.items()
        return {name: tuple(recorded_rule(rule) for rule in each.rules) for name, each in filters}

    @property
    def packed(self) -> tuple[Run, ...]:
        """Where the packed files lie."""
        tree = self.record.tree
        return ((tree.address, tree.address + tree.size),) if tree else ()

    @cached_property
    def objects(self) -> tuple[Object, ...]:
        """The program and the shared objects in memory, as their headers have them.

        Raises:
            BundleError: they are too many to be true.
        """
        tree = self.tree if self.files else b""
        return tuple(objects(self.bundle, self.guest, self.packed, tree))

    def found(self, where: str, what: str) -> None:
        """Remember a finding, once."""
        finding = Finding(where, what)
        if finding not in self.findings:
            self.findings.append(finding)

    def backend(self, filter_: Decoded) -> str:
        """Whom a filter is for: only a kvm monitor runs a vCPU, of the others only a broker makes
        pairs, only a porter polls, and only a namer is sent something at its standard input."""
        run = REQUESTS["KVM_RUN"]
        runs = any(
            each.number == _IOCTL and (run, run) in each.arguments[1] for each in filter_.allowed
        )
        made = {each.number for each in filter_.allowed}
        if runs:
            return "kvm"
        for who, call in _BESIDE.items():
            if call in made:
                return who
        asked = any(
            each.number == _TAKES
            and each.arguments[0] == ((0, 0),)
            and each.arguments[3] != ((_PEEK_NOW, _PEEK_NOW),)
            for each in filter_.allowed
        )
        return "namer" if asked else "process"


def is_request(call: Call, name: str) -> bool:
    """Whether a call is an ioctl with the request of that name."""
    return call.numbers == {_IOCTL} and call.argument(1) == REQUESTS[name]
