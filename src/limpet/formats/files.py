"""Reading a file that someone gave: never a device, a pipe, or more than can be meant."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from limpet.errors import ImageError

MAX_FILE = 1 << 30
"""Bytes."""


def read_file(path: Path, most: int = MAX_FILE) -> bytes:
    """The bytes of a regular file, or a clear error; never waits on a pipe or a device.

    Args:
        path: where it is.
        most: bytes that it may have.

    Raises:
        ImageError: missing, unreadable, not a regular file or far too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file", hint="check the path") from None
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read: {error.strerror}", hint="check its permissions"
        ) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ImageError(f"{path}: not a regular file", hint="give a program or a .c file")
    with os.fdopen(handle, "rb") as stream:
        if status.st_size > most:
            raise ImageError(f"{path}: {status.st_size} bytes is more than a guest can have")
        return stream.read()
