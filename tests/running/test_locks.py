"""Locks of files on a volume: two bundles, and a program beside them, see each other's."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.running.test_volumes import fill_rights
from tests.support import SUPPORT
from tests.support.bundles import Maker

Said = Callable[[str], str]

SCRIPT = """\
1 p a w 5 10
2 p a w 5 10
2 p a r 14 1
2 p a w 15 0
2 g a w 0 0
1 g b w 0 0
1 p b w 0 3
2 p a w 0 1
1 p b u 5 10
2 p a w 5 10
1 c b u 0 0
2 p a w 0 0
2 p a u 0 0
1 p a r 0 0
2 p a r 0 0
2 p a w 0 0
1 p r u 0 0
2 p a w 0 0
2 p r r 50 1
2 c r u 0 0
1 p a w 0 0
1 p a u 0 0
1 o a w 0 10
2 o a w 0 10
2 p a r 9 1
2 g a r 0 0
1 o r r 20 5
2 o a r 20 5
2 o a w 20 5
1 p r w 40 1
1 c r u 0 0
2 o a w 20 5
2 o a u 0 0
1 o a u 0 0
1 f a w 0 0
2 f a r 0 0
2 f a u 0 0
1 f a r 0 0
2 f a r 0 0
2 f b r 0 0
2 f b w 0 0
1 f a u 0 0
2 f a u 0 0
2 f b w 0 0
1 f a w 0 0
2 c b u 0 0
1 f a w 0 0
"""
"""Who (1 or 2), and what it asks for: bytes of the process's, of open files' and whole files, that
touch, unlocking through another descriptor, and what closing one drops."""


@contextmanager
def program(argv: Sequence[str], path: Path) -> Iterator[Said]:
    """The lines of one program, asked one by one."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, executable=path, stdin=pipe, stdout=pipe, env={}) as process:
        assert process.stdin and process.stdout

        def ask(line: str) -> str:
            assert process.stdin and process.stdout
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            return process.stdout.readline().decode() if line[0].islower() else ""

        ask.output = process.stdout  # type: ignore[attr-defined]
        yield ask
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.fixture
def starts(
    make: Maker, backend: Backend, tmp_path: Path
) -> Callable[[bool], tuple[list[str], Path]]:
    """How the program is started, in a bundle or not, on the same file."""
    source = (SUPPORT / "programs" / "locks_beside.c").read_text(encoding="utf-8")
    native = make.compile(source, "locks_beside")
    made = make(native, backend, devices=("volume:/w",))
    folder = tmp_path / "w"
    folder.mkdir()
    file = folder / "file"
    file.write_bytes(bytes(100))
    for each in (folder, file):
        os.chown(each, 65534, 65534)
        each.chmod(0o777)
    fill_rights(folder)

    def start(bundle: bool) -> tuple[list[str], Path]:
        if bundle:
            return ["locks", f"--volume:/w={folder}", "--", "/w/file"], made.path
        return ["locks", str(file)], native

    return start


def played(one: tuple[list[str], Path], two: tuple[list[str], Path]) -> list[str]:
    """The script with what was answered."""
    with ExitStack() as stack:
        said = {"1": stack.enter_context(program(*one)), "2": stack.enter_context(program(*two))}
        return [f"{line}: {said[line[0]](line[2:])}" for line in SCRIPT.splitlines()]


def test_as_between_processes(starts: Callable[[bool], tuple[list[str], Path]]) -> None:
    """Two bundles, or one and a program of the host's, lock as two programs do."""
    expected = played(starts(False), starts(False))
    assert played(starts(True), starts(True)) == expected
    assert played(starts(True), starts(False)) == expected


@pytest.mark.parametrize("what", ["P", "O", "F"])
def test_waiting(starts: Callable[[bool], tuple[list[str], Path]], what: str) -> None:
    """Who waits for a lock of another bundle has it as soon as that is free, and not before."""
    with program(*starts(True)) as one, program(*starts(True)) as two:
        assert one(f"{what.lower()} a w 0 0") == "good\n"
        two(f"{what} a w 0 0")
        output = two.output  # type: ignore[attr-defined]
        assert not select.select([output], [], [], 0.1)[0]
        assert one(f"{what.lower()} a u 0 0") == "good\n"
        assert output.readline() == b"good\n"
