"""The file tree of a guest: what was given, and for a dynamic program what it starts with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from limpet.formats.image import Image
from limpet.formats.tree.layout import Tree
from limpet.formats.tree.write import pack_nodes
from limpet.loading.asked import NOTHING, Wants
from limpet.loading.certificates import trusted
from limpet.loading.exchangeable import warnings
from limpet.loading.files import Finder, collect, pack
from limpet.loading.guest import Single
from limpet.loading.interpreted import Interpreted
from limpet.loading.interpreters import Interpreter, known
from limpet.loading.layers import Layers, program_path
from limpet.loading.libraries import Libraries
from limpet.loading.offers import Find
from limpet.loading.seen import state_of


@dataclass(frozen=True)
class Packed:
    """A tree, where in it the program is, and what of the host was looked at.

    ``texts`` are single files of the host by their path in the guest, ``why`` says what is packed
    that nobody named, ``notes`` what of it is not, ``warnings`` what may be wrong with it; ``find``
    says where the host has a shared object, where that may be looked at; ``given`` are the paths of
    what was given and is in the tree.
    """

    tree: Tree
    path: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Single] = field(default_factory=dict)
    why: Sequence[str] = ()
    warnings: Sequence[str] = ()
    find: Find | None = None
    notes: Sequence[str] = ()
    given: Sequence[str] = ()


def tree_of(
    image: Image,
    app: Path | str,
    root: Path | None,
    files: Mapping[str, Path] | None,
    *,
    keep_times: bool = False,
    environment: Sequence[str] = (),
    include: Sequence[str] = (),
    wants: Wants = NOTHING,
    given: Mapping[str, Path] | None = None,
    trust: bool = False,
) -> Packed:
    """The packed tree of ``image``; what is ``given`` has no name there that something else has.

    Args:
        trust: the certificates of the host are packed where they are named.

    Raises:
        InputError: something cannot be packed, or a shared object is missing or of no use.
    """
    if image.interpreter is None and not include and not given and not trust:
        return Packed(pack(root, files, keep_times=keep_times))
    finder = Finder(keep_times)
    top = collect(root, files, finder)
    named = list(top.files())
    layers = Layers(top, finder, host=True)
    included = [path for each in include for path in layers.include(each)]
    if image.interpreter is None:
        laid = _laid(layers, given or {})
        singles = {**_singles(files or {}), **laid}
        why = trusted(layers, [(image.name, image.data)]) if trust else []
        return Packed(pack_nodes(top), "", layers.seen, singles, why, given=tuple(laid))
    if Layers(top, finder, host=False).has(image.interpreter):
        layers.host = False
    where = program_path(str(app), None if root is None else str(root))
    layers.put(where, str(app))
    folders, preload = _asked(environment)
    libraries = Libraries(image, where, layers, library_path=folders, preload=preload)
    libraries.find()
    which = known(where) if layers.host else None
    more = _interpreted(which, layers, (str(app), where), files or {}, wants) if which else None
    for path in (*included, *(named if layers.host else ()), *(more.objects if more else ())):
        libraries.follow(path)
    why = list(more.why) if more else []
    if trust and layers.host:
        objects = ((each.path, layers.look(each.path) or b"") for each in libraries.loaded)
        why += trusted(layers, [(where, image.data), *objects])
    laid = _laid(layers, given or {})
    singles = {**_singles({**(files or {}), **(more.laid if more else {})}), **laid}
    tree = pack_nodes(top)
    taken = [each.path for each in libraries.loaded if each.path in layers.seen]
    find = libraries.on_host if layers.host else None
    notes = (more.left_out,) if more and more.left_out else ()
    doubts = tuple(warnings(taken))
    return Packed(tree, where, layers.seen, singles, why, doubts, find, notes, tuple(laid))


def _interpreted(
    which: Interpreter,
    layers: Layers,
    paths: tuple[str, str],
    files: Mapping[str, Path],
    wants: Wants,
) -> Interpreted:
    """What an interpreter, by the paths as named and as found, gets by itself."""
    found = Interpreted(which, layers, os.path.abspath(paths[0]), paths[1])
    with layers.keeping(which.times):
        found.pack(files, wants)
    return found


def _laid(layers: Layers, given: Mapping[str, Path]) -> Mapping[str, Single]:
    """Those of ``given`` that are in the tree now."""
    singles = _singles(given)
    return {guest: each for guest, each in singles.items() if layers.give(guest, each.named)}


def _singles(files: Mapping[str, Path]) -> Mapping[str, Single]:
    """What single files are, before they are read; then what is gone is complained about."""
    found = {}
    for guest, path in files.items():
        host = os.path.realpath(path)
        with suppress(OSError):
            state, time = state_of(host), os.stat(host).st_mtime_ns
            found[guest] = Single(os.path.abspath(path), host, state, time)
    return found


def _asked(environment: Sequence[str]) -> tuple[list[str], list[str]]:
    """Folders of LD_LIBRARY_PATH, and objects of LD_PRELOAD."""
    values = dict(each.split("=", 1) for each in environment if "=" in each)
    folders = values.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    preload = values.get("LD_PRELOAD", "").replace(" ", ":").split(":")
    return [each for each in folders if each], [each for each in preload if each]
