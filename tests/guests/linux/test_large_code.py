"""A large program's code is in large pages on one backend, and what that costs is said."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64 import paging
from limpet.audit.inspect import audit
from limpet.contract import Backend
from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.formats.bundle.read import read_bundle
from limpet.formats.image import Access
from limpet.planning.explain import as_text
from limpet.planning.plan import Decision, Plan
from limpet.running.snapshot import snapshot
from limpet.running.strict import missing
from tests.support.audited import EVERY
from tests.support.bundles import Maker
from tests.support.large_code import large
from tests.support.sources import HELLO


def planned(make: Maker, *backends: Backend, strict: bool = False) -> Plan:
    options = limpet.Options(backends=backends, strict=strict)
    return limpet.plan(limpet.load(large(make)), options)


def pieces(plan: Plan) -> list[Decision]:
    return [each for each in plan.decisions if each.subject == "large page"]


def entry(plan: Plan, address: int) -> int:
    """That of the page directory."""
    assert plan.supervisor
    found: int
    at = plan.supervisor.tables
    for shift in (39, 30, 21):
        (found,) = struct.unpack_from("<Q", at, 8 * (address >> shift & 511))
        table = (found & 0xF_FFFF_FFFF_F000) - plan.supervisor.cr3
        at = plan.supervisor.tables[table:] if shift > 21 else b""
    return found


def test_a_constant_is_run(make: Maker, backend: Backend) -> None:
    """Not with --strict."""
    said = b"a constant is run\n"
    ran = make(large(make), backend).run()
    assert (ran.status, ran.stdout) == (0, said + b"42\n")
    strict = make(large(make), backend, strict=True)
    if missing(strict.path, ()):
        pytest.skip("this host has not all of the walls that --strict asks for")
    ran = strict.run()
    assert (ran.status, ran.stdout) == (139, said)


WRITTEN = """
#include <stdio.h>
__asm__(".text\\n.skip 0x46f000, 0xcc\\n");
static const char *const table[60000] = {[0 ... 59999] = "a"};
int main(void) {
    int at = getchar();
    puts(table[at]);
    printf("%lx %lx\\n", (unsigned long)table, (unsigned long)(table + 60000));
    return 0;
}
"""


def test_what_was_relocated_is_no_constant(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """A snapshot has it sealed, right behind code: it is the program's data, and cannot be run."""
    program = make.compile(
        WRITTEN, "written", "-fPIE", "-pie", "-Wl,-z,relro,-z,now", compiler="gcc"
    )
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,), snapshot=True))
    snapshot(plan).bundle.write(path := tmp_path / "written")
    ran = subprocess.run([path], input=b"a", capture_output=True, check=True)
    low, high = (int(each, 16) for each in ran.stdout.split()[1:])
    assert low // LARGE_PAGE < high // LARGE_PAGE, "there is a large page to have it in"
    assert audit(path).findings == ()
    part = read_bundle(path).part_at(low)
    assert part and "x" not in part.rights


@EVERY
def test_said(make: Maker, backend: Backend) -> None:
    """How many pages, whose they are, and what leaves them out."""
    (found,) = pieces(planned(make, backend))
    low = int(found.name, 16)
    text = as_text(planned(make, backend))
    count = int(found.why.split()[0])
    why = f"{count} pages of constants of large can be run, beside its code (--strict: none)"
    assert f"\nlarge pages in\n  {low:#x}{'':<{18 - len(found.name)}} {why}\n" in text
    assert 0 < count <= 128 and low % LARGE_PAGE == 0
    strict = as_text(planned(make, backend, strict=True))
    assert "\nlarge pages out\n" in strict and "large pages in\n" not in strict
    assert (
        f"--strict: {count} pages of constants of large, beside its code, cannot be run" in strict
    )


def test_tables(make: Maker) -> None:
    """One entry for 2 MiB, which nobody writes; small pages with --strict."""
    plan, strict = planned(make, "kvm"), planned(make, "kvm", strict=True)
    low = int(pieces(plan)[0].name, 16)
    assert entry(plan, low) == low | 0xE5  # present, the guest's, accessed, dirty, large
    assert not entry(strict, low) & paging.LARGE
    assert entry(plan, low + LARGE_PAGE) == low + LARGE_PAGE | 0xE5
    assert entry(strict, low + LARGE_PAGE) & paging.LARGE  # all of it is code


@EVERY
def test_in_the_file(make: Maker, backend: Backend) -> None:
    """It lies where a large page of the file can be one of memory, with the rights of one segment.

    The host of a virtual machine only reads it."""
    plan, made = planned(make, backend), read_bundle(make(large(make), backend).path)
    low = int(pieces(plan)[0].name, 16)
    part = made.part_at(low)
    assert part and part.address <= low and low + LARGE_PAGE <= part.address + part.size
    assert part.rights == {"kvm": "r--", "process": "r-x"}[backend]
    assert (part.offset + low - part.address) % LARGE_PAGE == 0


def test_strict_in_the_file(make: Maker) -> None:
    """A process can run nothing of it there but what the program's own file says."""
    image = limpet.load(large(make)).image
    code = [(each.address, each.end) for each in image.segments if Access.EXECUTE in each.access]
    made = read_bundle(make(large(make), "process", strict=True).path)
    first = min(code)[0] // PAGE * PAGE
    assert not any(part.flags & 1 for part in made.parts if part.address < first)
    assert any(part.address == first and part.rights == "r-x" for part in made.parts)


@EVERY
def test_nowhere_else(make: Maker, backend: Backend) -> None:
    """A small program has no such page, nor has a bundle that has both backends."""
    hello = limpet.load(make.compile(HELLO, "hello"))
    assert not pieces(limpet.plan(hello, limpet.Options(backends=(backend,))))
    assert not pieces(planned(make, "kvm", "process"))
