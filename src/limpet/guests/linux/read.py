"""Linux programs as read: everything that no other kind of guest claims."""

from __future__ import annotations

from limpet.errors import ImageError
from limpet.formats.image import Image, Program, read_image
from limpet.plain import quoted

STATIC, STATIC_PIE, DYNAMIC = "static", "static-pie", "dynamic"


def read(program: Program) -> Image:
    """The image of ``program``.

    Raises:
        ImageError: it is a library, or damaged; names what is wrong and what to do.
    """
    if not program.header.entry:
        raise ImageError(
            f"{program.name}: no entry point: a shared library?", hint="link it into a program"
        )
    if program.interpreter() is None:
        return read_image(program, STATIC_PIE if program.position_independent else STATIC)
    image = read_image(program, DYNAMIC, loaded=True)
    _check_dynamic(image, program.name)
    return image


def _check_dynamic(image: Image, name: str) -> None:
    if image.dynamic is None:
        raise ImageError(f"{name}: it has a loader and nothing to load", hint="build it again")
    if not (image.interpreter or "").startswith("/"):
        raise ImageError(
            f"{name}: its loader {quoted(image.interpreter or '')} is no absolute path",
            hint="build it again",
        )
    if image.dynamic.text_relocations:
        raise ImageError(
            f"{name}: it wants its code changed when it is loaded (text relocations)",
            hint="build it with -fPIE, or link it with -no-pie",
        )
