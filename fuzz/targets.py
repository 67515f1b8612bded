"""What is done with one input of each reader: only errors of Limpet's own may come out."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import limpet
from fuzz import seeds
from limpet.arch.x86_64 import sites
from limpet.errors import LimpetError, TreeError
from limpet.formats import manifest
from limpet.formats.image import Access, Image, Segment
from limpet.formats.tree.read import read_tree
from limpet.formats.tree.write import Node, pack_nodes
from limpet.guests import registry
from limpet.guests.solo5 import notes as solo5
from limpet.guests.solo5 import peek
from limpet.guests.solo5.privileged import privileged
from limpet.loading import guest
from limpet.loading.files import Finder, folder, pack
from limpet.loading.layers import Layers
from limpet.loading.libraries import Libraries
from limpet.loading.objects import with_objects

FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None
MOST_MEMORY = 16 << 20
"""Bytes of memory that a fuzzed program may ask for, so that a plan takes no long time."""


def elf(data: bytes) -> None:
    """A program's file: read, searched for system calls, planned."""
    try:
        read = registry.read_image(data, "fuzzed")
        if sum(segment.memory_size for segment in read.segments) > MOST_MEMORY:
            return
        found = sites.scan(read)
        limpet.plan(guest.Guest(read, found), limpet.Options())
    except LimpetError as error:
        _check(error)
    with tempfile.NamedTemporaryFile(dir=FOLDER) as file:
        file.write(data)
        file.flush()
        peek.solo5_target(Path(file.name))


def dynamic(data: bytes) -> None:
    """A shared object beside a sound program and its loader: read, searched, placed, planned."""
    program = registry.read_image(seeds.shared(b"\xc3", program=True), "program")
    nodes = {"lib": folder(b"lib")}
    for name, content in ((b"ld.so", seeds.shared(b"\xc3")), (b"x.so", data)):
        nodes["lib"].children[name] = Node(name, 0o100755, 0, len(content), partial(_put, content))
    top = folder(b"")
    top.children[b"lib"] = nodes["lib"]
    try:
        made = with_objects(program, pack_nodes(top))
        images = [each.image for each in made.objects]
        used = sum(each.memory_size for image in images for each in image.segments)
        if used <= MOST_MEMORY:
            limpet.plan(made, limpet.Options())
        layers = Layers(top, Finder(keep_times=False), host=False)
        Libraries(program, "/bin/program", layers, preload=["/lib/x.so"]).find()
    except LimpetError as error:
        _check(error)


def _put(content: bytes, to: memoryview) -> None:
    to[:] = content


def notes(data: bytes) -> None:
    """Two notes, names of devices, and code with ring-0 instructions, each behind its size."""
    first, rest = _part(data)
    second, rest = _part(rest)
    words, code = _part(rest)
    try:
        found = solo5.read([first, second], "fuzzed")
        if found:
            manifest.pack(found.devices)
    except LimpetError as error:
        _check(error)
    try:
        manifest.pack(manifest.declared(words.decode("latin-1").split("\0")))
    except LimpetError as error:
        _check(error)
    segment = Segment(0x100000, len(code), code, Access.READ | Access.EXECUTE)
    with_code = Image("fuzzed", "", "hvt", True, 0x100000, None, 0, 0, (segment,), (), ())
    try:
        for patch in privileged(with_code).patches:
            inside = 0x100000 <= patch.address <= segment.end - len(patch.content)
            assert inside, "a patch outside of the code"
    except LimpetError as error:
        _check(error)


def packed(data: bytes) -> None:
    """A packed tree as bytes, or a folder that is packed and read back."""
    if data[:1] < b"\x80":
        try:
            read_tree(data[1:], "fuzzed")
        except LimpetError as error:
            _check(error)
        return
    folder = Path(tempfile.mkdtemp(dir=FOLDER))
    try:
        _plant(folder, data[1:])
        try:
            made = pack(folder / "tree", {"/over/it": folder / "one"})
        except TreeError as error:
            _check(error)
            return
        again = pack(folder / "tree", {"/over/it": folder / "one"})
        assert made.data == again.data, "the same folder gave other bytes"
        assert read_tree(made.data, "fuzzed") == made.entries, "read back differently"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plant(folder: Path, data: bytes) -> None:
    """A folder from pairs of what and which; what the host refuses is left out."""
    top = os.fsencode(folder / "tree")
    os.mkdir(top)
    (folder / "one").write_bytes(data[:100])
    places, at = [top], 0
    while at + 4 <= len(data) and len(places) < 64:
        what, where, size, seed = data[at : at + 4]
        at += 4
        name = data[at : at + 1 + seed % 9].translate(_NAME) or b"x"
        at += 1 + seed % 9
        path = places[where % len(places)] + b"/" + name * (1 + 27 * (seed > 250))
        try:
            if what % 8 < 3:
                os.mkdir(path, 0o700 | size)
                places.append(path)
            elif what % 8 < 5:
                with open(path, "xb") as file:
                    file.write(bytes([seed]) * (size * 37))
                os.utime(path, (size, struct.unpack("<i", bytes([what, where, size, seed]))[0]))
            elif what % 8 == 5:
                os.symlink(name * size or b".", path)
            elif what % 8 == 6:
                os.link(places[size % len(places)] + b"/" + name, path)
            else:
                os.mkfifo(path)
        except (OSError, ValueError):
            continue


_NAME = bytes(byte if byte not in b"\0/" else 0x61 for byte in range(256))


def _part(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:2], "little")
    return data[2 : 2 + size], data[2 + size :]


def _check(error: LimpetError) -> None:
    assert error.message and error.hint, f"an error without a message or a hint: {error!r}"


RUNS: dict[str, Callable[[bytes], None]] = {
    "elf": elf,
    "dynamic": dynamic,
    "notes": notes,
    "tree": packed,
}
