"""Gates of a process that count, where its end is reported: nobody else stands at them.

The page is the guest's own, as the library OS is.  A hostile guest can write there what it likes.
"""

from __future__ import annotations

from collections.abc import Sequence

from limpet.contract import Backend, Hypercall
from limpet.contract.limits import COUNTED_MOST
from limpet.planning.regions import GUEST_COUNTS_AT

REPORT = "report"
"""The feature of the monitor whose reader has the page."""

_MOVED = {"in": "bytes_in", "out": "bytes_out"}


def with_counts(gates: str, calls: Sequence[Hypercall], backends: Sequence[Backend]) -> str:
    """``gates`` that count each of ``calls``; on kvm the monitor does, in a page of its own."""
    there = "boot_info.backend == BACKEND_PROCESS" if "kvm" in backends else "true"
    text = f"""
static void count(u64 *to, long more) {{
    if ({there} && more > 0)
        *to += (u64)more;
}}
"""
    for call in calls:
        assert call.block and call.number < COUNTED_MOST
        name = call.name
        gates = gates.replace(f"void hypercall_{name}(", f"static void uncounted_{name}(")
        moved = f"    count(&COUNTS->{_MOVED[call.moves]}, block->result);\n" if call.moves else ""
        text += (
            f"\nvoid hypercall_{name}(struct {call.block.name} *block) {{\n"
            f"    count(&COUNTS->calls[{call.number}], 1);\n"
            f"    uncounted_{name}(block);\n{moved}}}\n"
        )
    return f"#define COUNTS ((struct counts *){GUEST_COUNTS_AT:#x}UL)\n{gates}{text}"
