"""``Plan``: every decision about one bundle, made by a pure function and kept with its reason.

Nothing in planning opens a file of the user's, starts a process or reads a clock: the same guest,
options and Limpet give the same :class:`Plan`, and :meth:`Plan.digest` names it.  How large what
stands beside a guest can be is given to it, measured before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from limpet.arch.x86_64 import machine
from limpet.arch.x86_64.rewrite import Rewriting
from limpet.arch.x86_64.sites import Scan
from limpet.contract import Filtered, Hypercall
from limpet.formats.image import Image
from limpet.loading.guest import Guest
from limpet.loading.verdict import Asked
from limpet.planning.blobs import Blobs
from limpet.planning.options import Options
from limpet.planning.outline import filled
from limpet.planning.regions import Region
from limpet.planning.seccomp import Filter


class Layout(Protocol):
    """Where a kind of guest has what every monitor needs to know."""

    @property
    def guest(self) -> tuple[int, int]:
        """All memory that the guest may ever name in a hypercall, [low, high)."""

    @property
    def trap_frame(self) -> int:
        """Where the ring-0 stubs leave what happened."""

    @property
    def trap_entry(self) -> int:
        """Where they return to."""

    def filter_copy(self, backend: str) -> int:
        """Where the start completes that backend's filter."""


class ServedCall(Protocol):
    """A system call that is answered inside the guest; ``note`` says where it falls short."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def note(self) -> str:
        """What is not as on Linux, or nothing."""


@dataclass(frozen=True)
class Decision:
    """Something that is in or out, and why."""

    subject: str
    name: str
    included: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole bundle, decided.  Pure data; :func:`limpet.build` only carries it out.

    ``image`` is the program at its final addresses with everything that is placed beside it,
    ``scan`` has the system call sites of all that, ``reached`` those that something leads to
    (``None``: all, since nobody looked), ``packed`` the region of the file tree, ``rows`` where
    regions that can only be read are one segment with zeros between them, [low, high),
    ``sources`` are the texts of generated C by file name, ``verdict`` is what the program asks for
    and does not get, ``None`` where nobody looked.
    """

    guest: Guest
    image: Image
    scan: Scan
    reached: Scan | None = None
    options: Options
    layout: Layout
    regions: tuple[Region, ...]
    rows: Sequence[tuple[int, int]] = ()
    packed: Region | None = None
    calls: Sequence[ServedCall] = ()
    hypercalls: tuple[Hypercall, ...]
    filters: Mapping[Filtered, Filter]
    rewriting: Rewriting
    supervisor: machine.Supervisor | None
    blobs: Blobs
    sources: Mapping[str, str]
    decisions: tuple[Decision, ...]
    verdict: tuple[Asked, ...] | None = None
    warnings: tuple[str, ...]

    @property
    def monitor_text(self) -> int:
        """Where the monitor's code starts."""
        return self.blobs.monitor_text(self.filters.values())

    @property
    def outline(self) -> str:
        """SHA-256, in hex, of what determines the bundle's bytes but for the files' contents."""
        state = hashlib.sha256()
        for region in self.regions:
            state.update(f"{region.name} {region.address} {region.size} {region.access}".encode())
            state.update(region.content or b"" if region is not self.packed else b"")
        if self.supervisor:
            state.update(self.supervisor.content(b""))
        for name, text in sorted(self.sources.items()):
            state.update(f"{name}\0{text}\0".encode())
        for backend, filter_ in sorted(self.filters.items()):
            state.update(f"{backend} {filter_}".encode())
        for name, blob in sorted(self.blobs.fixed.items()):
            state.update(name.encode() + blob)
        return state.hexdigest()

    def digest(self) -> str:
        """SHA-256, in hex, of everything that determines the bundle's bytes."""
        return filled(self.outline, self.guest.tree.digest)
