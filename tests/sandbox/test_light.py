"""What makes a sandbox start in milliseconds: nothing heavy is imported for one that is cached."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("capstone", "click", "rich", "limpet.planning.plan", "limpet.building.bundle")


def test_nothing_heavy() -> None:
    """Neither what builds bundles nor what reads programs."""
    program = "import sys; from limpet import Pool, Sandbox; print(*sys.modules)"
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    names = done.stdout.split()
    assert "limpet.sandbox.pool" in names
    assert not [each for each in names if each.startswith(HEAVY)]
