"""Shared objects that a snapshot's start does not use at first: read until it does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import limpet
from limpet.audit.verify import verify
from limpet.building.bundle import Bundle
from limpet.contract import Backend
from limpet.formats.bundle.read import parse
from limpet.formats.image import Access
from limpet.running.snapshot import snapshot
from limpet.sandbox.memory import VARIABLE
from tests.support import SUPPORT
from tests.support.shared import compiler

PROGRAM = SUPPORT / "programs" / "shared" / "idle.c"
OBJECT = r"""
char room[12288] = {40, [4090] = '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', [8192] = 80};
const char constants[4096] = "\xc3";
int work(int by) { return room[0] += by; }
const void *const table[] = {room, work, table};
"""
SEGV = 139
NO_NEW_CODE = """\
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, which execve keeps
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one object of its own, and another beside it that it never loads: for it a virtual
    machine has the hypercall that any object is loaded by."""
    folder = tmp_path_factory.mktemp("idle")
    gcc, made = compiler("glibc"), folder / "idle"
    own = [gcc, "-O2", "-shared", "-fPIC", "-o", str(folder / "libown.so"), "-x", "c", "-"]
    subprocess.run(own, input=OBJECT.encode(), check=True)
    linked = [f"-L{folder}", "-lown", f"-Wl,-rpath,{folder}"]
    subprocess.run([gcc, "-O2", "-fPIC", "-o", str(made), str(PROGRAM), *linked], check=True)
    shutil.copy(folder / "libown.so", folder / "libother.so")
    return made


def taken(program: Path, backend: Backend, *features: str) -> Bundle:
    """Where it first reads."""
    options = limpet.Options(
        backends=(backend,),
        snapshot=True,
        memory=64 << 20,
        environment=(VARIABLE,),
        features=features,
    )
    guest = limpet.load(program, include=[str(program.with_name("libother.so"))])
    return snapshot(limpet.plan(guest, options)).bundle


@pytest.fixture(scope="module", params=[pytest.param("kvm", marks=pytest.mark.kvm), "process"])
def made(request: pytest.FixtureRequest, program: Path) -> Bundle:
    """On each backend."""
    return taken(program, request.param)


@pytest.fixture(scope="module")
def moment(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of it."""
    path = tmp_path_factory.mktemp("moment") / "again"
    made.write(path)
    return path


def ran(path: Path, told: bytes, **environment: str) -> tuple[int, bytes]:
    """How a start ends, and what it has written."""
    done = subprocess.run([path], input=told, env=environment, capture_output=True, check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout


def test_is_only_read(made: Bundle, moment: Path) -> None:
    """All of the object, and its loader; the C library, which every start uses, is not.

    A virtual machine's tables have the code of each, and no data that could be written.
    """
    machine = made.plan.supervisor is not None
    memory = made.plan.guest.memory
    names = {each.inode: Path(each.path).name for each in made.plan.guest.objects}
    assert memory
    idle = {names[each] for each in memory.idle}
    assert idle == {"libown.so", "ld-linux-x86-64.so.2"}
    found = parse(made.data, "again")
    regions = [each for each in made.plan.regions if each.late in memory.idle]
    assert {Access.WRITE in each.access | each.host for each in regions} == {True, False}
    assert not machine or not any(Access.WRITE in each.access for each in regions)
    for each in regions:
        part = found.part_at(each.address)
        assert part and part.rights == "r--", each
    assert not any(low < r.end and r.address < high for r in regions for low, high in memory.hot)
    assert verify(moment).same


@pytest.mark.parametrize(
    ("told", "status", "written"),
    [
        (b"c d c ", 0, b"41\n42 82\n43\n"),
        (b"d c ", 0, b"41 82\n42\n"),
        (b"h abcdefghijc ", 0, b"abcdefghij\n41\n"),
        (b"p c ", 0, b"klmnopqrst\n41\n"),
        (b"s ", SEGV, b""),
        (b"c d s ", SEGV, b""),
        (b"u c ", 0, b"1\n41\n"),
        (b"c d u ", 0, b"41\n42 82\n1\n"),
        (b"e ", SEGV, b""),
        (b"k ", SEGV, b""),
        (b"c d k ", SEGV, b""),
    ],
)
def test_is_used(moment: Path, program: Path, told: bytes, status: int, written: bytes) -> None:
    """As on Linux: what it may do it can, and nothing else; the next start begins again."""
    for path in (program, moment, moment):
        assert ran(path, told) == (status, written if status == 0 else b"")


def test_where_nothing_becomes_code(made: Bundle, moment: Path) -> None:
    """A host that refuses that, as systemd's MemoryDenyWriteExecute= does, is said to; a virtual
    machine has no need of it."""
    words = [sys.executable, "-c", NO_NEW_CODE, str(moment)]
    done = subprocess.run(words, input=b"d c ", capture_output=True, check=False)
    if done.returncode == 77:
        pytest.skip("a kernel without PR_SET_MDWE")
    if made.plan.supervisor is not None:
        assert (done.returncode, done.stdout) == (0, b"41 82\n42\n")
        return
    assert done.returncode == 125
    assert b"is not allowed by this host to run code of its shared objects" in done.stderr


def test_memory_of_another_start(moment: Path) -> None:
    """What a start had written to it goes on in one that has it idle."""
    status, told = ran(moment, b"c d m d ")
    first, last = b"41\n42 82\n", b"43 84\n"
    assert (status, told[: len(first)], told[-len(last) :]) == (0, first, last)
    memory = told.removeprefix(first).removesuffix(last)
    assert ran(moment, memory + b"d c ", **{VARIABLE: "input"}) == (0, b"43 84\n44\n")
    assert ran(moment, memory + b"s ", **{VARIABLE: "input"})[0] == SEGV


def test_nothing_waits_in_what_goes_back(program: Path, backend: Backend) -> None:
    """The next call could see by it what the one before has used."""
    memory = taken(program, backend, "rewind").plan.guest.memory
    assert memory and memory.hot and not memory.idle
