"""What the compiler made of the library OS and of monitors, whatever the plan chose."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from conftest import Maker
from elftools.elf.elffile import ELFFile

import limpet
from limpet import contract, layout, tree
from limpet.bundle import MONITOR_ROOT, libos_objects
from limpet.cache import Cache
from limpet.contract import BACKENDS, Backend, Hypercall
from limpet.generate import gates_c, monitor_c
from limpet.parts import GUEST_ROOT
from limpet.toolchain import compile_object

_VECTOR = re.compile(r"\b([xyz]?mm\d+|st\(\d\)|st|k[0-7]|tmm\d)\b")
_STATE = re.compile(r"f?x(save|rstor)\w*")
SAVES_STATE = {"core-signals.c.o", "core-trap_process.S.o"}
"""Where a signal handler's vector registers are saved and restored, and nothing else is done."""

CHOICES: list[tuple[Backend, ...]] = [*((each,) for each in BACKENDS), BACKENDS]


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
    compile_object(source, made, flags=["-mcpu=x86_64_v4+mmx+x87"], include=tmp_path)
    named, state = vector_instructions(made)
    assert (len(named), state) == (len(lines), ["xsave"])


def test_library_os_keeps_vector_registers() -> None:
    """A system call keeps them because nothing in the library OS names one."""
    savers = set()
    objects = libos_objects(Cache.default())
    assert len(objects) > 20
    for path in objects:
        named, state = vector_instructions(path)
        assert not named
        if state:
            savers.add(path.name)
    assert savers == SAVES_STATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make: Maker) -> Path:
    """What is included: the contract, and the constants of each choice of backends."""
    where = tmp_path_factory.mktemp("generated")
    guest = limpet.load(make.compile("int main(void) { return 0; }", "nothing"))
    for backends in CHOICES:
        for limits in (0, 1000):
            options = limpet.Options(backends=backends, timeout=limits, max_output=limits)
            inner = where / f"{'-'.join(backends)}-{limits}"
            inner.mkdir()
            (inner / "plan.h").write_text(limpet.plan(guest, options).sources["plan.h"])
            (inner / "contract.h").write_text(contract.c_header())
            (inner / "tree_format.h").write_text(tree.c_header())
    return where


def _subsets() -> Iterable[tuple[Hypercall, ...]]:
    every = contract.hypercalls()
    yield from ((each,) for each in every)
    yield from combinations(every, 2)
    yield every


def _compile_both(folder: Path, chosen: tuple[Hypercall, ...], options: limpet.Options) -> int:
    """Compile monitor and gates; the monitor's bytes of code."""
    inner = folder / f"{'-'.join(options.backends)}-{options.timeout}"
    name = "-".join(call.name for call in chosen)
    monitor, gates = inner / f"monitor-{name}.c", inner / f"gates-{name}.c"
    monitor.write_text(monitor_c(chosen, options))
    gates.write_text(gates_c(chosen, options.backends))
    flags = ["-Os", "-DLIMPET_MONITOR=1", f"-I{MONITOR_ROOT}"]
    compile_object(monitor, monitor.with_suffix(".o"), flags=flags, include=inner)
    flags = ["-O2", f"-I{GUEST_ROOT}", f"-I{MONITOR_ROOT}"]
    compile_object(gates, gates.with_suffix(".o"), flags=flags, include=inner)
    for made in (monitor, gates):
        assert vector_instructions(made.with_suffix(".o")) == ([], [])
    with monitor.with_suffix(".o").open("rb") as stream:
        sections = ELFFile(stream).iter_sections()
        return sum(each["sh_size"] for each in sections if each["sh_flags"] & 4)


@pytest.mark.parametrize("backends", CHOICES, ids="-".join)
def test_every_choice_of_hypercalls_builds(folder: Path, backends: tuple[Backend, ...]) -> None:
    """One hypercall, any two or all: no warning, no vector register, and more code for more."""
    options = limpet.Options(backends=backends)
    subsets = list(_subsets())
    assert len(subsets) == 16
    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(lambda chosen: _compile_both(folder, chosen, options), subsets))
    assert max(sizes) == sizes[-1] <= layout.MONITOR_SIZE
    limited = replace(options, timeout=1000, max_output=1000)
    assert _compile_both(folder, subsets[-1], limited) > sizes[-1]
