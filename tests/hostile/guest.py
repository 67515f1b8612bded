"""Hostile guests, and the words for how they end."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.arch.x86_64.machine import LOCAL_APIC
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.guests.linux.layout import Layout
from limpet.planning.regions import KVM_RUN_AT
from tests.support.bundles import Made, Maker, Ran

_FOLDER = Path(__file__).parent / "attack"
_FILES = ("common", "memory", "flags", "sweeps", "calls", "time", "main")


def source() -> str:
    """All attacks as the text of one program."""
    text = "\n".join((_FOLDER / f"{each}.c").read_text(encoding="utf-8") for each in _FILES)
    return text.replace('#include "instructions.h"', instructions_h())


@dataclass(frozen=True)
class End:
    """A way to end: the status, and what the line on standard error says."""

    status: int
    line: str = ""
    stdout: str = ""

    def met(self, ran: Ran) -> bool:
        """Whether a guest ended so."""
        return (
            ran.status == self.status
            and re.fullmatch(self.line, ran.stderr.decode()) is not None
            and re.fullmatch(self.stdout, ran.stdout.decode()) is not None
        )


def crash(status: int, signal: str, what: str, where: str = r"FUNCTION\+0x[0-9a-f]+") -> End:
    """The library OS's line of a fault; FUNCTION and BACKEND are filled in."""
    where = rf"at 0x[0-9a-f]+( in {where})?"
    return End(status, f"limpet: the guest {what} {where}; ended by {signal}, backend BACKEND\n")


PRIVILEGED = crash(
    139, "SIGSEGV", "executed a privileged instruction or used a non-canonical address"
)
INVALID = crash(132, "SIGILL", "executed an invalid instruction")
TRAPPED = crash(133, "SIGTRAP", "faulted")
UNALIGNED = crash(135, "SIGBUS", "faulted")
ALIEN = crash(159, "SIGSYS", "made a system call of another architecture")
SURVIVED = End(0, "", "survived\n")

EITHER = (PRIVILEGED, INVALID)  # by processor and kind of host

INSTRUCTIONS: dict[str, tuple[str, End | tuple[End, ...]]] = {
    "cli": ("cli", PRIVILEGED),
    "sti": ("sti", PRIVILEGED),
    "hlt": ("hlt", PRIVILEGED),
    "clts": ("clts", PRIVILEGED),
    "invd": ("invd", PRIVILEGED),
    "wbinvd": ("wbinvd", PRIVILEGED),
    "invlpg": ("invlpg (%rsi)", PRIVILEGED),
    "swapgs": ("swapgs", PRIVILEGED),
    "rdmsr": ("rdmsr", PRIVILEGED),
    "wrmsr": ("wrmsr", PRIVILEGED),
    "rdpmc": ("rdpmc", PRIVILEGED),
    "lmsw": ("lmsw %ax", PRIVILEGED),
    "lgdt": ("lgdt (%rsi)", PRIVILEGED),
    "lidt": ("lidt (%rsi)", PRIVILEGED),
    "lldt": ("lldt %ax", PRIVILEGED),
    "ltr": ("ltr %ax", PRIVILEGED),
    "to_cr0": ("mov %rax, %cr0", PRIVILEGED),
    "to_cr2": ("mov %rax, %cr2", PRIVILEGED),
    "to_cr3": ("mov %rax, %cr3", PRIVILEGED),
    "to_cr4": ("mov %rax, %cr4", PRIVILEGED),
    "to_cr8": ("mov %rax, %cr8", PRIVILEGED),
    "from_cr0": ("mov %cr0, %rax", PRIVILEGED),
    "from_cr3": ("mov %cr3, %rax", PRIVILEGED),
    "to_dr0": ("mov %rax, %dr0", PRIVILEGED),
    "to_dr7": ("mov %rax, %dr7", PRIVILEGED),
    "from_dr6": ("mov %dr6, %rax", PRIVILEGED),
    "sysexit": ("sysexit", PRIVILEGED),
    "sysret": ("sysretq", EITHER),
    "sysenter": ("sysenter", EITHER),
    "vmcall": ("vmcall\ninc %rax\njz 1f\nint3\n1:", (*EITHER, SURVIVED)),  # -EPERM
    "vmmcall": ("vmmcall\ninc %rax\njz 1f\nint3\n1:", (*EITHER, SURVIVED)),
    "vmrun": ("vmrun", EITHER),
    "vmload": ("vmload", EITHER),
    "vmsave": ("vmsave", EITHER),
    "clgi": ("clgi", EITHER),
    "stgi": ("stgi", EITHER),
    "skinit": ("skinit", EITHER),
    "invlpga": ("invlpga", EITHER),
    "xsetbv": ("xsetbv", EITHER),
    "encls": (".byte 0x0f, 0x01, 0xcf", EITHER),
    "ud0": (".byte 0x0f, 0xff, 0xc0", INVALID),
    "ud1": (".byte 0x0f, 0xb9, 0xc0", INVALID),
    "ud2": ("ud2", INVALID),
    "into": (".byte 0xce", INVALID),
    "push_es": (".byte 0x06", INVALID),
    "pusha": (".byte 0x60", INVALID),
    "daa": (".byte 0x27", INVALID),
    "salc": (".byte 0xd6", INVALID),
    "les": (".byte 0xc4, 0x06, 0x90, 0x90, 0x90", INVALID),
    "lds": (".byte 0xc5, 0x06, 0x90, 0x90, 0x90", INVALID),
    "bound": (".byte 0x62, 0x06, 0x90, 0x90, 0x90, 0x90", INVALID),
    "far_call_immediate": (".byte 0x9a, 0, 0, 0, 0, 8, 0", INVALID),
    "far_jump_immediate": (".byte 0xea, 0, 0, 0, 0, 8, 0", INVALID),
    "locked_nop": (".byte 0xf0, 0x90", INVALID),
    "rsm": ("rsm", INVALID),
    "monitor": ("monitor", EITHER),
    "mwait": ("mwait", EITHER),
    "vmlaunch": ("vmlaunch", INVALID),
    "vmresume": ("vmresume", INVALID),
    "vmxoff": ("vmxoff", INVALID),
    "vmread": ("vmread %rax, %rdx", INVALID),
    "getsec": (".byte 0x0f, 0x37", INVALID),
    "int1": (".byte 0xf1", TRAPPED),
    "int3": ("int3", TRAPPED),
    "int3_behind_ss": ("mov %ss, %eax\nmov %eax, %ss\nint3", TRAPPED),
    "far_call": ("movl $8, 4(%rsi)\nlcall *(%rsi)", EITHER),
    "far_jump": ("movl $8, 4(%rsi)\nljmp *(%rsi)", EITHER),
    "far_call_data": ("movl $0x1b, 4(%rsi)\nlcall *(%rsi)", EITHER),
    "far_call_task": ("movl $0x40, 4(%rsi)\nlcall *(%rsi)", EITHER),
    "far_return": ("pushq $8\npush %rsi\nlretq", PRIVILEGED),
    "kernel_ds": ("mov $0x10, %eax\nmov %eax, %ds", PRIVILEGED),
    "kernel_es": ("mov $0x10, %eax\nmov %eax, %es", PRIVILEGED),
    "kernel_fs": ("mov $0x10, %eax\nmov %eax, %fs", PRIVILEGED),
    "kernel_ss": ("mov $0x10, %eax\nmov %eax, %ss", PRIVILEGED),
    "code_in_ss": ("mov $0x23, %eax\nmov %eax, %ss", PRIVILEGED),
    "null_ss": ("xor %eax, %eax\nmov %eax, %ss", PRIVILEGED),
    "task_gs": ("mov $0x40, %eax\nmov %eax, %gs", PRIVILEGED),
    "far_selector": ("mov $0xfff8, %eax\nmov %eax, %ds", PRIVILEGED),
    "local_selector": ("mov $0x0c, %eax\nmov %eax, %ds", PRIVILEGED),
    "iret": ("pushq $0x10\npush %rsp\npushq $2\npushq $8\npush %rsi\niretq", PRIVILEGED),
    "wrfsbase_noncanonical": ("mov $1, %eax\nshl $63, %rax\nwrfsbase %rax", PRIVILEGED),
    "fxrstor_bad_mxcsr": ("movl $-1, 24(%rsi)\nfxrstor (%rsi)", PRIVILEGED),
    "ldmxcsr_bad": ("pushq $-1\nldmxcsr (%rsp)", EITHER),
    "divide": ("xor %ecx, %ecx\ndiv %ecx", crash(136, "SIGFPE", "faulted")),
}
"""Instructions of ring 3 and above, which either backend's processor refuses alike."""


def instructions_h() -> str:
    """A function for each instruction, with RAX and RDX zero and RSI a writable page."""
    text = ""
    for name, (code, _) in INSTRUCTIONS.items():
        lines = code.replace("%", "%%").replace("\n", "\\n")
        text += (
            f"static void do_{name}(const u64 *n) {{\n    static char page[4096] "
            f'__attribute__((aligned(64)));\n    __asm__ volatile("{lines}" ::"a"(0), "d"(0), '
            f'"c"(0), "S"(page) : "memory");\n    (void)n;\n}}\n'
        )
    named = ", ".join(f'{{"{name}", do_{name}}}' for name in INSTRUCTIONS)
    return f"{text}#define INSTRUCTIONS {named}\n"


MEMORY = 32 << 20


@cache
def plan_of(program: Path, backend: Backend, devices: tuple[str, ...]) -> limpet.Plan:
    """What an attacker who has the bundle knows."""
    options = limpet.Options(backends=(backend,), memory=MEMORY, devices=devices)
    return limpet.plan(limpet.load(program), options)


@dataclass(frozen=True)
class Hostile:
    """The program of all attacks, as a bundle of one backend."""

    make: Maker
    backend: Backend
    devices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # what attaches them

    @property
    def program(self) -> Path:
        """All attacks in one program."""
        return self.make.compile(source(), "attack", "-O1")

    def made(self, **options: Any) -> Made:
        """Its bundle."""
        return self.make(self.program, self.backend, memory=MEMORY, devices=self.devices, **options)

    @property
    def plan(self) -> limpet.Plan:
        """The plan of the bundle."""
        return plan_of(self.program, self.backend, self.devices)

    @property
    def place(self) -> Layout:
        """Where everything is."""
        place = self.plan.layout
        assert isinstance(place, Layout)
        return place

    def run(self, name: str, *numbers: int, stdin: bytes = b"", seconds: float = 20) -> Ran:
        """One attack."""
        words = (*self.words, name, *map(str, numbers))
        return self.made().run(*words, stdin=stdin, timeout=seconds)

    def ends(
        self, ends: End | tuple[End, ...], name: str, *numbers: int, stdin: bytes = b""
    ) -> None:
        """One attack, whose end is named."""
        ran = self.run(name, *numbers, stdin=stdin)
        for end in (ends,) if isinstance(ends, End) else ends:
            functions = f"((do_)?{name}|interrupts|ports|hidden)"
            line = end.line.replace("FUNCTION", functions).replace("BACKEND", self.backend)
            if replace(end, line=line).met(ran):
                return
        pytest.fail(f"{name} {numbers}: {ran}")


def fault(what: str, address: int) -> End:
    """SIGSEGV that names its address."""
    return crash(139, "SIGSEGV", rf"{what} \({address:#x}\)")


WROTE, READ = "wrote memory that it may not", "read memory that it may not"
JUMPED = "jumped to memory that is not executable"


def forbidden(plan: limpet.Plan) -> dict[str, int]:
    """Addresses that are nothing of the guest's, on either backend."""
    place = plan.layout
    assert isinstance(place, Layout)
    return {
        "null": 0,
        "first_page": 0xFFF,
        "below": place.image_lo - 1,
        "behind_code": place.state - 1,
        "below_arena": place.arena[0] - 1,
        "hole": place.arena[1] + 4096,
        "end": place.stack[1],
        "descriptors": place.supervisor + 8,
        "task_state": place.supervisor + 0x400,
        "fault_stubs": place.supervisor + 0x1000,
        "fault_stack": place.supervisor + 0x2FF8,
        "page_tables": place.supervisor + 0x3000,
        "kvm_run": KVM_RUN_AT,
        "local_apic": LOCAL_APIC,
        "host_stack": 0x7FFF_FFFF_E000,
        "kernel": 0xFFFF_FFFF_8100_0000,
        "kernel_low": 0xFFFF_8000_0000_0000,
        "last": 2**64 - 1,
    }


def stubs(hostile: Hostile) -> list[int]:
    """Where the host system calls of a process are, as the guest finds them.

    SYSCALL's two bytes also stand inside other instructions; from there a call is only trapped.
    """
    found = hostile.run("find_calls", hostile.place.text).stdout
    places = [int(line, 16) for line in found.split()[:-1]]
    return [at for at in places if _is_killed(hostile, at)]


def _is_killed(hostile: Hostile, at: int) -> bool:
    """Whether a call from there that nobody may make ends the guest; what comes behind the middle
    of an instruction may have no end."""
    try:
        return hostile.run("jump_call", at, NUMBERS["fork"], seconds=4).status == 159
    except subprocess.TimeoutExpired:
        return False
