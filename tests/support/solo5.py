"""How tests start unikernels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support import network

Start = Callable[..., subprocess.CompletedProcess[str]]

Bundled = Callable[..., Path]


def run(argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def with_devices(bundle: Path, disk: Path, tap: network.Tap) -> list[str | Path]:
    """The command line of a bundle with both devices."""
    return [bundle, f"--block:storage={disk}", f"--net:service={tap.name}"]


def limpet_run(*words: str | Path) -> list[str | Path]:
    """The command line of ``limpet run``."""
    return [sys.executable, "-m", "limpet", "-q", "run", *words]
