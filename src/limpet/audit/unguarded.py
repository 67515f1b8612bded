"""Runs of a virtual machine before the filter stands: one that ends at once is no harm."""

from __future__ import annotations

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inside import Inside, is_request
from limpet.audit.monitor_code import NO_FILTER, Call
from limpet.contract.limits import VCPU_FD
from limpet.planning.regions import KVM_RUN_AT, KVM_RUN_SIZE

_ENDS_AT_ONCE = KVM_RUN_AT + 1
"""``immediate_exit`` of ``struct kvm_run``: KVM looks at it before anything of the guest runs."""
_MMAP, _MREMAP = NUMBERS["mmap"], NUMBERS["mremap"]


def runs_unguarded(inside: Inside) -> list[Call]:
    """Where a vCPU is run without a filter, and not only so that KVM has its own thread."""
    calls = [call for call in inside.code.calls if NO_FILTER in call.filters]
    runs = [call for call in calls if is_request(call, "KVM_RUN")]
    known = bool(runs) and _one_page(inside, calls)
    return [call for call in runs if not (known and _ends_at_once(inside, call))]


def _ends_at_once(inside: Inside, call: Call) -> bool:
    return call.argument(0) == VCPU_FD and call.state.word(inside.bundle, _ENDS_AT_ONCE, 1) == 1


def _one_page(inside: Inside, calls: list[Call]) -> bool:
    """Whether what KVM looks at is what the code writes: one vCPU is made, and nothing else is ever
    mapped where its page is."""
    made = {call.address for call in calls if is_request(call, "KVM_CREATE_VCPU")}
    maps = [call for call in calls if _MMAP in call.numbers and _meets(inside, call)]
    shared = all(call.argument(0) == KVM_RUN_AT and call.argument(4) == VCPU_FD for call in maps)
    moved = any(_MREMAP in call.numbers for call in calls)
    return len(made) == 1 and len({call.address for call in maps}) == 1 and shared and not moved


def _meets(inside: Inside, call: Call) -> bool:
    """Whether it may map that page: no mapping replaces one, so none leads over the monitor."""
    lows, sizes = call.arguments[:2]
    if not lows:
        return True
    first, end = inside.bundle.monitor.address, KVM_RUN_AT + KVM_RUN_SIZE
    return any(first <= low < end for low in lows) and (
        not sizes or max(lows) + max(sizes) > KVM_RUN_AT
    )
