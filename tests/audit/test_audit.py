"""What ``audit`` reads out of real bundles, and that a changed byte is found and named."""

from __future__ import annotations

import json
import re
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet import build, load, plan
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.html import as_html
from limpet.audit.inspect import Audit, audit, audit_bundle
from limpet.audit.seccomp_decode import decode, verdict
from limpet.audit.text import as_text
from limpet.contract import BACKENDS, Backend
from limpet.errors import LimpetError
from limpet.formats import bundle_file
from limpet.planning.seccomp import SLOTS
from tests.support import unikernels
from tests.support.bundle_edit import Edited
from tests.support.bundles import BUSYBOX, Maker, need
from tests.support.command import Cli
from tests.support.sources import HELLO

SMALL = HELLO.replace("getenv", "(char *)(long)!")
OPENS = "#include <fcntl.h>\nint main(int n, char **a) { return open(a[0], n); }\n"
SLEEPS = "#include <unistd.h>\nint main(void) { return usleep(1); }\n"
EVERY = pytest.mark.parametrize("backend", BACKENDS)  # nothing is run, so no KVM is needed


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to pack."""
    root = tmp_path_factory.mktemp("tree")
    (root / "etc").mkdir()
    (root / "etc" / "motd").write_text("welcome\n")
    (root / "page").write_bytes(b"x" * 5000)
    return root


def small(make: Maker, backend: Backend, **options: Any) -> Path:
    """The bundle of a program that only writes and ends."""
    return make(make.compile(SMALL, "small"), backend, **options).path


def left(found: Audit) -> set[str]:
    """The system calls that are left."""
    return {rule.call for each in found.filters for rule in each.rules}


def test_kvm_facts(make: Maker) -> None:
    """Every fact of a hello's virtual machine, from its bytes."""
    found = audit(small(make, "kvm"))
    assert found.findings == ()
    assert found.backends == ("kvm",)
    assert left(found) == {"exit_group", "ioctl", "write"}
    assert [(h.name, h.port, h.handled) for h in found.hypercalls] == [
        ("exit", 0x500, True),
        ("console_out", 0x504, True),
    ]
    assert all(h.evidence for h in found.hypercalls)
    assert found.ports == tuple(range(0x500, 0x508))
    assert found.opens == ("/dev/kvm",)
    assert {"KVM_RUN", "KVM_SET_SREGS", "KVM_SET_USER_MEMORY_REGION"} <= set(found.requests)
    assert not any("request" in name for name in found.requests)
    assert {run.rights for run in found.memory if run.user} == {"r--", "r-x", "rw-"}
    assert [run.rights for run in found.memory if not run.user] == ["r--", "r-x", "rw-"]
    assert found.monitor_code < found.monitor_bytes < 10_000
    calls = {name for call in found.calls for name in call.calls}
    assert {"openat", "mmap", "prctl", "seccomp"} <= calls
    assert not {"unknown", "execve", "socket", "fork"} & calls
    run = next(call for call in found.calls if call.detail == "KVM_RUN")
    assert run.when == "behind the filter"


def test_process_facts(make: Maker) -> None:
    """Of a hello in a process: three calls, each from one instruction."""
    found = audit(small(make, "process"))
    assert found.findings == ()
    assert found.backends == ("process",)
    assert left(found) == {"exit_group", "write"}
    assert all(r.pointer[0] == r.pointer[1] for f in found.filters for r in f.rules)
    assert (found.ports, found.opens) == ((), ())
    assert [(h.name, bool(h.evidence)) for h in found.hypercalls] == [
        ("console_out", True),
        ("exit", True),
    ]
    present = {each.name for each in found.protections if each.present}
    assert {"calls from stubs only", "host stack unmapped", "segments W^X"} <= present


def test_both_with_limits(make: Maker) -> None:
    """Both backends in one file: a signal handler and a jump table are followed too."""
    program = need(BUSYBOX, "busybox-static")
    made = make(program, "kvm", backends=BACKENDS, timeout=5000, max_output=1 << 20)
    found = audit(made.path)
    assert found.findings == ()
    assert [each.backend for each in found.filters] == ["kvm", "process"]
    present = {each.name for each in found.protections if each.present}
    assert {"time limit", "output limit", "guest in ring 3"} <= present
    assert len(found.hypercalls) == 5


@EVERY
@pytest.mark.parametrize("options", [{"cpu": "v3"}, {"rewrite": False}, {"memory": 1 << 30}])
def test_every_kind_agrees(make: Maker, backend: Backend, options: dict[str, Any]) -> None:
    """Whatever is chosen, bytes and record agree."""
    program = make.compile(HELLO, "hello", "-fPIE", "-pie")
    assert audit(make(program, backend, **options).path).findings == ()


@pytest.mark.parametrize("target", ["hvt", "spt"])
@pytest.mark.parametrize("devices", [False, True])
def test_unikernels(tmp_path: Path, target: str, devices: bool) -> None:
    """Of unikernels: their own hypercalls, devices and system calls, and nothing unexplained."""
    path = tmp_path / "bundle"
    guest = load(unikernels.build(tmp_path, target, devices=devices))
    build(plan(guest)).write(path)
    found = audit(path)
    assert found.findings == ()
    assert found.devices == (("block storage", "net service") if devices else ())
    present = {each.name for each in found.protections if each.present}
    assert not any("request 0x" in name for name in found.requests)
    if target == "hvt":
        assert {"guest in ring 3", "guest pages W^X", "code not readable"} <= present
        names = {call.name for call in found.hypercalls}
        assert {"hvt_puts", "hvt_halt"} <= names
        assert ("hvt_net_kick" in names) == devices
        assert all(call.handled for call in found.hypercalls)
    else:
        assert "calls from stubs only" not in present
        assert left(found) <= {
            "read",
            "write",
            "pread64",
            "pwrite64",
            "arch_prctl",
            "clock_gettime",
            "exit_group",
            "epoll_pwait",
            "timerfd_settime",
        }
        said = as_text(found)
        assert ("argument 3 the sector size of device 1" in said) == devices


@EVERY
def test_devices(make: Maker, backend: Backend) -> None:
    """Of a program's devices, and how a process's filter holds a disk's bytes within it."""
    program = make.compile(OPENS, "opens")
    found = audit(make(program, backend, devices=("block:data", "net:wire")).path)
    assert found.findings == ()
    assert found.devices == ("block data", "net wire")
    assert found.opens[-2:] == ("/dev/net/tun", "what the command line names")
    assert "argument 4 with the bytes before it within device 1" in as_text(found)


def test_slot_moved(make: Maker) -> None:
    """A constant of the filter that the start puts elsewhere, and a comparison turned around."""
    program = make.compile(OPENS, "opens")
    made = make(program, "process", devices=("block:data",))
    edited = Edited(made.path)
    (template,) = (f for f in edited.bundle.record["filters"].values())
    at, handle, which = template["slots"][0]
    row = struct.pack("<HBB", at, handle, SLOTS.index(which))
    monitor = edited.bundle.monitor
    place = monitor.address + edited.bundle.content(monitor).index(row)
    edited.poke(place, struct.pack("<H", at + 1))
    assert any("does not complete it as recorded" in each.what for each in edited.audit().findings)
    edited = Edited(made.path)
    where = template["template"] + 8 * next(
        i for i, _, w in template["slots"] if w == "capacity_under"
    )
    for jump in range(10):  # the comparison of the offset with what is left, and those before it
        code = edited.bundle.memory(where + 8 * jump, 1)
        if code == b"\x2d":
            edited.poke(where + 8 * jump, b"\x3d")
    wrong = [each.what for each in edited.audit().findings if each.where == "filter"]
    assert any("of a device with" in each for each in wrong)


@EVERY
def test_words(make: Maker, backend: Backend, tree: Path) -> None:
    """Text, JSON and HTML carry the facts; the page loads nothing from elsewhere."""
    program = make.compile(SMALL, "small")
    found = audit(make(program, backend, root=tree).path)
    assert [entry.path for entry in found.files] == ["/", "/etc", "/page", "/etc/motd"]
    text = as_text(found)
    assert "record    agrees with the bytes" in text
    assert "write(1 is 1 or 2;" in text
    assert "/etc/motd" in text
    json.dumps(found.as_data())
    page = as_html(replace(found, guest="<script>"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 2
    assert not re.search(r"(src|href)=|url\(|https?:", page)


def test_filter_decoded_is_the_filter(make: Maker) -> None:
    """What is decoded allows exactly what the program allows, at the limits of every rule."""
    path = small(make, "kvm")
    each = audit(path).filters[0]
    program = bundle_file.read_bundle(path).memory(each.address, 8 * each.instructions)
    for rule in decode(program).allowed:
        for pick in (0, 1):
            arguments = [ranges[-1][pick] for ranges in rule.arguments]
            data = (rule.number, 0xC000003E, rule.pointer[pick], *arguments)
            assert verdict(program, struct.pack("<IIQ6Q", *data)) == 0x7FFF0000
        outside = (rule.number, 0xC000003E, rule.pointer[1] + 1, *arguments)
        assert verdict(program, struct.pack("<IIQ6Q", *outside)) != 0x7FFF0000


# --- changed bundles -------------------------------------------------------------------------


@EVERY
def test_filter_byte(make: Maker, backend: Backend) -> None:
    """One number in the filter's program."""
    edited = Edited(small(make, backend))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    jump = next(
        at
        for at in range(0, len(program), 8)
        if struct.unpack_from("<HBBI", program, at)[::3] == (0x15, NUMBERS["exit_group"])
    )
    edited.poke(each.address + jump + 4, struct.pack("<I", NUMBERS["execve"]))
    found = edited.findings()
    assert any(
        f"{backend}: it lets through execve (argument 1 0x0 to 0xff)" in each for each in found
    )
    assert any(f"{backend}: it refuses exit_group" in each for each in found)


def test_stub_moved(make: Maker) -> None:
    """A filter that lets a call through from where no stub is."""
    edited = Edited(small(make, "process"))
    each = edited.audit().filters[0]
    program = edited.bundle.memory(each.address, 8 * each.instructions)
    pointer = struct.pack("<I", each.rules[0].pointer[0])
    edited.poke(each.address + program.index(pointer), struct.pack("<I", 0x1002345))
    assert any("from 0x1002345, where no SYSCALL stands" in each for each in edited.findings())


def test_port_opened(make: Maker) -> None:
    """One bit in the I/O bitmap."""
    edited = Edited(small(make, "kvm"))
    task = edited.machine.descriptors[2][0]
    (base,) = struct.unpack("<H", edited.bundle.memory(task + 102, 2))
    edited.poke(task + base + 0x500 // 8, b"\x00\xfe")
    assert "ports: port 0x508 is open to the guest, which is not recorded" in edited.findings()


@pytest.mark.parametrize(
    ("bits", "which", "expected"),
    [
        (2, "r-x", "are writable and executable"),
        (1 << 63, "rw-", "are writable and executable"),
        (1 << 13, "r--", "are mapped to"),
        (4, "own", "let the guest reach the processor's own pages"),
    ],
)
def test_page_table_bit(make: Maker, bits: int, which: str, expected: str) -> None:
    """One bit of one page-table entry."""
    edited = Edited(small(make, "kvm"))
    runs = {run.rights if run.user else "own": run for run in edited.machine.pages[::-1]}
    at = runs[which].address
    edited.flip(edited.leaf(at), bits)
    where = f"page tables: the pages {at:#x} to"
    assert any(each.startswith(where) and expected in each for each in edited.findings())


def test_gate(make: Maker) -> None:
    """An exception that leads into the guest's memory."""
    edited = Edited(small(make, "kvm"))
    table = edited.machine.descriptors[1][0]
    edited.poke(table + 16 * 14 + 6, b"\x01\x01")
    assert any(each.startswith("machine: exception 14 leads to") for each in edited.findings())


@EVERY
def test_extra_system_call(make: Maker, backend: Backend) -> None:
    """A SYSCALL where there was none, and another number for one that was there."""
    edited = Edited(small(make, backend))
    monitor = edited.bundle.monitor
    spare = monitor.address + monitor.size - 16
    edited.poke(spare, b"\x0f\x05")
    assert f"monitor: SYSCALL at {spare:#x}, where no code leads" in edited.findings()
    edited = Edited(small(make, backend))
    first = edited.code.calls[0].address
    code = edited.bundle.memory(first - 32, 32)
    edited.poke(first - 32 + code.rindex(b"\xb8"), b"\xb8" + struct.pack("<I", NUMBERS["execve"]))
    assert (
        f"monitor: SYSCALL at {first:#x} makes execve, which no monitor does" in edited.findings()
    )


@EVERY
def test_without_filter(make: Maker, backend: Backend) -> None:
    """A monitor that does not install its filter."""
    edited = Edited(small(make, backend))
    call = next(c for c in edited.code.calls if NUMBERS["seccomp"] in c.numbers)
    edited.poke(call.address, b"\x31\xc0")
    found = edited.findings()
    assert "filter: no seccomp program is installed" in found
    assert any("the guest is" in each and "without a filter" in each for each in found)


@EVERY
def test_segment_rights(make: Maker, backend: Backend) -> None:
    """A monitor that can be written."""
    edited = Edited(small(make, backend))
    count = struct.unpack_from("<H", edited.data, 56)[0]
    for at in range(64, 64 + 56 * count, 56):
        if struct.unpack_from("<Q", edited.data, at + 16)[0] == edited.bundle.monitor.address:
            edited.data[at + 4] |= 2
    found = edited.findings()
    assert "monitor: the segment is writable and executable" in found
    assert "monitor: its size or rights (rwx) are not as recorded" in found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'"ports":[1280,', b'"ports":[1300,', "ports: port 0x500 is open to the guest"),
        (b'"call":"exit_group"', b'"call":"exit_grout"', "its record is damaged"),
        (b'"call":"write"', b'"call":"lseek"', "which is not recorded"),
        (b"[1,1],[2,2]", b"[1,1],[1,1]", "lets through write"),
        (b'"limpet":"', b'"LIMPET":"', "its record is damaged"),
    ],
)
def test_record_edited(make: Maker, old: bytes, new: bytes, expected: str) -> None:
    """Words of the record that the bytes do not bear out."""
    edited = Edited(small(make, "kvm"))
    edited.in_record(old, new)
    try:
        found = edited.findings()
    except LimpetError as error:
        found = [error.message]
    assert any(expected in each for each in found)


def test_recorded_hashes(make: Maker) -> None:
    """Every digest of the record is looked at."""
    record = Edited(small(make, "kvm")).bundle.record
    for digest, where in [
        (record["guest"]["sha256"], "structure: "),
        *((part["sha256"], f"{part['name']}: its bytes") for part in record["parts"]),
    ]:
        edited = Edited(small(make, "kvm"))
        edited.in_record(digest.encode(), b"0" * 64)
        assert any(each.startswith(where) for each in edited.findings()), where


@EVERY
def test_packed_file(make: Maker, backend: Backend, tree: Path) -> None:
    """A packed file's byte, and one of the packed table."""
    path = make(make.compile(SMALL, "small"), backend, root=tree).path
    edited = Edited(path)
    at = edited.data.index(b"welcome\n")
    edited.data[at] ^= 1
    assert "files: /etc/motd is not the file that was packed" in edited.findings()
    edited = Edited(path)
    start = edited.bundle.record["tree"]["address"]
    edited.poke(start + 16 + 4, b"\x01")  # the owner of the root
    assert "files: their table is not the one that was packed" in edited.findings()


@EVERY
def test_guest_byte(make: Maker, backend: Backend) -> None:
    """A byte of the program itself: the segment's digest, and the guest's own."""
    edited = Edited(small(make, backend))
    edited.poke(edited.bundle.parts[0].address + 100, b"\xff")
    found = edited.findings()
    assert any("its bytes are not those of the record" in each for each in found)
    assert any("its SHA-256 is not the one in the record" in each for each in found)


# --- hostile bundles -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_hostile(make: Maker, backend: Backend) -> None:
    """Whatever the bytes: an audit or a clear error, soon."""
    path = small(make, backend)
    edited = Edited(path)
    whole = bytes(edited.data)
    lively = [(0, 0x400), *((o, s) for _, o, s in edited.bundle.sections)]
    lively += [(p.offset, p.size) for p in edited.bundle.parts if p.name[:3] in ("mon", "sup")]
    places = st.sampled_from(lively).flatmap(lambda part: st.integers(part[0], sum(part) - 1))

    @settings(max_examples=250, deadline=None, database=None)
    @given(st.lists(st.tuples(places, st.binary(min_size=1, max_size=9)), max_size=6), st.data())
    def mutate(edits: list[tuple[int, bytes]], data: st.DataObject) -> None:
        changed = bytearray(whole)
        for at, content in edits:
            changed[at : at + len(content)] = content
        if data.draw(st.integers(0, 15)) == 0:
            del changed[data.draw(st.integers(0, len(changed))) :]
        started = time.monotonic()
        try:
            found = audit_bundle(bundle_file.parse(bytes(changed), "mutant"))
            as_text(found)
            as_html(found)
        except LimpetError as error:
            assert error.message
        assert time.monotonic() - started < 5

    mutate()


HOSTILE_CODE = [
    (b"\xeb\xfe", "jumps to itself"),
    (b"\xe8\xfb\xff\xff\xff", "calls itself"),
    (b"\x50\xeb\xfd", "pushes without end"),
    (b"\x48\xff\xc0\xeb\xfb", "counts without end"),
    (b"\xff\xe0", "jumps to nowhere known"),
    (b"\x06", "no instruction"),
]


@pytest.mark.parametrize(("code", "what"), HOSTILE_CODE, ids=[what for _, what in HOSTILE_CODE])
def test_hostile_code(make: Maker, code: bytes, what: str) -> None:
    """Code made to keep a reader busy ends in findings."""
    edited = Edited(small(make, "kvm"))
    edited.poke(edited.bundle.entry, code)
    assert "filter: no seccomp program is installed" in edited.findings()


def test_page_tables_without_end(make: Maker) -> None:
    """A root table whose entries all name itself."""
    edited = Edited(small(make, "kvm"))
    root = edited.machine.tables[0]
    edited.poke(root, struct.pack("<Q", root | 0x27) * 512)
    assert any("its page tables are absurd" in each for each in edited.findings())


# --- the command -----------------------------------------------------------------------------


@pytest.fixture
def limpet(tmp_path: Path) -> Cli:
    """The command, in an empty folder."""
    return Cli(tmp_path, tmp_path)


def test_command(limpet: Cli, make: Maker) -> None:
    """Text, JSON and a page; status 3 for what is not as recorded."""
    path = small(make, "kvm")
    done = limpet("audit", path, "--html", "page.html")
    assert done.returncode == 0, done.stderr
    assert "agrees with the bytes" in done.stdout
    assert (limpet.cwd / "page.html").read_text().startswith("<!doctype html>")
    assert json.loads(limpet("audit", "--json", path).stdout)["findings"] == []
    edited = Edited(path)
    edited.poke(edited.bundle.parts[0].address + 100, b"\xff")
    done = limpet("audit", edited.write(limpet.cwd / "changed"))
    assert done.returncode == 3
    assert "FINDING   " in done.stdout


def test_against(limpet: Cli, make: Maker) -> None:
    """Status 5 for more than before, 0 for the same or less."""
    old = small(make, "kvm")
    new = make(make.compile(SLEEPS, "sleeps"), "kvm").path
    grown = limpet("audit", new, "--against", old)
    assert grown.returncode == 5
    assert re.search(
        r"^[+] kvm may call ppoll[(].*; 2 is 0 or 1; .*4 is 0; 5 is 0[)]$", grown.stdout, re.M
    )
    assert "+ hypercall wait\n" in grown.stdout
    assert "+ open port 0x50c\n" in grown.stdout
    shrunk = limpet("audit", old, "--against", new)
    assert shrunk.returncode == 0
    assert "- hypercall wait\n" in shrunk.stdout
    assert not re.search("^[+]", shrunk.stdout, re.MULTILINE)
    assert limpet("audit", old, "--against", old).stdout == "record    agrees with the bytes\n"


def test_more_memory_is_not_more_rights(limpet: Cli, make: Maker) -> None:
    """Only addresses of the guest's memory change, which asks nothing of the host."""
    done = limpet("audit", small(make, "kvm", memory=1 << 28), "--against", small(make, "kvm"))
    assert done.returncode == 0, done.stdout


ALLOWED = """
backends = ["kvm"]
host_calls = ["ioctl", "write", "exit_group"]
hypercalls = ["exit", "console_out"]
devices = []
opens = ["/dev/kvm"]
files = []
protections = ["guest in ring 3", "guest pages W^X", "system call filter"]
max_monitor_bytes = 20000
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ""),
        ('"kvm"]', '"process"]', "backend kvm is not among backends"),
        ('"ioctl", ', "", "host call ioctl is not among host_calls"),
        (', "console_out"', "", "hypercall console_out is not among hypercalls"),
        ('"/dev/kvm"', "", "opened path /dev/kvm is not among opens"),
        ('"guest in ring 3"', '"SMAP"', "protection SMAP is required and absent"),
        ("20000", "2000", "more than max_monitor_bytes = 2000"),
        ("devices", 'requests = ["KVM_RUN"]\ndevices', "ioctl request KVM_CREATE_VM is not among"),
        ("devices", "setup_calls = []\ndevices", "call of the monitor mmap is not among"),
    ],
)
def test_policy(limpet: Cli, make: Maker, old: str, new: str, expected: str) -> None:
    """Status 4 and each violation by name."""
    (limpet.cwd / "policy.toml").write_text(ALLOWED.replace(old, new, 1) if old else ALLOWED)
    done = limpet("audit", small(make, "kvm"), "--policy", "policy.toml")
    assert done.returncode == (4 if expected else 0), done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["audit", "missing"], 2, "limpet: missing: no such file"),
        (["audit", "/bin/ls"], 2, "limpet: /bin/ls: not a bundle"),
        (["audit", "/dev/null"], 2, "not a regular file"),
        (["verify", "missing"], 2, "limpet: missing: no such file"),
        (["audit", "bundle", "--policy", "missing"], 2, "missing: cannot be read"),
        (["audit", "bundle", "--policy", "bad"], 2, "bad: unknown key speed"),
        (["audit", "bundle", "--policy", "worse"], 2, "files must be a list of strings"),
        (["audit", "bundle", "--policy", "bundle"], 2, "bundle: "),
        (["audit", "bundle", "--html", "/proc/x"], 1, "/proc/x: cannot be written"),
    ],
)
def test_bad_input(
    limpet: Cli, make: Maker, arguments: list[str], status: int, message: str
) -> None:
    """A clear error that names the input, and no traceback."""
    (limpet.cwd / "bundle").write_bytes(small(make, "kvm").read_bytes())
    (limpet.cwd / "bad").write_text("speed = 1\n")
    (limpet.cwd / "worse").write_text('files = "all"\n')
    done = limpet(*arguments)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_program_is_no_bundle(make: Maker) -> None:
    """A static program without a record."""
    program = make.compile(SMALL, "small")
    with pytest.raises(LimpetError, match="a program without Limpet's record, not a bundle"):
        audit(program)
