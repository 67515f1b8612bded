"""What a debugger is told of a guest beside its registers and memory."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.contract.pages import align_up
from limpet.formats import elf
from limpet.running.debugging.files import Files


@dataclass(frozen=True)
class About:
    """The guest's program by its path in the guest, its files, and the auxiliary vector.

    ``auxiliary`` is empty where there is none: a program that runs where its file says.
    """

    program: str
    files: Files
    auxiliary: Sequence[tuple[int, int]]
    thread_local: int = 0
    """Bytes below a thread's pointer where the program's own thread-local memory begins."""
    attached: bool = False
    """Whether it ran before the debugger came, and so does when the debugger goes."""

    def vector(self) -> bytes:
        """The auxiliary vector as it lies in memory."""
        return b"".join(struct.pack("<QQ", *each) for each in self.auxiliary)


_TLS = 7


def thread_local(program: bytes) -> int:
    """How far below a thread's pointer the thread-local memory of a program begins, 0: it has none.

    It is that of the psABI's variant II, whose first block is the program's.
    """
    header = elf.Header.unpack(program)
    for index in range(header.phnum):
        each = elf.ProgramHeader.unpack(program, header.phoff + index * elf.PROGRAM_SIZE)
        if each.kind == _TLS:
            to = max(each.alignment, 1)
            return align_up(each.memory_size + each.address % to, to)
    return 0
