"""What every kind of measurement shares: a row, and how programs and bundles are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import limpet
from limpet.contract import Backend
from limpet.running.kvm import kvm_problem
from limpet.tools.toolchain import compile_program

HERE = Path(__file__).parent
HELLO = HERE.parent / "examples" / "hello.c"


@dataclass(frozen=True)
class Row:
    """One measurement beside its baseline; ``most`` is the floor for their quotient.

    Without a baseline ``most`` is the floor for the measurement itself.
    """

    name: str
    ours: float
    baseline: float | None
    most: float
    unit: str

    @property
    def value(self) -> float:
        """What is compared with ``most``."""
        return self.ours / self.baseline if self.baseline else self.ours

    @property
    def met(self) -> bool:
        """Whether the floor holds."""
        return self.value <= self.most


@cache
def backends() -> tuple[Backend, ...]:
    """The backends that this host offers; says loudly what is missing."""
    problem = kvm_problem()
    if problem:
        print(f"*** NO KVM HERE ({problem}): ITS ROWS ARE MISSING ***")
        return ("process",)
    return ("kvm", "process")


def bundle(
    program: Path, backend: Backend, folder: Path, memory: int | None = None, **files: Path
) -> Path:
    """A bundle of ``program`` in ``folder``; ``files`` are packed into its root."""
    guest = limpet.load(program, files={f"/{name}": path for name, path in files.items()})
    options = limpet.Options(backends=(backend,), memory=memory or limpet.Options().memory)
    path = folder / f"{program.stem}.{backend}"
    limpet.build(limpet.plan(guest, options)).write(path)
    return path


def program(name: str, folder: Path, flags: Sequence[str] = ()) -> Path:
    """``c/NAME.c``, compiled for this machine."""
    path = folder / name
    compile_program([HERE / "c" / f"{name}.c"], path, flags)
    return path
