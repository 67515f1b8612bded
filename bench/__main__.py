"""``make bench``: what Limpet costs, beside baselines measured in the same run.

Spawn rows are medians of 300 runs, the candidates taking turns: from ``posix_spawn`` to the end of
the process, host set-up, guest and tear-down included.  Call rows are means over 200,000 calls.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import limpet
from limpet.contract import Backend
from limpet.host import kvm_problem
from limpet.toolchain import compile_program

HERE = Path(__file__).parent
HELLO = HERE.parent / "examples" / "hello.c"


@dataclass(frozen=True)
class Row:
    """One measurement beside its baseline; ``most`` is the floor for their quotient."""

    name: str
    ours: float
    baseline: float
    most: float
    unit: str

    @property
    def quotient(self) -> float:
        """Ours in terms of the baseline."""
        return self.ours / self.baseline


def _backends() -> tuple[Backend, ...]:
    problem = kvm_problem()
    if problem:
        print(f"*** NO KVM HERE ({problem}): ITS ROWS ARE MISSING ***")
        return ("process",)
    return ("kvm", "process")


def _bundle(program: Path, backend: Backend, folder: Path, **files: Path) -> Path:
    guest = limpet.load(program, files={f"/{name}": path for name, path in files.items()})
    path = folder / f"{program.stem}.{backend}"
    limpet.build(limpet.plan(guest, limpet.Options(backends=(backend,)))).write(path)
    return path


def _compile(name: str, folder: Path, *flags: str) -> Path:
    path = folder / name
    compile_program([HERE / "c" / f"{name}.c"], path, flags)
    return path


def _spawn_rows(folder: Path) -> list[Row]:
    spawner = _compile("spawn", folder)
    baselines = {
        "kvm": _compile("minimal_kvm", folder),
        "process": _compile("nothing", folder, "-nostdlib"),
    }
    rows = []
    for backend in _backends():
        ours = _bundle(HELLO, backend, folder)
        done = subprocess.run(
            [spawner, ours, baselines[backend]], capture_output=True, text=True, check=True
        )
        mine, baseline = (float(word) for word in done.stdout.split())
        most = 1.5 if backend == "kvm" else 2.0
        rows.append(Row(f"hello, {backend}, spawn to exit", mine, baseline, most, "us"))
    return rows


def _call_rows(folder: Path) -> list[Row]:
    program = _compile("calls", folder)
    data = folder / "data"
    data.write_bytes(bytes(range(256)) * 64)
    baseline = subprocess.run([program, data], capture_output=True, text=True, check=True)
    rows = []
    for backend in _backends():
        ours = _bundle(program, backend, folder, data=data)
        done = subprocess.run([ours, "/data"], capture_output=True, text=True, check=True)
        pairs = zip(done.stdout.split(), baseline.stdout.split(), strict=True)
        for name, (mine, theirs) in zip(("getppid", "lseek", "pread 4 KiB"), pairs, strict=True):
            rows.append(Row(f"{name}, {backend}", float(mine), float(theirs), 0.2, "ns"))
    return rows


def main() -> None:
    """Measure and print."""
    table = Table("what", "limpet", "baseline", "quotient", "at most", "")
    with tempfile.TemporaryDirectory() as name:
        for row in (*_spawn_rows(Path(name)), *_call_rows(Path(name))):
            met = "met" if row.quotient <= row.most else "MISSED"
            table.add_row(
                row.name,
                f"{row.ours:.1f} {row.unit}",
                f"{row.baseline:.1f} {row.unit}",
                f"{row.quotient:.2f}",
                f"{row.most:g}",
                met,
            )
    Console().print(table)
    print(
        "baselines: a program that only exits; the bare minimum with KVM; the same calls on Linux"
    )


main()
