"""Snapshots: a guest stops where it waits for input, and each start goes on from there."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

import limpet
from limpet.audit.facts import snapshot_bytes
from limpet.audit.verify import rebuild, verify
from limpet.cli import cli
from limpet.contract import Backend
from limpet.contract.pages import PAGE
from limpet.errors import BundleError, PlanError, RunError
from limpet.formats.bundle.read import parse
from limpet.formats.bundle.record import read_record
from limpet.formats.bundle.write import RECORD_SECTION, Load, arranged, write
from limpet.formats.image import Access
from limpet.formats.memory import Memory
from limpet.guests.linux.layout import BOOT_SIZE
from limpet.running.snapshot import MOMENT, Snapshot, snapshot
from limpet.sandbox.saved import _fixed
from tests.support import SUPPORT, unikernels
from tests.support.bundles import BUSYBOX, Maker, execute, need
from tests.support.shared import compiler

PROGRAM = SUPPORT / "programs" / "moment.c"


@cache
def taken(program: Path, backend: Backend, *words: str) -> Snapshot:
    """A snapshot of ``program``, once for all tests of a process."""
    options = limpet.Options(backends=(backend,), snapshot=True, memory=64 << 20)
    return snapshot(limpet.plan(limpet.load(program), options), words)


@pytest.fixture
def moment(make: Maker) -> Path:
    """The program with much to remember."""
    return make.compile(PROGRAM.read_text(encoding="utf-8"), "moment", "-lpthread")


def test_goes_on(moment: Path, backend: Backend, tmp_path: Path) -> None:
    """Memory, files, threads, timers, rights and vector registers are as on Linux, twice; what it
    is started with then, be it long, is not in the way of what it was started with."""
    native = subprocess.run([moment, "x"], input=b"some\n", capture_output=True, check=False)
    found = taken(moment, backend, "x")
    assert found.stdout == b"at the moment\n"
    found.bundle.write(tmp_path / "again")
    later = native.stdout.removeprefix(found.stdout)
    time.sleep(2.5)  # which the guest's clock does not count
    for other in ("other", "other" * 500):
        words = ["again", other, "LIMPET_MEMORY=input"]  # a word brings no memory
        ran = execute(words, tmp_path / "again", b"some\n")
        assert (ran.status, ran.stdout.decode()) == (5, later.decode())


def test_nothing_is_random_twice(moment: Path, backend: Backend, tmp_path: Path) -> None:
    """What was random before is the same in each start, what comes after is not; it is today."""
    taken(moment, backend, "x").bundle.write(tmp_path / "again")
    words = [execute(["a"], tmp_path / "again", b"\n").stderr.split() for _ in range(3)]
    assert len({before for before, _, _ in words}) == 1
    assert len({after for _, after, _ in words}) == 3
    assert all(abs(int(now) - time.time()) < 60 for _, _, now in words)


def test_made_again(moment: Path, backend: Backend, tmp_path: Path) -> None:
    """``verify`` makes the same bytes of it, and finds one that was changed."""
    bundle = taken(moment, backend, "x").bundle
    bundle.write(tmp_path / "again")
    assert verify(tmp_path / "again").same
    told = CliRunner().invoke(cli, ["audit", str(tmp_path / "again")])
    assert told.exit_code == 0
    assert "with the memory that is in it: the same, byte for byte" in told.stdout
    assert "snapshot  it goes on with " in told.stdout
    (tmp_path / "policy").write_text("max_snapshot_bytes = 0\n")
    words = ["audit", "--read-only", "--policy", str(tmp_path / "policy"), str(tmp_path / "again")]
    assert CliRunner().invoke(cli, words).exit_code == 4
    with pytest.raises(PlanError, match="a snapshot: its memory fits no other"):
        rebuild(tmp_path / "again", {})
    changed = bundle.data.replace(b"fixed\0", b"mixed\0", 1)
    assert changed != bundle.data
    (tmp_path / "again").write_bytes(changed)
    assert [each.part for each in verify(tmp_path / "again").differences]


def test_sealed(moment: Path, backend: Backend, tmp_path: Path) -> None:
    """What a guest could only read is so in its file, or in a virtual machine's tables.

    It is memory: what is kept of a sandbox does not ask for the same.
    """
    bundle = taken(moment, backend, "x").bundle
    memory, file = bundle.plan.guest.memory, parse(bundle.data, "of a snapshot")
    assert memory
    low, high = next(
        (low, high) for low, high in memory.sealed if b"fixed\0" in memory.content(low, high)
    )
    region = next(each for each in bundle.plan.regions if each.address <= low < each.end)
    assert (region.address, region.end, region.access) == (low, high, Access.READ)
    part = file.part_at(low)
    assert part and part.rights == ("rw-" if backend == "kvm" else "r--")
    assert b"fixed\0" in file.memory(low, high - low)
    sealed = sum(high - low for low, high in memory.sealed) if backend == "process" else 0
    written = sum(each.size for each in file.parts if "w" in each.rights)
    assert snapshot_bytes(file) == written + sealed
    one, other, third = (tmp_path / name for name in ("one", "other", "third"))
    one.write_bytes(bundle.data)
    other.write_bytes(bundle.data.replace(b"fixed\0", b"mixed\0", 1))
    assert _fixed(one) == _fixed(other)
    constant = b"the other thread has"
    assert constant in bundle.data
    third.write_bytes(bundle.data.replace(constant, constant.upper()))
    assert _fixed(one) != _fixed(third)


def test_what_the_monitor_fills(moment: Path, backend: Backend) -> None:
    """It counts what it puts into boot_info, so that nothing of the start before may be there."""
    plan = taken(moment, backend, "x").bundle.plan
    data = next(region for region in plan.regions if region.name == "libos_data")
    assert data.content and not any(data.content[:BOOT_SIZE])
    assert any(data.content[BOOT_SIZE:])


def test_words_of_the_moment_are_in_one_place(moment: Path, backend: Backend) -> None:
    """Where a start puts its own, a bundle has no piece of memory."""
    plan = taken(moment, backend, "x").bundle.plan
    assert plan.guest.memory
    low, high = plan.layout.guest[1] - (8 << 20), plan.layout.guest[1]
    ends = [at + len(content) for at, content in plan.guest.memory.runs if low <= at < high]
    assert ends and max(ends) <= high - (high - low) // 4


def _own(pid: int, low: int, high: int) -> set[int]:
    """Pages there that a process has copied."""
    with open(f"/proc/{pid}/pagemap", "rb", 0) as map_:
        map_.seek(low // PAGE * 8)
        entries = struct.unpack(f"<{(high - low) // PAGE}Q", map_.read((high - low) // PAGE * 8))
    return {low + i * PAGE for i, each in enumerate(entries) if each >> 63 and not each >> 61 & 1}


HOT = """
#include <stdio.h>
static volatile char data[64][4096] __attribute__((aligned(4096)));
int main(void) {
    for (int i = 0; i < 64; i++)
        data[i][7] = 1;
    getchar();
    for (int i = 0; i < 64; i += 5)
        data[i][7] = 2;
    return data[5][7] + data[6][7];
}
"""


def test_hot_pages(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """What a start writes is copied before it goes on, and little more than that."""
    bundle = taken(make.compile(HOT, "hot"), backend).bundle
    memory, plan = bundle.plan.guest.memory, bundle.plan
    assert memory and memory.hot
    files = [each for each in plan.regions if Access.WRITE in each.access and not each.at_start]
    assert all(any(r.address <= low < high <= r.end for r in files) for low, high in memory.hot)
    assert {d.name: d.included for d in plan.decisions}["hot_pages"]
    data = max((each for each in files if each.name.startswith("image")), key=lambda r: r.size)
    runs = [run for run in memory.hot if data.address <= run[0] < data.end]
    hot = {page for low, high in runs for page in range(low, high, PAGE)}
    assert 13 <= len(hot) < 30
    bundle.write(tmp_path / "again")
    with subprocess.Popen([tmp_path / "again"], stdin=subprocess.PIPE) as running:
        until = time.monotonic() + 60
        found: set[int] = set()
        while not hot <= found and time.monotonic() < until:
            found = _own(running.pid, data.address, data.end)
        assert hot <= found
        assert len(found) < 45
        running.communicate(b"\n")
    assert running.returncode == 3
    assert verify(tmp_path / "again").same


def test_few_hot_pages(make: Maker, backend: Backend) -> None:
    """A process copies those that it writes first, a virtual machine all of them."""
    many = HOT.replace("64", "400").replace("i += 5", "i++")
    memory = taken(make.compile(many, "many"), backend).bundle.plan.guest.memory
    assert memory
    count = sum(high - low for low, high in memory.hot) // PAGE
    assert count == 160 if backend == "process" else count > 400


def test_a_verdict_is_found_once(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is planned for a snapshot is about the same program."""
    monkeypatch.setattr("limpet.guests.linux.plan.judge", None)
    assert taken(make.compile(HOT, "judged"), "process").bundle.plan.guest.judged


BOUND = """
#include <elf.h>
#include <stdio.h>
extern Elf64_Dyn _DYNAMIC[];
extern char __executable_start[], end[];
static unsigned long said(long tag) {
    Elf64_Dyn *each = _DYNAMIC;
    while (each->d_tag && each->d_tag != tag)
        each++;
    return each->d_un.d_val;
}
int main(void) {
    Elf64_Rela *calls = (Elf64_Rela *)said(DT_JMPREL);
    unsigned long count = said(DT_PLTRELSZ) / sizeof *calls, own = 0;
    getchar();
    for (unsigned long i = 0; i < count; i++) {
        char *to = *(char **)calls[i].r_offset;
        own += to >= __executable_start && to < end;
    }
    return count > 1 ? (int)own : puts("few");
}
"""


def test_bound(tmp_path: Path) -> None:
    """What a program calls of its libraries has been looked for at its moment, all of it."""
    argv = [compiler("glibc"), "-x", "c", "-", "-o", str(tmp_path / "calls"), "-Wl,-z,lazy"]
    subprocess.run([*argv, "-no-pie"], input=BOUND.encode(), check=True)
    native = subprocess.run([tmp_path / "calls"], input=b"\n", check=False)
    assert 0 < native.returncode < 99
    made = taken(tmp_path / "calls", "process").bundle
    made.write(tmp_path / "again")
    assert execute(["a"], tmp_path / "again", b"\n").status == 0
    assert verify(tmp_path / "again").same


@pytest.mark.parametrize("name", ["hot", "sealed"])
def test_pages_of_a_record(moment: Path, name: str) -> None:
    """A record has whole pages, of a program, each once and in a row."""
    data = taken(moment, "process", "x").bundle.data
    record = parse(data, "of a snapshot").section(RECORD_SECTION) or b""
    backwards, twice = b"[[8192,12288],[4096,8192]]", b"[[4096,12288],[8192,16384]]"
    page = b"[[4096,4097]]", b"[[8192,4096]]", b"[[4096,4096]]", b"[[0,140737488355328]]"
    for said in (*page, backwards, twice):
        text = re.sub(rf'"{name}":[][0-9,]*\]'.encode(), f'"{name}":'.encode() + said, record)
        assert text != record
        with pytest.raises(BundleError, match="its record is damaged"):
            read_record(text, "of a snapshot", limpet.__version__)


ENDLESS = """
#include <stdio.h>
int main(void) {
    getchar();
    for (;;)
        ;
}
"""


def test_no_end(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that does not end by itself is ended, and shows what it has written."""
    monkeypatch.setattr("limpet.running.snapshot._LEARNING", 0.2)
    memory = taken(make.compile(ENDLESS, "endless"), "process").bundle.plan.guest.memory
    assert memory and memory.hot


@pytest.mark.parametrize("behind", [4, 16])  # CPUID.7:EBX and ECX, or XCR0
def test_another_processor(moment: Path, backend: Backend, tmp_path: Path, behind: int) -> None:
    """A program that has asked a processor what it can does not go on with one that can less."""
    made = taken(moment, backend, "x").bundle
    memory = made.plan.guest.memory
    assert memory
    low, at = divmod(made.symbols[MOMENT] + 24, PAGE)  # behind `current`: CPUID.1:ECX
    pages = {
        address + i: content[i : i + PAGE]
        for address, content in memory.runs
        for i in range(0, len(content), PAGE)
    }
    page = pages[low * PAGE]
    assert any(page[at : at + 4]), "a virtual machine within another has its host's"
    pages[low * PAGE] = page[: at + behind] + b"\xff" * 8 + page[at + behind + 8 :]
    guest = replace(made.plan.guest, memory=Memory.of_pages(sorted(pages.items())))
    limpet.build(limpet.plan(guest, made.plan.options)).write(tmp_path / "again")
    ran = execute(["again"], tmp_path / "again", b"\n")
    assert ran.status == 125
    assert b"was stopped on a processor that can more than this one" in ran.stderr


def test_made_up_memory(moment: Path, tmp_path: Path) -> None:
    """Pages far apart in a small file do not become all the memory that is between them."""
    read = parse(taken(moment, "process", "x").bundle.data, "made up")
    loads = [
        Load(each.name, each.address, each.memory_size, read.content(each), each.flags)
        for each in read.parts
    ]
    loads += [Load(f"far{at}", (4096 + at) << 20, 4096, b"x" * 4096, 6) for at in range(900)]
    record = read.section(RECORD_SECTION) or b""
    made = write(read.entry, arranged(loads), record, read.packed_guest or b"")
    (tmp_path / "made-up").write_bytes(made)
    with pytest.raises(BundleError, match="a snapshot with more memory than expected"):
        verify(tmp_path / "made-up")


def test_a_shell(backend: Backend, tmp_path: Path) -> None:
    """A real one: its variables are there, and its words are those of the start."""
    script = (
        "x=41; echo before; read line; echo $((x+1)) $line; read c < /proc/self/cmdline; echo $c"
    )
    found = taken(need(BUSYBOX, "busybox-static"), backend, "sh", "-c", script)
    assert (found.stdout, found.why) == (b"before\n", "input")
    found.bundle.write(tmp_path / "sh")
    ran = execute(["sh", "new"], tmp_path / "sh", b"in\n")
    assert (ran.status, ran.stdout) == (0, b"42 in\nshnew\n")


MARKED = """
f=/dev/limpet/snapshot; x=41; read a < $f; : > $f; echo before $a; echo > $f
read a < $f; echo > $f; echo behind $a $((x+1)); read a < /proc/sys/kernel/random/boot_id; echo $a
read a; echo $a; exit 3
"""


def test_a_guests_own_moment(backend: Backend, tmp_path: Path) -> None:
    """It writes to a file, once; nothing is there in a guest of which no snapshot is taken."""
    shell = need(BUSYBOX, "busybox-static")
    found = taken(shell, backend, "sh", "-c", MARKED)
    assert (found.stdout, found.why) == (b"before 0\n", "marker")
    found.bundle.write(tmp_path / "sh")
    ran = [execute(["sh"], tmp_path / "sh", b"in\n") for _ in range(2)]
    boots = {each.stdout.split()[3] for each in ran}
    assert len(boots) == 2, "it is the same start"
    assert all(each.stdout.startswith(b"behind 1 42\n") for each in ran)
    assert all(each.stdout.endswith(b"\nin\n") and each.status == 3 for each in ran)


TIMED = """
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    volatile double sum = 0;
    double kept = count;
    for (long i = 0; count > 1 && i < 100000000; i++)
        sum += kept;
    if (count < 2)
        usleep(300000);
    printf("%.0f %s\\n", sum, words[0]);
    return 3;
}
"""


@pytest.mark.parametrize("words", [(), ("computes",)])
def test_after_a_time(
    make: Maker, backend: Backend, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """A program that computes, or sleeps, stops where it is, and goes on there in each start."""
    guest = limpet.load(make.compile(TIMED, "timed"))
    options = limpet.Options(backends=(backend,), snapshot=True, after=30)
    found = snapshot(limpet.plan(guest, options), words)
    assert (found.stdout, found.why) == (b"", "time")
    found.bundle.write(tmp_path / "again")
    said = b"200000000 timed\n" if words else b"0 timed\n"
    for _ in range(2):
        ran = execute(["other"], tmp_path / "again")
        assert (ran.status, ran.stdout, ran.stderr) == (3, said, b"")
    assert verify(tmp_path / "again").same


def test_no_moment(make: Maker, backend: Backend) -> None:
    """As on Linux, the marker's folder does not exist."""
    made = make(need(BUSYBOX, "busybox-static"), backend)
    ran = made.run("sh", "-c", "[ -e /dev/limpet ] || echo none; echo > /dev/limpet/snapshot")
    assert (ran.status, ran.stdout) == (1, b"none\n")
    assert b"nonexistent directory" in ran.stderr


def test_what_cannot_be(make: Maker, tmp_path: Path) -> None:
    """Each has its reason, before anything is written."""
    ends = limpet.load(make.compile("int main(void) { return 3; }", "ends"))
    shell = limpet.load(need(BUSYBOX, "busybox-static"))

    def plan(guest: limpet.Guest, *backends: Backend, **others: tuple[str, ...]) -> limpet.Plan:
        given = replace(limpet.Options(backends=backends, snapshot=True), **others)  # type: ignore[arg-type]
        return limpet.plan(guest, given)

    with pytest.raises(PlanError, match="ends never reads its standard input and opens no file"):
        plan(ends, "process")
    with pytest.raises(PlanError, match="a snapshot cannot have disks and network interfaces"):
        plan(shell, "process", devices=("block:a",))
    unikernel = limpet.load(unikernels.build(tmp_path, "spt"))
    with pytest.raises(PlanError, match="a unikernel cannot be a snapshot"):
        plan(unikernel, "process")
    with pytest.raises(RunError, match="it ended with status 7 before it waited"):
        snapshot(plan(shell, "process"), ["sh", "-c", "exit 7"])
