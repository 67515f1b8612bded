"""The last bundle of its kind: where only texts are others now, the next is made from it.

Most files of a tree are only read by the guest: whatever they hold, the plan is the same. What is
kept of a bundle says which ones those are, and what each was. A text that names other modules than
before, or a file that is an object now, is planned anew.

This is on the path of a ``limpet run`` whose script changed, so it imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpet.formats import elf
from limpet.loading import seen
from limpet.loading.interpreters import Interpreter, imported, known

if TYPE_CHECKING:
    from limpet.formats.tree.exchange import Content
    from limpet.planning.plan import Plan

_MAGIC = elf.IDENT[:4]


@dataclass(frozen=True)
class Text:
    """A file that leads to nothing but modules.

    ``record`` is its own in the tree, ``guest`` its path there, ``named`` the path that it was
    found by, ``host`` where that leads, ``state`` what was there, ``kept`` whether it keeps its
    time; ``modules`` are those that it names.
    """

    record: int
    guest: str
    named: str
    host: str
    state: str
    kept: bool
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """What is to be exchanged in the bundle ``base``; ``seen`` is what the host's files are now.

    ``names`` are what some of the files are called now.
    """

    base: str
    outline: str
    seen: str
    files: Mapping[int, Content]
    names: Mapping[int, bytes] = field(default_factory=dict)

    def write(
        self, base: Path, target: Path, own: Sequence[int] | None = None
    ) -> tuple[int, ...] | None:
        """Make the bundle from the file ``base``, if no more than that changes.

        What is given as ``own``, and returned, is as :func:`limpet.building.exchange.exchanged`
        says.
        """
        from limpet.building.exchange import exchanged

        return exchanged(base, target, self.files, self.outline, self.names, own)


@dataclass(frozen=True)
class Last:
    """What is kept of a bundle: its key, its plan's outline, what was seen, and its texts.

    ``given`` are the paths of those that the command line named and that could have other names.
    """

    bundle: str
    outline: str
    seen: str
    texts: tuple[Text, ...]
    given: tuple[str, ...] = ()

    def text(self) -> str:
        """For :meth:`parse`."""
        texts = [list(vars(each).values()) for each in self.texts]
        return json.dumps([self.bundle, self.outline, self.seen, texts, self.given])

    @classmethod
    def parse(cls, text: str) -> Last | None:
        """What :meth:`text` wrote, ``None`` for anything else."""
        try:
            bundle, outline, seen, texts, given = json.loads(text)
            return cls(bundle, outline, seen, tuple(map(_text_of, texts)), tuple(given))
        except (TypeError, ValueError):
            return None

    def changed(self, app: Path) -> Changed | None:
        """What is to be exchanged, ``None`` where more than texts is another than it was.

        Raises:
            TreeError: a text cannot be read.
        """
        now = self._seen_now()
        if now is None:
            return None
        files: dict[int, Content] = {}
        which = known(app)
        for each in self.texts:
            if os.path.realpath(each.named) != each.host:
                return None
            if seen.state_of(each.host) == each.state:
                continue
            content = _content(each.host, each.kept)
            if content.data.startswith(_MAGIC) or each.modules != _modules(content.data, which):
                return None
            files[each.record] = content
        return Changed(self.bundle, self.outline, now, files)

    def others(self, app: Path, given: Mapping[str, Path]) -> Changed | None:
        """What is to be exchanged where the command line names others than it did.

        Each has the place of one in the same folder. ``None`` where there are more of them, or
        fewer, or one has something else's name.

        Raises:
            TreeError: one cannot be read.
        """
        gone = sorted(set(self.given) - given.keys(), key=_in_folder)
        come = sorted(given.keys() - set(self.given), key=_in_folder)
        if list(map(os.path.dirname, gone)) != list(map(os.path.dirname, come)):
            return None
        called = {guest: guest for guest in self.given} | dict(zip(gone, come, strict=True))
        texts = {each.guest: each for each in self.texts}
        names = {texts[old].record: os.fsencode(os.path.basename(called[old])) for old in gone}
        for old, new in called.items():
            named = os.path.abspath(given[new])
            host = os.path.realpath(named)
            texts[old] = replace(texts[old], guest=new, named=named, host=host, state="")
        changed = replace(self, texts=tuple(texts.values())).changed(app)
        return changed and replace(changed, names=names)

    def _seen_now(self) -> str | None:
        """What was seen, as it is now, where only texts may be others."""
        texts = {each.host for each in self.texts}
        now = {}
        for path, state in seen.read(self.seen).items():
            now[path] = seen.state_of(path)
            if now[path] != state and path not in texts:
                return None
        return seen.written(now)


def _text_of(given: list[Any]) -> Text:
    record, guest, named, host, state, kept, modules = given
    return Text(record, guest, named, host, state, kept, tuple(modules))


def last_of(plan: Plan, key: str, app: Path) -> Last:
    """What is to be kept of the bundle of ``plan``, which the cache has as ``key``."""
    texts = tuple(_texts(plan, app))
    given = plan.guest.given if _could_be_others(plan, app, texts) else ()
    return Last(key, plan.outline, seen.written(plan.guest.seen), texts, given)


def _could_be_others(plan: Plan, app: Path, texts: Sequence[Text]) -> bool:
    """Whether nothing but their names in the tree depends on what the given files are called."""
    from limpet.formats.tree.paths import Paths
    from limpet.loading.libraries import TELLING

    paths = Paths(plan.guest.tree)
    telling = {paths.index(os.path.dirname(each)) for each in TELLING}
    folders = {paths.index(os.path.dirname(each)) for each in plan.guest.given}
    known_here = {each.guest for each in texts}
    return not known(app) and known_here >= set(plan.guest.given) and telling.isdisjoint(folders)


def _in_folder(path: str) -> tuple[str, str]:
    return os.path.split(path)


def _texts(plan: Plan, app: Path) -> Iterator[Text]:
    from limpet.formats.tree.layout import record
    from limpet.formats.tree.paths import Paths
    from limpet.loading.files import TIME
    from limpet.loading.libraries import TELLING

    tree = plan.guest.tree
    paths, which = Paths(tree), known(app)
    telling = {paths.index(each) for each in TELLING}
    for guest, text in sorted(plan.guest.texts.items()):
        index = paths.index(guest)
        if index is None or index in telling:
            continue
        each = record(tree.data, index)
        data = tree.data[each["data"] : each["data"] + each["size"]]
        kept = each["modified"] != TIME
        if stat.S_ISREG(each["mode"]) and not data.startswith(_MAGIC) and text.time != TIME:
            modules = _modules(data, which)
            yield Text(index, guest, text.named, text.host, text.state, kept, modules)


def _modules(data: bytes, which: Interpreter | None) -> tuple[str, ...]:
    return tuple(sorted(imported(data, which))) if which else ()


def _content(path: str, kept: bool) -> Content:
    """What the file at ``path`` is, as it would be packed.

    Raises:
        TreeError: it cannot be read, or changes meanwhile.
    """
    from limpet.formats.tree.exchange import Content
    from limpet.loading.files import Finder

    node = Finder(kept).file(Path(path), b"")
    data = bytearray(node.size)
    with memoryview(data) as view:
        node.fill(view)
    return Content(node.mode, node.modified, bytes(data))
