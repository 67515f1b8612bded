"""Memory that a program gave back before the moment of a snapshot is out of its reach behind it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.arch.x86_64 import paging
from limpet.audit.verify import verify
from limpet.contract import Backend
from limpet.contract.pages import PAGE
from limpet.running.snapshot import Snapshot, snapshot
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute

PROGRAM = SUPPORT / "programs" / "gives_back.c"


@pytest.fixture
def program(make: Maker) -> Path:
    """One that gives some of its memory back, waits for input, and touches it."""
    return make.compile(PROGRAM.read_text(encoding="utf-8"), "gives_back", "-O1")


def taken(program: Path, backend: Backend, *words: str) -> Snapshot:
    """A snapshot of it."""
    options = limpet.Options(
        backends=(backend,), snapshot=True, features=("rights",), environment=("LIMPET_MEMORY",)
    )
    return snapshot(limpet.plan(limpet.load(program), options), words)


def test_out_of_reach(program: Path, backend: Backend, tmp_path: Path) -> None:
    """As on Linux, and it can be had again, as zeros; the bundle can be made again."""
    native = subprocess.run([program], input=b"\n", capture_output=True, check=True).stdout
    assert native.startswith(b"out of reach, out of reach, in reach, out of reach\n1 in reach")
    taken(program, backend).bundle.write(tmp_path / "again")
    for _ in range(2):
        ran = execute(["again"], tmp_path / "again", b"\n")
        assert (ran.status, ran.stdout) == (0, native)
    assert verify(tmp_path / "again").same


def test_brought(program: Path, backend: Backend, tmp_path: Path) -> None:
    """Memory that a start brings has its own list: what was given back is the program's again."""
    taken(program, backend, "tells").bundle.write(tmp_path / "again")
    told = subprocess.run([tmp_path / "again"], input=b"\n", capture_output=True, check=True)
    assert told.stderr == b"1 1\n"
    brings = {"LIMPET_MEMORY": "input"}
    brought = subprocess.run(
        [tmp_path / "again"], input=told.stdout, capture_output=True, check=True, env=brings
    )
    assert brought.stderr == b"1 1\n"


@pytest.mark.kvm
def test_without_ring_0(program: Path) -> None:
    """The tables of a virtual machine say it from the start, whatever piece of memory it is."""
    plan = taken(program, "kvm").bundle.plan
    memory, pages = plan.guest.memory, plan.supervisor
    assert memory and pages
    assert sum(high - low for low, high in memory.hidden) >= (3 << 20) + (64 << 10)
    tables = [pages.tables[at : at + PAGE] for at in range(0, len(pages.tables), PAGE)]

    def entry(at: int) -> int:
        here = pages.cr3
        for shift in (39, 30, 21, 12):
            index = (at >> shift & 511) * 8
            found = int.from_bytes(tables[(here - pages.cr3) // PAGE][index : index + 8], "little")
            if found & paging.LARGE or not found & paging.PRESENT:
                return found
            here = found & 0xFFFFFFFFF000
        return found

    for low, high in memory.hidden:
        found = [entry(at) for at in range(low, high, PAGE)]
        assert all(each & (paging.PRESENT | paging.MARK) == paging.MARK for each in found)
        assert entry(low - PAGE) & paging.PRESENT
        assert entry(high) & paging.PRESENT
