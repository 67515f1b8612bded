"""``limpet audit`` as a user types it: text, pages, policies and their exit statuses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from limpet.audit.inspect import audit
from limpet.errors import LimpetError
from limpet.plain import plain
from limpet.version import __version__
from tests.support.audited import SLEEPS, SMALL, small
from tests.support.bundle_edit import Edited
from tests.support.bundles import Maker
from tests.support.command import Cli

pytestmark = pytest.mark.slow


def test_command(limpet: Cli, make: Maker) -> None:
    """Text, JSON and a page; status 3 for what is not as recorded."""
    path = small(make, "kvm")
    done = limpet("audit", path, "--html", "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("VERIFIED: made again with Limpet ")
    assert "agrees with the bytes" in done.stdout
    page = (limpet.cwd / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert '<p class="good">VERIFIED: made again' in page
    known = json.loads(limpet("audit", "--json", path).stdout)
    assert known["findings"] == []
    assert known["remade"]["outcome"] == "same"
    edited = Edited(path)
    edited.poke(edited.bundle.parts[0].address + 100, b"\xff")
    done = limpet("audit", edited.write(limpet.cwd / "changed"))
    assert done.returncode == 3
    assert "FINDING   " in done.stdout


def test_only_read(limpet: Cli, make: Maker) -> None:
    """Status 6, never 0, and the first line says why; a finding still weighs more."""
    path = small(make, "kvm")
    done = limpet("audit", "--read-only", path, "--html", "page.html")
    assert done.returncode == 6
    assert done.stdout.startswith("NOT VERIFIED: only read, not made again\n")
    assert '<p class="bad">NOT VERIFIED' in (limpet.cwd / "page.html").read_text()
    known = json.loads(limpet("audit", "--read-only", "--json", path).stdout)
    assert known["remade"]["outcome"] == "not tried"
    edited = Edited(path)
    edited.poke(edited.bundle.parts[0].address + 100, b"\xff")
    changed = edited.write(limpet.cwd / "changed")
    assert limpet("audit", "--read-only", changed).returncode == 3


def test_not_made_again(limpet: Cli, make: Maker) -> None:
    """Of another Limpet: status 1, and the first line names the version that is needed."""
    edited = Edited(small(make, "kvm"))
    edited.in_record(f'"limpet":"{__version__}"'.encode(), b'"limpet":"9.1.0"')
    done = limpet("audit", edited.write(limpet.cwd / "newer"))
    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith("NOT VERIFIED: it cannot be made again here: ")
    assert "made with the newer limpet 9.1.0" in done.stdout.splitlines()[0]


def test_record_and_bytes_changed_together(limpet: Cli, make: Maker) -> None:
    """A monitor that another compiler could have made, with its digest: reading finds nothing."""
    edited = Edited(small(make, "kvm"))
    monitor = edited.bundle.monitor
    content = bytearray(edited.bundle.content(monitor))
    before = hashlib.sha256(content).hexdigest()
    content[-1] = 1  # a byte that nothing uses
    edited.poke(monitor.address + monitor.size - 1, b"\x01")
    edited.in_record(before.encode(), hashlib.sha256(content).hexdigest().encode())
    path = edited.write(limpet.cwd / "together")
    assert limpet("audit", "--read-only", path).returncode == 6
    done = limpet("audit", path)
    assert done.returncode == 3
    assert done.stdout.startswith("NOT VERIFIED: made again, monitor has 1 other bytes")


NAMES = ["\x1b[2Jclear", "line\nFINDING   forged: all is well", "\u202eright", "\x9b31m"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_move_the_cursor(limpet: Cli, make: Maker, tmp_path: Path, name: str) -> None:
    """Names of packed files are shown, and do nothing to the terminal or the page."""
    root = tmp_path / "root"
    root.mkdir()
    (root / name).write_text("x")
    path = make(make.compile(SMALL, "small"), "kvm", root=root).path
    done = limpet("audit", "--read-only", path, "--html", "page.html")
    page = (limpet.cwd / "page.html").read_text()
    for shown in (done.stdout, page):
        assert name not in shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert plain(name) in done.stdout
    assert not re.search("^FINDING", done.stdout, re.MULTILINE)
    refused = limpet("audit", root / name)
    assert name not in refused.stderr
    assert plain(name) in refused.stderr


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
    same = limpet("audit", old, "--against", old).stdout.splitlines()
    assert same[0].startswith("VERIFIED: ")
    assert same[1:] == ["record    agrees with the bytes"]


def test_more_memory_is_not_more_rights(limpet: Cli, make: Maker) -> None:
    """Only addresses of the guest's memory change, which asks nothing of the host."""
    done = limpet("audit", small(make, "kvm", memory=1 << 28), "--against", small(make, "kvm"))
    assert done.returncode == 0, done.stdout


ALLOWED = """
backends = ["kvm"]
host_calls = ["ioctl", "write", "exit_group"]
hypercalls = ["exit", "console_out"]
devices = []
opens = ["/dev/kvm", "/dev/null"]
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
        ('"/dev/kvm", ', "", "opened path /dev/kvm is not among opens"),
        ('"guest in ring 3"', '"SMAP"', "protection SMAP is required and absent"),
        ("20000", "2000", "more than max_monitor_bytes = 2000"),
        ("devices", 'requests = ["KVM_RUN"]\ndevices', "ioctl request KVM_CREATE_VM is not among"),
        ("devices", "setup_calls = []\ndevices", "call of the monitor mmap is not among"),
    ],
)
def test_policy(limpet: Cli, make: Maker, old: str, new: str, expected: str) -> None:
    """Status 4 and each violation by name."""
    (limpet.cwd / "policy.toml").write_text(ALLOWED.replace(old, new, 1) if old else ALLOWED)
    how = ("--read-only",) if expected else ()  # to make it again changes nothing about these
    done = limpet("audit", small(make, "kvm"), "--policy", "policy.toml", *how)
    assert done.returncode == (4 if expected else 0), done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_debuggers_requests(limpet: Cli, make: Maker) -> None:
    """A policy refuses what the filter lets a debugger ask KVM for, though no code asks."""
    plain_one, debugged = small(make, "kvm"), small(make, "kvm", features=("gdb",))
    asked = re.search(r'"requests": (\[.*?\])', limpet("audit", "--json", plain_one).stdout, re.S)
    assert asked and "KVM_RUN" in asked[1]
    (limpet.cwd / "policy.toml").write_text(f"requests = {asked[1]}\n")
    for bundle, status in ((plain_one, 0), (debugged, 4)):
        done = limpet("audit", "--read-only", bundle, "--policy", "policy.toml")
        assert done.returncode in (status, status or 6), done.stderr
        assert ("ioctl request KVM_GET_XSAVE is not among requests" in done.stderr) == bool(status)


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
        (["audit", "bundle", "--policy", "deep"], 2, "deep: "),
        (["audit", "bundle", "--policy", "huge"], 2, "huge: "),
        (["audit", "bundle", "--policy", "bundle"], 2, "bundle: "),
        (["audit", "--read-only", "bundle", "--html", "/proc/x"], 1, "/proc/x: cannot be written"),
    ],
)
def test_bad_input(
    limpet: Cli, make: Maker, arguments: list[str], status: int, message: str
) -> None:
    """A clear error that names the input, and no traceback."""
    (limpet.cwd / "bundle").write_bytes(small(make, "kvm").read_bytes())
    (limpet.cwd / "bad").write_text("speed = 1\n")
    (limpet.cwd / "worse").write_text('files = "all"\n')
    (limpet.cwd / "deep").write_text("files = " + "[" * 5000)
    (limpet.cwd / "huge").write_text("monitor_bytes = " + "9" * 5000)
    done = limpet(*arguments)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_program_is_no_bundle(make: Maker) -> None:
    """A static program without a record."""
    program = make.compile(SMALL, "small")
    with pytest.raises(LimpetError, match="a program without Limpet's record, not a bundle"):
        audit(program)
