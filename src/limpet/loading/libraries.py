"""The shared objects that a dynamic program starts with, found as its loader will find them.

What is found is put into the tree at the path where the loader opens it, with the links on the way.
The tree that was given comes first; where that has the program's loader, nothing of the host is
looked at.  Sources: glibc's ``elf/dl-load.c``, musl's ``ldso/dynlink.c``, ld.so(8).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from limpet.errors import ImageError
from limpet.formats.dynamic import Dynamic, missing_versions
from limpet.formats.image import Image
from limpet.formats.library_cache import PATH as CACHE
from limpet.formats.library_cache import read_cache, write_cache
from limpet.loading.layers import Layers
from limpet.loading.objects import instead_of_shared, looks_shared, read_object
from limpet.plain import quoted

_GLIBC_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
_MUSL_PATH = "/etc/ld-musl-x86_64.path"
TELLING = (CACHE, _MUSL_PATH)
"""Files of a tree that say where objects are."""

_MUSL_OWN = ("c", "pthread", "rt", "m", "dl", "util", "xnet")
"""``lib*.`` that musl's loader takes for itself."""

_UNWINDER = "libgcc_s.so.1"
"""What glibc itself loads (``misc/unwind-link.c``) when one of these is called."""
_UNWINDING = frozenset({"pthread_exit", "pthread_cancel", "thrd_exit", "backtrace"})

_PLATFORM, _LIB = "x86_64", "lib/x86_64-linux-gnu"
_LONGEST = 4096
"""Linux's PATH_MAX: no longer path leads anywhere."""

MOST = 4000
"""Objects that a program starts with."""

MOST_PLACES, _A_LOOK = 16 << 20, 64
"""Characters of the folders that objects name, and what each costs beside them: an object can name
thousands, of any length by ``$ORIGIN``, and lends them to those that it leads to."""


@dataclass(frozen=True)
class Loaded:
    """An object as the loader has it: ``name`` is as it was asked for, ``by`` who asked.

    ``unwinds`` is whether it uses what the C library needs :data:`_UNWINDER` for.
    """

    name: str
    path: str
    said: Dynamic
    by: Loaded | None
    unwinds: bool = False

    @property
    def chain(self) -> Iterator[Loaded]:
        """It, and those that led to it."""
        at: Loaded | None = self
        while at:
            yield at
            at = at.by


class Libraries:
    """What one program starts with.

    Args:
        image: the program.
        path: where it is in the tree.
        layers: the tree, and the host where that may be looked at.
        library_path: folders of LD_LIBRARY_PATH.
        preload: objects of LD_PRELOAD.
    """

    def __init__(
        self,
        image: Image,
        path: str,
        layers: Layers,
        *,
        library_path: Sequence[str] = (),
        preload: Sequence[str] = (),
    ) -> None:
        assert image.interpreter is not None and image.dynamic is not None
        self._image, self._layers = image, layers
        self._library_path, self._preload = library_path, preload
        self._musl = "musl" in os.path.basename(image.interpreter)
        self._program = Loaded(image.name, path, image.dynamic, None, _unwinds(image))
        self._usual = self._usual_folders()
        self._cached = {} if self._musl else read_cache(layers.look(CACHE) or b"")
        self.loaded: list[Loaded] = []
        self.missing: list[str] = []
        self._known: dict[str, Loaded] = {}
        self._paths: set[str] = set()
        self._places_left = MOST_PLACES

    def find(self) -> None:
        """Put all of them into the tree.

        Raises:
            ImageError: one is missing or cannot be used, or lacks a version that is wanted of it.
        """
        assert self._image.interpreter is not None
        loader = self._read(self._image.interpreter, self._image.interpreter, self._program)
        if loader is None:
            raise ImageError(
                f"{self._image.name}: its loader {quoted(self._image.interpreter)} is not there",
                hint="install it, or give the folder that has it with --root",
            )
        self._know(loader)
        waiting = deque([(name, self._program) for name in self._preload])
        waiting += [(name, self._program) for name in self._program.said.needed]
        asked = {name for name, _ in waiting}
        while waiting:
            name, by = waiting.popleft()
            if name in self._known or (self._musl and _is_musl_own(name)):
                continue
            found = self._found(name, by)
            self._know(found)
            waiting += [(each, found) for each in found.said.needed if each not in asked]
            asked.update(found.said.needed)
            if len(self.loaded) > MOST:
                raise ImageError(
                    f"{self._image.name}: starts with more than {MOST} shared objects",
                    hint="do not trust where it came from",
                )
        self._check_versions()
        self._add_unwinder((self._program, *self.loaded))
        self._write_cache()

    def _add_unwinder(self, users: Iterable[Loaded]) -> None:
        """What glibc loads by itself: it ends the program when that is not there."""
        for each in users:
            if each.unwinds and not self._musl and _UNWINDER not in self._known:
                with suppress(ImageError):  # not installed: as on this host
                    self._know(self._found(_UNWINDER, self._program))

    def _write_cache(self) -> None:
        """Have a cache in the tree for what the loader would find by nothing else."""
        needed = {
            each.name: each.path
            for each in self.loaded
            if self._cached.get(each.name) == each.path
            and os.path.dirname(each.path) not in self._usual
        }
        if needed:
            self._layers.write(CACHE, write_cache(needed))

    def follow(self, path: str) -> None:
        """Put what an object in the tree needs into it as well, as far as that is there."""
        content = self._layers.add(path)
        if content is None or not looks_shared(content):
            return
        try:
            first = self._read(os.path.basename(path), path, self._program)
        except ImageError:
            return  # it is no object, which is said where it gets no place
        waiting = deque([first] if first else [])
        while waiting:
            by = waiting.popleft()
            if by.path in self._paths:
                continue
            self._know(by)
            self._add_unwinder((by,))
            for name in by.said.needed:
                if name in self._known or (self._musl and _is_musl_own(name)):
                    continue
                try:
                    waiting.append(self._found(name, by))
                except ImageError as error:
                    self.missing.append(error.message)

    def on_host(self, name: str) -> str | None:
        """Where this host has an object that the program may ask for, which is not added."""
        return next(filter(os.path.isfile, self._places(name, self._program)), None)

    def _know(self, found: Loaded) -> None:
        self._known[found.name] = found
        if found.said.soname:
            self._known.setdefault(found.said.soname, found)
        if found.path not in self._paths:
            self._paths.add(found.path)
            self.loaded.append(found)

    def _found(self, name: str, by: Loaded) -> Loaded:
        refused = []
        for path in self._places(name, by):
            if not self._layers.has(path):
                continue
            found = self._read(name, path, by)
            if found:
                return found
            refused.append(path)
        why = ""
        if refused:
            why = f": {quoted(refused[0])} {instead_of_shared(self._layers.add(refused[0]))}"
        raise ImageError(
            f"{self._image.name}: the shared object {quoted(name)} that {quoted(by.name)} needs "
            f"is not found{why}",
            hint="install what it belongs to, or give its folder: --env LD_LIBRARY_PATH=FOLDER",
        )

    def _read(self, name: str, path: str, by: Loaded) -> Loaded | None:
        """The object at ``path``, ``None`` where there is none for this machine."""
        content = self._layers.add(path)
        if content is None or not looks_shared(content):
            return None
        image = read_object(content, path)
        if image is None or image.dynamic is None:
            raise ImageError(
                f"{quoted(path)}: a program, where {quoted(by.name)} needs a shared object",
                hint="install what it belongs to again",
            )
        return Loaded(name, path, image.dynamic, by, _unwinds(image))

    def _places(self, name: str, by: Loaded) -> Iterator[str]:
        """Where the loader looks for ``name``, in its order."""
        if "/" in name:
            yield os.path.join("/", self._expanded(name, by))
            return
        if self._musl:
            folders = [*self._library_path]
            for each in by.chain:
                folders += self._search_of(each)
            folders += self._usual
        else:
            folders = [*self._rpath(by), *self._library_path]
            if not by.said.inherited:
                folders += self._search_of(by)
        yield from _in_folders(name, folders)
        if not self._musl and by.said.default:
            if name in self._cached:
                yield self._cached[name]
            yield from _in_folders(name, self._usual)

    def _rpath(self, by: Loaded) -> Iterator[str]:
        """DT_RPATH of an object without DT_RUNPATH, and of those that led to it."""
        if not by.said.inherited:
            return
        chain = list(by.chain)
        for each in (*chain, *(() if self._program in chain else (self._program,))):
            if each.said.inherited:
                yield from self._search_of(each)

    def _search_of(self, by: Loaded) -> Sequence[str]:
        """The folders that an object names itself."""
        folders = [self._expanded(folder, by) for folder in by.said.search]
        self._places_left -= _A_LOOK + sum(len(each) + _A_LOOK for each in folders)
        if self._places_left < 0:
            raise ImageError(
                f"{self._image.name}: its shared objects name too many folders to look for each "
                "other in",
                hint="do not trust where it came from",
            )
        return folders

    def _expanded(self, text: str, by: Loaded) -> str:
        origin = os.path.dirname(by.path)
        for name, value in (("ORIGIN", origin), ("LIB", _LIB), ("PLATFORM", _PLATFORM)):
            text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return os.path.normpath(text) if text.startswith("/") else text

    def _usual_folders(self) -> Sequence[str]:
        if not self._musl:
            return _GLIBC_FOLDERS
        given = self._layers.add(_MUSL_PATH)
        if given is None:
            return _MUSL_FOLDERS
        words = given.decode(errors="surrogateescape").replace("\n", ":").split(":")
        return [word for word in words if word]

    def _check_versions(self) -> None:
        known = {name: each.said for name, each in self._known.items()}
        for each in (self._program, *self.loaded):
            for lacking in missing_versions(each.said, known):
                raise ImageError(
                    f"{self._image.name}: {quoted(each.name)} needs version {quoted(lacking.name)} "
                    f"of {quoted(lacking.file)}, and {quoted(self._known[lacking.file].path)} does "
                    "not have it",
                    hint="install a newer one, or give the folder that has it with --root",
                )


def _unwinds(image: Image) -> bool:
    return not _UNWINDING.isdisjoint(image.imports.values())


def _in_folders(name: str, folders: Sequence[str]) -> Iterator[str]:
    for folder in dict.fromkeys(folders):
        if folder.startswith("/") and len(folder) < _LONGEST:  # a guest starts in /
            yield f"{folder.rstrip('/')}/{name}"


def _is_musl_own(name: str) -> bool:
    return name.startswith("lib") and name[3:].partition(".")[0] in _MUSL_OWN and "." in name
