"""The kind of guest that is a static Linux program."""

from __future__ import annotations

from dataclasses import replace

from limpet.formats.image import Image
from limpet.guests.kind import Kind
from limpet.guests.linux.link import link
from limpet.guests.linux.plan import plan
from limpet.guests.linux.read import STATIC, STATIC_PIE, read
from limpet.planning.options import Options

DEFAULT_MEMORY = 128 << 20
"""Bytes of arena and stack where the user says nothing."""


def _defaults(_: Image, options: Options) -> Options:
    return replace(
        options, memory=options.memory or DEFAULT_MEMORY, backends=options.backends or ("kvm",)
    )


KIND = Kind(
    name="linux",
    images=frozenset({STATIC, STATIC_PIE}),
    read=read,
    defaults=_defaults,
    plan=plan,
    link=link,
    fallback=True,
)
