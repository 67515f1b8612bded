"""What ``audit`` reads out of real bundles, and that a changed byte is found and named."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limpet import build, load, plan
from limpet.audit.bpf import steps, verdict
from limpet.audit.html import as_html
from limpet.audit.inspect import audit
from limpet.audit.model import Audit
from limpet.audit.seccomp_decode import decode
from limpet.audit.text import as_text
from limpet.contract import BACKENDS, Backend
from limpet.contract.slots import SLOTS
from limpet.formats.bundle import read as bundle_file
from tests.support import SUPPORT, unikernels
from tests.support.audited import EVERY, SMALL, small
from tests.support.bundle_edit import Edited
from tests.support.bundles import BUSYBOX, Maker, need
from tests.support.sources import HELLO, LINKS

OPENS = "#include <fcntl.h>\nint main(int n, char **a) { return open(a[0], n); }\n"


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
    assert found.opens == ("/dev/kvm", "/dev/null")
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
    assert (found.ports, found.opens) == ((), ("/dev/null",))
    assert [(h.name, bool(h.evidence)) for h in found.hypercalls] == [
        ("console_out", True),
        ("exit", True),
    ]
    present = {each.name for each in found.protections if each.present}
    assert {"calls from stubs only", "segments W^X"} <= present
    assert {"host stack unmapped", "kernel pages below it unmapped"} <= present


def test_memory_that_is_arranged(make: Maker) -> None:
    """A program with threads moves its pages: the limit that lets none be added is seen."""
    source = (SUPPORT / "programs" / "arranging.c").read_text()
    made = make(make.compile(source, "arranging", "-O1"), "process")
    found = audit(made.path)
    assert found.findings == ()
    assert {"mprotect", "mremap"} < left(found)
    evidence = {each.name: each.evidence for each in found.protections if each.present}
    assert evidence["no more memory"].startswith("setrlimit at ")


def test_both_with_limits(make: Maker) -> None:
    """Both backends in one file: a signal handler and a jump table are followed too."""
    program = need(BUSYBOX, "busybox-static")
    made = make(program, "kvm", backends=BACKENDS, timeout=5000, max_output=1 << 20)
    found = audit(made.path)
    assert found.findings == ()
    assert [each.backend for each in found.filters] == ["kvm", "process"]
    present = {each.name for each in found.protections if each.present}
    assert {"time limit", "output limit", "guest in ring 3"} <= present
    names = {each.name for each in found.hypercalls}
    assert names == {"exit", "console_out", "console_in", "wait", "entropy"}


@EVERY
@pytest.mark.parametrize("options", [{"cpu": "v3"}, {"rewrite": False}, {"memory": 1 << 30}])
def test_every_kind_agrees(make: Maker, backend: Backend, options: dict[str, Any]) -> None:
    """Whatever is chosen, bytes and record agree."""
    compiler, flags = LINKS["musl-pie"]
    program = make.compile(HELLO, "hello", *flags, compiler=compiler)
    assert audit(make(program, backend, **options).path).findings == ()


@EVERY
@pytest.mark.parametrize("device", ["volume:/w:ro", "volume:/w"])
def test_a_folder(make: Maker, backend: Backend, device: str) -> None:
    """What a folder of the host's adds is known too: locks, and zeros in the monitor's memory."""
    program = need(BUSYBOX, "busybox-static")
    assert audit(make(program, backend, devices=(device,)).path).findings == ()


@EVERY
def test_own_words(make: Maker, backend: Backend) -> None:
    """What puts a bundle's own words before those of its start is known too: it adds a carry."""
    program = need(BUSYBOX, "busybox-static")
    made = make(program, backend, words=("/bin/busybox", "echo"))
    assert audit(made.path).findings == ()


@EVERY
@pytest.mark.parametrize(
    ("name", "asked"), [("terminal", "terminal"), ("timers", "tick"), ("jit", "execute")]
)
def test_what_is_asked_for(make: Maker, backend: Backend, name: str, asked: str) -> None:
    """What such a feature adds is known too: its parent, its requests, its timer."""
    program = need(BUSYBOX, "busybox-static")
    if name == "jit":
        program = make.compile((SUPPORT / "programs" / "jit.c").read_text(), "jit", "-O1")
    found = audit(make(program, backend, features=(name,)).path)
    assert found.findings == ()
    names = {each.name for each in found.hypercalls}
    assert asked in names or (backend, name) == ("kvm", "jit"), names


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
        assert ("hvt_net_write" in names) == devices
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
    assert {"/dev/net/tun", "what the command line names"} <= set(found.opens)
    assert "argument 4 with the bytes before it within device 1" in as_text(found)


def test_slot_moved(make: Maker) -> None:
    """A constant of the filter that the start puts elsewhere, and a comparison turned around."""
    program = make.compile(OPENS, "opens")
    made = make(program, "process", devices=("block:data",))
    edited = Edited(made.path)
    (template,) = (f.template for f in edited.bundle.record.filters.values())
    assert template
    at, handle, which = template.slots[0]
    row = struct.pack("<HBB", at, handle, SLOTS.index(which))
    monitor = edited.bundle.monitor
    place = monitor.address + edited.bundle.content(monitor).index(row)
    edited.poke(place, struct.pack("<H", at + 1))
    assert any("does not complete it as recorded" in each.what for each in edited.audit().findings)
    edited = Edited(made.path)
    where = template.address + 8 * next(i for i, _, w in template.slots if w == "capacity_under")
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
            assert verdict(steps(program), struct.pack("<IIQ6Q", *data)) == 0x7FFF0000
        outside = (rule.number, 0xC000003E, rule.pointer[1] + 1, *arguments)
        assert verdict(steps(program), struct.pack("<IIQ6Q", *outside)) != 0x7FFF0000
