"""Hypercalls about frames that an hvt guest makes, led to its shim: most then need no exit.

Solo5's bindings have the port as a constant right before the OUT: five or six bytes in all, which a
jump to a gate takes the place of.  A gate puts the stack away, tells the shim which port it is
(``c/guest/hvt/frames_entry.S``), and does what the first instruction did.  What looks otherwise
stays, and is an exit a frame.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.arch.x86_64.rewrite import Patch
from limpet.arch.x86_64.sites import Finder
from limpet.contract import hvt_hypercalls
from limpet.formats.image import Image

_CALLS = ("hvt_net_read", "hvt_net_write")
_PORTS = {each.port: each.name for each in hvt_hypercalls() if each.name in _CALLS}
_OUT = b"\xef"  # out %eax, %dx
_FORMS = re.compile(
    b"|".join(
        re.escape(form)
        for port in _PORTS
        for form in (
            b"\xba" + struct.pack("<I", port) + _OUT,  # mov $PORT, %edx
            b"\x66\xba" + struct.pack("<H", port) + _OUT,  # mov $PORT, %dx
        )
    )
)
_JUMP = 5
GATE_SIZE = 64
"""Bytes of a gate, which the linker aligns to as many."""


@dataclass(frozen=True)
class Gathered:
    """A place where the guest makes a hypercall about frames."""

    address: int
    code: bytes

    def patch(self, gate: int) -> Patch:
        """A jump to its gate."""
        jump = b"\xe9" + struct.pack("<i", gate - self.address - _JUMP)
        return Patch(self.address, jump.ljust(len(self.code), b"\x90"))

    @property
    def port(self) -> int:
        """Which hypercall."""
        return int.from_bytes(self.code[self.code.index(0xBA) + 1 : -1], "little")

    @property
    def behind(self) -> int:
        """Where the guest goes on."""
        return self.address + len(self.code)


def gathered(image: Image) -> tuple[Gathered, ...]:
    """The places in ``image`` that can be led to the shim."""
    finder = Finder(image)
    found = []
    for segment in image.executable:
        for match in _FORMS.finditer(segment.data):
            address = segment.address + match.start()
            out = address + len(match[0]) - len(_OUT)
            stream = finder.decode(segment, out - segment.address)
            starts = {each.address for each in stream or ()}
            if {address, out} <= starts and out not in finder.targets_around(out):
                found.append(Gathered(address, match[0]))
    return tuple(found)


def gates_c(places: Sequence[Gathered]) -> str:
    """C with the gates of ``places``, in their order, which are linked at one address."""
    gates = "".join(
        f'    ".balign {GATE_SIZE}\\n"\n'
        '    "mov %rsp, frames_stack_of_guest(%rip)\\nlea frames_stack_top(%rip), %rsp\\n"\n'
        f'    "push ${each.port:#x}\\ncall shim_frames\\n"\n'
        f'    ".byte {", ".join(map(str, each.code[:-1]))}\\n"\n'
        f'    "mov frames_stack_of_guest(%rip), %rsp\\njmp {each.behind:#x}\\n"\n'
        for each in places
    )
    return f"""\
/* Generated: the gates to the shim for this guest's hypercalls about frames. */
__asm__(".section .text.gates, \\"ax\\"\\n"
    "gates:\\n"
{gates}    ".balign {GATE_SIZE}\\n");
"""
