"""CPython's own tests (Debian's libpython3.11-testsuite), module by module.

Natively they run with what a guest does not have taken away (``denied.c``), so that both can do the
same.  One bundle has the library and all tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import limpet
from conformance.outcome import Known, Outcome, read_outcome
from limpet.contract import Backend

PYTHON = Path("/usr/bin/python3.11")
LIBRARY = Path("/usr/lib/python3.11")
TESTS = LIBRARY / "test"
ASKED_FOR = ("/usr/include/**/pyconfig.h",)
"""What tests look for beside it."""

WARM = "import unittest, test.libregrtest.main, test.support"
"""What an interpreter has imported before its moment, where one is restored for each module."""

NEEDS = "libpython3.11-testsuite"
HERE = Path(__file__).parent
MEMORY = 1 << 30
TIMEOUT = 300.0
"""Seconds for one module."""


def known() -> Known:
    """What is known to be different."""
    return Known.read(HERE / "cpython.toml")


def modules() -> list[str]:
    """The names of all modules, in order."""
    found = (re.fullmatch(r"(test_\w+)(\.py)?", each.name) for each in TESTS.iterdir())
    return sorted({each[1] for each in found if each})


@dataclass(frozen=True)
class Runner:
    """Runs modules by ``program``; what they print is kept in ``folder`` and read again from there.

    The program is called as Python is: some tests look for the file of that name.  Behind that come
    ``words``, which a bundle that goes on from a moment has already.
    """

    program: Path
    env: dict[str, str]
    folder: Path
    words: tuple[str, ...] = ("-m", "test")

    def run(self, module: str) -> Outcome:
        """One module, in an empty folder and without environment."""
        kept = self.folder / f"{module}.txt"
        if not kept.exists():
            started = time.monotonic()
            text = self._output([str(PYTHON), *self.words, "-v", module])
            kept.write_bytes(text + b"\n%.1f seconds\n" % (time.monotonic() - started))
        text = kept.read_bytes()
        seconds = float(text.split()[-2])
        return read_outcome(module, text.decode(errors="replace"), seconds)

    def _output(self, argv: Sequence[str]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="limpet-conformance-") as cwd:
            try:
                done = subprocess.run(
                    argv,
                    executable=self.program,
                    cwd=cwd,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired as late:
                return (late.stdout or b"") + b"\nended: it takes too long\n"
        return done.stdout + b"\nended with status %d\n" % done.returncode


def native(folder: Path) -> Runner:
    """On Linux, without what a guest does not have."""
    denied = folder / "denied.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", denied, HERE / "denied.c"], check=True)
    return Runner(PYTHON, {"LD_PRELOAD": str(denied)}, _made(folder / "native"))


def guest(folder: Path, backend: Backend) -> Runner:
    """In a bundle, which is built if ``folder`` has none."""
    bundle = folder / f"cpython-{backend}"
    if not bundle.exists():
        read = limpet.load(PYTHON, keep_times=True, include=[str(LIBRARY), *ASKED_FOR])
        options = limpet.Options(backends=(backend,), memory=MEMORY)
        limpet.build(limpet.plan(read, options)).write(bundle)
    return Runner(bundle, {}, _made(folder / backend))


def restored(folder: Path, backend: Backend) -> Runner:
    """In a bundle whose interpreter has started already, which is built if ``folder`` has none."""
    name = f"{backend}-restored"
    bundle = folder / f"cpython-{name}"
    if not bundle.exists():
        included = [word for each in (str(LIBRARY), *ASKED_FOR) for word in ("--include", each)]
        words = ["--backend", backend, "--memory", str(MEMORY), "--keep-times", *included]
        words += ["--python", str(PYTHON), "--warm", WARM, "-m", "test", "-o", str(bundle)]
        argv = [sys.executable, "-m", "limpet", "build", *words]
        said = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=True).stderr
        if "starts cold" in said:
            raise RuntimeError(said)
    return Runner(bundle, {}, _made(folder / name), ())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pairs(
    names: Sequence[str], here: Runner, there: Runner, jobs: int
) -> Iterator[tuple[Outcome, Outcome]]:
    """Each module natively and here, as they end."""

    def both(name: str) -> tuple[Outcome, Outcome]:
        return there.run(name), here.run(name)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(both, names)


def missing() -> str:
    """What has to be installed first, nothing where all is there."""
    return "" if TESTS.is_dir() and sys.platform == "linux" else f"apt-get install {NEEDS}"
