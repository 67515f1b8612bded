"""What is decided about a SYSCALL, on code made to mislead, and that no program can tell."""

from __future__ import annotations

import random
import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.rewrite import Rewriting, rewrite
from limpet.arch.x86_64.sites import Scan
from limpet.contract import Backend
from limpet.loading.image import load_elf
from limpet.tools.toolchain import compile_program
from tests.support.bundles import Maker, execute

TRAMPOLINES, ENTRY, ENTRY_FLAGS = 0x2000_0000, 0x2100_0000, 0x2100_0100

Decided = list[tuple[int | None, bool]]
"""Of each site, in order: the number when it is known, and whether it is rewritten."""


@dataclass(frozen=True)
class Assembled:
    """A snippet as a program, scanned and rewritten."""

    scan: Scan
    rewriting: Rewriting

    @property
    def decided(self) -> Decided:
        """What the tests compare."""
        kept = {site.address for site, _ in self.rewriting.kept}
        return [
            (next(iter(site.numbers), None), site.address not in kept) for site in self.scan.sites
        ]

    @property
    def keeps_flags(self) -> list[bool]:
        """Of each trampoline, whether it enters where flags are kept."""
        entries = []
        for match in re.finditer(rb"\xb9....\xe9(....)", self.rewriting.trampolines, re.DOTALL):
            entries.append(TRAMPOLINES + match.end() + struct.unpack("<i", match[1])[0])
        assert set(entries) <= {ENTRY, ENTRY_FLAGS}
        return [entry == ENTRY_FLAGS for entry in entries]


@pytest.fixture
def assemble(tmp_path: Path) -> Assembler:
    """Assembles snippets."""
    return Assembler(tmp_path)


class Assembler:
    """From the text behind ``_start`` to what is decided about it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, body: str, *flags: str, ahead: int = 200) -> Assembled:
        """Assemble, link, scan and rewrite, with ``ahead`` NOPs for decoding to fall into step."""
        source, output = self._folder / "snippet.S", self._folder / "snippet"
        source.write_text(f".globl _start\n_start:\n.fill {ahead}, 1, 0x90\n{body}\n")
        compile_program([source], output, ["-nostdlib", *flags])
        image = load_elf(output)
        scan = sites.scan(image)
        made = rewrite(image, scan, TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
        return Assembled(scan, made)


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
"""Four bytes from ``b`` on: only with the MOV before it is the window long enough."""

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


FLAGS = {
    "ret": ("ret", False),
    "call": ("call _start", False),
    "test": ("test %rax, %rax\n js _start", False),
    "mov, then cmp": ("mov %rax, %rbx\n cmp $0, %rax\n jz _start", False),
    "jc": ("jc _start", True),
    "jmp": ("jmp _start", True),
    "setc": ("setc %bl", True),
    "adc": ("adc %rbx, %rbx", True),
    "cmov": ("cmovc %rbx, %rdx", True),
    "pushf": ("pushfq", True),
    "lahf": ("lahf", True),
    "inc, which keeps carry": ("inc %rbx\n jc _start", True),
    "shift by what may be 0": ("shl %cl, %rbx\n jc _start", True),
    "mov, then jc": ("mov %rax, %rbx\n jc _start", True),
}


@pytest.mark.parametrize("after", FLAGS)
def test_flags(assemble: Assembler, after: str) -> None:
    """Flags are kept unless they are written before they are read."""
    text, keeps = FLAGS[after]
    made = assemble(f"mov $39, %eax\n syscall\n {text}\n ud2")
    assert (made.decided[0], made.keeps_flags) == ((39, True), [keeps])


def test_flags_across_two_calls(assemble: Assembler) -> None:
    """A second call passes the flags on to who reads them behind it."""
    second = "mov $39, %eax\n mov $1, %edi\n mov $2, %esi\n syscall\n"
    assert assemble(f"nop\n{second}{second} jc _start\n ud2").keeps_flags == [True, True]
    assert assemble("std\n mov $39, %eax\n syscall\n ret").keeps_flags == [True]


SHAPES = [
    "mov $95, %eax",
    "mov $39, %ebx\n mov $95, %eax\n mov %rbx, %rdx",
    "push $95\n pop %rax",
    "xor %eax, %eax\n mov $95, %al",
    "lea 95(%rbp), %rax\n sub %rbp, %rax",
    "movabs $0x500000005f, %rax",
]
NEIGHBOURS = [
    *(f"mov {a}, {b}" for a in ("%rbx", "%r8", "%rdx") for b in ("%rsi", "%r9", "%rdi")),
    *(f"mov %r{n}, -{8 * (n - 7)}(%rsp)" for n in range(8, 16) if n != 11),
    *(f"mov -{8 * n}(%rsp), %r{n + 7}" for n in (1, 2, 3, 5, 16 - 8)),
    *(f"{op} %rsi, %rbx" for op in ("add", "sub", "and", "or", "xor", "adc", "sbb", "cmp", "test")),
    *(f"{op} %r12" for op in ("inc", "dec", "neg", "not", "bswap")),
    *(f"{op} $1, %r13" for op in ("shl", "shr", "sar", "rol")),
    *(f"set{c} %r14b" for c in ("c", "z", "s", "o", "p")),
    *(f"cmov{c} %rbx, %r15" for c in ("c", "z", "s", "o")),
    *("stc", "clc", "cmc", "nop", "lea -8(%rsi,%rbx), %rdx", "movzx %bl, %r10d"),
    *("movslq %ebx, %r9", "movq %xmm3, %r8", "paddq %xmm4, %xmm3", "movq %rbx, %xmm4"),
]
KEPT = ["rbx", "rbp", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r12", "r13", "r14", "r15"]


def _function(index: int, rng: random.Random) -> str:
    """A leaf full of calls of umask, registers, flags and red zone in use; then it tells them."""
    lines = [f"f{index}:"]
    lines += [f"push %{name}" for name in ("rbx", "rbp", "r12", "r13", "r14", "r15")]
    lines += [f"movabs ${rng.getrandbits(63)}, %{name}" for name in (*KEPT, "rax")]
    lines += [f"mov %{KEPT[i % len(KEPT)]}, -{8 * (i + 1)}(%rsp)" for i in range(16)]
    lines += [f"movq %{name}, %xmm{i + 3}" for i, name in enumerate(KEPT)]
    for call in range(rng.randint(2, 6)):
        number = rng.choice(SHAPES).split("\n")
        if "push" in number[0]:  # which would write the red zone
            number = ["lea -128(%rsp), %rsp", *number, "lea 128(%rsp), %rsp"]
        else:
            number += rng.choices(NEIGHBOURS, k=rng.randint(0, 2))
        before = rng.choices(NEIGHBOURS, k=rng.randint(0, 3))
        after = rng.choices(NEIGHBOURS, k=rng.randint(0, 3))
        chunk = [*before, *number, "syscall", *after]
        if rng.random() < 0.5:  # a branch, often into what would be a window
            first = rng.choice(
                [*range(len(before) + 1), *range(len(chunk) - len(after), len(chunk))]
            )
            after_call = max(first, len(chunk) - len(after))
            last = rng.choice([*range(first, len(before) + 1), *range(after_call, len(chunk) + 1)])
            chunk.insert(last, f".L{index}_{call}:")
            chunk.insert(first, f"j{rng.choice('czso')} .L{index}_{call}")
        lines += chunk
    return "\n ".join([*lines, f"jmp tell{index}"]) + "\n" + _tell(index)


def _tell(index: int) -> str:
    lines = [f"tell{index}:", "mov %rax, told(%rip)", "lahf", "seto %al", "and $0xef01, %eax"]
    lines.append("mov %rax, told+8(%rip)")
    lines += [f"mov %{name}, told+{16 + 8 * i}(%rip)" for i, name in enumerate(KEPT)]
    lines += [f"movq %xmm{i + 3}, told+{112 + 8 * i}(%rip)" for i in range(12)]
    for i in range(16):
        lines += [f"mov -{8 * (i + 1)}(%rsp), %rax", f"mov %rax, told+{208 + 8 * i}(%rip)"]
    lines += [f"pop %{name}" for name in ("r15", "r14", "r13", "r12", "rbp", "rbx")]
    return "\n ".join([*lines, "ret"]) + "\n"


MAIN = r"""
#include <stdio.h>
#include <sys/stat.h>
extern unsigned long told[42];
extern void (*const functions[])(void), (*const functions_end[])(void);
int main(void) {
    umask(022);
    for (void (*const *each)(void) = functions; each < functions_end; each++) {
        (*each)();
        unsigned long sum = 0;
        for (int i = 0; i < 42; i++)
            sum = (sum ^ told[i]) * 0x100000001b3;
        printf("%3d %016lx %lx %lx\n", (int)(each - functions), sum, told[0], told[1]);
    }
    printf("%o\n", umask(0));
}
"""
COUNT = 200


@cache
def _generated() -> str:
    rng = random.Random(1)
    text = "".join(_function(index, rng) for index in range(COUNT))
    table = ", ".join(f"f{index}" for index in range(COUNT))
    return (
        f'.text\n{text}\n.section .data.rel.ro, "aw"\n.balign 8\n.globl functions\n'
        f"functions: .quad {table}\n.globl functions_end\nfunctions_end:\n"
        ".bss\n.balign 8\n.globl told\ntold: .skip 336\n"
        '.section .note.GNU-stack, "", @progbits\n'
    )


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of functions from a seed."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "main.c").write_text(MAIN)
    (folder / "functions.S").write_text(_generated())
    compile_program([folder / "main.c", folder / "functions.S"], folder / "generated")
    return folder / "generated"


def test_generated_mixes(generated: Path) -> None:
    """The program is worth running: many of its sites are rewritten, and many are not."""
    image = load_elf(generated)
    scan = sites.scan(image)
    made = rewrite(image, scan, TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
    rewritten = len(scan.sites) - len(made.kept)
    assert min(rewritten, len(made.kept)) > len(scan.sites) // 8
    assert len(scan.sites) > 3 * COUNT


@pytest.mark.parametrize("on", [True, False], ids=["rewritten", "trapped"])
def test_generated_as_natively(generated: Path, make: Maker, backend: Backend, on: bool) -> None:
    """Registers, flags, vector registers and red zone after every function are as natively."""
    native = execute(["generated"], generated)
    ran = make(generated, backend, rewrite=on).run()
    assert native.status == 0
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert (ran.stderr, ran.status) == (b"", 0)


EXACT = r"""
#include <stdio.h>
#include <string.h>
#define FLAGS 0xcd5L /* CF PF AF ZF SF DF OF */
static long keep(long flags) {
    long after;
    __asm__ volatile("push %1\n popfq\n mov $24, %%eax\n syscall\n pushfq\n pop %0\n cld"
                     : "=&r"(after) : "r"(flags | 0x202) : "rax", "rcx", "r11", "cc", "memory");
    return after & FLAGS;
}
static long twice(long flags) {
    long after;
    __asm__ volatile("push %1\n popfq\n mov $24, %%eax\n nopw 8(%%rax)\n syscall\n"
                     "mov $24, %%eax\n nopw 8(%%rax)\n syscall\n pushfq\n pop %0\n cld"
                     : "=&r"(after) : "r"(flags | 0x202) : "rax", "rcx", "r11", "cc", "memory");
    return after & FLAGS;
}
static void backwards(char *to, const char *from, long n) {
    __asm__ volatile("std\n push %%rdi\n push %%rsi\n push %%rcx\n mov $95, %%eax\n"
                     "mov $022, %%edi\n syscall\n cmp %%eax, %%eax\n pop %%rcx\n pop %%rsi\n"
                     "pop %%rdi\n rep movsb\n cld"
                     : "+D"(to), "+S"(from), "+c"(n) :: "rax", "r11", "cc", "memory");
}
static int count(void) { /* DEC's flags live across the call, DEC's register through it */
    int n = 0;
    long left = 1000;
    __asm__ volatile("1: inc %0\n dec %1\n mov $24, %%eax\n syscall\n jnz 1b"
                     : "+&r"(n), "+&r"(left) :: "rax", "rcx", "r11", "cc", "memory");
    return n;
}
static long wide(void) {
    long result = 0x7700000018;
    __asm__ volatile("syscall" : "+a"(result) :: "rcx", "r11", "memory");
    return result;
}
long padded(long number); /* is reached by way of the padding behind it */
__asm__(".text\n .balign 16\n padded: mov %rdi, %rax\n jmp 1f\n .balign 16\n 1: syscall\n ret\n"
        ".balign 16\n ret\n");
int main(void) {
    for (long flags = 0;; flags = (flags - FLAGS) & FLAGS) { /* every subset */
        printf("%lx%s ", flags, keep(flags) == flags && twice(flags) == flags ? "" : " lost");
        if (flags == FLAGS) break;
    }
    char text[] = "abcdefgh";
    backwards(text + 7, text + 5, 6);
    printf("\n%s %d %ld %ld\n", text, count(), wide(), padded(24));
    return 0;
}
"""


@pytest.mark.parametrize("on", [True, False], ids=["rewritten", "trapped"])
def test_exact(make: Maker, backend: Backend, on: bool) -> None:
    """Every flag lives across a call, direction and all; upper halves of numbers do not count."""
    program = make.compile(EXACT, "exact")
    native = execute(["exact"], program)
    ran = make(program, backend, rewrite=on).run()
    image = load_elf(program)
    made = rewrite(image, sites.scan(image), TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
    assert any(len(patch.content) == 2 for patch in made.patches)
    assert (native.status, b"lost" in native.stdout) == (0, False)
    assert ran == native
