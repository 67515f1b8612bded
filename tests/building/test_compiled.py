"""What the compiler made of the library OS and of monitors, whatever the plan chose."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from threading import Lock

import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from elftools.elf.elffile import ELFFile

import limpet
from limpet import contract
from limpet.contract import BACKENDS, Backend, Hypercall
from limpet.formats import manifest
from limpet.formats.tree import layout as tree
from limpet.guests.linux.generate import CORE, gates_c
from limpet.guests.linux.library import objects
from limpet.guests.linux.rewinding import REWIND
from limpet.planning.features import choose, facts
from limpet.planning.filters import WayOut
from limpet.planning.monitor import host_numbers, monitor_c
from limpet.planning.outside import outside
from limpet.planning.regions import MONITOR_BASE, MONITOR_SIZE
from limpet.sources import GUEST_INCLUDES, MONITOR_INCLUDES
from limpet.tools.cache import Cache
from limpet.tools.toolchain import compile_object
from tests.support.bundles import Maker
from tests.support.large import LARGE, large
from tests.support.proved import ENDPOINTS, NAMES, PUBLISHED

pytestmark = pytest.mark.slow

_VECTOR = re.compile(r"\b([xyz]?mm\d+|st\(\d\)|st|k[0-7]|tmm\d)\b")
_STATE = re.compile(r"f?x(save|rstor)\w*")
TRIES = ".text.processor_runs: "
"""What runs one of each kind, at a snapshot's start, before the program's registers are there."""
SAVES_STATE = {"x86_64-together1.c.o", "x86_64-switch.S.o", "x86_64-trap_process.S.o"}
"""Where the vector registers of a handler or a thread are saved and restored, and nothing else."""

OPENS = """
#include <fcntl.h>
#include <sys/socket.h>
int main(int n, char **a) {
    return open(a[0], n) + accept(listen(n, 1), 0, 0) + connect(0, 0, 0);
}
"""

CHOICES: list[tuple[Backend, ...]] = [*((each,) for each in BACKENDS), BACKENDS]
MOST = [*CHOICES[:-1], pytest.param(BACKENDS, marks=large)]


def vector_instructions(path: Path) -> tuple[list[str], list[str]]:
    """Instructions of an object that touch vector or x87 registers: by name, and as state."""
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.skipdata = True  # .org leaves gaps
    named, state = [], []
    for section in ELFFile(io.BytesIO(path.read_bytes())).iter_sections():
        if not section["sh_flags"] & 4:
            continue
        for _, _, mnemonic, operands in decoder.disasm_lite(section.data(), 0):
            if _STATE.fullmatch(mnemonic):
                state.append(mnemonic)
            elif _VECTOR.search(operands) or mnemonic.startswith(("f", "v", "emms", "ldmxcsr")):
                named.append(f"{path.name}: {section.name}: {mnemonic} {operands}")
    return named, state


def test_vector_instructions_are_seen(tmp_path: Path) -> None:
    """The search below finds what it is for."""
    source, made = tmp_path / "vectors.S", tmp_path / "vectors.o"
    lines = ["movups %xmm8, (%rdi)", "vpxor %ymm0, %ymm1, %ymm2", "movq %mm1, (%rsi)", "fld1"]
    lines += ["kmovw %k1, %eax", "vaddps %zmm16, %zmm1, %zmm2", "fldl (%rax)", "vzeroupper"]
    source.write_text("\n".join([*lines, "xsave (%rdi)", "mov %eax, %ecx", ""]))
    compile_object(source, made, flags=[], include=tmp_path)
    named, state = vector_instructions(made)
    assert (len(named), state) == (len(lines), ["xsave"])


def test_library_os_keeps_vector_registers() -> None:
    """A system call keeps them because nothing in the library OS names one."""
    savers = set()
    with objects(Cache.default()) as known:
        assert len(known) > 20
        for path in known:
            named, state = vector_instructions(path)
            assert not [each for each in named if TRIES not in each]
            if state:
                savers.add(path.name)
    assert savers == SAVES_STATE


Chosen = tuple[Hypercall, ...]
Compile = Callable[[Chosen, limpet.Options], int]


def _devices(chosen: Chosen) -> tuple[str, ...]:
    names = {call.device: f"{call.device}0" for call in chosen if call.device}
    names.update({kind: "/v" for kind in names if kind == manifest.VOLUME})
    return tuple(sorted(f"{kind}:{name}" for kind, name in names.items()))


@pytest.fixture(scope="module")
def compile_both(tmp_path_factory: pytest.TempPathFactory, make: Maker) -> Compile:
    """Compile monitor and gates for some hypercalls; gives the monitor's bytes of code."""
    where = tmp_path_factory.mktemp("generated")
    guest = limpet.load(make.compile(OPENS, "opens"))
    plans: dict[limpet.Options, limpet.Plan] = {}
    lock = Lock()

    def planned(options: limpet.Options) -> limpet.Plan:
        with lock:
            if options not in plans:
                plans[options] = limpet.plan(guest, options)
            return plans[options]

    def compile_them(chosen: Chosen, options: limpet.Options) -> int:
        sockets = any(call.sockets for call in chosen)
        plan = planned(
            replace(
                options,
                devices=_devices(chosen),
                publish=PUBLISHED if sockets else (),
                connect=(*ENDPOINTS, *NAMES) if sockets else (),
            )
        )
        devices = manifest.declared(plan.options.devices)
        rules = [rule for each in plan.filters.values() for rule in each.rules]
        leads = outside(plan.options, devices)
        given = ["linux", *(leads.facts() if leads else ())]
        known = facts(
            given, devices, rules, plan.blobs.fixed, table=bool(devices), hypercalls=chosen
        )
        features = choose(plan.options, known)
        name = "-".join(call.name for call in chosen)
        inner = where / plan.digest() / sha256(name.encode()).hexdigest()
        inner.mkdir(parents=True)
        (inner / "plan.h").write_text(plan.sources["plan.h"])
        (inner / "host_numbers.h").write_text(host_numbers(features, chosen))
        (inner / "contract.h").write_text(contract.c_header())
        (inner / "tree_format.h").write_text(tree.c_header())
        monitor, gates = inner / "monitor.c", inner / "gates.c"
        monitor.write_text(monitor_c(CORE, features, chosen, options.backends, ()))
        way_out = WayOut(leads, MONITOR_BASE) if leads else None
        gates.write_text(
            gates_c(chosen, options.backends, devices, threads=True, placed=False, way_out=way_out)
        )
        flags = ["-Os", "-DLIMPET_MONITOR=1", *MONITOR_INCLUDES]
        compile_object(monitor, monitor.with_suffix(".o"), flags=flags, include=inner)
        flags = ["-O2", *GUEST_INCLUDES]
        compile_object(gates, gates.with_suffix(".o"), flags=flags, include=inner)
        goes_back = "process" in options.backends and any(each.name == REWIND for each in chosen)
        clears = ["xrstor64"] if goes_back else []
        for made, state in ((monitor, []), (gates, clears)):
            assert vector_instructions(made.with_suffix(".o")) == ([], state)
        with monitor.with_suffix(".o").open("rb") as stream:
            sections = ELFFile(stream).iter_sections()
            return sum(each["sh_size"] for each in sections if each["sh_flags"] & 4)

    return compile_them


def _subsets() -> Iterable[Chosen]:
    """One, any two (LARGE) or all of those without devices; then with either kind, and everything.

    No guest has only what a process alone has, nor one that is instead of another and that one.
    """
    plain = tuple(c for c in contract.hypercalls() if not c.device and not c.sockets)
    few = (*((each,) for each in plain), *(combinations(plain, 2) if LARGE else ()))
    yield from (each for each in few if contract.on_kvm(each) and contract.least(each) == each)
    yield contract.least(plain)
    for kind in ("block", "net", "volume"):
        own = (call for call in contract.hypercalls() if call.device == kind)
        yield contract.least((*plain, *own))
    yield contract.least(call for call in contract.hypercalls() if not call.device)
    yield tuple(call for call in contract.hypercalls() if not call.instead)
    yield contract.least(contract.hypercalls())


@pytest.mark.parametrize("backends", MOST, ids="-".join)
def test_every_choice_of_hypercalls_builds(
    compile_both: Compile, backends: tuple[Backend, ...]
) -> None:
    """Every such choice: no warning, no vector register, and more code for more."""
    options = limpet.Options(backends=backends)
    subsets = list(_subsets())
    assert len(subsets) == (105 if LARGE else 18)
    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(lambda chosen: compile_both(chosen, options), subsets))
    assert max(sizes) == sizes[-1] <= MONITOR_SIZE
    limited = replace(options, timeout=1000, max_output=1000)
    assert compile_both(subsets[-1], limited) > sizes[-1]
