"""A bundle that tells of each call, started as this process's child, and what it tells."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from limpet.contract.limits import SIGNAL_STATUS
from limpet.errors import BundleError, InputError, RunError
from limpet.formats.bundle.read import MAX_BUNDLE, BundleFile, parse
from limpet.formats.files import read_file
from limpet.running.passing import passing

TRACE = "trace"
"""The feature that a bundle has which tells."""

_PIECE = 1 << 16
_LOOK = 0.25
"""Seconds after which a call that has not returned is shown as going on."""


def is_unikernel(bundle: BundleFile) -> bool:
    """Whether its guest has no library OS, which could tell."""
    return not any("constants" in each.name.split("+") for each in bundle.record.parts)


def unikernel_bundle(path: Path) -> bool:
    """Whether a file is the bundle of a unikernel, which is traced from outside."""
    try:
        return is_unikernel(parse(read_file(path, MAX_BUNDLE), path.name))
    except InputError:
        return False


def traced_bundle(path: Path) -> bool:
    """Whether a file is a bundle, which then tells of each call.

    Raises:
        BundleError: it is one that does not.
    """
    try:
        bundle: BundleFile = parse(read_file(path, MAX_BUNDLE), path.name)
    except InputError:
        return False
    if is_unikernel(bundle):
        return False
    asked = bundle.record.options.get("features", ())
    if not isinstance(asked, tuple) or TRACE not in asked:
        raise BundleError(
            f"{path.name}: a bundle that does not tell what its guest asks for",
            hint="build it with --feature trace, or trace the program itself",
        )
    return True


def trace(
    path: Path, argv: Sequence[str], taken: Callable[[bytes], None], idle: Callable[[], None]
) -> int:
    """Start the bundle at ``path`` and pass on what it tells until it ends.

    Args:
        argv: its name, then the words of its command line.
        taken: is given what came.
        idle: is called when nothing came for a moment.

    Returns:
        The exit status, 128 + N for signal N.

    Raises:
        RunError: it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="limpet-trace-") as folder:
        pipe = Path(folder, "records")
        os.mkfifo(pipe, 0o600)
        records = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            words = [argv[0], f"--trace={pipe}", *argv[1:]]
            with _started(path, words) as child:
                _pass_on(records, child, taken, idle)
                status = child.wait()
        finally:
            os.close(records)
    return status if status >= 0 else SIGNAL_STATUS - status


@contextmanager
def _started(path: Path, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The bundle, with the signals that are sent to this process meanwhile."""
    waiting: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def send(number: int) -> None:
        if child:
            child.send_signal(number)
        else:
            waiting.append(number)

    with passing(send):
        try:
            child = subprocess.Popen(list(argv), executable=path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be started: {error}", hint="try again") from error
        try:
            for number in waiting:
                child.send_signal(number)
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def _pass_on(
    records: int,
    child: subprocess.Popen[bytes],
    taken: Callable[[bytes], None],
    idle: Callable[[], None],
) -> None:
    """Until nobody writes any more: nothing is lost of a guest that has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(records, selectors.EVENT_READ)
        while True:
            ended = child.poll() is not None
            ready = selector.select(0 if ended else _LOOK)
            data = os.read(records, _PIECE) if ready else b""
            if data:
                taken(data)
            elif ended:
                return
            elif ready:  # it has closed its end: it is about to end itself
                child.wait()
            else:
                idle()
