"""The shared objects of a packed tree: every one that can be loaded gets a place.

This looks at nothing but the program and its tree, so that it finds the same in a bundle that is
made again.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace

from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.sites import Branches, Finder
from limpet.contract.pages import PAGE, align_up
from limpet.errors import ImageError
from limpet.formats import elf
from limpet.formats.image import MAX_IMAGE, Access, Image, Segment, read_image, read_program
from limpet.formats.tree.layout import Tree, head, record
from limpet.formats.tree.paths import Paths
from limpet.loading.guest import Guest, SharedObject
from limpet.loading.known import read_alone, read_code
from limpet.plain import quoted
from limpet.tools.cache import Cache
from limpet.tools.progress import Progress, silent

OBJECT = "object"
"""The :attr:`Image.kind` of a shared object."""

MOST = 4000
"""Objects in one tree."""


def with_objects(
    image: Image,
    tree: Tree,
    path: str = "",
    progress: Progress = silent,
    cache: Cache | None = None,
) -> Guest:
    """The guest that ``image`` is with the files of ``tree``.

    Args:
        path: where it is in its tree.
        cache: what is known of objects that were read before.

    Raises:
        ImageError: its loader is missing or damaged, or there is no end of objects.
    """
    if image.interpreter is None:
        found_in = read_alone(image, cache) if image.calls else sites.Scan((), 0, frozenset())
        return Guest(image, found_in, tree, path)
    found: list[SharedObject] = []
    left: list[tuple[str, str]] = []
    memory = 0
    progress("reading the shared objects")
    for inode, where, data in _candidates(tree):
        try:
            read = read_object(data, where)
            if read is not None:
                memory += sum(each.memory_size for each in read.segments)
                links, sites_in = read_code(read, cache)
                own = replace(sites_in, branches=Branches(Finder(read)))  # found when somebody asks
                found.append(SharedObject(where, inode, read, own, links))
        except ImageError as error:
            left.append((where, error.message.removeprefix(f"{where}: ")))
        if len(found) > MOST or memory > MAX_IMAGE:
            raise ImageError(
                f"{image.name}: the shared objects packed with it are more than {MOST}, "
                f"or take more than {MAX_IMAGE >> 20} MiB",
                hint="pack fewer: give --root a smaller folder",
            )
    loader = _loader(image, tree, found, dict(left))
    links, scan = read_code(image, cache)
    return Guest(image, scan, tree, path, tuple(found), loader, tuple(left), links)


def _loader(
    image: Image, tree: Tree, found: list[SharedObject], left: dict[str, str]
) -> SharedObject:
    assert image.interpreter is not None
    index = Paths(tree).index(image.interpreter)
    why = "there is no such file"
    if index is not None:
        inode = record(tree.data, index)["inode"]
        for each in found:
            if each.inode == inode and each.image.entry:
                return each
        why = left.get(tree.entries[inode].path, "it is no loader")
    raise ImageError(
        f"{image.name}: its loader {quoted(image.interpreter)} cannot be used: {why}",
        hint="install it, or give the folder that has it with --root",
    )


def _candidates(tree: Tree) -> Iterator[tuple[int, str, bytes]]:
    """Files that may be shared objects: inode, path, content."""
    view = memoryview(tree.data)
    for index in range(head(tree.data) if tree.data else 0):
        each = record(tree.data, index)
        if each["inode"] == index and stat.S_ISREG(each["mode"]):
            content = view[each["data"] : each["data"] + each["size"]]
            if looks_shared(bytes(content[: elf.HEADER_SIZE])):
                yield index, tree.entries[index].path, bytes(content)


def looks_shared(start: bytes) -> bool:
    """Whether a file that starts with these bytes may be a shared object for this processor."""
    if len(start) < elf.HEADER_SIZE or not start.startswith(elf.IDENT):
        return False
    header = elf.Header.unpack(start)
    return header.type == elf.ET_DYN and header.machine == elf.EM_X86_64


def instead_of_shared(start: bytes | None) -> str:
    """What a file is of which ``looks_shared`` is not true, as the rest of a sentence."""
    if not start or not start.startswith(elf.IDENT[:4]) or len(start) < elf.HEADER_SIZE:
        return "is no ELF file"
    if start[4] != elf.IDENT[4]:
        return "is not for 64-bit programs"
    if start.startswith(elf.IDENT) and elf.Header.unpack(start).machine == elf.EM_X86_64:
        return "is no shared object"
    return "is made for another machine"


def read_object(data: bytes, name: str) -> Image | None:
    """A shared object; ``None`` for a program that can lie anywhere, which nobody loads as one.

    Raises:
        ImageError: it is damaged, or cannot be placed.
    """
    program = read_program(data, name)
    image = read_image(program, OBJECT, loaded=True, starts=False)
    said = image.dynamic
    if said is None:
        raise ImageError(f"{name}: it has no dynamic section", hint="build or install it again")
    if said.program or (image.interpreter and not said.soname):
        return None
    if said.text_relocations:
        raise ImageError(
            f"{name}: it wants its code changed when it is loaded (text relocations)",
            hint="build it with -fPIC",
        )
    return replace(image, segments=tuple(_in_pages(image)))


def _in_pages(image: Image) -> Iterator[Segment]:
    """Its segments; those that can only be read with all of their last page, as Linux maps them.

    So they are in memory as they are in the file, and a bundle has them once.
    """
    for each, following in zip(image.segments, [*image.segments[1:], None], strict=True):
        end = each.address + len(each.data)
        rest = align_up(end, PAGE) - end
        at = each.offset + len(each.data)
        alone = following is not None and end + rest <= following.address
        if each.access is Access.READ and each.memory_size == len(each.data) and alone:
            more = image.data[at : at + rest]
            yield replace(each, data=each.data + more, memory_size=each.memory_size + len(more))
        else:
            yield each
