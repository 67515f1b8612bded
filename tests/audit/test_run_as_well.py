"""What can be run and is no code: `audit` counts what the plan has so, and finds what is more."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limpet.arch.x86_64.paging import LARGE, NO_EXECUTE
from limpet.audit.inspect import audit, audit_bundle
from limpet.audit.model import Audit
from limpet.audit.policy import read_policy
from limpet.contract import Backend
from limpet.contract.pages import PAGE
from limpet.formats import elf
from limpet.formats.bundle.read import parse, read_bundle
from limpet.formats.bundle.write import arranged
from tests.support.audited import EVERY, SMALL, small
from tests.support.bundle_edit import Edited, loads_of, written
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


@EVERY
def test_counted(make: Maker, backend: Backend) -> None:
    """How many pages, and whose; nothing is wrong with them."""
    found = audit(make(large(make), backend).path)
    assert found.findings == ()
    present, evidence = said(found)
    count, low = int(evidence.split()[0]), first(Edited(made(make)))
    assert not present and 0 < count <= 128
    assert evidence == f"{count} pages of constants of large at {low:#x} can be run"


BEHIND = """
__asm__(".text\\n.skip 0x2b0000, 0xcc\\n");
const unsigned char constants[2 << 20] = {1};
int main(int count, char **words) { return constants[count + 1] + !words; }
"""


@EVERY
def test_behind_code(make: Maker, backend: Backend) -> None:
    """In a process a segment of other rights goes on with them: they are its constants still."""
    program = make.compile(
        BEHIND, "behind", "-no-pie", "-Wl,-Ttext-segment=0x500000", compiler="gcc"
    )
    found = audit(make(program, backend).path)
    assert found.findings == ()
    present, evidence = said(found)
    assert not present and re.fullmatch(
        r"\d+ pages of constants of behind at 0x7[0-9a-f]{5} can be run", evidence
    )


@EVERY
def test_a_policy_demands_it(make: Maker, tmp_path: Path, backend: Backend) -> None:
    """That no constant can be run; --strict fulfils it."""
    (tmp_path / "policy.toml").write_text(f'protections = ["{NAME}"]\n')
    policy = read_policy(tmp_path / "policy.toml")
    found = list(policy.violations(audit(make(large(make), backend).path)))
    assert found == [f"protection {NAME} is required and absent"]
    assert not list(policy.violations(audit(make(large(make), backend, strict=True).path)))


@EVERY
@pytest.mark.parametrize("which", ["strict", "small"])
def test_none(make: Maker, which: str, backend: Backend) -> None:
    """With --strict, and of a program that has no such large page."""
    strict = make(large(make), backend, strict=True).path if which == "strict" else None
    found = audit(strict or small(make, backend))
    assert found.findings == ()
    rights = {"kvm": "page tables", "process": "segments"}[backend]
    assert said(found) == (True, f"{rights}, and what headers call code")


def with_right_to_run(path: Path, at: int) -> Audit:
    """The audit of a bundle whose segment there can be run by its header."""
    bundle = read_bundle(path)
    loads = [
        replace(each, flags=each.flags | 1) if each.address == at else each
        for each in loads_of(bundle)
    ]
    return audit_bundle(parse(written(bundle, arranged(loads)), "changed"))


@pytest.mark.parametrize("both", [False, True], ids=["process", "both"])
def test_segments_of_a_process(make: Maker, tmp_path: Path, *, both: bool) -> None:
    """Whichever that is no code can be run, it is found: constants, packed files, data, a stack."""
    (tmp_path / "a.txt").write_text("text\n" * 5000)
    backends = ("kvm", "process") if both else ("process",)
    program = make.compile(SMALL, "small")
    path = make(program, "process", root=tmp_path, backends=backends).path
    others = [e for e in read_bundle(path).parts if "x" not in e.rights and e.address < 1 << 37]
    assert others
    for each in others:
        found = with_right_to_run(path, each.address)
        (words,) = [e.what for e in found.findings if "are no code" in e.what]
        assert words.endswith(f"pages at {each.address:#x} can be run, and are no code")
        assert said(found) == (False, words)


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
