"""Reading a file that someone gave: never a device, a pipe, or more than can be meant."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from limpet.errors import ImageError

MAX_FILE = 1 << 30
"""Bytes."""

_SMALL, _PIECE = 8 << 20, 1 << 20


def read_file(path: Path, most: int = MAX_FILE) -> bytes:
    """The bytes of a regular file, or a clear error; never waits on a pipe or a device.

    Args:
        path: where it is.
        most: bytes that it may have.

    Raises:
        ImageError: missing, unreadable, not a regular file or far too large.
    """
    with os.fdopen(_opened(path, most), "rb") as stream:
        return _read(stream, path)


def own_copy(path: Path, folder: Path, most: int = MAX_FILE) -> memoryview:
    """The bytes of a regular file that may be large: a view of a copy that nobody can change.

    The copy has no name, is in ``folder``, and goes with the view.

    Raises:
        ImageError: as :func:`read_file`; or there is no room for it.
    """
    with os.fdopen(_opened(path, most), "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= _SMALL:
            return memoryview(_read(stream, path))
        try:
            with tempfile.TemporaryFile(dir=folder) as copy:
                os.posix_fallocate(copy.fileno(), 0, size)  # or a hole may find no memory: SIGBUS
                _copy(stream.fileno(), copy.fileno(), size, path)
                return memoryview(mmap.mmap(copy.fileno(), size, prot=mmap.PROT_READ))
        except OSError as error:
            raise ImageError(
                f"{path}: cannot be copied to {folder} to be looked at: {error.strerror}",
                hint="make room there, or set LIMPET_CACHE to a folder with more",
            ) from None


def _read(stream: BinaryIO, path: Path) -> bytes:
    try:
        return stream.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ImageError:
    return ImageError(f"{path}: cannot be read: {error.strerror}", hint="give a file of a disk")


def _copy(source: int, to: int, size: int, path: Path) -> None:
    """What is no hole of the first ``size`` bytes; what is gone meanwhile stays zeros.

    Raises:
        ImageError: ``path``, the source, cannot be read.
    """
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = min(os.lseek(source, at, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise _unreadable(path, error) from None
        while at < end:
            try:
                piece = os.pread(source, min(end - at, _PIECE), at)
            except OSError as error:
                raise _unreadable(path, error) from None
            if not piece:
                return
            at += os.pwrite(to, piece, at)


def _opened(path: Path, most: int) -> int:
    """A descriptor of it."""
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
    if status.st_size > most:
        os.close(handle)
        raise ImageError(f"{path}: {status.st_size} bytes is more than a guest can have")
    return handle
