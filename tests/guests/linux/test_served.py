"""What is served is served as Linux does: a test for each sentence, the lines of both are equal."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute

pytestmark = pytest.mark.slow

PROGRAM = SUPPORT / "programs" / "served"
Answers = Mapping[str, str]


def _cases() -> list[str]:
    """The names in the tables at the ends of the program's files."""
    texts = (each.read_text(encoding="utf-8") for each in sorted(PROGRAM.glob("*.c")))
    return [name for text in texts for name in re.findall(r'\{"(\w+)",\s+\w+\}', text)]


CASES = _cases()


def _by_case(said: bytes) -> Answers:
    found = (part.partition("\n") for part in said.decode().split("== ")[1:])
    return {name: lines for name, _, lines in found}


@pytest.fixture(scope="module")
def native(make: Maker) -> Answers:
    """What Linux answers to each."""
    program = make.compile_folder(PROGRAM)
    with tempfile.TemporaryDirectory(dir=make.folder) as folder:
        ran = execute(["served"], program, cwd=Path(folder))
    assert ran.status == 0, ran.stderr
    return _by_case(ran.stdout)


@pytest.fixture(scope="module")
def answers(make: Maker) -> Callable[[Backend], Answers]:
    """The same of a guest, run once on each backend."""
    known: dict[Backend, Answers] = {}

    def of(backend: Backend) -> Answers:
        if backend not in known:
            ran = make(make.compile_folder(PROGRAM), backend).run()
            known[backend] = _by_case(ran.stdout)
        return known[backend]

    return of


def test_every_case_has_run(native: Answers) -> None:
    """Each of the tables' names, in the program's order or not."""
    assert len(CASES) > 25
    assert set(native) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_as_linux_does(
    native: Answers, answers: Callable[[Backend], Answers], backend: Backend, case: str
) -> None:
    """Results, errors and what they leave behind."""
    assert answers(backend).get(case) == native[case]


STANDARD = r"""
#include <stdio.h>
#include <sys/stat.h>
int main(void) {
    struct stat stat;
    return printf("%d %ld\n", fstat(0, &stat), S_ISREG(stat.st_mode) ? (long)stat.st_size : -1) < 0;
}
"""


def test_standard_input_has_its_size(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """Where it is a file, as `gzip <file` looks at it."""
    given = tmp_path / "given"
    given.write_bytes(bytes(12345))
    with given.open("rb") as stream:
        path = make(make.compile(STANDARD, "standard"), backend).path
        done = subprocess.run([path], stdin=stream, capture_output=True, check=True)
    assert done.stdout == b"0 12345\n"
