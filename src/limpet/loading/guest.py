"""``Guest``: a guest as read — the program, its system call sites, its file tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from limpet.arch.x86_64.sites import Scan
from limpet.formats.image import Image
from limpet.formats.memory import Memory
from limpet.formats.tree.layout import Tree
from limpet.loading.links import Links
from limpet.loading.verdict import Judged


@dataclass(frozen=True)
class Single:
    """A single file of the host that is packed.

    ``named`` is the path that it was found by, ``host`` where that leads, ``state`` what was there
    before it was read, ``time`` its time of change in nanoseconds.
    """

    named: str
    host: str
    state: str
    time: int


@dataclass(frozen=True)
class SharedObject:
    """A shared object of a guest's tree: ``inode`` is the number of its content there.

    ``links`` are what it asks of others, and what leads to its sites.
    """

    path: str
    inode: int
    image: Image
    scan: Scan
    links: Links = field(repr=False)


@dataclass(frozen=True)
class Guest:
    """Everything that is known of a guest before anything is decided.

    ``objects`` are the shared objects that can be loaded, in the order of their inodes,
    ``loader`` the one that starts a dynamic program, ``left`` says of files that look like objects
    why they are none, ``links`` are those of a dynamic program itself; ``path`` is where the
    program is in its tree, nothing where that does not matter.  ``seen`` has what the host's files
    were by which the objects were found, ``texts`` single files of the host by their path in the
    tree, ``given`` those of them that a command line names, ``why`` what was packed that nobody
    named, ``notes`` what of it was not, ``warnings`` what may be wrong with it, ``offers`` what it
    may load and has not; ``memory`` is what a guest has that goes on instead of starting;
    ``judged`` is the verdict on it, where it is known before the plan asks.
    """

    image: Image
    scan: Scan
    tree: Tree = field(default_factory=Tree)
    path: str = ""
    objects: tuple[SharedObject, ...] = ()
    loader: SharedObject | None = None
    left: tuple[tuple[str, str], ...] = ()
    links: Links = field(default=Links(), repr=False)
    seen: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    texts: Mapping[str, Single] = field(default_factory=dict, repr=False, compare=False)
    why: tuple[str, ...] = field(default=(), repr=False, compare=False)
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    offers: tuple[Offer, ...] = field(default=(), repr=False, compare=False)
    memory: Memory | None = field(default=None, repr=False)
    given: tuple[str, ...] = field(default=(), repr=False, compare=False)
    judged: Judged | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Offer:
    """What the file ``by`` names and may load by itself: ``path`` is what to include for it."""

    name: str
    by: str
    path: str
