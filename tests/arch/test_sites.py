"""What is decided about a SYSCALL, on code made to mislead."""

from __future__ import annotations

import time

import pytest

from limpet.arch.x86_64 import sites
from limpet.errors import ImageError
from limpet.formats.image import Access, Image, Segment
from tests.support.assembler import Assembler, Decided

NUMBERS: dict[str, tuple[str, int | None]] = {
    "mov": ("mov $39, %eax", 39),
    "mov 64 bits": ("mov $39, %rax", 39),
    "xor": ("xor %eax, %eax", 0),
    "another register": ("mov $39, %ebx\n mov %ebx, %eax\n xor %ebx, %ebx", 39),
    "high half, which Linux ignores": ("movabs $0x100000027, %rax", 39),
    "others written between": ("mov $39, %eax\n mov $1, %edi\n lea 8(%rsp), %rsi", 39),
    "push and pop": ("push $39\n pop %rax", None),
    "lea": ("xor %edi, %edi\n lea 39(%rdi), %eax", None),
    "computed": ("mov $38, %eax\n inc %eax", None),
    "partly overwritten": ("mov $39, %eax\n mov $60, %al", None),
    "partly set": ("mov $39, %al", None),
    "from memory": ("mov (%rsp), %eax", None),
    "cmov": ("mov $39, %eax\n cmovz %ecx, %eax", None),
    "xchg": ("mov $39, %eax\n xchg %ecx, %eax", None),
    "lock cmpxchg": ("mov $39, %eax\n lock cmpxchg %ecx, (%rsp)", None),
    "lock xadd": ("mov $39, %eax\n lock xadd %eax, (%rsp)", None),
    "rdtsc": ("mov $39, %eax\n rdtsc", None),
    "xlat": ("mov $39, %eax\n xlatb", None),
    "cbw": ("mov $39, %eax\n cbw", None),
    "lods": ("mov $39, %eax\n lodsb", None),
    "mulx": ("mov $39, %eax\n mulx %rbx, %rax, %rcx", None),
    "another call": ("mov $39, %eax\n syscall", None),
    "a call between": ("mov $39, %eax\n call _start", None),
    "another function": ("mov $39, %eax\n ret", None),
    "ret with prefix": ("mov $39, %eax\n .byte 0xf3, 0xc3", None),
    "notrack jmp": ("mov $39, %eax\n notrack jmp *%rdx", None),
    "trap between": ("mov $39, %eax\n ud2", None),
    "branch to the call": ("jz 1f\n mov $39, %eax\n 1:", None),
    "branch between": ("jz 1f\n mov $39, %eax\n 1: mov $1, %edi", None),
    "branch to the number": ("jz 1f\n mov $60, %eax\n 1: mov $39, %eax", 39),
    "branch into the number": ("jz 1f + 1\n 1: mov $39, %eax", None),
    "number in two branches": (
        "jz 1f\n mov $39, %eax\n jmp 2f\n 1: mov $60, %eax\n 2: mov $1, %edi",
        None,
    ),
    "data that swallows the number": (
        "jmp 1f\n .byte 0xb8\n 1: mov %edi, %eax\n mov %esi, %edi",
        None,
    ),
    "data that swallows the call": ("jmp 1f\n .byte 0x48, 0xb8\n 1: mov $39, %eax", None),
}


@pytest.mark.parametrize("how", NUMBERS)
def test_number(assemble: Assembler, how: str) -> None:
    """A number is known when nothing else can be in EAX, and never guessed."""
    body, number = NUMBERS[how]
    assert assemble(f"{body}\n syscall\n ud2").decided[-1][0] == number


JUMPED = "mov $1, %esi\n b: xor %eax, %eax\n syscall\n ud2\n"

WINDOWS: dict[str, tuple[str, Decided]] = {
    "before": ("mov $39, %eax\n syscall\n ud2", [(39, True)]),
    "after": ("jz 1f\n 1: syscall\n mov %rax, %rbx\n ud2", [(None, True)]),
    "nobody jumps": (JUMPED, [(0, True)]),
    "short jump": ("jz b\n" + JUMPED, [(0, False)]),
    "loop": ("loop b\n" + JUMPED, [(0, False)]),
    "long jump": (".nops 300\n" + JUMPED + ".fill 300, 1, 0x90\n jmp b\n", [(0, False)]),
    "conditional long jump": (JUMPED + ".fill 300, 1, 0x90\n jz b\n ud2", [(0, False)]),
    "jump over a prefix of the window": ("jz b + 1\n" + JUMPED, [(None, False)]),
    "jump to its first byte": ("jz a\n nop\n a: " + JUMPED, [(0, True)]),
    "jump behind the call": (
        "jz 1f\n jnc 2f\n 1: syscall\n 2: mov %rax, %rbx\n ud2",
        [(None, False)],
    ),
    "jump that data hides": (
        "test %edi, %edi\n jz 1f\n" + JUMPED + ".byte 0x48, 0xb8\n 1: jc b\n ud2",
        [(0, False)],
    ),
    "jump that data hides, by way of another": (
        "jmp 1f\n"
        + JUMPED
        + ".byte 0x48, 0xb8\n 2: jc b\n ud2\n .byte 0x48, 0xb8\n 1: jz 2b\n ud2",
        [(0, False)],
    ),
    "address taken": ("lea b(%rip), %rdx\n jmp *%rdx\n" + JUMPED, [(0, False)]),
    "address taken, 32 bits": ("lea b(%rip), %edx\n jmp *%rdx\n" + JUMPED, [(0, False)]),
    "absolute address": ("mov $b, %edx\n jmp *%rdx\n" + JUMPED, [(0, False)]),
    "pushed address": ("push $b\n ret\n" + JUMPED, [(0, False)]),
    "table of offsets": (
        "lea table(%rip), %rdx\n movslq (%rdx,%rdi,4), %rax\n add %rdx, %rax\n jmp *%rax\n a:"
        + JUMPED
        + '.section .rodata, "a"\n .balign 4\n table: .long a - table, b - table\n',
        [(0, False)],
    ),
    "table of offsets in the code": (
        "lea table(%rip), %rdx\n movslq (%rdx,%rdi,4), %rax\n add %rdx, %rax\n jmp *%rax\n a:"
        + JUMPED
        + ".balign 4\n table: .long a - table, b - table\n",
        [(0, False)],
    ),
    "table of pointers": (
        "jmp *table(,%rdi,8)\n a:"
        + JUMPED
        + '.section .rodata, "a"\n .balign 8\n table: .quad a, b\n',
        [(0, False)],
    ),
    "table of pointers in the code": (
        "jmp *table(,%rdi,8)\n a:" + JUMPED + "table: .quad a, b\n",
        [(0, False)],
    ),
    "RIP-relative neighbours": (
        "mov x(%rip), %eax\n syscall\n mov %rax, x(%rip)\n ud2\n .data\n x: .quad 0",
        [(None, False)],
    ),
    "thread-local neighbours": (
        "mov %fs:0, %rax\n syscall\n mov %rax, %fs:8\n ud2",
        [(None, False)],
    ),
    "prefixed neighbours": (
        "lock incl (%rsp)\n syscall\n rep movsb\n ud2",
        [(None, False)],
    ),
    "two calls side by side": (
        "mov $39, %eax\n syscall\n syscall\n mov %rax, %rbx\n ud2",
        [(39, False), (None, False)],
    ),
    "two calls close together": (
        "mov $39, %eax\n syscall\n mov $102, %eax\n syscall\n ud2",
        [(39, True), (102, False)],
    ),
    "end of the text": ("mov $60, %eax\n syscall", [(60, True)]),
    "end of the text, no room": ("jz 1f\n 1: syscall", [(None, False)]),
    "short function": (
        "call f\n ud2\n .balign 16\n f: syscall\n ret\n g: push %rbp\n ret",
        [(None, False)],
    ),
    "short function, padded": (
        "call f\n ud2\n .balign 16\n f: syscall\n ret\n .balign 16, 0x90\n g: ret",
        [(None, True)],
    ),
    "short function, padded by the assembler": (
        "call f\n ud2\n .balign 16\n f: syscall\n ret\n .balign 16\n g: ret",
        [(None, True)],
    ),
    "short function, padding named": (
        "call f\n ud2\n jz f + 4\n .balign 16\n f: syscall\n ret\n .balign 16, 0x90\n g: ret",
        [(None, False)],
    ),
    "padding after data": (
        "call f\n ud2\n .balign 16\n f: syscall\n jmp g\n .byte 0xc3\n .balign 16, 0x90\n g: ret",
        [(None, False)],
    ),
    "signal restorer": (
        "lea f(%rip), %rax\n ud2\n .balign 16\n f: mov $15, %eax\n syscall\n ret\n"
        " .balign 16, 0x90\n g: ret",
        [(15, False)],
    ),
    "data in the code": (
        "jmp 1f\n .byte 0x0f, 0x05\n .fill 12, 1, 0x90\n 1: ud2",
        [(None, False)],
    ),
    "data in the code that looks like a call": (
        "jmp 1f\n mov $39, %eax\n syscall\n 1: ud2",
        [(39, False)],
    ),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_window(assemble: Assembler, case: str) -> None:
    """What is rewritten can be entered from nowhere but its first byte, and can be moved."""
    body, decided = WINDOWS[case]
    assert assemble(body).decided == decided


def test_start_of_text(assemble: Assembler) -> None:
    """Where too little stands before a call to be sure of, it counts, and stays."""
    assert assemble("syscall\n ud2", ahead=0).decided == [(None, False)]
    assert assemble("mov $39, %eax\n syscall\n ud2", ahead=0).decided == [(None, False)]


def test_position_independent(assemble: Assembler) -> None:
    """In static-PIE a relocation names a place in the code."""
    body = "jmp *x(%rip)\n" + JUMPED + ".data\n .balign 8\n x: .quad b\n"
    assert assemble(body, "-fPIE", "-pie").decided == [(0, False)]
    assert assemble(JUMPED, "-fPIE", "-pie").decided == [(0, True)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("mov $0x050f, %eax\n ud2", 0),
        ("movabs $0x1122050f33445566, %rax\n ud2", 0),
        ("mov 0x050f(%rsp), %eax\n ud2", 0),
        ("jz 1f + 1\n 1: mov $0x90c3050f, %eax\n ud2", 1),
    ],
    ids=["immediate", "in the middle", "displacement", "jumped into"],
)
def test_hidden(assemble: Assembler, body: str, found: int) -> None:
    """Bytes of another instruction are left alone, and count as a call when code enters there."""
    made = assemble(body)
    assert (made.scan.hidden, made.decided) == (1 - found, [(None, False)] * found)
    assert not made.rewriting.patches


def _program(code: bytes) -> Image:
    segment = Segment(0x400000, len(code), code, Access.READ | Access.EXECUTE)
    return Image("hostile", "", "linux", True, 0x400000, None, 0, 0, (segment,), (), ())


def test_code_that_keeps_its_reader_busy() -> None:
    """More system calls than any program has, or ways to one without end: an error, soon."""
    started = time.process_time()
    with pytest.raises(ImageError, match="hostile: its code has an absurd number"):
        sites.scan(_program(b"\x0f\x05" * (1 << 20)))
    assert time.process_time() - started < 2
    few = _program(b"\x74\xfc\x0f\x05" * 200)
    assert len(sites.scan(few).sites) == 200
    finder = sites.Finder(few, _left=20_000)
    with pytest.raises(ImageError, match="hostile: its code has an absurd number"):
        for at in range(2, 800, 4):
            finder.site(few.segments[0], at)
