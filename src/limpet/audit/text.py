"""An audit for people, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from limpet.audit.model import Audit, FilterRule
from limpet.audit.seccomp_decode import Range
from limpet.contract import whose
from limpet.plain import plain

_ARGUMENT_LIMIT = 1 << 32


def as_text(audit: Audit) -> str:
    """The whole audit: first the verdict, and one line for each fact, whatever is in the bundle."""
    return "\n".join(map(plain, _lines(audit))) + "\n"


def _lines(audit: Audit) -> Iterator[str]:
    yield audit.remade.headline
    yield f"bundle    {audit.name}, {audit.size} bytes, sha256 {audit.sha256}"
    yield f"guest     {audit.guest}, sha256 {audit.guest_sha256}"
    if audit.snapshot_bytes:
        yield (
            f"snapshot  it goes on with {audit.snapshot_bytes} bytes of its memory, which nobody "
            "can make again: like the guest, they are not trusted"
        )
    yield f"made by   Limpet {audit.limpet} with {audit.toolchain}"
    yield f"backends  {', '.join(audit.backends) or 'none'}"
    yield f"monitor   {audit.monitor_bytes} bytes, {audit.monitor_code} of them code that can run"
    yield from findings(audit)
    for title, lines in (
        ("system calls of the monitor, from its instructions", _calls(audit)),
        ("ioctl requests of the monitor", iter(audit.requests)),
        ("files that the monitor opens", iter(audit.opens)),
        ("hypercalls of the guest", _hypercalls(audit)),
        ("devices", iter(audit.devices)),
        ("ports of the host that lead to the guest", iter(audit.published)),
        ("endpoints that the guest may connect to", iter(audit.endpoints)),
        ("guest memory", _memory(audit)),
        ("inside the file", _parts(audit)),
        ("packed files", _files(audit)),
        ("protections", _protections(audit, present=True)),
        ("absent", _protections(audit, present=False)),
    ):
        found = list(lines)
        yield ""
        yield title if found else f"{title}: none"
        yield from (f"  {line}" for line in found)
        if title.startswith("system calls"):
            yield from _filters(audit)


def findings(audit: Audit) -> Iterator[str]:
    """What is wrong, or that nothing is."""
    if not audit.findings:
        yield "record    agrees with the bytes"
    for each in audit.findings:
        yield f"FINDING   {each.where}: {each.what}"


def _calls(audit: Audit) -> Iterator[str]:
    for each in audit.calls:
        detail = f" ({each.detail})" if each.detail else ""
        yield f"{each.address:#x} {' or '.join(each.calls)}{detail}, {each.when}"


def _filters(audit: Audit) -> Iterator[str]:
    for each in audit.filters:
        yield ""
        yield f"left to the {whose(each.backend)} by {each.instructions} BPF instructions"
        for rule in each.rules:
            yield f"  {rule_words(rule, audit.guest_memory)}"
            yield f"    from {_pointer(rule)}{f': {rule.why}' if rule.why else ''}"
        yield f"  anything else {each.default}"


def rule_words(rule: FilterRule, guest: Range) -> str:
    """A rule such as ``write(1 is 1 or 2; 2 in guest memory)``; the first argument is 1."""
    limits = [
        f"{index + 1} {_ranges(ranges, guest)}" for index, ranges in sorted(rule.arguments.items())
    ]
    return f"{rule.call}({'; '.join(limits) or 'anything'})"


def within(inner: Range, outer: Range) -> bool:
    """Whether all of a range lies in another."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _ranges(ranges: tuple[Range, ...], guest: Range) -> str:
    words = []
    for low, high in ranges:
        if low == high or high == low + 1:
            words.append(" or ".join(f"{v:#x}" if v > 9 else f"{v}" for v in range(low, high + 1)))
            words[-1] = f"is {words[-1]}"
        elif within((low, high), guest):
            words.append("in guest memory")
        elif low == 0:
            words.append(f"at most {high}" if high < _ARGUMENT_LIMIT else f"at most {high:#x}")
        else:
            words.append(f"in {low:#x} to {high:#x}")
    return " or ".join(words)


def _pointer(rule: FilterRule) -> str:
    low, high = rule.pointer
    return f"{low - 2:#x} only" if low == high else f"{low:#x} to {high:#x}"


def _hypercalls(audit: Audit) -> Iterator[str]:
    for each in audit.hypercalls:
        where = f"port {each.port:#x}" if each.port is not None else "a stub"
        where = "ring 0 of the guest" if each.ring0 else where
        made = ", ".join(f"{at:#x}" for at in each.evidence) or "nowhere seen"
        yield f"{each.name:<14} {where}, made at {made}{'' if each.handled else ', NOT HANDLED'}"


def _memory(audit: Audit) -> Iterator[str]:
    for each in audit.memory:
        who = "guest" if each.user else "processor only"
        yield f"{each.address:#014x} {each.size:>11} {each.rights} {who}"


def _parts(audit: Audit) -> Iterator[str]:
    for each in audit.parts:
        yield f"{each.size:>9} {each.rights} {each.name}"


def _files(audit: Audit) -> Iterator[str]:
    for each in audit.files:
        yield f"{each.sha256[:16]} {each.mode:06o} {each.size:>9} {each.path}"


def _protections(audit: Audit, *, present: bool) -> Iterator[str]:
    for each in audit.protections:
        if each.present == present:
            yield f"{each.name:<24} {each.evidence}"
