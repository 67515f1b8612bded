"""What a program may load by itself: objects, folders of them, locales and zones of time.

Nobody knows what ``dlopen`` will be given; a string that names an object of this host, or a
folder that has some, is a hint, and so is a locale's where the C library has those in files, and
the folder of time zones where another one names it.  So nothing is packed for it: a user is told
what to add.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from limpet.formats.image import Image
from limpet.loading.guest import Guest, Offer

_OPENS = frozenset({"dlopen", "dlmopen"})
_CONVERTS = "iconv_open"
_NAME = re.compile(rb"(?:[\w.+-]*/)*[\w.+-]+\.so(?:\.[\w.]+)?\Z")
_FOLDER = re.compile(rb"/[\w.+/-]{1,200}\Z")
_LONGEST, MOST = 256, 100
"""Bytes of a string that is looked at, and what is offered at most."""

_EVERYBODYS = frozenset({"/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/lib/locale", "/usr/bin"})
_LOOKED_AT = 2000
"""Files below a folder."""

_LOCALE = re.compile(rb"([A-Za-z_]+)\.(?:utf8|UTF-?8)\Z")
_LOCALES = "/usr/lib/locale"
_CHOOSES = frozenset({"setlocale", "newlocale"})

ZONES = "/usr/share/zoneinfo"

Find = Callable[[str], str | None]
"""Where this host has the object of a name."""


def offers(guest: Guest, find: Find) -> tuple[Offer, ...]:
    """What the files of ``guest`` name that is on this host and not packed."""
    there = {each.path for each in guest.objects}
    known = {os.path.basename(path) for path in there}
    known |= {each.image.dynamic.soname for each in guest.objects if each.image.dynamic}
    found: dict[str, Offer] = {}
    packed = {each.path for each in guest.tree.entries}
    for image, by in _that_open(guest):
        for name in dict.fromkeys(_names(image)):
            path = None if os.path.basename(name) in known else find(name)
            if path and os.path.realpath(path) not in there:
                found.setdefault(path, Offer(name, os.path.basename(by), path))
        for folder in dict.fromkeys(_folders(image)):
            if any(os.path.realpath(each) not in there for each in _objects_in(folder)):
                found.setdefault(folder, Offer(folder, os.path.basename(by), folder))
        if len(found) > MOST:
            break
    for name, by in _locales(guest):
        path = f"{_LOCALES}/{name.partition('.')[0]}.utf8"
        if os.path.isdir(path) and path not in packed:
            found.setdefault(path, Offer(name, os.path.basename(by), path))
    if os.path.isdir(ZONES) and not any(each.startswith(f"{ZONES}/") for each in packed):
        for by in _that_name_zones(guest):
            found.setdefault(ZONES, Offer(ZONES, os.path.basename(by), ZONES))
    return tuple(found.values())[:MOST]


def _files(guest: Guest) -> list[tuple[Image, str]]:
    return [(guest.image, guest.image.name), *((each.image, each.path) for each in guest.objects)]


def _that_open(guest: Guest) -> list[tuple[Image, str]]:
    """The files that open objects by name; the C library does where somebody converts text."""
    files = _files(guest)
    found = [each for each in files if not _OPENS.isdisjoint(each[0].imports.values())]
    if any(_CONVERTS in image.imports.values() for image, _ in files):
        found += [each for each in files if os.path.basename(each[1]).startswith("libc.so.")]
    return found


def _locales(guest: Guest) -> Iterator[tuple[str, str]]:
    """Those of UTF-8 that a file names which chooses one, and the file."""
    for image, by in _files(guest):
        if not _CHOOSES.isdisjoint(image.imports.values()):
            for text in (*_strings(image.data, b".UTF"), *_strings(image.data, b".utf8")):
                if _LOCALE.match(text):
                    yield text.decode("ascii"), by


def _that_name_zones(guest: Guest) -> Iterator[str]:
    """The files that look for time zones themselves; the C library, for TZ, is in all of them."""
    for image, by in _files(guest):
        if f"{ZONES}/".encode() in image.data and not os.path.basename(by).startswith("libc.so."):
            yield by


def _names(image: Image) -> Iterator[str]:
    for text in _strings(image.data, b".so"):
        if _NAME.match(text):
            yield text.decode("ascii", "replace")


def _folders(image: Image) -> Iterator[str]:
    for start in (b"/usr/", b"/lib/", b"/opt/"):
        for text in _strings(image.data, start):
            if _FOLDER.match(text):
                yield text.decode("ascii", "replace").rstrip("/")


def _strings(data: bytes, having: bytes) -> Iterator[bytes]:
    """The strings of ``data`` that have these bytes in them."""
    at = data.find(having)
    while at >= 0:
        start = max(data.rfind(b"\0", max(at - _LONGEST, 0), at), at - _LONGEST) + 1
        end = data.find(b"\0", at, at + _LONGEST)
        if end < 0:
            end = at + len(having)
        yield data[max(start, 0) : end]
        at = data.find(having, max(end, at + 1))


def _objects_in(folder: str) -> Iterator[str]:
    """The shared objects below a folder, unless it is one that has everybody's."""
    if folder in _EVERYBODYS or folder.endswith("-linux-gnu"):
        return
    seen = 0
    for path, _, names in os.walk(folder):
        yield from (os.path.join(path, name) for name in names if name.endswith(".so"))
        seen += len(names)
        if seen > _LOOKED_AT:
            return
