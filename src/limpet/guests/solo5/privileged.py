"""Ring-0 instructions of an hvt guest: found when it is bundled, and replaced for ring 3.

A Solo5 hvt guest brings a little start-up code that sets descriptor tables, the task register and
the TLS base, and the entries of its trap handlers.  In ring 3 most of it has nothing left to do
and becomes NOPs; what has an effect (LIDT, the FS base, CR2) stays and traps into the ring-3 shim
(``c/guest/hvt``), which knows each such place from a table made here.  A guest with a ring-0
instruction that is neither runs in ring 0 as it was built.  Source: Intel SDM volume 2.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from limpet.arch.x86_64.rewrite import Patch
from limpet.arch.x86_64.sites import Finder, Instruction
from limpet.formats.image import Image, Segment

_NAMES = re.compile(
    r"l[gil]dt|ltr|lmsw|clts|invd|wbinvd|invlpg\w*|swapgs|rdmsr|wrmsr|rdpmc|sys(exit|ret)\w*"
    r"|cli|sti|hlt|retfq?|xsetbv|vm\w+|monitor|mwait"
)
"""IRET is not among them, since the shim lays ring-3 frames, nor is I/O: the TSS decides it."""

_SPECIAL = re.compile(r"^[sdefg]s,|^[cd]r\d|, [cd]r\d")
"""Operands of a MOV that only ring 0 may make, or that would load a segment."""

LIDT, FS_BASE, CR2, HALT = 1, 2, 3, 4
"""What the shim does where a ring-0 instruction stays (c/guest/hvt/shim.c)."""


@dataclass(frozen=True)
class Emulated:
    """A ring-0 instruction that traps into the shim."""

    address: int
    size: int
    kind: int
    register: int  # number of the base register (LIDT) or the target (CR2), as encoded
    displacement: int


@dataclass(frozen=True)
class Privileged:
    """What becomes of the ring-0 instructions of a guest.

    ``obstacle`` says why it cannot run in ring 3; then nothing is patched.
    """

    patches: tuple[Patch, ...]
    emulated: tuple[Emulated, ...]
    obstacle: str | None


class _Cannot(Exception):
    pass


def privileged(image: Image) -> Privileged:
    """Find and replace the ring-0 instructions of ``image``."""
    finder = Finder(image)
    patches: list[Patch] = []
    emulated: list[Emulated] = []
    try:
        for segment in image.executable:
            for address in _candidates(segment):
                stream = finder.decode(segment, address - segment.address)
                if stream:  # else the sweep was out of step there
                    here = next(each for each in stream if each.address == address)
                    before = [each for each in stream if each.address < address]
                    after = [each for each in stream if each.address > address]
                    made = _fs_base(here, before, after)
                    if made:
                        patches.append(made)
                    else:
                        _replace(here, before, patches, emulated)
    except _Cannot as error:
        return Privileged((), (), str(error))
    return Privileged(tuple(patches), tuple(emulated), None)


def _candidates(segment: Segment) -> list[int]:
    """Addresses of ring-0 instructions by a sweep from the start, which may be out of step."""
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.skipdata = True
    found = []
    names: dict[str, bool] = {}  # a program has a million instructions, and a hundred kinds of them
    for address, _, mnemonic, operands in decoder.disasm_lite(segment.data, segment.address):
        if mnemonic == "mov":
            if _SPECIAL.search(operands):
                found.append(address)
            continue
        if mnemonic not in names:
            names[mnemonic] = bool(_NAMES.fullmatch(mnemonic.rsplit(maxsplit=1)[-1]))
        if names[mnemonic]:
            found.append(address)
    return found


def _replace(
    each: Instruction,
    before: list[Instruction],
    patches: list[Patch],
    emulated: list[Emulated],
) -> None:
    name = each.mnemonic.split()[-1]
    if name in ("lgdt", "ltr", "cli", "sti") or (name == "mov" and _sets_segment(each)):
        patches.append(Patch(each.address, _nop(len(each.code))))
    elif name == "retfq":
        patches.extend(_far_return(each, before))
    elif name in _EMULATED or name == "mov":
        emulated.append(_EMULATED[name](each))
    else:
        raise _Cannot(f"{each.mnemonic} {each.operands} at {each.address:#x}".replace("  ", " "))


def _sets_segment(each: Instruction) -> bool:
    return re.match(r"[sdefg]s,", each.operands) is not None


_NOPS = {1: b"\x90", 2: b"\x66\x90", 3: b"\x0f\x1f\x00", 4: b"\x0f\x1f\x40\x00"}


def _nop(size: int) -> bytes:
    return b"".join(_NOPS[min(4, size - done)] for done in range(0, size, 4))


_SHIFT = b"\x48\xc1\xea\x20"  # shr $32, %rdx
_WRFSBASE = b"\xf3\x48\x0f\xae\xd2\x90"  # wrfsbase %rdx; nop
_LOAD_FS_BASE = b"\xb9\x00\x01\x00\xc0"  # mov $IA32_FS_BASE, %ecx


def _fs_base(
    each: Instruction, before: list[Instruction], after: list[Instruction]
) -> Patch | None:
    """``shr $32, %rdx; wrmsr`` of the FS base, where RDX holds all of it, as one WRFSBASE.

    What is in RDX afterwards differs, so nothing may read it before the function returns.
    """
    if each.mnemonic != "wrmsr" or not before or before[-1].code != _SHIFT:
        return None
    loads = any(earlier.code == _LOAD_FS_BASE for earlier in before[-4:])
    names = [later.mnemonic for later in after]
    if not loads or "ret" not in names:
        return None
    tail = after[: names.index("ret")]
    if any(re.search(r"\b([re]?dx|d[lh])\b|\bcall\b", f"{x.mnemonic} {x.operands}") for x in tail):
        return None
    return Patch(before[-1].address, _WRFSBASE)


def _far_return(each: Instruction, before: list[Instruction]) -> list[Patch]:
    """``push CS; push address; lretq`` becomes ``push address; ret``."""
    selector, target = before[-2:] if len(before) >= 2 else (each, each)
    if selector.code[:1] != b"\x6a" or target.code[:1] != b"\x68" or len(each.code) != 2:
        raise _Cannot(f"a far return at {each.address:#x} whose target is not constant")
    return [Patch(selector.address, _nop(2)), Patch(each.address, b"\xc3\x90")]


def _lidt(each: Instruction) -> Emulated:
    modrm = each.code[2] if each.code[:2] == b"\x0f\x01" else 0xFF
    mode, base = modrm >> 6, modrm & 7
    if base == 4 and each.code[3:4] == b"\x24" and mode in (0, 1):  # [rsp], [rsp + disp8]
        return Emulated(each.address, len(each.code), LIDT, 4, each.code[4] if mode else 0)
    if mode > 1 or base == 4 or (mode == 0 and base == 5):
        raise _Cannot(f"lidt {each.operands} at {each.address:#x}")
    displacement = struct.unpack("<b", each.code[3:4])[0] if mode else 0
    return Emulated(each.address, len(each.code), LIDT, base, displacement)


def _wrmsr(each: Instruction) -> Emulated:
    return Emulated(each.address, len(each.code), FS_BASE, 0, 0)


def _hlt(each: Instruction) -> Emulated:
    return Emulated(each.address, len(each.code), HALT, 0, 0)


def _move(each: Instruction) -> Emulated:
    if not each.operands.endswith(", cr2") or each.code[:2] != b"\x0f\x20":
        raise _Cannot(f"mov {each.operands} at {each.address:#x}")
    return Emulated(each.address, len(each.code), CR2, each.code[2] & 7, 0)


_EMULATED: dict[str, Callable[[Instruction], Emulated]] = {
    "lidt": _lidt,
    "wrmsr": _wrmsr,
    "hlt": _hlt,
    "mov": _move,
}
