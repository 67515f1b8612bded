"""The instructions that monitors are made of, and no others.

A compiler needs few of them for freestanding C without floating point.  What each of these does is
known to ``arch.x86_64.effects``; one that is not here could do what reading misses, such as writing
a register that it does not name.  The tests of audits hold the list against real monitors of every
kind.
"""

from __future__ import annotations

from limpet.arch.x86_64.decode import Instruction, Memory, Operand, Register

_CONDITIONS = ("a", "ae", "b", "be", "e", "ne", "g", "ge", "l", "le", "s", "ns")
_TWO = ("rr", "rm", "mr", "ri", "mi")

_FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("mov", "add", "sub", "and", "or", "xor", "cmp", "test"), _TWO),
    **dict.fromkeys(("movzx", "movsx", "movsxd"), ("rr", "rm")),
    **dict.fromkeys(("inc", "dec", "neg", "not"), ("r", "m")),
    **dict.fromkeys(("shl", "shr", "sar", "rol"), ("ri", "rr")),
    **dict.fromkeys(("bt", "bts"), ("rr",)),
    **{f"cmov{condition}": ("rr", "rm") for condition in _CONDITIONS},
    **{f"set{condition}": ("r", "m") for condition in _CONDITIONS},
    **{f"j{condition}": ("i",) for condition in _CONDITIONS},
    "movabs": ("ri",),
    **dict.fromkeys(("adc", "sbb"), ("rr", "ri", "mi")),
    "lea": ("rm",),
    "imul": ("rr", "rri", "rmi"),
    "bsf": ("rr", "rm"),
    "mul": ("r", "m"),
    "push": ("r",),
    "pop": ("r",),
    "rep movsb": ("mm",),
    **dict.fromkeys(("rep stosb", "rep stosq"), ("mr",)),
    "jmp": ("i", "r"),
    "call": ("i",),
    "ret": ("",),
    "syscall": ("",),
}
_BRANCHES = frozenset({"jmp", "call", "ret"} | {f"j{condition}" for condition in _CONDITIONS})
_REP, _WIDTH = 0xF3, 0x66


def known_form(each: Instruction) -> bool:
    """Whether monitors have such instructions: by mnemonic, kinds of operands and prefixes."""
    shape = "".join(map(_kind, each.operands))
    high = [o for o in each.operands if isinstance(o, Register) and o.size == 0]
    return (
        shape in _FORMS.get(each.mnemonic, ())
        and (not high or each.mnemonic == "movzx")
        and _plain(each)
    )


def _kind(operand: Operand) -> str:
    """``r``, ``m`` or ``i``; ``?`` for registers and memory of other kinds."""
    if isinstance(operand, int):
        return "i"
    if isinstance(operand, Register):
        return "r" if operand.name else "?"
    whole = operand.base != "?" and operand.index != "?" and operand.size in (1, 2, 4, 8)
    return "m" if whole else "?"


def _plain(each: Instruction) -> bool:
    """No prefix but one for 16 bits, not on branches, where processors differ, and REP."""
    repeat, segment, width, address = each.prefixes
    half = any(isinstance(o, (Register, Memory)) and o.size == 2 for o in each.operands)
    return (
        repeat == (_REP if each.mnemonic.startswith("rep ") else 0)
        and not segment
        and not address
        and (width == 0 or (width == _WIDTH and half and each.mnemonic not in _BRANCHES))
    )
