"""What hypercall.toml declares of the host, against the system calls of the compiled handlers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import limpet
from limpet import contract
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Hypercall
from limpet.guests.linux.terminal import TERMINAL
from limpet.sources import GUEST_INCLUDES, MONITOR_INCLUDES
from limpet.tools import freestanding
from limpet.tools.toolchain import compile_object
from tests.support import unikernels
from tests.support.bundles import Maker
from tests.support.proved import ENDPOINTS, NAMES, PUBLISHED
from tests.support.reach import Objects, system_calls

EVERYTHING = """
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
static void *nothing(void *x) { return x; }
int main(int argc, char **argv) {
    pthread_t thread;
    pthread_create(&thread, 0, nothing, 0);
    return open("/dev/null", 0) + syscall(argc) + accept(listen(argc, 1), 0, 0) + connect(0, 0, 0);
}
"""
SIMPLE = """
#include <fcntl.h>
int main(int argc, char **argv) { return open(argv[0], argc); }
"""
DEVICES = ("block:data", "net:wire", "volume:/v")
ENDS = (".text.die", ".text.refuse")
"""The line that says why a monitor ends, and the end: of every monitor, not of a hypercall."""

ALSO = {"rewind": (".text.snapshot_keep", ".text.snapshot_forget")}
"""Where the library OS comes back to a handler of a process that has called it."""

ENDS_BY_ITSELF = {"hvt_fault": {"write", "exit_group"}}
"""A handler that is such an end."""


@dataclass(frozen=True)
class Compiled:
    """The handlers of one backend, and by hypercall where each starts."""

    objects: Objects
    handlers: dict[str, str]
    in_process: bool = False

    def host_calls(self, hypercall: Hypercall) -> set[int]:
        """Numbers of the system calls that a handler makes, but for the monitor's own end."""
        also = ALSO.get(hypercall.name, ()) if self.in_process else ()
        places: set[tuple[str, int]] = set()
        for each in (self.handlers[hypercall.name], *also):
            places.update(self.objects.reached(self.objects.section(each), without=ENDS).sections)
        codes = (self.objects.sections[place].code for place in places)
        return {number for code in codes for number in system_calls(code).values()}


def _compile(plan: limpet.Plan, name: str, folder: Path, extra: str = "") -> Objects:
    freestanding.write_headers(folder)
    for each, text in plan.sources.items():
        (folder / each).write_text(text)
    source = folder / name
    source.write_text(plan.sources[name] + extra)
    monitor = ["-Os", "-DLIMPET_MONITOR=1", *MONITOR_INCLUDES]
    flags = monitor if name == "monitor.c" else ["-O2", *GUEST_INCLUDES]
    compile_object(source, folder / "made.o", flags=flags, include=folder)
    return Objects([folder / "made.o"])


def _monitor(plan: limpet.Plan, folder: Path) -> Compiled:
    """Each handler as a function of its own: its address is taken."""
    names = [call.name for call in contract.on_kvm(plan.hypercalls)]
    kept = "".join(f"(void *)serve_{name}, " for name in names)
    objects = _compile(plan, "monitor.c", folder, f"void *const kept[] = {{{kept}}};\n")
    return Compiled(objects, {name: f".text.serve_{name}" for name in names})


def _gates(plan: limpet.Plan, folder: Path) -> Compiled:
    gates = _compile(plan, "gates.c", folder)
    starts = {call.name: f".text.hypercall_{call.name}" for call in plan.hypercalls}
    return Compiled(gates, starts, in_process=True)


@pytest.fixture(scope="module")
def everything(make: Maker) -> limpet.Guest:
    """A program that may make every system call."""
    return limpet.load(make.compile(EVERYTHING, "everything"))


@pytest.fixture(scope="module")
def handlers(
    everything: limpet.Guest, make: Maker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Compiled]:
    """Those of the two backends for programs, and of unikernels for hvt.

    No plan has all: one hypercall can be instead of another.
    """
    folder = tmp_path_factory.mktemp
    simple = limpet.load(make.compile(SIMPLE, "simple"))
    options = limpet.Options(
        devices=DEVICES, features=(TERMINAL, "jit"), publish=PUBLISHED, connect=(*ENDPOINTS, *NAMES)
    )
    kvm = limpet.plan(everything, replace(options, backends=("kvm",)))
    process = limpet.plan(everything, replace(options, backends=("process",)))
    plain = limpet.Options(features=("jit", "trace"))
    kvm_plain = limpet.plan(everything, replace(plain, backends=("kvm",)))
    kept = limpet.Options(backends=("kvm",), snapshot=True, features=("rewind",))
    process_kept = limpet.plan(simple, replace(kept, backends=("process",)))
    process_plain = limpet.plan(everything, replace(plain, backends=("process",)))
    late = limpet.load(Path("/bin/true"), include=["/lib/x86_64-linux-gnu/libm.so.6"])
    kvm_late = limpet.plan(late, limpet.Options(backends=("kvm",)))
    unikernel = unikernels.build(folder("unikernel"), "hvt", devices=True)
    return {
        "kvm": _monitor(kvm, folder("kvm")),
        "kvm plain": _monitor(kvm_plain, folder("kvm")),
        "kvm kept": _monitor(limpet.plan(simple, kept), folder("kvm")),
        "kvm late": _monitor(kvm_late, folder("kvm")),
        "process": _gates(process, folder("process")),
        "process kept": _gates(process_kept, folder("process")),
        "process plain": _gates(process_plain, folder("process")),
        "hvt": _monitor(limpet.plan(limpet.load(unikernel)), folder("hvt")),
    }


CALLS: Sequence[tuple[str, Hypercall]] = [
    *(
        (backend, call)
        for backend in contract.BACKENDS
        for call in contract.hypercalls()
        if backend in call.backends
    ),
    *(("hvt", call) for call in contract.hvt_hypercalls()),
]


@pytest.mark.parametrize(("where", "call"), CALLS, ids=lambda each: getattr(each, "name", each))
def test_host_calls(handlers: dict[str, Compiled], where: str, call: Hypercall) -> None:
    """A handler makes the system calls that its hypercall declares, and no other."""
    those = (each for name, each in handlers.items() if name.partition(" ")[0] == where)
    made = next(each for each in those if call.name in each.handlers).host_calls(call)
    here = {host.call for host in call.host if host.backend in ("", where)}
    declared = here | ENDS_BY_ITSELF.get(call.name, set())
    assert made == {NUMBERS[name] for name in declared}


def _has(those: Compiled, call: Hypercall) -> bool:
    return those.in_process and call.name in those.handlers


def test_stubs(handlers: dict[str, Compiled]) -> None:
    """Behind the label that the filter knows a stub by is the system call of its name."""
    for call in (each for each in contract.hypercalls() if "process" in each.backends):
        where = next(name for name, each in handlers.items() if _has(each, call))
        objects = handlers[where].objects
        for host in (each for each in call.host if each.backend != "kvm"):
            place = objects.symbols[f"host_{call.name}_{host.own or host.call}"]
            own = "arranging_note" if host.own == "arranged" else "rewound_go"
            name = own if host.own else f"stub_{call.name}_{host.call}"
            assert objects.sections[place].name == f".text.{name}"
            numbers = set(system_calls(objects.sections[place].code).values())
            assert NUMBERS[host.call] in numbers and (host.own or len(numbers) == 1)
