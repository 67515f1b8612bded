"""Rewriting: system call sites as jumps to trampolines, so that a system call is a function call.

SYSCALL has two bytes, a near jump five.  Two ways round that, each only where it provably cannot
be seen by the program:

*displacement*: neighbours of the SYSCALL that do not depend on where they are move into the
trampoline, and the jump takes their place.  Nothing in the file may be able to jump between them.

*padding*: the SYSCALL becomes a two-byte short jump to unreachable padding between functions,
which holds the near jump.  Nothing moves, so it does not matter who jumps to the site.

What is neither stays as it is and is trapped when it runs, and so is a site that nothing in the
file leads to: it may be data among the code.  On arrival at the library OS the registers are as
after SYSCALL: RCX holds the address to return to, and RSP is the program's with its red zone
untouched (x86-64 psABI section 3.2.2).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.arch.x86_64.registers import LEAVES
from limpet.arch.x86_64.sites import Instruction, Scan, Site
from limpet.formats.image import Image

_JUMP = 5
_SHORT_JUMP = 2
_RT_SIGRETURN = 15


@dataclass(frozen=True)
class Patch:
    """Bytes that take the place of the program's own."""

    address: int
    content: bytes


@dataclass(frozen=True)
class Rewriting:
    """Patches, the trampolines they jump to, and the sites that stay, each with its reason.

    ``direct`` are sites that stay and do what they say: no library OS stands between them and the
    host, only the filter.
    """

    patches: tuple[Patch, ...]
    trampolines: bytes
    kept: tuple[tuple[Site, str], ...]
    direct: tuple[Site, ...] = ()

    def __add__(self, behind: Rewriting) -> Rewriting:
        """Both, with the trampolines of ``behind`` right behind those of this one."""
        return Rewriting(
            self.patches + behind.patches,
            self.trampolines + behind.trampolines,
            self.kept + behind.kept,
            self.direct + behind.direct,
        )


def rewrite(image: Image, scan: Scan, base: int, *, entry: int, entry_flags: int) -> Rewriting:
    """Rewrite every site of ``scan`` where that is provably safe.

    Args:
        image: the program at its final addresses.
        scan: its sites.
        base: address of the first trampoline.
        entry: where the library OS takes calls whose flags are dead.
        entry_flags: where it takes those whose flags may be read.
    """
    patches: list[Patch] = []
    kept: list[tuple[Site, str]] = []
    code = bytearray()
    padding = _Padding(image, scan)
    addresses = [site.address for site in scan.sites]
    for site in scan.sites:
        if not site.reached or site.numbers == {_RT_SIGRETURN}:
            kept.append((site, _why_kept(site)))
            continue
        target = entry if _flags_dead(site) else entry_flags
        made = _displace(site, scan, addresses, base + len(code), target)
        if made is None:
            made = padding.use(site, base + len(code), target)
        if made is None:
            kept.append((site, _why_kept(site)))
            continue
        new, trampoline = made
        patches += new
        code += trampoline
    return Rewriting(tuple(patches), bytes(code), tuple(kept))


def _why_kept(site: Site) -> str:
    if site.numbers == {_RT_SIGRETURN}:
        return "a signal restorer keeps its shape, which unwinders know"
    if not site.reached:
        return "nothing leads to it that the file names: it may be data"
    return "its neighbours cannot be moved, and there is no padding in reach"


def _near(source: int, target: int) -> bytes:
    return b"\xe9" + struct.pack("<i", target - source - _JUMP)


_FLAGS_WRITERS = frozenset({"cmp", "test", "add", "sub", "and", "or", "xor", "neg"})
_FLAGS_NEUTRAL = frozenset(
    {"mov", "movsxd", "movabs", "lea", "push", "pop", "nop", "movzx", "cdqe", "syscall"}
)
_FLAGS_DEAD = frozenset({"ret", "call", "ud2", "hlt"})


def _flags_dead(site: Site) -> bool:
    """Whether the flags are overwritten, or dead by the ABI, before anything reads them."""
    if any(each.mnemonic == "std" for each in site.before):
        return False  # nothing that overwrites the others overwrites the direction flag
    for each in site.after:
        if each.mnemonic in _FLAGS_WRITERS or each.mnemonic in _FLAGS_DEAD:
            return True
        if each.mnemonic not in _FLAGS_NEUTRAL:
            return False
    return False


_MOVABLE = frozenset(
    {"mov", "movsxd", "movabs", "lea", "xor", "and", "or", "add", "sub", "cmp", "test", "neg"}
    | {"movzx", "shl", "shr", "sar", "inc", "dec", "not", "cdqe", "push", "pop", "nop", "sete"}
)


def _movable(each: Instruction) -> bool:
    return each.mnemonic in _MOVABLE and "rip" not in each.operands and "fs:" not in each.operands


def _displace(
    site: Site, scan: Scan, sites: Sequence[int], at: int, entry: int
) -> tuple[list[Patch], bytes] | None:
    for before, after in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1)):
        window = _window(site, before, after)
        if window is None:
            continue
        start, end = window[0].address if before else site.address, _end(site, window, after)
        if end - start < _JUMP or _entered(start, end, scan) or _overlaps(start, end, sites):
            continue
        front = b"".join(each.code for each in window[:before])
        back = b"".join(each.code for each in window[before:])
        code = front + _call(at + len(front), end if not back else 0, entry)
        if back:
            code = front + _call(at + len(front), at + len(front) + 10, entry)
            code += back + _near(at + len(code) + len(back), end)
        jump = _near(start, at)
        return [Patch(start, jump + b"\x90" * (end - start - len(jump)))], code
    return None


def _window(site: Site, before: int, after: int) -> list[Instruction] | None:
    if len(site.before) < before or len(site.after) < after:
        return None
    window = [*site.before[len(site.before) - before :], *site.after[:after]]
    if not all(_movable(each) for each in window):
        return None
    return window


def _end(site: Site, window: Sequence[Instruction], after: int) -> int:
    return window[-1].end if after else site.address + len(b"\x0f\x05")


def _entered(start: int, end: int, scan: Scan) -> bool:
    """Whether anything can jump behind the first byte of the window.

    The return address of a call that ends in the window would be such a place too; calls are not
    movable, so none does.
    """
    return any(address in scan.targets for address in range(start + 1, end))


def _overlaps(start: int, end: int, sites: Sequence[int]) -> bool:
    """Whether the window may meet that of another site; ``sites`` ascend, its own among them."""
    return bisect_left(sites, end + _JUMP) - bisect_right(sites, start - _JUMP) > 1


def _call(at: int, back: int, entry: int) -> bytes:
    """``mov ecx, back; jmp entry``: ten bytes; addresses are below 4 GiB."""
    return b"\xb9" + struct.pack("<I", back) + _near(at + 5, entry)


_NOPS = (
    rb"(?:(?:\x66*\x2e\x0f\x1f\x84\x00....)|(?:\x66?\x0f\x1f\x84\x00....)|\x0f\x1f\x80...."
    rb"|\x66?\x0f\x1f\x44\x00\x00|\x0f\x1f\x40\x00|\x0f\x1f\x00|\x66\x90|\x90|\xcc)"
)
_PADDING = re.compile(rb"(?<=\xc3)(" + _NOPS + rb"+)", re.DOTALL)


class _Padding:
    """Unreachable padding: NOPs after a RET, up to a 16-byte boundary, named by nobody."""

    def __init__(self, image: Image, scan: Scan) -> None:
        self._image = image
        self._scan = scan
        self._taken: set[int] = set()

    def use(self, site: Site, at: int, entry: int) -> tuple[list[Patch], bytes] | None:
        """Patches and trampoline for ``site`` by way of padding within a short jump."""
        slot = self._slot(site)
        if slot is None:
            return None
        self._taken.add(slot)
        back = site.address + _SHORT_JUMP
        short = b"\xeb" + struct.pack("<b", slot - back)
        return [Patch(site.address, short), Patch(slot, _near(slot, at))], _call(at, back, entry)

    def _slot(self, site: Site) -> int | None:
        segment = next(s for s in self._image.executable if s.address <= site.address < s.end)
        origin = site.address - segment.address
        low, high = max(1, origin - 118), min(len(segment.data), origin + 150)
        for match in _PADDING.finditer(segment.data, low, high):
            start, end = segment.address + match.start(), segment.address + match.end()
            reach = -128 <= start - site.address - _SHORT_JUMP <= 127
            if not reach or end - start < _JUMP or end % 16 or start in self._taken:
                continue
            if self._ends_function(site, start) and not self._named(start, end):
                return start
        return None

    def _ends_function(self, site: Site, start: int) -> bool:
        """The RET before the padding is an instruction, the first that leaves the code here."""
        leaving = (each for each in site.after if each.mnemonic.split()[-1] in LEAVES)
        last = next(leaving, None)
        return last is not None and last.mnemonic == "ret" and last.end == start

    def _named(self, start: int, end: int) -> bool:
        return any(address in self._scan.targets for address in range(start, end))
