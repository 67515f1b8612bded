"""Shared objects that become code as they are loaded: what is there before, and what may change."""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit import bpf
from limpet.audit.inside import Inside
from limpet.audit.inspect import audit_bundle
from limpet.audit.late_code import loads_code, runs_more
from limpet.audit.seccomp_decode import decode
from limpet.audit.verify import verify
from limpet.building.bundle import Bundle
from limpet.contract import Backend, Pin
from limpet.contract.limits import PROGRAM_STATUSES
from limpet.formats.bundle.read import parse
from limpet.formats.image import Access
from limpet.guests.linux import late
from limpet.guests.linux.late import CODE, INSTRUCTIONS_MOST, waiting
from limpet.guests.linux.layout import Layout
from limpet.planning.regions import MONITOR_BASE, Region
from limpet.planning.seccomp import Filter, Rule
from limpet.planning.shelves import APART
from limpet.running.cores.dump import auxiliary
from limpet.running.snapshot import snapshot
from tests.support import SUPPORT
from tests.support.bundles import KVM_PROBLEM, execute
from tests.support.filter_rules import X86_64
from tests.support.shared import compiler

SOURCE = SUPPORT / "programs" / "shared" / "later.c"
USED = "int used(void) {{ static int calls = {}; return calls++; }}"
KEPT = "int calls = 1;"
USES = "extern int calls; int used(void) { return calls++; }"
READ_EXECUTE, READ_WRITE = 5, 3


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A program, two objects that it loads, and one that it does not.

    Behind them what the first of these needs: all that it writes is in an object without code.
    """
    folder = tmp_path_factory.mktemp("later")

    def linked(name: str, source: str, *flags: str) -> str:
        argv = [compiler("glibc"), "-O2", "-o", str(folder / name), "-x", "c", "-", *flags]
        subprocess.run(argv, input=source.encode(), check=True)
        return str(folder / name)

    flags = "-shared", "-fPIC"
    kept = linked("lib0.so", KEPT, *flags, "-nostdlib")
    objects = [linked("lib5.so", USES, *flags, "-x", "none", kept)]
    first = {"lib1.so": 7, "lib9.so": 9}  # lib5 is loaded, between the others
    objects += [linked(name, USED.format(value), *flags) for name, value in first.items()]
    return [linked("later", SOURCE.read_text("utf-8")), *objects, kept]


def stopped(words: list[str], backend: Backend) -> Bundle:
    """A snapshot of it between the two."""
    options = limpet.Options(backends=(backend,), snapshot=True, memory=64 << 20)
    guest = limpet.load(Path(words[0]), include=words[1:])
    return snapshot(limpet.plan(guest, options), words[1:3]).bundle


def test_what_goes_back_on_kvm_has_no_late_data(words: list[str]) -> None:
    """The monitor would leave it to be written, and the next call could see by that what the one
    before it has loaded."""
    guest, names = limpet.load(Path(words[0]), include=words[1:]), set()
    for features in ((), ("rewind",)):
        options = limpet.Options(backends=("kvm",), snapshot=True, features=features)
        names |= {(each.name, features) for each in limpet.plan(guest, options).hypercalls}
    assert ("load", ()) in names
    assert ("rewind", ("rewind",)) in names
    assert ("load", ("rewind",)) not in names


@pytest.fixture(scope="module")
def moment(words: list[str]) -> Bundle:
    """In a process."""
    return stopped(words, "process")


@pytest.fixture(scope="module")
def machine(words: list[str]) -> Bundle:
    """In a virtual machine."""
    if KVM_PROBLEM:
        pytest.skip(KVM_PROBLEM)
    return stopped(words, "kvm")


def code_of(bundle: Bundle, path: str, access: Access = Access.EXECUTE) -> Region:
    """The code of the object at ``path``, where it is late; or what else of it has ``access``."""
    (inode,) = (each.inode for each in bundle.plan.guest.objects if each.path == path)
    found = (each for each in bundle.plan.regions if each.late == inode)
    return next(each for each in found if access in each.access)


AT_PHDR, AT_ENTRY = 3, 9


def layout_of(bundle: Bundle) -> Layout:
    """Its memory map."""
    assert isinstance(bundle.plan.layout, Layout)
    return bundle.plan.layout


def test_before_and_behind_a_moment(moment: Bundle, words: list[str], tmp_path: Path) -> None:
    """What was loaded stays code, what comes later becomes it; the rest can only be read."""
    assert moment.plan.guest.memory and len(moment.plan.guest.memory.loaded) == 1
    paths = [each.path for each in moment.plan.guest.objects if each.path in words]
    assert paths == sorted(paths) == [words[4], words[2], words[1], words[3]]
    moment.write(tmp_path / "again")
    for _ in range(2):
        ran = execute(words, tmp_path / "again", b"x")
        assert (ran.status, ran.stdout) == (0, b"2 7\n"), ran
    found = parse(moment.data, "again")
    part = found.part_at(code_of(moment, words[2]).address)
    assert part and part.rights == "r--"
    with pytest.raises(StopIteration):
        code_of(moment, words[1])
    assert verify(tmp_path / "again").same


def test_code_of_what_is_loaded_can_wait(
    moment: Bundle, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each object in memory of its own would be more pieces than Linux starts."""
    monkeypatch.setattr(late, "READY_MOST", 0)
    made = stopped(words, "process")
    code = code_of(made, words[1])
    assert waiting(made.plan.guest, ("process",))[code.late or 0] == CODE
    with pytest.raises(StopIteration):
        code_of(made, words[1], Access.WRITE)
    made.write(tmp_path / "again")
    for _ in range(2):
        ran = execute(words, tmp_path / "again", b"x")
        assert (ran.status, ran.stdout) == (0, b"2 7\n"), ran
    found, before = parse(made.data, "again"), parse(moment.data, "again")
    part = found.part_at(code.address)
    assert part and part.rights == "r--"
    assert len(found.parts) < len(before.parts)
    assert verify(tmp_path / "again").same


def test_what_can_only_be_read_is_in_few_pieces(moment: Bundle) -> None:
    """Whichever objects lie side by side: zeros are between them, and nothing there is unmapped."""
    parts = parse(moment.data, "again").parts
    beside = [(a, b) for a, b in pairwise(parts) if a.rights == b.rights == "r--"]
    assert not [(a.name, b.name) for a, b in beside if b.address - a.end <= APART]
    ends = {each.address: each.end for each in parts}  # behind the last there are constants
    rows = [(low, high) for low, high in moment.plan.rows if high <= ends.get(low, 0)]
    assert len(rows) == len(moment.plan.rows) > 0
    assert any(sum(low <= r.address < high for r in moment.plan.regions) > 3 for low, high in rows)
    for low, _ in re.findall(r"unmap\((\w+)UL, (\w+)UL\)", moment.plan.sources["monitor.c"]):
        assert not any(start <= int(low, 16) < end for start, end in rows)


def test_where_it_was_loaded(moment: Bundle) -> None:
    """A core file says so by the library OS's constants, wherever in their piece they are."""
    bundle = parse(moment.data, "again")
    (piece,) = (each for each in bundle.parts if "constants" in each.name)
    place = layout_of(moment)
    assert piece.address < place.constants
    found = dict(auxiliary(bundle))
    assert place.image_lo <= found[AT_PHDR] < found[AT_ENTRY] < place.image_hi


def test_data_in_a_virtual_machine(machine: Bundle, words: list[str], tmp_path: Path) -> None:
    """The host lets what is loaded be written, and the rest be read; the guest's rights stand."""
    assert machine.plan.guest.memory and len(machine.plan.guest.memory.loaded) == 1
    machine.write(tmp_path / "again")
    for _ in range(2):
        ran = execute(words, tmp_path / "again", b"x")
        assert (ran.status, ran.stdout) == (0, b"2 7\n"), ran
    found = parse(machine.data, "again")
    for access in (Access.EXECUTE, Access.WRITE):
        part = found.part_at(code_of(machine, words[2], access).address)
        assert part and part.rights == "r--"
    with pytest.raises(StopIteration):
        code_of(machine, words[1], Access.WRITE)
    assert verify(tmp_path / "again").same


def test_a_guest_names_no_other_pages(machine: Bundle, words: list[str], tmp_path: Path) -> None:
    """Not its code, which a handler could then fill for it, and no piece or end of its data."""
    machine.write(tmp_path / "again")
    (load,) = (each for each in machine.plan.hypercalls if each.name == "load")
    code, data = (code_of(machine, words[2], each) for each in (Access.EXECUTE, Access.WRITE))
    asked = data.address, code.address, data.address + 4096, data.address - 4096, 0
    block = layout_of(machine).signal_stack  # which only a process uses
    told = f"p {load.port} {block} {' '.join(map(str, asked))}"
    ran = execute(words, tmp_path / "again", told.encode())
    assert (ran.status, ran.stdout) == (0, b"0 -22 -22 -22 -22 2 7\n"), ran
    unasked = execute(words, tmp_path / "again", f"w {data.address}".encode())
    assert unasked.status == PROGRAM_STATUSES.refused, unasked


def test_a_filter_for_data(machine: Bundle) -> None:
    """Between the first and the last of it, no longer than the largest, to read and to write."""
    places = layout_of(machine).late_data
    sizes = sorted(high - low for low, high in places)
    assert len(places) == 2
    program = bpf.steps(machine.plan.filters["kvm"].assemble(machine.symbols))

    def passes(address: int, length: int, rights: int) -> bool:
        asked = NUMBERS["mprotect"], X86_64, MONITOR_BASE, address, length, rights, 0, 0, 0
        data = struct.pack("<IIQ6Q", *asked)
        return bpf.lets_through(bpf.verdict(program, data, bpf.Fuel(10_000)))

    low, high = places[0][0], places[-1][1]
    assert passes(low, sizes[-1], READ_WRITE)
    assert not passes(low, sizes[-1] + 1, READ_WRITE)
    for address in (low - 4096, high, low + (1 << 32)):
        assert not passes(address, 4096, READ_WRITE), hex(address)
    for rights in (READ_EXECUTE, 7, 1, READ_WRITE + (1 << 32)):
        assert not passes(low, 4096, rights), rights


def test_no_hot_page_can_only_be_read(moment: Bundle) -> None:
    """What a start from which they are learned has loaded is no memory of the next start's."""
    memory = moment.plan.guest.memory
    late = [each for each in moment.plan.regions if each.late is not None]
    assert memory and memory.hot and late
    assert not any(r.address < high and low < r.end for r in late for low, high in memory.hot)


def test_only_that_code_becomes_executable(moment: Bundle, words: list[str]) -> None:
    """No byte before or behind it, no other rights, and nothing that can be written."""
    code = code_of(moment, words[2])
    filter_ = moment.plan.filters["process"]
    labels = moment.symbols
    program = bpf.steps(filter_.assemble(labels))
    pointer = labels["host_protect_mprotect"]

    def passes(address: int, length: int, rights: int) -> bool:
        arguments = address, length, rights, 0, 0, 0
        data = struct.pack("<IIQ6Q", NUMBERS["mprotect"], X86_64, pointer, *arguments)
        return bpf.lets_through(bpf.verdict(program, data, bpf.Fuel(10_000)))

    assert passes(code.address, code.size, READ_EXECUTE)
    for address, length in (
        (code.address, code.size + 4096),
        (code.address - 4096, code.size + 4096),
        (code.address, code.size + (1 << 32)),
        (code.address + (1 << 32), code.size),
        (code.address + 4096, code.size),
        (code.address, 0),
        (code.address, code.size + 1),  # which is a page more
        (code.address | code.size // 4096, 0),
    ):
        assert not passes(address, length, READ_EXECUTE), (hex(address), hex(length))
    assert not passes(code.address, code.size, 7)
    assert not passes(code.address, 4096, READ_WRITE)
    arena = moment.plan.layout.guest[1] - 4096
    assert not passes(arena, 4096, READ_EXECUTE)


def test_hundreds_of_objects_fit_into_a_filter(
    moment: Bundle, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of them are late than their rules have room for, in what the kernel takes."""
    guest = moment.plan.guest
    (known,) = (each for each in guest.objects if each.path == words[3])
    (code,) = (each for each in known.image.segments if Access.EXECUTE in each.access)
    (data,) = (each for each in known.image.segments if Access.WRITE in each.access)

    def many(count: int, sizes: int) -> int:
        objects = []
        for index in range(count):
            more = index % sizes * 4096
            behind = replace(data, address=data.address + more)
            grown = replace(code, memory_size=code.memory_size + more, data=code.data + bytes(more))
            image = replace(known.image, segments=(grown, behind))
            objects.append(replace(known, inode=1000 + index, path=f"/{index}.so", image=image))
        return len(waiting(replace(guest, objects=tuple(objects)), ("process",)))

    def rules(index: int) -> tuple[Rule, Rule]:
        low = index << 16
        written = Pin(2, (READ_WRITE,)), Pin(1, max=4096), Pin(0, range=(low, low + 4096))
        runs = Pin(2, (READ_EXECUTE,)), Pin(0, (low,)), Pin(1, (4096 * (index % 120),))
        return Rule("mprotect", "", written), Rule("mprotect", "", runs)

    assert many(590, 120) == 590
    monkeypatch.setattr(late, "LARGE_CODE", 1 << 20)
    assert 350 < many(590, 590) < 500
    assert not many(610, 1)
    found = [each for pair in zip(*map(rules, range(590)), strict=True) for each in pair]
    assert 0 < Filter(tuple(found), 0, (0, 1)).length < INSTRUCTIONS_MOST


def test_an_audit_tells(moment: Bundle) -> None:
    """Code that only the file has is not code that the guest makes."""
    shown = {each.name: each for each in audit_bundle(parse(moment.data, "again")).protections}
    fixed = shown["code fixed at the start"]
    assert fixed.present and "as a shared object is loaded" in fixed.evidence


def test_an_audit_tells_what_is_more(moment: Bundle, words: list[str]) -> None:
    """Code where the guest can write, that it can replace, or that is longer than the file's."""
    code, filter_ = code_of(moment, words[2]), moment.plan.filters["process"]
    rule = next(each for each in filter_.rules if Pin(2, (READ_EXECUTE,)) in each.pins)
    written = next(each for each in filter_.rules if Pin(2, (READ_WRITE,)) in each.pins)
    data = moment.plan.layout.guest[0], moment.plan.layout.guest[1]
    inside = Inside(parse(moment.data, "again"), None, None)  # type: ignore[arg-type]

    def more(*rules: Rule) -> bool:
        changed = replace(filter_, rules=(*filter_.rules, *rules))
        decoded = decode(changed.assemble(moment.symbols))
        assert loads_code(decoded)
        return any(runs_more(inside, decoded))

    def runs(*pins: Pin) -> Rule:
        return replace(rule, pins=(Pin(2, (READ_EXECUTE,)), *pins))

    assert not more()
    for call in ("mmap", "pkey_mprotect", "remap_file_pages", "shmat", "personality"):
        assert more(replace(rule, call=call, pins=())), call
    assert more(runs(Pin(0, (data[1] - 4096,)), Pin(1, (4096,))))
    assert more(runs(Pin(0, (code.address,)), Pin(1, (1 << 20,))))
    assert more(runs(Pin(0, (code.address,)), Pin(1, max=code.size)))
    for before, behind in ((4096, 0), (0, 4096)):  # constants, which can only be read as well
        low, size = code.address - before, before + code.size + behind
        assert (part := inside.bundle.part_at(low)) and low + size <= part.end
        assert more(runs(Pin(0, (low,)), Pin(1, (size,))))
    assert more(runs(Pin(0, range=data), Pin(1, (4096,))))
    moves = next(each for each in filter_.rules if each.call == "mremap")
    here, away = Pin(0, range=(code.address - 4096, code.address)), Pin(4, (data[1] - 4096,))
    assert more(replace(moves, pins=(here, Pin(2, max=8192), Pin(3, (0,)), away)))  # it grows
    assert more(replace(written, pins=(Pin(2, (READ_WRITE,)), Pin(1, max=8192), here)))
