"""Executable files, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from limpet.errors import BuildError


def write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; see :func:`put`."""

    def fill(handle: int) -> None:
        with open(handle, "wb", closefd=False) as stream:
            stream.write(data)

    put(path, fill)


def copy(source: Path, path: Path) -> None:
    """Write what the file ``source`` holds to ``path``; see :func:`put`."""
    with source.open("rb", buffering=0) as stream:
        put(path, lambda handle: send(stream.fileno(), handle, os.fstat(stream.fileno()).st_size))


def take_place(path: Path, make: Callable[[Path], bool]) -> bool:
    """Have ``make`` write a new file, which takes the place of ``path``.

    Returns:
        Whether it did: what ``make`` says.  A device or pipe stays, and ``make`` is not asked.

    Raises:
        BuildError: the place cannot be written.
    """
    import tempfile  # not on the way of a bundle that is there

    if path.exists() and not path.is_file():
        return False
    try:
        with tempfile.TemporaryDirectory(prefix=_beside(path), dir=path.parent) as folder:
            new = Path(folder, "new")
            made = make(new)
            if made:
                os.replace(new, path)
            return made
    except OSError as error:
        raise _unwritable(path, error) from error


_PIECE = 16 << 20
_NAME_SHOWN = 40


def send(source: int, target: int, size: int) -> None:
    """Write the first bytes of a file to where another is, by their descriptors.

    In large pieces, of which a file system makes large pages where it has these: what the kernel
    copies by itself (``sendfile``) it writes 64 KiB at a time.
    """
    at = 0
    while at < size:
        piece = os.pread(source, min(_PIECE, size - at), at)
        if not piece:
            raise OSError(0, "it became shorter meanwhile")
        done = 0
        while done < len(piece):
            done += os.write(target, piece[done:])
        at += len(piece)


def put(path: Path, fill: Callable[[int], None]) -> None:
    """Have ``fill`` write a file by way of a temporary one beside it.

    A device or pipe is written to; it would be no device any more if it were replaced.

    Raises:
        BuildError: the place cannot be written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb", buffering=0) as stream:
                fill(stream.fileno())
            return
        _exchange(path, fill)
    except OSError as error:
        raise _unwritable(path, error) from error


def _beside(path: Path) -> str:
    """How the name of what is not whole yet starts: a name can be 255 bytes long."""
    return f".{path.name[:_NAME_SHOWN]}."


def _unwritable(path: Path, error: OSError) -> BuildError:
    return BuildError(
        f"{path}: cannot be written: {error.strerror}", hint="choose another place with -o"
    )


def _exchange(path: Path, fill: Callable[[int], None]) -> None:
    import tempfile

    handle, name = tempfile.mkstemp(prefix=_beside(path), dir=path.parent)
    try:
        try:
            fill(handle)
        finally:
            os.close(handle)
        os.chmod(name, 0o755)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
