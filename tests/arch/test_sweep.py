"""What is made of code without its texts is what capstone's own texts say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import capstone
import pytest
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from elftools.elf.elffile import ELFFile

from limpet.arch.x86_64.flow import address_of, branch_of
from limpet.arch.x86_64.registers import LEAVES
from limpet.arch.x86_64.sweep import BRANCHES, in_full, instructions, step_by_step, sweep

AT = 0x40_0000
PIECE, MOST = 1 << 10, 1 << 18

FORMS = {
    "branches": "eb00 e800000000 740b 0f84ff000000 e3f0 e2f0 c7f800000000 ffe0",
    "with prefixes": "f2e900000000 3effe0 f2c3 f3c3 2e7400 66e900000000 f2ff1500000000",
    "ends": "c3 c20800 cb 48cf 0f0b f4",
    "far": "ff2d00000000 48ff1d00000000",
    "loads": "488d0500010000 488d0df0ffffff 678d0500000000 488d4708",
    "none": "",
    "no instruction": "06",
    "cut": "90 e80000",
}


def pieces() -> Iterator[bytes]:
    """Code of a library that is there wherever this is."""
    with Path(capstone._cs._name).open("rb") as stream:
        text = ELFFile(stream).get_section_by_name(".text")
        assert text is not None
        code = bytes(text.data())[:MOST]
    return (code[at : at + PIECE] for at in range(0, len(code), PIECE))


def agree(code: bytes) -> None:
    """All that is made of ``code``."""
    texts = list(Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(code, AT))
    assert list(step_by_step(code, AT)) == texts
    found = instructions(code, AT)
    assert [each[:2] for each in found] == [each[:2] for each in texts]
    for ours, theirs in zip(found, texts, strict=True):
        last = theirs[2].split()[-1]
        assert ours[2:] in (theirs[2:], ("", ""))
        assert ours[2] or not (last.startswith(BRANCHES) or last in LEAVES)
        start = theirs[0] - AT
        assert in_full(code[start : start + theirs[1]], theirs[0]) == theirs
    swept = sweep(code, AT)
    if not texts or sum(texts[-1][:2]) != AT + len(code):
        assert swept is None
        return
    loaded = (address_of(each) for each in texts if each[2] == "lea")
    assert swept is not None
    assert swept.branches == [to for each in texts if (to := branch_of(each)) is not None]
    assert swept.loaded == [each for each in loaded if each is not None]
    assert swept.runs_on == (texts[-1][2].split()[-1] not in (*LEAVES, "call"))


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    """Each kind of branch and end, with what may stand before it."""
    agree(bytes.fromhex(FORMS[name]))
    for each in FORMS[name].split():
        agree(bytes.fromhex(each))


def test_of_a_library() -> None:
    """Code as compilers make it."""
    for each in pieces():
        agree(each)
