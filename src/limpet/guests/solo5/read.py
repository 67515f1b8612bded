"""Solo5 unikernels as read: programs with Solo5's notes."""

from __future__ import annotations

from dataclasses import replace

from limpet.formats.image import Image, Program, read_image
from limpet.guests.solo5 import notes


def read(program: Program) -> Image | None:
    """The image of ``program``, ``None`` when it has none of Solo5's notes.

    Raises:
        ImageError: a note or the program is damaged, or asks for what Limpet does not have.
    """
    found = notes.read(program.notes(), program.name)
    if found is None:
        return None
    image = read_image(program, found.target, found.devices, own_tls=True)
    return replace(image, calls=found.target != "hvt")  # that one has hypercalls only
