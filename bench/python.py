"""A subset of pyperformance in a guest, beside the same Python natively, by processor time.

Each benchmark is the package's own file; what it gives its runner is called so often by a loop
here (``python_loop.py``), in both.  The time of a start that calls it never is taken off.
"""

from __future__ import annotations

import math
import resource
import subprocess
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import limpet
from bench.rows import HERE, Row, backends
from bench.start import PYTHON

LOOPS = {
    "deltablue": 500,
    "json_loads": 4000,
    "nbody": 20,
    "pickle": 10_000,
    "richards": 30,
    "regex_effbot": 60,
    "unpack_sequence": 100_000,
}
"""How often each is called, for more than a second: a start on kvm varies."""

TURNS, MOST = 5, 1.03


def _files() -> dict[str, Path]:
    """The benchmarks and what calls them, by their paths in the guest."""
    found = find_spec("pyperformance")
    if found is None or not found.submodule_search_locations:
        return {}
    folder = Path(found.submodule_search_locations[0], "data-files", "benchmarks")
    files = {f"/bench/{each}.py": folder / f"bm_{each}" / "run_benchmark.py" for each in LOOPS}
    return {"/bench/loop.py": HERE / "python_loop.py", **files}


def _seconds(argv: Sequence[str | Path], program: Path) -> float:
    """Of processor time, of a command and of what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, executable=program, stdout=subprocess.DEVNULL, check=True, env={})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _work(program: Path, folder: Path, name: str) -> float:
    """Without the start."""
    argv: list[str | Path] = [PYTHON, "-I", folder / "loop.py", folder / f"{name}.py"]
    return _seconds([*argv, str(LOOPS[name])], program) - _seconds([*argv, "0"], program)


def _rows(folder: Path, files: dict[str, Path]) -> Iterator[Row]:
    here = folder / "bench"
    here.mkdir()
    for name, path in files.items():
        (folder / name[1:]).symlink_to(path)
    guest = limpet.load(PYTHON, files=files)
    for backend in backends():
        path = folder / f"python.{backend}"
        options = limpet.Options(backends=(backend,), memory=256 << 20)
        limpet.build(limpet.plan(guest, options)).write(path)
        quotients = []
        for name in LOOPS:
            turns = [
                (_work(path, Path("/bench"), name), _work(PYTHON, here, name)) for _ in range(TURNS)
            ]
            ours, native = (min(each) for each in zip(*turns, strict=True))
            quotients.append(ours / native)
            yield Row(f"pyperformance {name}, {backend}", ours * 1e3, native * 1e3, 1.1, "ms")
        mean = math.exp(sum(map(math.log, quotients)) / len(quotients))
        yield Row(f"pyperformance, mean of {len(LOOPS)}, {backend}", mean, None, MOST, "times")


def rows(folder: Path) -> list[Row]:
    """Each benchmark, and their geometric mean."""
    files = _files()
    if not PYTHON.exists() or not files:
        what = f"{PYTHON} is" if files else "pyperformance is"
        print(f"*** {what} not installed: no rows ***")
        return []
    return list(_rows(folder, files))
