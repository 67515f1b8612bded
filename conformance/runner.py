"""Runs the modules of a suite, natively and in a bundle, and keeps what they print."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from conformance.outcome import Outcome

HERE = Path(__file__).parent
TIMEOUT = 300.0
"""Seconds for one module."""


@dataclass(frozen=True)
class Runner:
    """Runs modules by ``program``; what they print is kept in ``folder`` and read again from there.

    ``argv`` is the command line for a module, and ``read`` what its output comes to.
    """

    program: Path
    env: dict[str, str]
    folder: Path
    argv: Callable[[str], Sequence[str]]
    read: Callable[[str, str, float], Outcome]

    def run(self, module: str) -> Outcome:
        """One module, in an empty folder and without environment."""
        kept = self.folder / f"{module}.txt"
        if not kept.exists():
            started = time.monotonic()
            text = self._output(self.argv(module))
            kept.write_bytes(text + b"\n%.1f seconds\n" % (time.monotonic() - started))
        text = kept.read_bytes()
        seconds = float(text.split()[-2])
        return self.read(module, text.decode(errors="replace"), seconds)

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


def denied(folder: Path) -> dict[str, str]:
    """The environment in which a program of Linux has not what a guest does not have."""
    library = folder / "denied.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "denied.c"], check=True)
    return {"LD_PRELOAD": str(library)}


def built(bundle: Path, words: Sequence[str]) -> Path:
    """The bundle that ``limpet build`` makes of these words, if it is not there.

    Raises:
        RuntimeError: it starts cold, and was to be warm.
    """
    if not bundle.exists():
        argv = [sys.executable, "-m", "limpet", "build", *words, "-o", str(bundle)]
        said = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=True).stderr
        if "starts cold" in said:
            raise RuntimeError(said)
    return bundle


def made(folder: Path) -> Path:
    """That folder."""
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
