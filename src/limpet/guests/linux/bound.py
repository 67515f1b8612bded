"""What a program starts with is bound before it comes to its moment.

A loader looks for a function of another object when it is called first, which takes a page or two
of each object that is looked through.  Of what goes on from a moment every start would do that
again.  So the program and what it needs ask their loader to look for all functions as they are
loaded, as the linker's ``-z now`` does.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from limpet.formats.dynamic import DT_BIND_NOW
from limpet.formats.image import Access, Image, Segment
from limpet.guests.linux.late import needed
from limpet.loading.guest import Guest


def bound(guest: Guest) -> Guest:
    """``guest`` so that what it starts with is bound at once; what it loads later is as it was."""
    starts = frozenset(needed(guest))
    objects = tuple(
        replace(each, image=_binds(each.image)) if each.inode in starts else each
        for each in guest.objects
    )
    loaders = (each for each in objects if guest.loader and each.inode == guest.loader.inode)
    return replace(guest, image=_binds(guest.image), objects=objects, loader=next(loaders, None))


def _binds(image: Image) -> Image:
    at = image.dynamic.spare if image.dynamic else None
    if at is None:
        return image
    return replace(image, segments=tuple(_with_entry(each, at) for each in image.segments))


def _with_entry(segment: Segment, at: int) -> Segment:
    """The entry is a free one of what the program can write: the file keeps its own."""
    entry, where = struct.pack("<qQ", DT_BIND_NOW, 0), at - segment.address
    there = 0 <= where <= len(segment.data) - len(entry)
    if not there or Access.WRITE not in segment.access:
        return segment
    data = segment.data[:where] + entry + segment.data[where + len(entry) :]
    return replace(segment, data=data)
