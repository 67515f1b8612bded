"""The kind of guest that is a Solo5 unikernel, for hvt or spt."""

from __future__ import annotations

from dataclasses import replace

from limpet.formats.image import Image
from limpet.guests.kind import Kind
from limpet.guests.solo5.link import link
from limpet.guests.solo5.plan import BACKENDS, plan
from limpet.guests.solo5.read import read
from limpet.planning.options import Options

DEFAULT_MEMORY = 512 << 20
"""Bytes of memory where the user says nothing, as with Solo5's tenders."""


def _defaults(image: Image, options: Options) -> Options:
    return replace(
        options,
        memory=options.memory or DEFAULT_MEMORY,
        backends=options.backends or (BACKENDS[image.kind],),
    )


KIND = Kind(
    name="solo5",
    images=frozenset(BACKENDS),
    read=read,
    defaults=_defaults,
    plan=plan,
    link=link,
)
