"""``run``: start a bundle and say how it ended."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.building.bundle import Bundle
from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import LimpetError, RunError
from limpet.formats.bundle.read import read_bundle
from limpet.tools.ends import check_told


@dataclass(frozen=True)
class Result:
    """How a bundle ended: its exit status (128 + N for signal N) and what it wrote.

    ``bytes_in`` were there to be read, ``bytes_out`` were written.  The rest is what ``--report``
    says, of a bundle that has the feature ``report``: why it ended, when it was started (seconds
    since 1970), how long it ran and computed (seconds), and its peak memory (bytes).  How many
    hypercalls of which kind it made, and the bytes that all of them moved, were counted by its
    ``monitor``, by the ``guest`` itself, whose word it then is, or by the host's ``kernel``.
    """

    status: int
    stdout: bytes
    stderr: bytes
    bytes_in: int
    bytes_out: int
    reason: str | None = None
    signal: int | None = None
    started: float | None = None
    seconds: float | None = None
    user_seconds: float | None = None
    system_seconds: float | None = None
    peak_memory: int | None = None
    hypercalls: Mapping[str, int] | None = None
    counted_by: str | None = None


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
        RunError: the bundle cannot be started, or nobody could say how it ends.
    """
    if isinstance(bundle, Bundle):
        with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
            path = Path(folder) / "bundle"
            bundle.write(path)
            return run(path, arguments, stdin=stdin, name=name or bundle.plan.image.name)
    with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
        report = Path(folder) / "report"
        words = [f"--report={report}"] if _reports(bundle) else []
        done = _done(bundle, [name or bundle.name, *words, *arguments], stdin)
        said = json.loads(report.read_bytes()) if report.exists() else {}
    status = done.returncode if done.returncode >= 0 else SIGNAL_STATUS - done.returncode
    written = len(done.stdout) + len(done.stderr)
    said = {"bytes_in": len(stdin), "bytes_out": written, **said, "status": status}
    return Result(stdout=done.stdout, stderr=done.stderr, **said)


def _reports(bundle: Path) -> bool:
    try:
        asked = read_bundle(bundle).record.options.get("features")
    except LimpetError:
        return False  # the host says what it thinks of it
    return isinstance(asked, tuple) and "report" in asked


def _done(bundle: Path, argv: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    check_told(RunError, str(bundle))
    try:
        return subprocess.run(
            argv, executable=bundle.absolute(), input=stdin, capture_output=True, check=False
        )
    except OSError as error:
        raise RunError(f"{bundle}: cannot be started: {error.strerror}") from error
