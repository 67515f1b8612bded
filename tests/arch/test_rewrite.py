"""What is decided about a SYSCALL, on code made to mislead, and that no program can tell."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.rewrite import rewrite
from limpet.contract import Backend
from limpet.formats.files import read_file
from limpet.guests.registry import read_image
from limpet.tools.toolchain import compile_program
from tests.support.assembler import ENTRY, ENTRY_FLAGS, TRAMPOLINES, Assembler
from tests.support.bundles import Maker, execute

"""Of each site, in order: the number when it is known, and whether it is rewritten."""

"""Four bytes from ``b`` on: only with the MOV before it is the window long enough."""

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


@pytest.mark.slow
def test_generated_mixes(generated: Path) -> None:
    """The program is worth running: many of its sites are rewritten, and many are not."""
    image = read_image(read_file(generated), str(generated))
    scan = sites.scan(image)
    made = rewrite(image, scan, TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
    rewritten = len(scan.sites) - len(made.kept)
    assert min(rewritten, len(made.kept)) > len(scan.sites) // 8
    assert len(scan.sites) > 3 * COUNT


@pytest.mark.slow
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
    image = read_image(read_file(program), str(program))
    made = rewrite(image, sites.scan(image), TRAMPOLINES, entry=ENTRY, entry_flags=ENTRY_FLAGS)
    assert any(len(patch.content) == 2 for patch in made.patches)
    assert (native.status, b"lost" in native.stdout) == (0, False)
    assert ran == native
