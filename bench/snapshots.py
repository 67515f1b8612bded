"""Python that goes on from a moment, beside Python's own start and the least of a process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import limpet
from bench.memory import idle_of
from bench.rows import HELLO, Row, backends, bundle, program
from bench.start import PRINTS, PYTHON, times_of
from limpet.contract import Backend

MODULES = "import json, re, decimal, datetime, dataclasses, asyncio"
_STOPS = """
import os, sys
os.write(os.open("/dev/limpet/snapshot", os.O_WRONLY), b"now")
"""
_ENDS = """
sys.stdout.flush()
os._exit(0)
"""
GOES_ON = f"{_STOPS}print(1){_ENDS}"
"""It stops right before it prints."""

GIVEN = f'{_STOPS}exec("print(1)"){_ENDS}'
"""It has yet to compile what it is to do."""
OPTIONS = PRINTS[:-2]


WAITS = "import sys\nsys.stdin.read(1)\nsys.stdin.read(1)"
SCRIPT: dict[Backend, float] = {"process": 1 / 6, "kvm": 0.6}
IMPORTED: dict[Backend, float] = {"process": 1 / 25, "kvm": 1 / 15}
CLONES, PRIVATE = 530, 1
"""Milliseconds for a thousand of them, MiB of one that waits."""


def warm(backend: Backend, folder: Path, imports: str, goes_on: str = GOES_ON) -> Path:
    """Python that has imported that, and prints when it goes on."""
    options = limpet.Options(backends=(backend,), snapshot=True)
    planned = limpet.plan(limpet.load(PYTHON), options)
    taken = limpet.snapshot(planned, [*OPTIONS, "-c", imports + goes_on], name=str(PYTHON))
    path = folder / f"warm{len(imports + goes_on)}.{backend}"
    taken.bundle.write(path)
    return path


def _rows(backend: Backend, folder: Path) -> Iterator[Row]:
    commands: dict[str, list[str | Path]] = {
        "plain": [warm(backend, folder, "")],
        "given": [warm(backend, folder, "", GIVEN)],
        "modules": [warm(backend, folder, MODULES)],
        "native": [PYTHON, *PRINTS],
        "native modules": [PYTHON, *OPTIONS, "-c", f"{MODULES}\nprint(1)"],
        "least": [program("nothing", folder, ["-nostdlib"])],
        "hello": [bundle(HELLO, backend, folder)],
    }
    times = times_of(folder, commands)
    faster, beside, most = (12, "least", 3) if backend == "process" else (4, "hello", 2)
    name = f"warm python3, {backend}"
    yield Row(name, times["plain"], times["native"], 1 / faster, "us")
    yield Row(f"{name}, beside {beside}", times["plain"], times[beside], most, "us")
    yield Row(f"{name}, with a text to compile", times["given"], times["native"], 1 / faster, "us")
    modules = times["modules"], times["native modules"]
    yield Row(f"{name}, with modules", *modules, IMPORTED[backend], "us")


def _script(backend: Backend, folder: Path) -> Iterator[Row]:
    """A script as ``limpet build app.py`` makes it, beside the same as Python runs it."""
    script, made = folder / "app.py", folder / f"app.{backend}"
    script.write_text("print(1)\n")
    words = ["build", "-q", "--backend", backend, str(script), "-o", str(made)]
    subprocess.run([sys.executable, "-m", "limpet", *words], check=True)
    times = times_of(folder, {"ours": [made], "native": [PYTHON, script]})
    yield Row(f"app.py, {backend}", times["ours"], times["native"], SCRIPT[backend], "us")


def _many(folder: Path) -> Iterator[Row]:
    """A thousand at once, and one that waits for its input."""
    argv = [program("clones", folder), warm("process", folder, "")]
    took = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    yield Row("1,000 of warm python3, process", float(took), None, CLONES, "ms")
    waits = warm("process", folder, "", WAITS)
    yield Row("warm python3 that waits, process", idle_of(waits), None, PRIVATE, "MiB")


POOLED: dict[Backend, float] = {"process": 100, "kvm": 400}
"""Microseconds of a call in a pool: a guest is taken back, asked, and has answered."""


RESET = 400
"""Microseconds of :meth:`Sandbox.reset`, in place."""


def _median(run: Callable[[str], object]) -> float:
    """Microseconds of one call behind another: nothing is done in between.

    The first ones are not counted: what a start leaves to a thread of its own is done beside them.
    """
    took = []
    for _ in range(500):
        run("1+1")
    for _ in range(2000):
        began = time.perf_counter()
        run("1+1")
        took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


def _pooled(backend: Backend) -> Iterator[Row]:
    """Of a guest that goes back behind each call, and of one that remembers, which never does."""
    snapshot = limpet.Sandbox.prepare(backend=backend)
    with limpet.Pool(snapshot, 2, 1) as pool:
        yield Row(f"a pooled call, {backend}", _median(pool.run), None, POOLED[backend], "us")
    with snapshot.start() as sandbox:
        sandbox.reset()
        yield Row(f"a reset, {backend}", _median(lambda _: sandbox.reset()), None, RESET, "us")
        yield Row(
            f"a call that is remembered, {backend}",
            _median(sandbox.run),
            None,
            POOLED[backend],
            "us",
        )


FIRST: dict[Backend, float] = {"process": 5, "kvm": 10}
"""Milliseconds of a program's first call, whose bundle is there."""

IMPORT = 30
"""Milliseconds of ``import limpet``, which brings what that call needs."""

_FIRST_CALL = """
import sys, time
began = time.perf_counter()
import limpet
imported = time.perf_counter()
limpet.Sandbox(backend=sys.argv[1] or None).run("print(1+1)")
print((imported - began) * 1e3, (time.perf_counter() - imported) * 1e3)
"""


def _first(backend: Backend, given: str, what: str) -> Iterator[Row]:
    """In a new process each time, where ``given`` is the name of the backend, or nothing."""
    command = [sys.executable, "-c", _FIRST_CALL, given]
    took = [tuple(map(float, subprocess.check_output(command).split())) for _ in range(21)]
    imports, calls = map(statistics.median, zip(*took, strict=True))
    yield Row(f"import limpet, before {what}", imports, None, IMPORT, "ms")
    yield Row(what, calls, None, FIRST[backend], "ms")


def rows(folder: Path) -> list[Row]:
    """Each backend."""
    if not PYTHON.exists():
        print(f"*** {PYTHON} is not installed: no rows ***")
        return []
    found = [row for backend in backends() for row in _rows(backend, folder)]
    found += [row for backend in backends() for row in _script(backend, folder)]
    pooled = [row for backend in backends() for row in _pooled(backend)]
    first = [row for each in backends() for row in _first(each, each, f"a first call, {each}")]
    first += _first(backends()[0], "", "a first call, no backend named")
    return [*found, *first, *pooled, *_many(folder)]
