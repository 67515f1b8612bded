"""Executable files, written whole or not at all.

A new file has no name before it is whole, so that nothing is left of one whose writer is killed.
File systems without such files (``O_TMPFILE``) have it under a temporary name beside its place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from limpet.errors import BuildError
from limpet.tools import private


def write(path: Path, *data: bytes) -> None:
    """Write ``data`` to ``path``, one behind the other; see :func:`put`."""

    def fill(handle: int) -> None:
        for piece in _large(data):
            _write_all(handle, piece)

    put(path, fill)


def copy(source: Path, path: Path) -> None:
    """Write what the file ``source`` holds to ``path``; see :func:`put`."""
    with source.open("rb", buffering=0) as stream:
        put(path, lambda handle: send(stream.fileno(), handle, os.fstat(stream.fileno()).st_size))


def take_place(path: Path, make: Callable[[Path], bool]) -> bool:
    """Have ``make`` write a new file, which takes the place of ``path``.

    Args:
        make: is given a path that there may be, with an empty file.

    Returns:
        Whether it did: what ``make`` says.  A device or pipe stays, and ``make`` is not asked.

    Raises:
        BuildError: the place cannot be written.
    """
    import tempfile  # not on the way of a bundle that is there

    if path.exists() and not path.is_file():
        return False
    try:
        handle = _nameless(path.parent)
        if handle is not None:
            with open(handle, "rb"):
                made = make(Path(_OWN, str(handle)))
                if made:
                    _name(handle, path)
                return made
        with tempfile.TemporaryDirectory(prefix=_beside(path), dir=path.parent) as folder:
            new = Path(folder, "new")
            made = make(new)
            if made:
                os.replace(new, path)
            return made
    except OSError as error:
        raise _unwritable(path, error) from error


def is_nobodys(path: Path) -> bool:
    """Whether nobody has the file open, has it mapped or runs it, so that it may be written.

    Of who runs a program the kernel says so by itself (ETXTBSY), but not every kernel does
    (Linux 6.11), and of who has it mapped none. It gives a lease to write only to the one who has
    the file (``F_SETLEASE`` in fcntl(2)). A file system without leases says no.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or private.problem(status):
            return False
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


_PIECE = 16 << 20
_COPIED = 2 << 20
_NAME_SHOWN = 40


def send(source: int, target: int, size: int) -> None:
    """Write the first bytes of a file to where another is, by their descriptors.

    In pieces of which a file system makes large pages where it has these: what the kernel copies
    by itself (``sendfile``) it writes 64 KiB at a time.  All go through the same memory: new
    memory for each would be twice the work.
    """
    at = 0
    with memoryview(bytearray(min(_COPIED, size))) as room:
        while at < size:
            got = os.preadv(source, [room[: size - at]], at)
            if not got:
                raise OSError(0, "it became shorter meanwhile")
            _write_all(target, room[:got])
            at += got


def _write_all(target: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(target, piece) :]


def _large(data: Iterable[bytes]) -> Iterator[memoryview]:
    """The same bytes in pieces of ``_PIECE``, but for the last; each is gone with the next.

    What is written a segment at a time lies in pages of the file as small as its segments are odd,
    and in single ones where the kernel finds bytes that nobody has touched yet.
    """
    filled = 0
    with memoryview(bytearray(_PIECE)) as room:
        for each in data:
            done = 0
            while done < len(each):
                some = memoryview(each)[done : done + len(room) - filled]
                room[filled : filled + len(some)] = some
                done, filled = done + len(some), filled + len(some)
                if filled == len(room):
                    yield room
                    filled = 0
        if filled:
            yield room[:filled]


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


_OWN = "/proc/self/fd"
_HAVE_NONE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


def _nameless(folder: Path) -> int | None:
    """A new file in ``folder`` that has no name, ``None`` where there is no such thing."""
    if not os.path.isdir(_OWN):  # by which it gets one
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _HAVE_NONE:
            return None
        raise


def _name(handle: int, path: Path) -> None:
    """Have a file without a name take the place of ``path``."""
    name = path.with_name(f"{_beside(path)}{os.urandom(4).hex()}")
    os.link(f"{_OWN}/{handle}", name, src_dir_fd=handle)  # which has it follow the link
    try:
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _exchange(path: Path, fill: Callable[[int], None]) -> None:
    import tempfile

    nameless = _nameless(path.parent)
    if nameless is not None:
        with open(nameless, "rb"):
            fill(nameless)
            os.fchmod(nameless, 0o755)
            _name(nameless, path)
        return
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
