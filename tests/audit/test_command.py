"""``limpet audit`` as a user types it: text, pages, policies and their exit statuses."""

from __future__ import annotations

import json
import re

import pytest

from limpet.audit.inspect import audit
from limpet.errors import LimpetError
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
