"""Programs of Debian as they are: natively and in a guest, on the same input and files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import KVM_PROBLEM, execute

MEMORY = 512 << 20
BACKENDS: tuple[Backend, ...] = ("process",) if KVM_PROBLEM else ("process", "kvm")


@dataclass(frozen=True)
class Row:
    """One program with what it is to do.

    ``{here}`` in ``argv``, ``include`` and ``environment`` is a folder that has ``files``, made
    ready by ``prepare``, and is packed.
    One that is ``large`` takes long to build and only runs where LIMPET_LARGE is set.
    ``status`` is how it has to end, on Linux and here, so that a row that does nothing fails.
    """

    package: str
    argv: Sequence[str]
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    include: Sequence[str] = ()
    environment: Sequence[str] = ()
    features: Sequence[str] = ()
    status: int = 0
    large: bool = False
    prepare: Callable[[Path], None] | None = None

    def expanded(self, here: Path, words: Sequence[str]) -> list[str]:
        """``words`` with the folder in them."""
        return [each.replace("{here}", str(here)) for each in words]


def _program(row: Row, here: Path) -> Path:
    (name,) = row.expanded(here, row.argv[:1])
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {row.package}")
    return Path(found)


def _made_ready(row: Row, here: Path) -> None:
    here.mkdir()
    for name, content in row.files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
    if row.prepare:
        row.prepare(here)


def same_as_on_linux(row: Row, folder: Path) -> None:
    """It prints the same and ends the same, natively and on each backend."""
    here = folder / "here"
    if row.large and not os.environ.get("LIMPET_LARGE"):
        pytest.skip(f"{row.package} is large: LIMPET_LARGE=1 runs it")
    _made_ready(row, here)
    program = _program(row, here)
    argv, environment = row.expanded(here, row.argv), row.expanded(here, row.environment)
    include = [*row.expanded(here, row.include), str(here)]
    guest = limpet.load(program, include=include, environment=tuple(environment))
    native = subprocess.run(
        argv,
        executable=program,
        input=row.stdin,
        capture_output=True,
        env=dict(each.split("=", 1) for each in environment),
        cwd="/",
        check=False,
    )
    assert (native.returncode, bool(native.stdout)) == (row.status, True), native.stderr
    for backend in BACKENDS:
        options = limpet.Options(
            backends=(backend,),
            environment=tuple(environment),
            memory=MEMORY,
            features=tuple(row.features),
            rewrite="LIMPET_NO_REWRITE" not in os.environ,
        )
        bundle = folder / backend
        limpet.build(limpet.plan(guest, options)).write(bundle)
        ran = execute(argv, bundle, row.stdin)
        assert (ran.stdout, ran.status) == (native.stdout, row.status), (backend, ran.stderr)
        bundle.unlink()
