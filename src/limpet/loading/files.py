"""The files that a guest gets: a folder of this host's, and single files over it, to be packed.

Sizes are added up before anything is read.  What is found first and read later may have changed in
between, so each file is looked at again when it is read, and afterwards.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from limpet.errors import TreeError
from limpet.formats.tree.layout import MAX_TREE, NAME_MAX, Tree
from limpet.formats.tree.write import Node, pack_nodes
from limpet.plain import quoted

TIME = 318_211_200 * 10**9
"""The time of every packed file: 1 February 1980, in nanoseconds since 1970.

Zip archives know no time before 1980, in no time zone.
"""

_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a named pipe",
}
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # never waits for a pipe
_AGAIN = "run the command again, when nothing changes these files"
_HINTS = {
    errno.ENOENT: "check the name",
    errno.ENAMETOOLONG: "the folder lies too deep: move it further up",
}
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)


def pack(
    root: Path | None, files: Mapping[str, Path] | None = None, *, keep_times: bool = False
) -> Tree:
    """Pack the folder ``root`` and, over it, single ``files`` by their path in the guest.

    Args:
        root: a folder, or nothing.
        files: what lies over it, by absolute path in the guest.
        keep_times: whether files keep their times of change instead of :data:`TIME`.

    Raises:
        TreeError: something in it is missing, unreadable, changing, too much, or of a kind that
            cannot be packed.
    """
    if root is None and not files:
        return Tree()
    return pack_nodes(collect(root, files, Finder(keep_times)))


def collect(root: Path | None, files: Mapping[str, Path] | None, finder: Finder) -> Node:
    """As :func:`pack`, before it is packed."""
    top = finder.root(root) if root is not None else folder(b"")
    for guest, host in sorted((files or {}).items()):
        _lay_over(top, guest, host, finder)
    return top


def folder(name: bytes) -> Node:
    """An empty folder."""
    return Node(name, stat.S_IFDIR | 0o755, TIME)


class Finder:
    """Finds files, and adds up how much they are."""

    def __init__(self, keep_times: bool) -> None:
        self._keep_times = keep_times
        self._kept = ""
        self._bytes = 0
        self._links: set[tuple[int, int]] = set()

    @contextmanager
    def keeping(self, pattern: str) -> Iterator[None]:
        """Meanwhile files whose names match ``pattern`` keep their times."""
        self._kept = pattern
        try:
            yield
        finally:
            self._kept = ""

    def root(self, root: Path) -> Node:
        """A folder with everything below it."""
        try:
            status = root.stat()
        except OSError as error:
            raise TreeError(
                f"{quoted(root)}: cannot be packed: {error.strerror}",
                hint="give an existing folder to --root",
            ) from None
        if not stat.S_ISDIR(status.st_mode):
            raise TreeError(
                f"{quoted(root)}: not a folder", hint="give a folder to --root, or use --file"
            )
        top = self._node(b"", status)
        waiting = [(os.fspath(root), top)]
        while waiting:
            path, node = waiting.pop()
            for name in _names(path):
                inner = os.path.join(path, name)
                child = self.found(inner, os.fsencode(name))
                node.children[child.name] = child
                if child.is_directory:
                    waiting.append((inner, child))
        return top

    def file(self, path: Path, name: bytes) -> Node:
        """A single file or what a link leads to, called ``name``."""
        try:
            real = os.path.realpath(path, strict=True)
            node = self._read(real, name, os.lstat(real))
        except OSError as error:
            raise _unreadable(path, error) from None
        node.shared = None
        return node

    def found(self, path: str, name: bytes) -> Node:
        """What is at ``path``, which was there a moment ago, called ``name``."""
        try:
            return self._read(path, name, os.lstat(path))
        except OSError as error:
            raise _unreadable(path, error, listed=True) from None

    def _read(self, path: str, name: bytes, status: os.stat_result) -> Node:
        kind = stat.S_IFMT(status.st_mode)
        if kind in _KINDS:
            raise TreeError(
                f"{quoted(path)}: {_KINDS[kind]} cannot be packed",
                hint="leave it out; /dev/null and its like are always there",
            )
        node = self._node(name, status)
        if kind == stat.S_IFLNK:
            target = os.fsencode(os.readlink(path))
            node.size, node.fill = len(target), partial(put_content, target)
        elif kind == stat.S_IFREG:
            node.size, node.fill = status.st_size, partial(_read_into, path, status)
            if status.st_nlink > 1:
                node.shared = status.st_dev, status.st_ino
            self._count(path, status)
        return node

    def _node(self, name: bytes, status: os.stat_result) -> Node:
        kept = self._keep_times or (bool(self._kept) and fnmatchcase(os.fsdecode(name), self._kept))
        return Node(name, status.st_mode, status.st_mtime_ns if kept else TIME)

    def _count(self, path: str, status: os.stat_result) -> None:
        """Add a file up; what is too much is said before any file is read."""
        if status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in self._links:
                return
            self._links.add((status.st_dev, status.st_ino))
        self._bytes += status.st_size
        if self._bytes > MAX_TREE:
            raise TreeError(
                f"{quoted(path)}: {status.st_size} bytes; with it the packed files are "
                f"more than {MAX_TREE >> 20} MiB",
                hint="leave large files out, or put them on a disk: --block NAME=PATH",
            )


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        raise _unreadable(path, error, listed=True) from None


def put_content(content: bytes, to: memoryview) -> None:
    """Write all of it: what a node in memory is filled by."""
    to[:] = content


def _read_into(path: str, found: os.stat_result, to: memoryview) -> None:
    """Read the whole of a file; it must be what was found, before and after."""
    try:
        handle = os.open(path, _OPEN)
        try:
            _check_same(path, found, os.fstat(handle))
            at = 0
            while at < len(to) and (got := os.readv(handle, [to[at:]])):
                at += got
            longer = os.read(handle, 1)
            _check_same(path, found, os.fstat(handle))
            if longer or at < len(to):
                raise TreeError(
                    f"{quoted(path)}: does not hold the {len(to)} bytes that it says it has",
                    hint="leave it out, as all files of /proc and /sys",
                )
        finally:
            os.close(handle)
    except OSError as error:
        raise _unreadable(path, error, listed=True) from None


def _check_same(path: str, found: os.stat_result, now: os.stat_result) -> None:
    for name in ("st_dev", "st_ino", "st_mode", "st_size", "st_mtime_ns"):
        if getattr(found, name) != getattr(now, name):
            raise _changed(path)


def _changed(path: str) -> TreeError:
    return TreeError(
        f"{quoted(path)}: changed while it was packed",
        hint="run the command again when nothing writes to it; a log's place is a --volume, "
        "and --no-given leaves out what the command line names",
    )


def _unreadable(path: str | Path, error: OSError, *, listed: bool = False) -> TreeError:
    """What to say of a file; ``listed`` when it was there a moment ago."""
    if listed and error.errno in _GONE:
        return TreeError(f"{quoted(path)}: vanished while it was packed", hint=_AGAIN)
    return TreeError(
        f"{quoted(path)}: cannot be read: {error.strerror}",
        hint=_HINTS.get(error.errno or 0, "check its permissions, or leave it out"),
    )


def _lay_over(top: Node, guest: str, host: Path, finder: Finder) -> None:
    """Put a single file into the tree, with the folders that its path needs."""
    what = f"--file {quoted(host)}:{quoted(guest)}"
    parts = _parts(guest, host, what)
    at = top
    for part in parts[:-1]:
        at = at.children.setdefault(part, folder(part))
        if not at.is_directory:
            raise TreeError(
                f"{what}: {quoted(os.fsdecode(part))} is a file in the tree",
                hint="choose another path in the guest",
            )
    if parts[-1] in at.children and at.children[parts[-1]].is_directory:
        raise TreeError(f"{what}: there is a folder of that name", hint="choose another path")
    node = finder.file(host, parts[-1])
    if node.is_directory:
        raise TreeError(
            f"--file {quoted(host)}: a folder, not a file",
            hint=f"--include {quoted(host)} packs it where it is, and --volume lends it",
        )
    at.children[parts[-1]] = node


def _parts(guest: str, host: Path, what: str) -> list[bytes]:
    parts = [os.fsencode(part) for part in guest.split("/") if part]
    if not guest.startswith("/") or not parts or {b".", b".."} & set(parts):
        raise TreeError(
            f"{what}: the guest's path must be absolute, without . and ..",
            hint=f"for example --file {quoted(host)}:/data/{quoted(host.name)}",
        )
    if any(len(part) > NAME_MAX for part in parts):
        raise TreeError(f"{what}: a name is too long", hint="use a shorter one")
    return parts
