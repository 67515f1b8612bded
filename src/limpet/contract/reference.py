"""``docs/hypercalls.md``: the contract as a page to read."""

from __future__ import annotations

from limpet.contract.hypercall import hvt_hypercalls, hypercalls
from limpet.contract.limits import CONTRACT_VERSION, PORT_BASE, text


def markdown() -> str:
    """The text of ``docs/hypercalls.md``."""
    parts = [
        "# Hypercalls\n\n"
        f"Version {CONTRACT_VERSION} of the contract between guest and monitor. Generated from\n"
        "`c/hypercalls/*/hypercall.toml`; `python -m limpet.contract` prints it.\n\n"
        "On kvm hypercall N is a 32-bit `out` to port "
        f"{int(PORT_BASE):#x} + 4 N with the address of its argument block, which must lie in the\n"
        "library OS's own data. In a process the library OS makes the host system calls itself, "
        "from stubs that\nthe filter knows by address.\n\n"
        "A Solo5 guest for hvt makes Solo5's hypercalls, `hvt_…` below, at Solo5's ports.\n"
    ]
    for call in (*hypercalls(), *hvt_hypercalls()):
        where = f"port {call.port:#x}" if "kvm" in call.backends else "in a process only"
        where = "on kvm ring 0 of the guest itself" if call.ring0 else where
        parts.append(f"\n## {call.number}. {call.name} ({where})\n\n{call.summary}\n\n")
        if call.instead:
            parts.append(f"Where a guest has it, it has no `{call.instead}`.\n\n")
        if call.block:
            parts.append("| member | type | written by | meaning |\n|---|---|---|---|\n")
            for each in call.block.fields:
                kind = each.type + (f"[{each.count}]" if each.count > 1 else "")
                parts.append(f"| {each.name} | {kind} | {each.origin} | {text(each.doc)} |\n")
            parts.append("\n")
        own = "; ".join(f"`{host.call}` ({host.why})" for host in call.host)
        parts.append(f"Host system calls: {own or 'none of its own'}.\n")
    return "".join(parts)
