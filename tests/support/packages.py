"""Programs beside packages that a test has installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def printed(argv: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """What a program prints that runs in ``folder`` and ends well."""
    done = subprocess.run(
        argv,
        env=os.environ | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
