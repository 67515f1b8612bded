"""The one door through which Limpet starts other programs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import BuildError


@dataclass(frozen=True)
class Completed:
    """How a program ended: its exit code (negative: by that signal) and what it wrote."""

    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
) -> Completed:
    """Run ``argv`` to its end, without a shell and without standard input.

    Args:
        timeout: seconds, after which it and everything it started is killed.
        check: raise when it does not exit with 0.
        umask: of what it writes; -1 is this process's.

    Raises:
        BuildError: it cannot be started, took too long, or failed with ``check``; the message
            holds the command in a form that can be pasted.
    """
    words = [str(word) for word in argv]
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            env=env,
            start_new_session=True,
            umask=umask,
        )
    except OSError as error:
        raise BuildError(f"cannot start {words[0]}: {error.strerror}") from error
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BuildError(
                f"took longer than {timeout:.0f} s and was ended:\n  {shlex.join(words)}"
            ) from error
        raise
    if check and process.returncode:
        raise BuildError(
            f"failed with status {process.returncode}:\n  {shlex.join(words)}\n{stderr}"
        )
    return Completed(process.returncode, stdout, stderr)
