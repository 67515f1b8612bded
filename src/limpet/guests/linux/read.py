"""Static Linux programs as read: everything that no other kind of guest claims."""

from __future__ import annotations

from limpet.errors import ImageError
from limpet.formats.image import STATIC_HINT, Image, Program, read_image

STATIC, STATIC_PIE = "static", "static-pie"


def read(program: Program) -> Image:
    """The image of ``program``.

    Raises:
        ImageError: it is dynamic, a library, or damaged; names what is wrong and what to do.
    """
    interpreter = program.interpreter()
    if interpreter is not None:
        raise ImageError(
            f"{program.name}: dynamically linked (interpreter {interpreter})", hint=STATIC_HINT
        )
    if not program.header.entry:
        raise ImageError(
            f"{program.name}: no entry point: a shared library?", hint="link it into a program"
        )
    return read_image(program, STATIC_PIE if program.position_independent else STATIC)
