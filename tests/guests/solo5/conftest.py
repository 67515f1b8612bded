"""Unikernels, their bundles and their devices."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import limpet
from tests.support import unikernels
from tests.support.solo5 import Bundled, Start, run


@pytest.fixture(scope="session")
def unikernel(tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """Unikernels of each kind, compiled once."""
    folder = tmp_path_factory.mktemp("unikernels")
    made: dict[tuple[str, tuple[tuple[str, object], ...]], Path] = {}

    def get(target: str, **options: object) -> Path:
        key = target, tuple(sorted(options.items()))
        if key not in made:
            made[key] = unikernels.build(folder, target, **options)  # type: ignore[arg-type]
        return made[key]

    return get


@pytest.fixture(scope="session")
def bundled(unikernel: Bundled, tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """Their bundles, built once."""
    folder = tmp_path_factory.mktemp("bundles")

    def get(target: str, timeout: int = 0, **options: object) -> Path:
        source = unikernel(target, **options)
        path = folder / f"{source.name}-{timeout}"
        if not path.exists():
            plan = limpet.plan(limpet.load(source), limpet.Options(timeout=timeout))
            limpet.build(plan).write(path)
        return path

    return get


@pytest.fixture(params=[pytest.param("hvt", marks=pytest.mark.kvm), "spt"])
def target(request: pytest.FixtureRequest) -> str:
    """Both ABIs."""
    return str(request.param)


@pytest.fixture
def start(bundled: Bundled, target: str) -> Start:
    """Start the guest of this ABI to its end."""

    def started(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        return run([bundled(target, **options), *words])

    return started


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """64 KiB of zeros."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(64 << 10))
    return path
