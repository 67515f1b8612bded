"""A tree that is being packed, with the host behind it: what is found there is added.

Folders and links on the way are added as they are, so that a path leads where it leads there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from limpet.errors import ImageError, TreeError
from limpet.formats.files import read_file
from limpet.formats.tree.write import Node
from limpet.loading.files import TIME, Finder, folder, put_content
from limpet.loading.seen import GLOB, matches, state_of

_MOST_LINKS = 40
"""As Linux has it."""


class Layers:
    """``top`` is the tree; ``host`` is whether the host's files stand behind it.

    ``seen`` collects what every path of the host was that mattered, those that were not there too.
    """

    def __init__(self, top: Node, finder: Finder, *, host: bool) -> None:
        self.top = top
        self._finder = finder
        self.host = host
        self.seen: dict[str, str] = {}

    def keeping(self, pattern: str) -> AbstractContextManager[None]:
        """Meanwhile files whose names match ``pattern`` keep their times."""
        return self._finder.keeping(pattern)

    def has(self, path: str) -> bool:
        """Whether a file is at ``path``."""
        if self._walk(path) is not None:
            return True
        if not self.host:
            return False
        self.seen[path] = state_of(path)
        return os.path.isfile(path)

    def holds(self, path: str) -> bool:
        """Whether the tree has a file at ``path`` already."""
        return self._walk(path) is not None

    def add(self, path: str) -> bytes | None:
        """The content of the file at ``path``, which is in the tree then; ``None`` without one."""
        if not self.has(path):
            return None
        node = self._walk(path) or self._added(path)
        if node is None or not stat.S_ISREG(node.mode):
            return None
        return _content(node)

    def look(self, path: str) -> bytes | None:
        """The content of the file at ``path``, which is not added."""
        node = self._walk(path)
        if node is not None:
            return _content(node)
        if not self.host:
            return None
        self.seen[path] = state_of(path)
        try:
            return read_file(Path(path))
        except ImageError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Have ``content`` at ``path``, unless there is a file."""
        if self._walk(path) is None:
            at, name = self._made_folder(path)
            at.children[name] = Node(
                name, stat.S_IFREG | 0o644, TIME, len(content), partial(put_content, content)
            )

    def _made_folder(self, path: str) -> tuple[Node, bytes]:
        """The folder that ``path`` is to be in, made where it is missing, and the last name."""
        at, way = self.top, b""
        *folders, name = (part for part in os.fsencode(path).split(b"/") if part)
        for part in folders:
            at, way = at.children.setdefault(part, folder(part)), way + b"/" + part
            if stat.S_ISLNK(at.mode):
                at = self._follow(os.fsdecode(way), grow=self.host) or at
            if not at.is_directory:
                raise TreeError(
                    f"{path}: {os.fsdecode(part)} is a file in the tree",
                    hint="give another --root, or run the program from another folder",
                )
        return at, name

    def put(self, path: str, source: str) -> None:
        """Have the host's file ``source`` at ``path``, unless there is one."""
        if self.has(path):
            if self._walk(path) is None:
                self._added(path)
            return
        at, name = self._made_folder(path)
        at.children[name] = self._finder.file(Path(source), name)

    def there(self, path: str) -> bool:
        """Whether the host has anything at ``path``."""
        self.seen[path] = state_of(path)
        return os.path.exists(path)

    def matching(self, pattern: str) -> list[str]:
        """The paths of the host that ``pattern`` matches."""
        self.seen[f"{GLOB}{pattern}"] = state_of(f"{GLOB}{pattern}")
        return matches(pattern)

    def below(self, folder: str, leave: Sequence[str] = ()) -> Iterator[str]:
        """The files, links and empty folders below one of the host; not what ``leave`` matches."""
        waiting = [folder]
        while waiting:
            at = waiting.pop()
            self.seen[f"{GLOB}{at}/*"] = state_of(f"{GLOB}{at}/*")
            names = sorted(os.listdir(at))
            if not names:
                yield at
            for name in names:
                path = os.path.join(at, name)
                if any(fnmatchcase(name, each) for each in leave):
                    continue
                if os.path.isdir(path) and not os.path.islink(path):
                    waiting.append(path)
                elif stat.S_ISREG(os.lstat(path).st_mode) or os.path.islink(path):
                    yield path

    def lay(self, path: str, source: str) -> bool:
        """Have the host's file ``source`` at ``path``, unless the tree has one there."""
        for each in (source, os.path.realpath(source)):
            self.seen[each] = state_of(each)
        if self._walk(path) is not None:
            return False
        at, name = self._made_folder(path)
        at.children[name] = self._finder.file(Path(source), name)
        return True

    def give(self, path: str, source: str) -> bool:
        """Have the host's file ``source`` at ``path`` where the tree has nothing; whether it has.

        It is not looked at again: who gives it knows whether it has changed.
        """
        try:
            at, name = self._made_folder(path)
        except TreeError:  # a file is in the way
            return False
        if name in at.children:
            return False
        at.children[name] = self._finder.file(Path(source), name)
        return True

    def include(self, pattern: str) -> list[str]:
        """Add the host's files that ``pattern`` matches, of folders everything below; their paths.

        Raises:
            TreeError: it matches nothing, or what cannot be packed.
        """
        pattern = os.path.abspath(pattern)
        added: list[str] = []
        for path in self.matching(pattern):
            if os.path.isdir(path):
                added += self.include_folder(path)
            elif self._follow(path, grow=True):
                added.append(path)
        if not added:
            raise TreeError(f"--include {pattern}: there is no such file", hint="check the path")
        return added

    def include_folder(self, folder: str, leave: Sequence[str] = ()) -> list[str]:
        """Add what :meth:`below` finds; the paths."""
        self._follow(folder, grow=True)
        found = list(self.below(folder, leave))
        for path in found:
            self._follow(path, grow=True)
        return found

    def _walk(self, path: str) -> Node | None:
        """The file that ``path`` leads to within the tree."""
        found = self._follow(path, grow=False)
        return found if found is not None and stat.S_ISREG(found.mode) else None

    def _added(self, path: str) -> Node | None:
        return self._follow(path, grow=True)

    def _follow(self, path: str, *, grow: bool) -> Node | None:
        waiting = [part for part in reversed(os.fsencode(path).split(b"/")) if part]
        way: list[tuple[Node, bytes]] = [(self.top, b"")]  # and where each is on the host
        links = 0
        while waiting:
            part = waiting.pop()
            if part in (b".", b".."):
                way = way[: -1 if part == b".." else None] or [(self.top, b"")]
                continue
            node, host = way[-1]
            if not node.is_directory:
                return None
            child = node.children.get(part)
            if child is None and grow:
                child = self._take(node, host + b"/" + part, part)
            if child is None:
                return None
            if not stat.S_ISLNK(child.mode):
                way.append((child, host + b"/" + part))
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            target = _content(child)
            if target.startswith(b"/"):
                way = [(self.top, b"")]
            waiting += [part for part in reversed(target.split(b"/")) if part]
        return way[-1][0]

    def _take(self, parent: Node, host: bytes, name: bytes) -> Node | None:
        """What the host has at ``host``, put into ``parent``."""
        path = os.fsdecode(host)
        self.seen[path] = state_of(path)
        try:
            status = os.lstat(path)
        except OSError:
            return None
        child = folder(name) if stat.S_ISDIR(status.st_mode) else self._finder.found(path, name)
        parent.children[name] = child
        return child


def _content(node: Node) -> bytes:
    content = bytearray(node.size)
    with memoryview(content) as view:
        node.fill(view)
    return bytes(content)


def program_path(app: str, root: str | None) -> str:
    """Where a program of the host is for its guest: below ``root`` as there, else as here.

    Raises:
        TreeError: it is not there.
    """
    try:
        real = os.path.realpath(app, strict=True)
    except OSError as error:
        raise TreeError(f"{app}: {error.strerror}", hint="check the path") from None
    if root is not None:
        top = os.path.realpath(root)
        if real.startswith(f"{top}/"):
            return real[len(top) :]
    return real
