"""What a monitor's code must not do, or not be: the checks of ``audit`` that read instructions."""

from __future__ import annotations

from collections.abc import Iterator

from limpet.arch.x86_64.host import REQUEST_NAMES
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.facts import devices, slots
from limpet.audit.host_abi import call_name, monitor_calls, request_name
from limpet.audit.host_calls import wrong_arguments
from limpet.audit.inside import Inside
from limpet.audit.monitor_code import NO_FILTER, Call
from limpet.contract.limits import UNIKERNEL_MEMORY_MOST
from limpet.planning.features import open_words
from limpet.planning.regions import BROKER_BASE

_IOCTL, _OPENAT, _MUNMAP = NUMBERS["ioctl"], NUMBERS["openat"], NUMBERS["munmap"]
_WRITE = 2
_LOG_DIRTY_PAGES = 1  # KVM_MEM_LOG_DIRTY_PAGES of uapi linux/kvm.h


def code(inside: Inside) -> None:
    """The monitor makes the calls of a monitor, behind its filter only what passes it."""
    for call in inside.code.calls:
        at = f"SYSCALL at {call.address:#x}"
        for what in _wrong(inside, call):
            inside.found("monitor", f"{at} {what}")
        behind = call.filters - {NO_FILTER}
        for program in behind if NO_FILTER not in call.filters else ():
            _passes(inside, at, call.numbers, program)
    for address, what in inside.code.strange:
        inside.found("monitor", f"the code at {address:#x}: {what}")
    for address in inside.code.unreached:
        if any(address in known for known in inside.data):
            continue
        inside.found("monitor", f"SYSCALL at {address:#x}, where no code leads")
    for address in inside.code.unresolved:
        inside.found("monitor", f"the code at {address:#x} cannot be followed")
    if not inside.code.complete:
        inside.found("monitor", "its code is too involved to follow")


def _passes(inside: Inside, at: str, numbers: frozenset[int], program: int) -> None:
    decoded = inside.filters.get(program)
    allowed = {each.number for each in decoded.allowed} if decoded else set()
    for number in numbers - allowed:
        inside.found("filter", f"{at} makes {call_name(number)}, which the filter refuses")


def _wrong(inside: Inside, call: Call) -> Iterator[str]:
    """What is wrong with one call."""
    if not call.numbers:
        yield "has a number that cannot be told from the code"
    for number in sorted(call.numbers - monitor_calls()):
        yield f"makes {call_name(number)}, which no monitor does"
    for number in sorted(call.numbers):
        for index, words in wrong_arguments(number, call.arguments):
            yield f"makes {call_name(number)} with argument {index + 1} {words}"
    if _IOCTL in call.numbers:
        yield from _wrong_requests(call)
    if _OPENAT in call.numbers:
        yield from _wrong_path(inside, call)
    if _MUNMAP in call.numbers:
        yield from _wrong_range(inside, call)


def _wrong_requests(call: Call) -> Iterator[str]:
    if not call.arguments[1]:
        yield "makes an ioctl request that cannot be told from the code"
    for value in sorted(call.arguments[1]):
        if value & 0xFFFFFFFF not in REQUEST_NAMES:
            yield f"makes the ioctl {request_name(value)}, which no monitor does"


def _wrong_path(inside: Inside, call: Call) -> Iterator[str]:
    """Paths are constants; only of devices, and for some features, does the command line name them.

    Those that an audit finds in its record it shows.
    """
    if not call.arguments[1] and not list(devices(inside)) and not _opens_words(inside):
        yield "opens a path that is not in the file"
    for address in sorted(call.arguments[1]):
        part = inside.bundle.part_at(address)
        if part is None and _opens_words(inside):
            continue  # put together on the monitor's own stack
        if part is None or part.flags & _WRITE:
            yield f"opens the path at {address:#x}, which can be changed before"


def _opens_words(inside: Inside) -> bool:
    asked = inside.record.options.get("features", ())
    return isinstance(asked, tuple) and open_words(map(str, asked))


def _wrong_range(inside: Inside, call: Call) -> Iterator[str]:
    """What is unmapped makes place for something else: nothing of the file is, but that the code of
    the broker is not in the guest's process."""
    low, size = call.argument(0), call.argument(1)
    parts = [each for each in inside.bundle.parts if each.address != BROKER_BASE]
    for part in parts:
        if low is None or size is None or (low < part.end and part.address < low + size):
            yield f"unmaps {part.name}"


def memory_slot(inside: Inside) -> None:
    """The virtual machine has one piece of memory, the guest's own.

    One that goes back is given the same again: to note what is written, or to be known anew.
    """
    found = list(slots(inside))
    places = {(each.address, each.size) for each in found if each.size != 0}
    if len(places) != 1 or sum(not each.flags and each.size != 0 for each in found) != 1:
        inside.found("machine", f"it is given memory {len(found)} times, and not once")
    for each in found:
        if each.number != 0 or each.flags not in (0, _LOG_DIRTY_PAGES):
            inside.found("machine", "its memory is not slot 0, or cannot be told")
        if each.address is None or each.host is None:
            inside.found("machine", "the virtual machine's memory cannot be told from the code")
            continue
        size = UNIKERNEL_MEMORY_MOST - each.address if each.size is None else each.size
        monitor = inside.bundle.monitor
        if each.host != each.address:
            inside.found("machine", f"guest memory {each.address:#x} is the host's {each.host:#x}")
        if each.host < monitor.end and monitor.address < each.host + size:
            inside.found("machine", "the monitor lies in the virtual machine's memory")
