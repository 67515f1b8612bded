"""What an instruction leaves in which register, from its text as Capstone writes it."""

from __future__ import annotations

import re

LEAVES = frozenset({"jmp", "ret", "retf", "iretq", "ud2", "hlt"})
WRITES_NONE = frozenset({"cmp", "test", "push", "nop", "bt", "endbr64"})
WRITES_FIRST = re.compile(
    r"mov(|abs|sxd|zx|sx|[dq]|[au]p[sd]|dq[au])|lea|add|sub|adc|sbb|and|x?or|not|neg|inc|dec|pop"
    r"|sh[lr]|sar|ro[lr]|bswap|cmov\w+|set\w+|pxor|xorps|punpck\w+|pshufd"
)
"""Instructions that write their first operand and no other register; xchg and mul do not match."""

_LEGACY = {"ax": "a", "bx": "b", "cx": "c", "dx": "d", "si": "si", "di": "di", "bp": "bp"}


def register_of(name: str) -> str | None:
    """The register that ``name`` is a part of: ``r8d`` and ``r8b`` are ``r8``, ``al`` is ``a``."""
    match = re.fullmatch(r"(r\d+)[dwb]?", name)
    if match:
        return match[1]
    if not name:
        return None
    stem = name[1:] if name[0] in "re" and len(name) == 3 else name
    if stem in _LEGACY:
        return _LEGACY[stem]
    if re.fullmatch(r"[abcd][lh]", name):
        return name[0]
    return name[:2] if name in ("sil", "dil", "bpl") else None


def value_left(mnemonic: str, text: str) -> int | str | None:
    """What a write leaves in its register: a constant, another register's value, or unknown."""
    operands = [operand.strip() for operand in text.split(",")]
    if len(operands) != 2 or mnemonic not in ("mov", "movabs", "xor"):
        return None
    if mnemonic == "xor":
        return 0 if operands[0] == operands[1] and operands[0][0] in "re" else None
    if not re.fullmatch(r"(r|e)[a-z]{2}|r\d+d?", operands[0]):
        return None  # a partial write
    if re.fullmatch(r"0x[0-9a-f]+|[0-9]+", operands[1]):
        return int(operands[1], 0)
    return register_of(operands[1])
