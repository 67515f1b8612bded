"""The command itself: what ``limpet run`` adds to its bundle, and how long a build takes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import limpet
from bench.rows import HELLO, Row, backends, bundle
from bench.start import PYTHON

TURNS, FIRST_TURNS = 21, 3


def _timed(argv: list[str | Path], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=environment)
    return (time.perf_counter() - start) * 1e3


def _cached(folder: Path) -> Row:
    backend = backends()[0]
    alone: list[str | Path] = [bundle(HELLO, backend, folder)]
    run: list[str | Path] = [sys.executable, "-m", "limpet", "run", "--backend", backend, HELLO]
    environment = dict(os.environ)
    _timed(run, environment)
    times = [(_timed(run, environment), _timed(alone, environment)) for _ in range(TURNS)]
    added = median(ours for ours, _ in times) - median(theirs for _, theirs in times)
    return Row("limpet run, cached, beyond its bundle", added, None, 120, "ms")


def _build(folder: Path) -> Row:
    """Every stage from a new process on; only the toolchain's own caches are warm."""
    times = []
    for turn in range(TURNS // 4):
        source = folder / f"hello{turn}.c"
        source.write_text(HELLO.read_text() + f"\nconst int turn = {turn};\n")
        argv: list[str | Path] = [sys.executable, "-m", "limpet", "build", "--quiet"]
        times.append(_timed([*argv, source, "-o", folder / "built"], dict(os.environ)))
    return Row("limpet build of a changed hello.c", median(times), None, 1000, "ms")


def _first(folder: Path) -> Iterator[Row]:
    """Python and its library where nothing was ever built: the least of a few."""
    if not PYTHON.exists():
        return  # another row says so
    argv: list[str | Path] = [sys.executable, "-m", "limpet", "--quiet", "build"]
    argv += ["--backend", "process", PYTHON, "-o", folder / "python.limpet"]
    times = []
    for turn in range(FIRST_TURNS):
        cache = folder / f"empty{turn}"
        times.append(_timed(argv, dict(os.environ, LIMPET_CACHE=str(cache))))
        shutil.rmtree(cache)
    yield Row("first limpet build of python3", min(times), None, 5000, "ms")


def _processor_time(argv: list[str | Path]) -> float:
    """Of a command and of what it starts, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


def _script(folder: Path) -> Iterator[Row]:
    """Python and its library with a script that is another each time."""
    if not PYTHON.exists():
        print(f"*** {PYTHON} is not installed: no row ***")
        return
    script = folder / "app.py"
    argv: list[str | Path] = [sys.executable, "-m", "limpet", "-q", "run", PYTHON, script]
    script.write_text("print(1)\n")
    _processor_time(argv)
    times = []
    for turn in range(TURNS):
        script.write_text("print(1)\n" + turn * f"# {turn}\n")
        times.append(_processor_time(argv))
    yield Row("limpet run of python3, its script changed", median(times), None, 300, "ms")


def _sizes() -> list[Row]:
    found = []
    for backend, most in (("process", 4096), ("kvm", 8192)):
        if backend not in backends():
            continue
        made = limpet.build(limpet.plan(limpet.load(HELLO), limpet.Options(backends=(backend,))))
        found.append(Row(f"monitor of hello, {backend}", made.monitor.size, None, most, "bytes"))
    return found


def rows(folder: Path) -> list[Row]:
    """Cached run, build and sizes."""
    return [_cached(folder), _build(folder), *_first(folder), *_script(folder), *_sizes()]
