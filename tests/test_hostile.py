"""Hostile guests: each attack by its name, with the exact way in which it is refused."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from conftest import Made, Maker, Ran

import limpet
from limpet.contract import Backend
from limpet.layout import KVM_RUN_AT, MONITOR_BASE, MONITOR_SIZE, Layout
from limpet.machine import LOCAL_APIC
from limpet.syscalls import NUMBERS
from limpet.toolchain import compile_program

SOURCE = Path(__file__).parent / "hostile" / "attack.c"


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
def plan_of(program: Path, backend: Backend) -> limpet.Plan:
    """What an attacker who has the bundle knows."""
    options = limpet.Options(backends=(backend,), memory=MEMORY)
    return limpet.plan(limpet.load(program), options)


@dataclass(frozen=True)
class Hostile:
    """The program of all attacks, as a bundle of one backend."""

    program: Path
    backend: Backend
    make: Maker

    def made(self, **options: object) -> Made:
        """Its bundle."""
        return self.make(self.program, self.backend, memory=MEMORY, **options)

    @property
    def plan(self) -> limpet.Plan:
        """The plan of the bundle."""
        return plan_of(self.program, self.backend)

    @property
    def place(self) -> Layout:
        """Where everything is."""
        place = self.plan.layout
        assert isinstance(place, Layout)
        return place

    def run(self, name: str, *numbers: int, stdin: bytes = b"", **options: object) -> Ran:
        """One attack."""
        return self.made(**options).run(name, *map(str, numbers), stdin=stdin, timeout=20)

    def ends(
        self, ends: End | tuple[End, ...], name: str, *numbers: int, **options: object
    ) -> None:
        """One attack, whose end is named."""
        ran = self.run(name, *numbers, **options)
        for end in (ends,) if isinstance(ends, End) else ends:
            functions = f"((do_)?{name}|interrupts|ports|hidden)"
            line = end.line.replace("FUNCTION", functions).replace("BACKEND", self.backend)
            if replace(end, line=line).met(ran):
                return
        pytest.fail(f"{name} {numbers}: {ran}")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All attacks in one program."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "instructions.h").write_text(instructions_h())
    compile_program([SOURCE], folder / "attack", ["-I", str(folder), "-O1"])
    return folder / "attack"


@pytest.fixture
def hostile(program: Path, make: Maker, backend: Backend) -> Hostile:
    """The program on each backend."""
    return Hostile(program, backend, make)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instruction(hostile: Hostile, name: str) -> None:
    """Privileged, undefined and rare instructions are faults of the guest."""
    hostile.ends(INSTRUCTIONS[name][1], name)


@pytest.mark.parametrize("vector", [3, 4, 0x80])
def test_interrupts(hostile: Hostile, vector: int) -> None:
    """INT reaches only the gates that the machine gives it; 0x80 is no way around the filter."""
    linux = ALIEN if hostile.backend == "process" else EITHER
    ends: dict[int, End | tuple[End, ...]] = {3: TRAPPED, 4: PRIVILEGED, 0x80: linux}
    hostile.ends(ends[vector], "one_interrupt", vector)
    # One vector is CPUID under kvm_pvm, whose host gives it that meaning.
    hostile.ends(End(0, "", "25[34]\nsurvived\n"), "all_interrupts")


def test_ports(hostile: Hostile) -> None:
    """No port but the plan's, in either direction and every width."""
    opened = [call.port for call in hostile.plan.hypercalls]
    low, high = (min(opened), max(opened) + 4) if hostile.backend == "kvm" else (0, 0)
    for form, width in enumerate([1, 2, 4] * 4):
        edges = low - width + 1 if low else 0, high
        hostile.ends(End(0, "", "all\nsurvived\n"), "all_ports", form, *edges, 31)


WRONG_USE = End(122, "limpet: the guest used a hypercall port in a way that is none\n")
NO_SUCH = End(122, "limpet: the guest made a hypercall that it does not have, backend kvm\n")
OUTSIDE = End(
    122, "limpet: the guest made a hypercall with an address outside its memory, backend kvm\n"
)


def test_port_misuse(hostile: Hostile) -> None:
    """The plan's own ports take a 32-bit `out` and nothing else."""
    if hostile.backend != "kvm":
        pytest.skip("no ports")
    opened = [call.port for call in hostile.plan.hypercalls]
    for port in opened:
        for form in (0, 1, 3, 4, 5, 6, 7, 9, 10, 11):
            hostile.ends(WRONG_USE, "one_port", form, port, 0)
        hostile.ends(OUTSIDE, "one_port", 8, port, 0)
        hostile.ends(OUTSIDE, "one_port", 2, port, 0)
    for port in set(range(min(opened), max(opened) + 1)) - set(opened):
        hostile.ends(NO_SUCH, "one_port", 2, port, hostile.place.state)


def blocks(place: Layout) -> dict[str, int]:
    """Addresses of argument blocks that are none: too low, too high, straddling, wrapping."""
    low, high = place.state, place.state_end
    return {
        "null": 0,
        "below": low - 1,
        "straddles_start": low - 4,
        "straddles_end": high - 4,
        "end": high,
        "wraps": 0xFFFF_FFFC,
        "last": 0xFFFF_FFFF,
        "text": place.text,
        "constants": place.constants,
        "arena": place.arena[0],
        "stack": place.stack[0],
        "hole": place.arena[1],
        "supervisor": place.supervisor,
        "tables": place.supervisor + 3 * 4096,
    }


@pytest.mark.parametrize("where", blocks(Layout((), 0, 0, 0, 0, 0, 0, (0, 0), (0, 0), 0)))
def test_block_outside(hostile: Hostile, where: str) -> None:
    """An argument block lies in the library OS's own data or nowhere."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    for call in hostile.plan.hypercalls:
        hostile.ends(OUTSIDE, "one_port", 2, call.port, blocks(hostile.place)[where])


FAULT = 2**64 - 14


def test_ranges(hostile: Hostile) -> None:
    """Addresses and lengths that wrap, straddle an end, or name what is not the guest's."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place, page = hostile.place, 4096
    ports = {call.name: call.port for call in hostile.plan.hypercalls}
    at = place.state_end - page
    ranges = {
        "wraps": (2**64 - 1, 2),
        "wraps_to_itself": (place.state, 2**64 - 1),
        "wraps_far": (2**63, 2**63 + page),
        "too_long": (place.arena[0], (1 << 20) + 1),
        "null": (0, 1),
        "below": (place.image_lo - 1, 2),
        "straddles_end": (place.stack[1] - 4, 8),
        "end": (place.stack[1], 1),
        "hole": (place.arena[1] + page, 8),
        "into_hole": (place.arena[1], 8),
        "supervisor": (place.supervisor, 8),
        "tables": (hostile.plan.supervisor.cr3, 8) if hostile.plan.supervisor else (0, 8),
        "monitor": (MONITOR_BASE, 8),
        "kvm_run": (KVM_RUN_AT, 8),
        "host_stack": (0x7FFF_FFFF_E000, 8),
        "kernel": (0xFFFF_FFFF_8100_0000, 8),
        "vsyscall": (0xFFFF_FFFF_FF60_0000, 8),
        "noncanonical": (1 << 63, 8),
    }
    for name, (address, length) in ranges.items():
        refused = End(0, "", f"1 {address:x} {length:x} {FAULT:x}\nsurvived\n")
        hostile.ends(refused, "block", ports["console_out"], at, 1, address, length, 0)
        refused = End(0, "", f"{address:x} {length:x} {FAULT:x} 0\nsurvived\n")
        ran = hostile.run("block", ports["console_in"], at, address, length, 0, 0, stdin=b"evil")
        assert refused.met(ran), (name, ran)


@pytest.mark.parametrize("fd", [0, 3, 4, 5, 7, 2**32 - 1])
def test_descriptors(hostile: Hostile, fd: int) -> None:
    """console_out writes to standard output and error only."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place = hostile.place
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_out")
    refused = End(0, "", f"{fd:x} {place.state:x} 8 {FAULT:x}\nsurvived\n")
    hostile.ends(refused, "block", port, place.state_end - 4096, fd, place.state, 8, 0)


def test_read_only_targets(hostile: Hostile) -> None:
    """console_in does not write what the guest may not."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    place = hostile.place
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_in")
    for target in (place.image_lo, place.trampolines, place.text, place.constants, place.rodata):
        refused = End(0, "", f"{target:x} 4 {FAULT:x} 0\nsurvived\n")
        ran = hostile.run("block", port, place.state_end - 4096, target, 4, 0, 0, stdin=b"evil")
        assert refused.met(ran), (target, ran)


def test_block_in_its_own_buffer(hostile: Hostile) -> None:
    """A block that changes while it is served was copied before: the copy is what counts."""
    if hostile.backend != "kvm":
        pytest.skip("no argument blocks")
    at = hostile.place.state_end - 4096
    port = next(call.port for call in hostile.plan.hypercalls if call.name == "console_in")
    expected = End(0, "", f"{at:x} 20 20 {0x6161616161616161:x}\nsurvived\n")
    ran = hostile.run("block", port, at, at, 32, 0, 0, stdin=b"a" * 64)
    assert expected.met(ran), ran


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


def test_forbidden_memory(hostile: Hostile) -> None:
    """What is not the guest's cannot be read, written or run."""
    for address in forbidden(hostile.plan).values():
        attack_each_way(hostile, address)


def attack_each_way(hostile: Hostile, address: int) -> None:
    """Read, write, run."""
    for what, attack in ((READ, "peek"), (WROTE, "poke"), (JUMPED, "run")):
        hostile.ends(fault(what, address), attack, address)


@pytest.mark.parametrize("address", [1 << 63, 0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF])
def test_noncanonical_memory(hostile: Hostile, address: int) -> None:
    """Addresses that are none."""
    for attack in ("peek", "poke", "run"):
        hostile.ends(PRIVILEGED, attack, address)


def test_stack_nowhere(hostile: Hostile) -> None:
    """A stack pointer that is none does not keep a fault, or a system call, from being served."""
    hostile.ends(UNALIGNED, "set_stack", 1 << 63)
    hostile.ends(fault(WROTE, 0x1000 - 8), "set_stack", 0x1000)


def test_own_memory(hostile: Hostile) -> None:
    """Pages of the guest are writable or executable, never both, whatever it asks for."""
    place = hostile.place
    code = (place.image_lo, place.trampolines, place.text, place.constants, place.rodata)
    for address in (*code, MONITOR_BASE, hostile.plan.monitor_text):
        hostile.ends(fault(WROTE, address), "poke", address)
        hostile.ends(fault(WROTE, address), "patch", address)
    for address in (place.state, place.constants, place.rodata, place.arena[0], place.stack[0]):
        hostile.ends(fault(JUMPED, address), "run", address)
    for attack in ("run_data", "run_stack", "run_heap"):
        jumped = rf"{JUMPED} \(0x[0-9a-f]+\)"
        hostile.ends(crash(139, "SIGSEGV", jumped, r"[^ ]+"), attack)
    for attack in ("poke_text", "poke_constant"):
        hostile.ends(crash(139, "SIGSEGV", rf"{WROTE} \(0x[0-9a-f]+\)", r"[^ ]+"), attack)


def test_monitor_memory(hostile: Hostile) -> None:
    """The monitor is not there on kvm; in a process it is read-only and has no rights."""
    text = hostile.plan.monitor_text
    if hostile.backend == "kvm":
        hostile.ends(fault(READ, text), "peek", text)
        hostile.ends(fault(JUMPED, text), "run", text)
    else:
        hostile.ends(SURVIVED, "peek", text)


def test_exhaustion(hostile: Hostile) -> None:
    """A stack and a memory that end."""
    stack = r"exhausted its stack \(0x[0-9a-f]+\)"
    hostile.ends(crash(139, "SIGSEGV", stack, r"recurse\+0x[0-9a-f]+"), "exhaust_stack")
    hostile.ends(End(0, "", "2[0-9]\nsurvived\n"), "exhaust_memory")


def test_flags(hostile: Hostile) -> None:
    """Flags that change how the processor traps end the guest and nothing else."""
    hostile.ends(UNALIGNED, "alignment_check")
    hostile.ends(SURVIVED, "alignment_call")
    hostile.ends(fault(WROTE, 0), "alignment_fault", 0)
    hostile.ends(TRAPPED, "single_step")
    hostile.ends(TRAPPED, "single_step_call")
    hostile.ends(INVALID, "nested_task")
    hostile.ends(PRIVILEGED, "input_output_level")


def test_vsyscall(hostile: Hostile) -> None:
    """The old page of system calls: the host hands those of a process to the filter."""
    page = 0xFFFF_FFFF_FF60_0000
    hostile.ends(fault(READ, page), "peek", page)
    hostile.ends(fault(WROTE, page), "poke", page)
    gone = fault(JUMPED, page)
    hostile.ends(gone if hostile.backend == "kvm" else (gone, SURVIVED), "run", page)


def test_32_bit_mode(hostile: Hostile) -> None:
    """There is none on kvm; in a process its system calls are refused."""
    kvm = hostile.backend == "kvm"
    hostile.ends(EITHER if kvm else ALIEN, "short_interrupt")
    served = crash(139, "SIGSEGV", rf"{JUMPED} \(0x[0-9a-f]+\)")  # behind it, by its RET
    hostile.ends(served if kvm else (ALIEN, INVALID), "short_syscall")
    hostile.ends(EITHER if kvm else (ALIEN, INVALID), "short_sysenter")


def test_forged_frames(hostile: Hostile) -> None:
    """rt_sigreturn is the library OS's: a frame with selectors of ring 0 changes registers only."""
    hostile.ends(fault(JUMPED, 0), "forged_frame", 0, 0, 0, 0)
    hostile.ends(fault(JUMPED, 0x1000), "forged_frame", 1 << 63, 0x1000, 2**64 - 1, 0)
    kernel = 0xFFFF_FFFF_8100_0000
    hostile.ends(fault(JUMPED, kernel), "forged_frame", 0, kernel, 0x3000, 0)
    hostile.ends(fault(JUMPED, 0), "forged_frame", 0, kernel, 0, 1 << 63)  # EFAULT


def alive(process: subprocess.Popen[bytes]) -> bool:
    """Neither ended nor traced."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return process.poll() is None and "TracerPid:\t0\n" in status


def test_system_calls_stay_inside(hostile: Hostile, tmp_path: Path) -> None:
    """Every number by a SYSCALL of the guest's own: the library OS answers, the host sees none."""
    served = {call.number for call in hostile.plan.calls}
    for bits in (0, 1 << 30):
        done = subprocess.run(
            [hostile.made().path, "all_calls", str(bits)],
            cwd=tmp_path,
            input=b"",
            capture_output=True,
            start_new_session=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stdout[-9:]) == (0, b"survived\n")
        assert {int(each) for each in done.stderr.split()} <= (set() if bits else served)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["kill", "tkill", "tgkill", "ptrace", "pidfd_open", "prctl"])
def test_other_processes(hostile: Hostile, name: str) -> None:
    """A sibling on the host feels nothing of what the guest sends to its number."""
    esrch, enosys = -3, -38
    with subprocess.Popen(["/bin/sleep", "60"]) as sibling:
        pid, number = sibling.pid, NUMBERS[name]
        arguments = {
            "kill": (pid, 9),
            "tkill": (pid, 9),
            "tgkill": (pid, pid, 9),
            "ptrace": (16, pid),
        }.get(name, (pid, 0))
        got = esrch if name in {"kill", "tkill", "tgkill"} else enosys
        if name == "prctl":
            arguments, got = (22, 2, 0), -22  # PR_SET_SECCOMP
        hostile.ends(End(0, "", f"{got}\nsurvived\n"), "call", number, *arguments)
        assert alive(sibling)
        sibling.kill()


@pytest.mark.parametrize("name", ["fork", "vfork", "clone", "clone3", "execve", "socket", "seccomp"])
def test_what_a_unikernel_has_not(hostile: Hostile, name: str) -> None:
    """No processes, no sockets: by any path of the guest's own."""
    hostile.ends(End(0, "", "-38\nsurvived\n"), "call", NUMBERS[name])


def test_descriptors_of_the_parent(hostile: Hostile, tmp_path: Path) -> None:
    """What the parent leaves open is closed before the guest runs."""
    kept = tmp_path / "kept"
    with kept.open("wb") as file:
        fd = file.fileno()
        command = [hostile.made().path, "call", str(NUMBERS["write"]), str(fd)]
        place = str(hostile.place.constants)
        done = subprocess.run(
            [*command, place, "8"], pass_fds=[fd], capture_output=True, check=False
        )
    assert (done.stdout, done.returncode) == (b"-9\nsurvived\n", 0)
    assert kept.read_bytes() == b""


def test_what_the_host_sees(hostile: Hostile) -> None:
    """Descriptors, rights and mappings of a bundle while its guest runs."""
    guest = [hostile.made().path, "ready"]
    with subprocess.Popen(guest, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdin and running.stdout.readline() == b"ready\n"
        proc = Path(f"/proc/{running.pid}")
        opened = {int(each.name) for each in (proc / "fd").iterdir()}
        status = dict(
            line.split(":\t", 1) for line in (proc / "status").read_text().splitlines()
        )
        lows = [line.split()[0] for line in (proc / "maps").read_text().splitlines()]
        writable = re.search(r"^\S+ .w.x ", (proc / "maps").read_text(), re.MULTILINE)
        running.stdin.close()
        assert running.wait(10) == 0
    assert opened == ({0, 1, 2, 5} if hostile.backend == "kvm" else {0, 1, 2})
    assert (status["NoNewPrivs"], status["Seccomp"], writable) == ("1", "2", None)
    if hostile.backend == "process":
        ends = [int(low.split("-")[1], 16) for low in lows]
        assert all(end <= MONITOR_BASE + MONITOR_SIZE or end > 1 << 63 for end in ends)


def stubs(hostile: Hostile) -> list[int]:
    """Where the host system calls of a process are, as the guest finds them."""
    found = hostile.run("find_calls", hostile.place.text).stdout
    return [int(line, 16) for line in found.split()[:-1]]


def test_stubs_put_to_other_use(hostile: Hostile) -> None:
    """A jump onto a stub's SYSCALL with anything but its pinned call ends the process."""
    if hostile.backend != "process":
        pytest.skip("no stubs")
    found = stubs(hostile)
    place = hostile.place
    labelled = [rule for rule in hostile.plan.filters["process"].rules if rule.label]
    assert len(found) == len(labelled)
    killed = End(159)
    pipe, one = place.stack[0], 1 << 32
    harmful: list[tuple[int, ...]] = [
        *((NUMBERS[name],) for name in ("fork", "execve", "socket", "ptrace", "mmap", "mprotect")),
        *((NUMBERS[name],) for name in ("rt_sigreturn", "open", "dup", "prctl", "seccomp")),
        (NUMBERS["kill"], 0, 0),
        (NUMBERS["exit"], 0),
        (NUMBERS["exit_group"] | 1 << 30, 0),
        (NUMBERS["write"] | 1 << 30, 1, place.constants, 8),
        (NUMBERS["write"], 0, place.constants, 8),
        (NUMBERS["write"], 3, place.constants, 8),
        (NUMBERS["write"], one | 1, place.constants, 8),
        (NUMBERS["write"], 1, place.constants, (1 << 20) + 1),
        (NUMBERS["write"], 1, place.constants, one | 1),
        (NUMBERS["read"], 1, pipe, 1),
        (NUMBERS["read"], 3, pipe, 1),
        (NUMBERS["read"], 0, pipe, (1 << 20) + 1),
        (NUMBERS["getrandom"], pipe, 47, 0),
        (NUMBERS["getrandom"], pipe, 48, 1),
        (NUMBERS["ppoll"], pipe, 2, pipe),
        (NUMBERS["ppoll"], pipe, 1, pipe, pipe),
        (NUMBERS["clock_gettime"], 2, pipe),
        (NUMBERS["clock_gettime"], 2**64 - 1, pipe),
        (2**64 - 1,),
    ]
    for at in found:
        for numbers in harmful:
            hostile.ends(killed, "jump_call", at, *numbers)
