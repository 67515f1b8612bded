"""``Options``: what the user decides about a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # this is on the path of every cached ``limpet run``
    from limpet.contract import Backend


@dataclass(frozen=True)
class Options:
    """What the user decides.

    ``backends`` is empty for what the guest is made for, which is kvm where it does not matter;
    ``memory`` is in bytes (0: what is usual for the guest), ``timeout`` in milliseconds (0: none),
    ``environment`` holds ``NAME=VALUE`` strings to bake in and bare ``NAME``s to pass on when the
    bundle starts, ``devices`` the ``block:NAME`` and ``net:NAME`` that a program has (a unikernel
    has those of its manifest), ``features`` names of features of the monitor that only come when
    they are asked for, ``NAME`` or ``NAME=NUMBER``, ``serve`` names of system calls that are served
    though nothing seems to lead to them, ``snapshot`` says that the guest stops where it first
    waits for its standard input or says so itself, or ``after`` so many milliseconds (0: never),
    and goes on from there, ``words`` what stands in its command line in the place of the bundle's
    own name.  ``publish`` has the
    ports of the host that lead to the guest's and ``connect`` where it may connect to, as
    :mod:`limpet.formats.ports` and :mod:`limpet.formats.destinations` spell them, ``sockets`` is
    how many connections it has at most (0: 1024), ``log`` the file that its broker writes refusals
    to (nothing: standard error).  ``strict`` makes a monitor that starts behind all of its walls
    or not at all, and a virtual machine that runs no constants,
    ``uid`` and ``gid`` are whom one becomes that root starts.
    """

    backends: tuple[Backend, ...] = ()
    memory: int = 0
    timeout: int = 0
    max_output: int = 0
    cpu: str = "v2"
    rewrite: bool = True
    environment: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    snapshot: bool = False
    publish: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    sockets: int = 0
    log: str = ""
    strict: bool = False
    uid: int = 65534
    gid: int = 65534
    words: tuple[str, ...] = ()
    after: int = 0

    def asks(self, feature: str) -> bool:
        """Whether that is among the features that are asked for."""
        return any(each.partition("=")[0] == feature for each in self.features)
