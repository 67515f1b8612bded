"""What a guest closes on a volume: some of it a little later, and never what somebody waits for."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.contract import Backend
from limpet.contract.limits import SLOT_FD
from tests.running.test_volumes import fill_rights
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker

NAMES = [f"f{i}" for i in range(40)]
READ = [f"r{name}" for name in NAMES]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with files for everybody."""
    made = tmp_path / "data"
    made.mkdir()
    for name in NAMES:
        (made / name).write_text("contents")
        (made / name).chmod(0o666)
    made.chmod(0o777)
    fill_rights(made)
    return made


@pytest.fixture
def leaves(make: Maker, backend: Backend) -> Made:
    """A program that opens and closes as it is told."""
    source = (SUPPORT / "programs" / "leaves.c").read_text(encoding="utf-8")
    return make(make.compile(source, "leaves"), backend, devices=("volume:/w",))


@contextmanager
def told(made: Made, folder: Path, *words: str, before: Sequence[str] = ()) -> Iterator[int]:
    """The process of one that has done all that ``words`` say, and is not yet at its end."""
    argv = [*before, str(made.path), f"--volume:/w={folder}", "--", "/w", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as running:
        assert running.stdout
        try:
            assert running.stdout.readline() == b"done\n"
            yield running.pid
        finally:
            running.kill()


def opened(pid: int) -> int:
    """How many descriptors it has of what it opened itself."""
    return sum(int(each) >= SLOT_FD for each in os.listdir(f"/proc/{pid}/fd"))


def waiting(pid: int, kept: int) -> bool:
    """Whether it comes to have ``kept``, once it has said all and waits."""
    for _ in range(500):
        if opened(pid) == kept:
            return True
        time.sleep(0.01)
    return False


def test_left_open(leaves: Made, folder: Path) -> None:
    """Files that were read stay open while their guest computes, and fewer than sixteen of them."""
    for words, left in ((READ[:1], 1), (READ[:15], 15), (READ[:16], 0), (READ[:40], 8)):
        with told(leaves, folder, "spins", *words) as pid:
            assert opened(pid) == left, words


def test_a_gap(leaves: Made, folder: Path) -> None:
    """What is still open between two that were closed stays open, and is not closed with them."""
    words = ["rf0", "kf1", "rf2", "kf3", "kf4", *READ]
    with told(leaves, folder, "waits", *words) as pid:
        assert waiting(pid, 3)


@pytest.mark.parametrize(
    "last",
    [["of39"], ["of39", "rf0", "p"], ["of39", "rf0", "c"], ["uf38"], ["of39", "rf0", "f"]],
    ids=["opens to write", "writes", "cuts", "removes", "asks for room"],
)
def test_before_a_change(leaves: Made, folder: Path, last: Sequence[str]) -> None:
    """Nothing is left open when the guest changes what is below a volume, or asks for its room."""
    with told(leaves, folder, "spins", *READ[:5], *last) as pid:
        assert opened(pid) == ("of39" in last)


def test_before_it_waits(leaves: Made, folder: Path) -> None:
    """Nothing of what it closed is left open while a guest waits."""
    with told(leaves, folder, "waits", *READ[:5], "sf7") as pid:
        assert waiting(pid, 0)


@pytest.mark.parametrize("word", ["l", "b", "w"])
def test_closed_at_once(leaves: Made, folder: Path, word: str) -> None:
    """What was locked, or was open to write, is closed when the guest says so."""
    with told(leaves, folder, "spins", "rf0", f"{word}f1") as pid, (folder / "f1").open("r+") as f1:
        fcntl.flock(f1, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(f1, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert opened(pid) == (word != "w")


def test_few_descriptors(leaves: Made, folder: Path) -> None:
    """One that the host allows four files opens a hundred one after the other, and four at once."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (SLOT_FD + 4, SLOT_FD + 4))

    def end(*words: str) -> tuple[int, bytes]:
        argv = [leaves.name, f"--volume:/w={folder}", "--", "/w", "ends", *words]
        done = subprocess.run(
            argv, executable=leaves.path, env={}, capture_output=True, preexec_fn=few, check=False
        )
        return done.returncode, done.stdout

    kept = [f"k{name}" for name in NAMES[:3]]
    assert end(*READ, *kept, *READ, "sf1", "sf2", "rf1") == (0, b"done\n")
    assert end(*kept, "kf9", "kf8") == (1, b"kf8: No file descriptors available\n")


def test_slots_of_connections(make: Maker, backend: Backend, folder: Path) -> None:
    """What is left open, or was found last, is in no connection's way: they share the slots."""
    source = (SUPPORT / "programs" / "leaves.c").read_text(encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        end = f"127.0.0.1:{port}/tcp"
        made = make(
            make.compile(source, "leaves"),
            backend,
            devices=("volume:/w",),
            connect=(end,),
            sockets=3,
        )
        with told(made, folder, "spins", *READ[:2], "sf7", f"t{port}") as pid:
            assert opened(pid) == 1
