"""``run``: start a bundle and say how it ended."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.building.bundle import Bundle
from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import RunError


@dataclass(frozen=True)
class Result:
    """How a bundle ended: its exit status (128 + N for signal N) and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


def run(
    bundle: Bundle | Path, arguments: Sequence[str] = (), *, stdin: bytes = b"", name: str = ""
) -> Result:
    """Run a bundle to its end, with its output captured.

    Args:
        bundle: a bundle, or the path of one.
        arguments: what the guest finds behind its own name.
        stdin: what it can read.
        name: what it finds as its own name; by default the program's.

    Raises:
        RunError: the bundle cannot be started.
    """
    if isinstance(bundle, Bundle):
        with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
            path = Path(folder) / "bundle"
            bundle.write(path)
            return run(path, arguments, stdin=stdin, name=name or bundle.plan.image.name)
    argv = [name or bundle.name, *arguments]
    try:
        done = subprocess.run(
            argv, executable=bundle, input=stdin, capture_output=True, check=False
        )
    except OSError as error:
        raise RunError(f"{bundle}: cannot be started: {error.strerror}") from error
    status = done.returncode if done.returncode >= 0 else SIGNAL_STATUS - done.returncode
    return Result(status, done.stdout, done.stderr)
