"""What can be run and is no code: `audit` counts what the plan has so, and finds what is more."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from limpet.arch.x86_64.paging import LARGE, NO_EXECUTE
from limpet.audit.inspect import audit
from limpet.audit.model import Audit
from limpet.contract.pages import PAGE
from limpet.formats import elf
from tests.support.audited import small
from tests.support.bundle_edit import Edited
from tests.support.bundles import Maker, need
from tests.support.large_code import large

NAME = "only code can be run"


def said(found: Audit) -> tuple[bool, str]:
    """What it says of that barrier."""
    return next((e.present, e.evidence) for e in found.protections if e.name == NAME)


def made(make: Maker, **options: Any) -> Path:
    return make(large(make), "kvm", **options).path


def first(edited: Edited) -> int:
    """The program's first page, which is constants."""
    return min(run.address for run in edited.machine.pages if run.user)


def directory(edited: Edited, address: int) -> int:
    """Where the entry of the page directory stands."""
    table = edited.machine.tables[0]
    for level in (3, 2):
        at = table + 8 * (address >> 12 + 9 * level & 511)
        (found,) = struct.unpack("<Q", edited.bundle.memory(at, 8))
        table = found & 0xFFFFFFFFFF000
    return table + 8 * (address >> 21 & 511)


def test_counted(make: Maker) -> None:
    """How many pages, and whose; nothing is wrong with them."""
    found = audit(made(make))
    assert found.findings == ()
    present, evidence = said(found)
    count, low = int(evidence.split()[0]), first(Edited(made(make)))
    assert not present and 0 < count <= 128
    assert evidence == f"{count} pages of constants of large at {low:#x} can be run"


@pytest.mark.parametrize("which", ["strict", "small"])
def test_none(make: Maker, which: str) -> None:
    """With --strict, and of a program that has no such large page."""
    found = audit(made(make, strict=True) if which == "strict" else small(make, "kvm"))
    assert found.findings == ()
    assert said(found) == (True, "page tables, and what headers call code")


def test_more_with_strict(make: Maker) -> None:
    """One page of constants that can be run after all, or all of them."""
    edited = Edited(made(make, strict=True))
    low = first(edited)
    edited.flip(edited.leaf(low), NO_EXECUTE)
    assert f"page tables: 1 pages at {low:#x} can be run, and are no code" in edited.findings()
    edited = Edited(made(make, strict=True))
    entry = struct.pack("<Q", low | LARGE | 0x65)
    edited.poke(directory(edited, low), entry)
    found = [each for each in edited.findings() if "are no code" in each]
    assert len(found) == 1 and f"at {low:#x} can be run" in found[0]


def test_more_than_the_plan_has(make: Maker) -> None:
    """Constants behind the code, in a piece that is mostly constants; packed files; the stack."""
    edited = Edited(made(make))
    runs = [run for run in edited.machine.pages if run.user and run.rights == "r--"]
    for run in runs:
        edited.flip(edited.leaf(run.address), NO_EXECUTE)
    found = edited.findings()
    assert runs
    for run in runs:
        expected = f"pages at {run.address:#x} can be run, and are no code"
        assert any(each.endswith(expected) for each in found), (expected, found)


def test_constants_of_a_small_program(make: Maker) -> None:
    """No large page is theirs: none may be run."""
    edited = Edited(small(make, "kvm"))
    low = first(edited)
    edited.flip(edited.leaf(low), NO_EXECUTE)
    words = f"1 pages at {low:#x} can be run, and are no code"
    assert f"page tables: {words}" in edited.findings()
    assert said(edited.audit()) == (False, words)


def test_headers_that_were_moved(make: Maker, tmp_path: Path) -> None:
    """As patchelf leaves an object, behind all else in its file: its code is code all the same."""
    gcc = need(Path(shutil.which("gcc") or "/usr/bin/gcc"), "gcc libc6-dev")
    library, program = tmp_path / "libmoved.so", tmp_path / "moved"
    (tmp_path / "moved.c").write_text("int moved(void) { return 7; }\n")
    (tmp_path / "main.c").write_text("int moved(void); int main(void) { return moved(); }\n")
    words: list[str | Path] = ["-shared", "-fPIC", "-o", library, tmp_path / "moved.c"]
    subprocess.run([gcc, *words], check=True)
    data = bytearray(library.read_bytes())
    header = elf.Header.unpack(bytes(data))
    table = data[header.phoff : header.phoff + header.phnum * elf.PROGRAM_SIZE]
    data += bytes(-len(data) % PAGE)
    struct.pack_into("<Q", data, 32, len(data))  # e_phoff
    library.write_bytes(data + table)
    words = ["-o", program, tmp_path / "main.c", library, f"-Wl,-rpath,{tmp_path}"]
    subprocess.run([gcc, *words], check=True)
    made = make(program, "kvm")
    found = audit(made.path)
    assert found.findings == ()
    assert any(each.path.endswith("/libmoved.so") for each in found.files)
