"""Whether a guest can be taken back to how its monitor kept it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from limpet.contract import Backend
from limpet.contract.hypercall import HostCall
from limpet.errors import PlanError
from limpet.planning.options import Options

REWIND = "rewind"
"""The feature of the monitor, and the hypercall."""

ARRANGES = frozenset(
    ("mmap", "munmap", "mprotect", "pkey_mprotect", "mremap", "brk", "mseal", "remap_file_pages")
)
"""System calls that have the kernel map something otherwise."""

_IN_MEMORY = frozenset(
    ("exit", "console_out", "console_in", "wait", "attend", "entropy", "tick", "protect", "place")
)
"""Hypercalls behind which no state is left outside of the guest, or none that is not taken back."""


def with_rewind(
    users: Mapping[str, tuple[str, ...]], options: Options
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and that one where it is asked for.

    Raises:
        PlanError: the guest is no snapshot, not all that it is lies in its memory, or its end is
            set.
    """
    if not options.asks(REWIND):
        return dict(users)
    _check(users, options)
    return {**users, REWIND: (f"--feature {REWIND}: /dev/limpet/{REWIND} asks for it",)}


def readable(host: HostCall) -> HostCall:
    """``host`` for a guest that is taken back, whose program nothing puts out of reach.

    Whoever takes it back does not look at what can only be read.
    """
    if not any(pin.place == "program" for pin in host.pins):
        return host
    some = tuple(
        replace(pin, values=tuple(each for each in pin.values if each)) for pin in host.pins
    )
    return replace(host, pins=some)


def stub_of(hypercall: str, call: str, *, goes_back: bool) -> str:
    """What makes the stub of a host's ``call``, in a guest that is taken back or another.

    One that has the kernel map something otherwise leaves a note of it, other than those on the way
    back, which are about what is kept (``c/guest/x86_64/arranging.h``).
    """
    arranges = goes_back and hypercall != REWIND and call in ARRANGES
    return "HOST_STUB_ARRANGES" if arranges else "HOST_STUB_DEFINE"


def _check(users: Collection[str], options: Options) -> None:
    outside = sorted(set(users) - _IN_MEMORY)
    if not options.snapshot or outside:
        why = f"{outside[0]} leaves state outside of it" if outside else "it is no snapshot"
        raise PlanError(
            f"--feature {REWIND} takes a guest back that goes on from a moment, with nothing "
            f"outside of its memory: {why}",
            hint=f"leave out --feature {REWIND}",
        )
    if options.timeout:  # an alarm is not taken back, and the host ends what takes too long
        raise PlanError(
            f"--feature {REWIND} takes a guest back any number of times, and --timeout would be "
            "one time for all of them",
            hint="leave out --timeout: whoever asks the guest ends it",
        )


def late_for(options: Options) -> Sequence[Backend]:
    """For which backends objects may get their rights when they are loaded.

    A virtual machine's monitor does not take back that an object's data can be written.  The next
    call could see by that which objects the one before it has loaded, so there it is for none.
    """
    return () if options.asks(REWIND) and options.backends == ("kvm",) else options.backends
