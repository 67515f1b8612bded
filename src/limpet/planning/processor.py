"""What of the processor a guest in a virtual machine sees."""

from __future__ import annotations

from limpet.arch.x86_64 import machine
from limpet.formats.image import Image
from limpet.planning.plan import Decision

_CPUID = b"\x0f\xa2"


def may_ask_cpuid(image: Image, more: bytes = b"") -> bool:
    """Whether CPUID's bytes stand anywhere in executable pages: else it cannot be run.

    Args:
        more: what can be run beside the program's code.
    """
    return _CPUID in more or any(_CPUID in segment.data for segment in image.executable)


def machine_decisions(pages: machine.Supervisor | None, asks_cpuid: bool) -> list[Decision]:
    """What of the processor the guest sees."""
    if pages is None:
        return []
    why = "CPUID may be executed" if asks_cpuid else "no CPUID instruction in the program's code"
    return [Decision("processor feature", "CPUID", asks_cpuid, why)]
