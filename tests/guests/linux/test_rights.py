"""Rights of the pages of programs with one thread, beside Linux."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Made, Maker, execute, once
from tests.support.shared import SOURCES, compiler

PROGRAM = SUPPORT / "programs" / "rights.c"


@dataclass(frozen=True)
class Rights:
    """The program, and an object that it loads."""

    program: Path
    arguments: tuple[str, ...]
    features: tuple[str, ...] = ()

    def bundle(self, folder: Path, backend: Backend) -> Made:
        """Its bundle for a backend, in a small guest."""
        options = limpet.Options(backends=(backend,), memory=32 << 20, features=self.features)

        def write(new: Path) -> None:
            guest = limpet.load(self.program, include=list(self.arguments))
            limpet.build(limpet.plan(guest, options)).write(new)

        return Made(once(folder / f"rights-{backend}", write), str(self.program))


def _dynamic(folder: Path, libc: str) -> Rights:
    def compile_both(new: Path) -> None:
        new.mkdir()
        command = compiler(libc)
        names = [command, "-shared", "-fPIC", "-o", f"{new}/names.so", f"{SOURCES}/names.c"]
        subprocess.run([*names, "-Wl,-z,now"], check=True)
        flags = ["-O1", "-w", "-fpie", "-pie", "-Wl,-z,now,-z,relro", "-ldl"]
        subprocess.run([command, "-o", f"{new}/rights", str(PROGRAM), *flags], check=True)

    made = once(folder / f"rights-{libc}", compile_both)
    return Rights(made / "rights", (str(made / "names.so"),))


@pytest.fixture(scope="module", params=["glibc", "musl", "static"])
def rights(make: Maker, request: pytest.FixtureRequest) -> Rights:
    """Dynamic with each C library, and a static one that asks for it."""
    if request.param != "static":
        return _dynamic(make.folder, request.param)
    program = make.compile(PROGRAM.read_text(), "rights", "-O1", "-w")
    return Rights(program, (), ("rights",))


def test_rights(rights: Rights, tmp_path: Path, backend: Backend) -> None:
    """What is sealed, read-only or out of reach faults where and as it does on Linux."""
    arguments = [str(rights.program), *rights.arguments]
    native = execute(arguments, rights.program, b"input")
    ran = rights.bundle(tmp_path, backend).run(*rights.arguments, stdin=b"input")
    assert (ran.status, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert native.stdout.count(b"write: signal 11, code 2, there") > 8


@pytest.mark.parametrize("libc", ["glibc", "musl"])
def test_zeros_between(make: Maker, tmp_path: Path, backend: Backend, libc: str) -> None:
    """An object with zeros before more data: its loader puts all behind them out of reach first."""
    command = compiler(libc)
    loaded, program = tmp_path / "between.so", tmp_path / "between"
    script = f"-Wl,-T,{SOURCES}/between.ld,--build-id=none,-z,noseparate-code"
    flags = ["-O1", "-fPIC", "-nostdlib", "-shared", script, "-o", str(loaded)]
    subprocess.run([command, *flags, f"{SOURCES}/between.c"], check=True)
    source = SUPPORT / "programs" / "between.c"
    subprocess.run([command, "-O1", "-o", str(program), str(source), "-ldl"], check=True)
    native = execute([str(program), str(loaded)], program)
    assert native.stdout.split()[:2] == [b"10", b"118"]
    ran = Rights(program, (str(loaded),)).bundle(tmp_path, backend).run(str(loaded))
    assert (ran.status, ran.stderr, ran.stdout) == (0, b"", native.stdout)
