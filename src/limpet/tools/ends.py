"""How a child ended, which the kernel tells once, and to a program that ignores SIGCHLD never.

Python takes what it is not told for a success: ``Popen.returncode`` is 0 then.
"""

from __future__ import annotations

import os
import signal
import subprocess

from limpet.errors import LimpetError

UNTOLD = "this program ignores SIGCHLD, or waits for children that it has not started"
HINT = "signal.signal(signal.SIGCHLD, signal.SIG_DFL)"


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; how is left to be asked."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def code_of(process: subprocess.Popen[bytes]) -> int | None:
    """Its ``returncode`` once it has ended, or ``None`` where nobody is told that."""
    if process.returncode is None:
        try:
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            process.wait()
            return process.returncode or None
        process.wait()
        assert found
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    return process.returncode or (None if _ignored() else 0)


def check_told(error: type[LimpetError], what: str) -> None:
    """Nothing is started whose end decides what is done next, where none is told.

    Raises:
        LimpetError: as ``error``.
    """
    if _ignored():
        raise error(
            f"{what}: this program ignores SIGCHLD, so nobody can say how it ends", hint=HINT
        )


def _ignored() -> bool:
    return signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
