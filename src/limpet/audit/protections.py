"""Which barriers a bundle has, and which it lacks, each with what shows it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from resource import RLIMIT_AS, RLIMIT_NOFILE
from signal import ITIMER_REAL

from limpet.arch.x86_64 import machine_read
from limpet.arch.x86_64.decode import MASK
from limpet.arch.x86_64.machine_read import Machine
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.facts import executes
from limpet.audit.host_calls import BOUNDING_SET_DROP, DUMPABLE, NEW_USERS, SHARED_MEMORY
from limpet.audit.inside import Inside, is_request
from limpet.audit.late_code import loads_code, runs_more
from limpet.audit.model import Protection
from limpet.audit.monitor_code import NO_FILTER, Call
from limpet.audit.run_as_well import beside_code, no_code
from limpet.errors import BundleError
from limpet.planning.regions import HOST_END, MONITOR_BASE

_NO_NEW_PRIVS = 38
_MOST = 16
"""Runs that evidence names."""
_MAPS = frozenset(NUMBERS[name] for name in ("mmap", "mremap", "brk"))


def protections(inside: Inside) -> tuple[Protection, ...]:
    """Every barrier by name, present or not."""
    found = [*_process_wide(inside)]
    root = _call(inside, "chroot")
    if root:
        found.append(Protection("root of its own", True, f"{root}, where who starts it may"))
    if any(inside.backend(each) == "process" for each in inside.filters.values()):
        found += _of_process(inside)
    if inside.machine:
        found += _of_machine(inside, inside.machine)
    found += [_nothing_to_run(inside), _only_code(inside)]
    found.append(Protection("address randomisation", False, "all addresses are fixed"))
    found.append(Protection("stack canaries", False, "compiled without"))
    return tuple(found)


def _nothing_to_run(inside: Inside) -> Protection:
    """Whether the guest's memory stays as executable as it was at the start, on every backend."""
    filters = [each for each in inside.filters.values() if inside.backend(each) == "process"]
    runs = executes(inside) or any(any(runs_more(inside, each)) for each in filters)
    late = any(map(loads_code, filters))
    evidence = (
        "the guest can run pages that it wrote"
        if runs
        else "only the file's own, as a shared object is loaded"
        if late
        else "no call that makes it so"
    )
    return Protection("code fixed at the start", not runs, evidence)


def _call(inside: Inside, name: str, test: Callable[[Call], bool] = lambda _: True) -> str:
    """Where the monitor makes a call, or nothing."""
    calls = [c for c in inside.code.calls if c.numbers == {NUMBERS[name]} and test(c)]
    return f"{name} at {calls[0].address:#x}" if calls else ""


def _prctl(inside: Inside, what: int, value: int) -> str:
    return _call(inside, "prctl", lambda c: (c.argument(0), c.argument(1)) == (what, value))


def _dropped(inside: Inside) -> str:
    return _call(inside, "prctl", lambda c: c.argument(0) == BOUNDING_SET_DROP)


def _limited(inside: Inside, which: int) -> str:
    return _call(inside, "setrlimit", lambda c: which in c.arguments[0])


def _to_somebody(call: Call) -> bool:
    """Whether it leaves root behind, by all three ids."""
    ids = {call.argument(index) for index in range(3)}
    return len(ids) == 1 and not ids & {None, 0, MASK >> 32}


def _of_all(call: Call) -> bool:
    """Whether it leaves more than the users behind, as who only wants another root does."""
    return call.argument(0) != NEW_USERS


def _unmapped(inside: Inside, end: int) -> str:
    """Where the monitor unmaps what comes before ``end`` and is nothing of the file's."""
    return _call(inside, "munmap", lambda c: (c.argument(0) or 0) + (c.argument(1) or 0) == end)


def _by_the_clock(call: Call) -> bool:
    """Whether a timer is one of real time, not a tick of the guest's processor time."""
    return call.argument(0) == ITIMER_REAL


def _shown(name: str, evidence: str, lacking: str) -> Protection:
    return Protection(name, bool(evidence), evidence or lacking)


def _process_wide(inside: Inside) -> list[Protection]:
    parts, monitor = inside.bundle.parts, inside.bundle.monitor
    runs = [call for call in inside.code.calls if is_request(call, "KVM_RUN")]
    guarded = not any(NO_FILTER in call.filters for call in runs)
    guarded &= not any(NO_FILTER in filters for _, filters in inside.code.leaves)
    programs = ", ".join(f"{at:#x}" for at in sorted(inside.filters))
    exclusive = not any(part.flags & 3 == 3 for part in parts)
    return [
        Protection("system call filter", bool(programs) and guarded, f"programs at {programs}"),
        _shown(
            "no new privileges",
            _prctl(inside, _NO_NEW_PRIVS, 1),
            "no such prctl",
        ),
        _shown("descriptors closed", _call(inside, "close_range"), "no close_range"),
        Protection("segments W^X", exclusive, "program headers"),
        Protection("monitor read-only", not monitor.flags & 2, f"segment {monitor.rights}"),
        Protection("stack not executable", True, "the one form of the file's headers"),
        _shown("Landlock", _call(inside, "landlock_restrict_self"), "no landlock_restrict_self"),
        _own_memory(inside),
        _shown("no core dump", _prctl(inside, DUMPABLE, 0), "no such prctl"),
        _shown("no more descriptors", _limited(inside, RLIMIT_NOFILE), "no such limit"),
        _shown("no capabilities", _call(inside, "capset"), "no capset"),
        _shown("not root", _call(inside, "setresuid", _to_somebody), "no such setresuid"),
        _shown("bounding set empty", _dropped(inside), "no --strict"),
        _shown("namespaces of its own", _call(inside, "unshare", _of_all), "no --strict"),
        _shown("time limit", _call(inside, "setitimer", _by_the_clock), "no --timeout"),
        _shown("output limit", _call(inside, "pipe2"), "no --max-output"),
    ]


def _own_memory(inside: Inside) -> Protection:
    """Whether no other process, as the one that writes a report, has pages of it."""
    shares = _call(
        inside, "mmap", lambda c: any(f & SHARED_MEMORY == SHARED_MEMORY for f in c.arguments[3])
    )
    evidence = f"{shares} shares a page of counts" if shares else "no such mmap"
    return Protection("no memory shared with a parent", not shares, evidence)


def _of_process(inside: Inside) -> list[Protection]:
    filters = [each for each in inside.filters.values() if inside.backend(each) == "process"]
    pinned = all(e.pointer[0] == e.pointer[1] for each in filters for e in each.allowed)
    moves = any(e.number in _MAPS for each in filters for e in each.allowed)
    bound = _limited(inside, RLIMIT_AS) if moves else "no call that maps memory"
    return [
        _shown("no more memory", bound, "no limit of the address space"),
        Protection("calls from stubs only", pinned, "instruction pointers in the filter"),
        _shown("host stack unmapped", _unmapped(inside, HOST_END), "no such munmap"),
        _shown("kernel pages below it unmapped", _unmapped(inside, MONITOR_BASE), "no such munmap"),
    ]


def _only_code(inside: Inside) -> Protection:
    """Whether no constants have the rights of the code that they share a large page with, and
    nothing else has them."""
    try:
        found = [each.words for each in beside_code(inside)] + list(islice(no_code(inside), _MOST))
    except BundleError as error:  # which is a finding as well
        found = [error.message]
    rights = "page tables" if inside.machine else "segments"
    evidence = "; ".join(found) or f"{rights}, and what headers call code"
    return Protection("only code can be run", not found, evidence)


def _of_machine(inside: Inside, machine: Machine) -> list[Protection]:
    own, user = machine.own_pages, [run for run in machine.pages if run.user]
    reached = [
        page for run in user for page in own if run.physical <= page < run.physical + run.size
    ]
    exclusive = not any(run.writable and run.executable for run in machine.pages)
    cpuid = any(is_request(call, "KVM_SET_CPUID2") for call in inside.code.calls)
    keys = any(
        machine_read.read_machine(inside.bundle, at).cr4 & machine_read.PKE
        for at in (
            call.argument(2) for call in inside.code.calls if is_request(call, "KVM_SET_SREGS")
        )
        if at is not None
    )
    bits = machine.cr4
    return [
        Protection("guest in ring 3", machine.ring == 3, f"code segment of ring {machine.ring}"),
        Protection("guest pages W^X", exclusive, f"{len(machine.tables)} page tables"),
        Protection("processor's pages hidden", not reached, f"{len(own)} pages"),
        Protection("I/O bitmap", len(machine.ports) < 65536, f"{len(machine.ports)} ports open"),
        Protection("no-execute", bool(machine.efer & machine_read.NXE), "EFER.NXE"),
        Protection("SYSCALL off", not machine.efer & machine_read.SCE, "EFER.SCE"),
        Protection("write protection", bool(machine.cr0 & machine_read.WP), "CR0.WP"),
        Protection("code not readable", keys, "CR4.PKE, where the processor has it"),
        Protection("stated CPUID", cpuid, "KVM_SET_CPUID2 of a constant"),
        Protection("SMEP", bool(bits & machine_read.SMEP), "CR4.SMEP"),
        Protection("SMAP", bool(bits & machine_read.SMAP), "CR4.SMAP"),
        Protection("UMIP", bool(bits & machine_read.UMIP), "CR4.UMIP"),
    ]
