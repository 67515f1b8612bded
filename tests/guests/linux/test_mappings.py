"""Mappings beside the kernel's: what is in memory and in files, the error of each argument."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT, programs
from tests.support.bundles import Maker, execute

PACKED = bytes(ord("0") + at // 1024 % 60 for at in range(3 * 4096))

LINKS = {"musl": ("zig", ()), "glibc": ("gcc", ("-static", "-w"))}


def tree(folder: Path) -> Path:
    """What the program finds: a file that is packed, and folders to write to."""
    for name in ("w", "dev/shm"):
        (folder / name).mkdir(parents=True)
    (folder / "w" / "packed").write_bytes(PACKED)
    return folder


@pytest.mark.parametrize("link", LINKS)
def test_mappings(make: Maker, backend: Backend, link: str, tmp_path: Path) -> None:
    """The same program natively and in a guest says the same of every call."""
    compiler, flags = LINKS[link]
    source = (SUPPORT / "programs" / "mappings.c").read_text()
    program = make.compile(source, "mappings", "-O1", *flags, compiler=compiler)
    root = tree(tmp_path / "root")
    ran = make(program, backend, root=root).run("/w", "packed")
    native = execute(["mappings", str(root / "w"), "packed"], program)
    assert (ran.status, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert len(native.stdout.splitlines()) > 140


def test_a_second_address(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """A page of a shared file is the same wherever it is mapped: rings, windows, moves, threads."""
    source = (SUPPORT / "programs" / "aliases.c").read_text()
    program = make.compile(source, "aliases", "-O1")
    bundle = make(program, backend, root=tree(tmp_path / "root"))
    ran = bundle.run("/w")
    native = execute(["aliases", str(tmp_path / "root" / "w")], program)
    assert (ran.status, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert len(native.stdout.splitlines()) > 30
    ran = bundle.run("/w", "at both")
    assert (ran.status, ran.stdout) == (128 + 11, b"fixed: 0\nfixed: 0\n")
    assert b"wanted a page of a shared file at two addresses, in a way that is not " in ran.stderr


def test_no_second_address(make: Maker, backend: Backend) -> None:
    """Where rights are no matter, neither are second addresses; a line says what gives both."""
    source = """
    #define _GNU_SOURCE
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <unistd.h>
    int main(void) {
        int fd = memfd_create("x", 0);
        char *at = ftruncate(fd, 4096) ? NULL : mmap(NULL, 4096, 3, MAP_SHARED, fd, 0);
        char *room = mmap(NULL, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return at && mmap(room, 4096, 3, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ? 7 : 0;
    }
    """
    ran = make(make.compile(source, "once"), backend).run()
    assert ran.status == 7
    assert b"a page of a shared file at two addresses: build it with --feature rights" in ran.stderr


WAL = """
pragma journal_mode=wal; create table t(a integer primary key, b text);
begin; insert into t(b) values ('x'), ('y'), ('z'); commit;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 9000)
  insert into t(b) select 'a row that is somewhat longer ' || i from n;
update t set b = b || '!' where a % 3 = 0; select count(*), max(a), max(b) from t;
pragma wal_checkpoint(truncate); select count(*) from t; pragma integrity_check;
"""


def test_sqlite_with_a_write_ahead_log(make: Maker, backend: Backend) -> None:
    """The log's index is a file in shared memory, in regions of 32 KiB."""
    ran = make(programs.get("sqlite"), backend).run("/tmp/a.db", WAL)
    assert ran.stdout.decode().splitlines() == ["wal", "9003|9003|z!", "0|0|0", "9003", "ok"]
    assert (ran.status, ran.stderr) == (0, b"")
