"""In a tender's place: albatross' own command lines, and a host where little can be written.

The lines are those of albatross' ``src/vmm_unix.ml`` (``check_solo5_tender`` and ``exec``), as it
was in June 2026: a tender is asked for its version, then started by ``taskset`` with one write-only
FIFO as all three standard descriptors.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import limpet
from limpet.formats import elf
from limpet.planning.explain import as_text
from tests.support import network
from tests.support.solo5 import Bundled, limpet_run, run

SOURCES = Path(limpet.__file__).parents[1]
MAC = "02:11:22:33:44:55"
Tender = Path


def _environment(folder: Path) -> dict[str, str]:
    """What a unit of systemd without a user's home has."""
    return {"PATH": "/usr/bin:/bin", "LIMPET_CACHE": str(folder / "cache")}


def _build(image: Path, bundle: Path) -> None:
    argv: list[str | Path] = [sys.executable, "-m", "limpet", "-q", "build", image, "-o", bundle]
    subprocess.run(argv, check=True)


@pytest.fixture(params=["limpet", "bundle"])
def tender(
    request: pytest.FixtureRequest, unikernel: Bundled, target: str, tmp_path: Path
) -> Tender:
    """``solo5-hvt`` or ``solo5-spt``: Limpet's command, or a link to a bundle of the unikernel."""
    path = tmp_path / "bin" / f"solo5-{target}"
    path.parent.mkdir()
    if request.param == "limpet":
        lines = f"import sys\nsys.path.insert(0, {str(SOURCES)!r})\n"
        lines += f"from limpet.cli.tender import {target}\n{target}()\n"
        path.write_text(f"#!{sys.executable} -E\n{lines}")
        path.chmod(0o755)
        return path
    bundle = tmp_path / "service"
    _build(unikernel(target, devices=True), bundle)
    path.symlink_to(bundle)
    return path


def _abi_versions(tender: Tender, folder: Path) -> list[int]:
    """What albatross takes from ``--version``."""
    done = subprocess.run(
        [tender, "--version"], env=_environment(folder), capture_output=True, text=True, check=True
    )
    words = [line.split(" ") for line in (done.stdout + done.stderr).splitlines()]
    return [int(each[2]) for each in words if each[:2] == ["ABI", "version"] and len(each) == 3]


def _started(argv: Sequence[str | Path], folder: Path) -> tuple[int, str]:
    """Status and output of ``argv``, which gets a write-only FIFO and nothing else."""
    fifo, said = folder / "fifo", bytearray()
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: said.extend(fifo.read_bytes()))
    reader.start()
    handle = os.open(fifo, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    process = subprocess.Popen(
        argv, stdin=handle, stdout=handle, stderr=handle, env=_environment(folder), cwd="/"
    )
    os.close(handle)
    status = process.wait(60)
    reader.join(10)
    fifo.unlink()
    return status, said.decode()


def test_albatross(
    tender: Tender, unikernel: Bundled, target: str, tap: network.Tap, disk: Path, tmp_path: Path
) -> None:
    """The version that it wants, then its line: disk and network are there, and so are words."""
    assert 2 in _abi_versions(tender, tmp_path)
    image = unikernel(target, devices=True)
    cpu = str(min(os.sched_getaffinity(0)))
    line: list[str | Path] = ["taskset", "-c", cpu, tender, "--mem=32"]
    line += [f"--net:service={tap.name}", f"--net-mac:service={MAC}", f"--block:storage={disk}"]
    line += ["--block-sector-size:storage=4096", "--", image]
    assert _started([*line, "block"], tmp_path) == (0, "sectors 16\n")
    assert _started([*line, "--name=a.b", "x"], tmp_path) == (0, "hello --name=a.b x\n")


def test_version_1(unikernel: Bundled, target: str, tmp_path: Path) -> None:
    """A bundle tells the version of its own unikernel; its link may name that version."""
    bundle = tmp_path / "service"
    _build(unikernel(target, version=1), bundle)
    link = tmp_path / f"solo5-{target}.1"
    link.symlink_to(bundle)
    assert _abi_versions(link, tmp_path) == [1]
    other = tmp_path / f"solo5-{target}.2"
    other.symlink_to(bundle)
    assert run([other, "--version"]).stdout == "hello --version\n", "it is not that one"


@pytest.mark.parametrize("tender", ["bundle"], indirect=True)
def test_mistakes(
    tender: Tender, unikernel: Bundled, target: str, disk: Path, tmp_path: Path
) -> None:
    """A bundle in a tender's place starts for no other unikernel, and takes no other option."""
    image = unikernel(target, devices=True)
    other = tmp_path / "other"
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    longer = tmp_path / "longer"
    longer.write_bytes(image.read_bytes() + b"\0")
    for words, message in (
        ((), "Missing KERNEL operand"),
        (("--",), "Missing KERNEL operand"),
        (("--gdb", "--", image), "Invalid option: `--gdb'"),
        (("--", other), f"{other}: not the unikernel in this bundle"),
        ((longer,), f"{longer}: not the unikernel in this bundle"),
        (("--", tmp_path / "none"), "none: no such file"),
        (("--", tmp_path), f"{tmp_path}: not the unikernel in this bundle"),
        (("--net-mac:foo=x", "--", image), "Resource not declared in manifest: 'foo'"),
        (("--net-mtu:foo=9000", "--", image), "Resource not declared in manifest: 'foo'"),
        ((f"--block:storage={disk}", image), "Device 'service' declared but not attached."),
    ):
        done = run([tender, *words])
        assert message in done.stderr, words
        assert (done.stdout, done.returncode) == ("", 1)


@pytest.mark.parametrize("devices", [False, True])
def test_audited(unikernel: Bundled, target: str, tmp_path: Path, devices: bool) -> None:
    """What such a bundle opens shows in its audit, which has nothing against it."""
    bundle = tmp_path / "service"
    _build(unikernel(target, devices=devices), bundle)
    done = run([sys.executable, "-m", "limpet", "audit", bundle])
    assert "record    agrees with the bytes" in done.stdout
    assert "  what the command line names\n" in done.stdout
    assert done.returncode == 0
    ports = dict(re.findall(r"^  (hvt_\w+) +port (0x\w+), made at 0x", done.stdout, re.M))
    if target == "hvt":
        assert {"hvt_walltime": "0x501", "hvt_puts": "0x502"}.items() <= ports.items()


def test_help(bundled: Bundled, tender: Tender, target: str) -> None:
    """BUNDLE --help has every option that the bundle takes, and the devices that it wants."""
    if not tender.is_symlink():
        return
    bundle = tender.resolve()
    done = run([bundle, "--help"])
    assert (done.stderr, done.returncode) == ("", 0)
    options = re.findall(r"^  (--[a-z-]+)[:=]?(\w*)", done.stdout, re.MULTILINE)
    wanted = {("--mem", "512"), ("--help", "")}
    wanted |= {(f"--block{each}", "storage") for each in ("", "-readonly", "-sector-size")}
    wanted |= {(f"--net{each}", "service") for each in ("", "-mac", "-mtu")}
    assert set(options) == wanted
    assert done.stdout.count("; wanted") == 2
    assert "--help" not in run([bundled(target), "--help"]).stderr, "one without it has nothing"


CONFINED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from limpet.tools.landlock import confine
confine(["/"], [sys.argv.pop(1), "/dev/kvm", "/dev/null"])
from limpet.cli import tender
getattr(tender, sys.argv.pop(1))()
"""


def test_writes_only_below_its_cache(unikernel: Bundled, target: str, tmp_path: Path) -> None:
    """A first start needs neither a home nor a place for temporary files."""
    cache = tmp_path / "cache"
    cache.mkdir(0o700)
    words: list[str | Path] = [SOURCES, cache, target, "--", unikernel(target), "x"]
    done = subprocess.run(
        [sys.executable, "-E", "-B", "-c", CONFINED, *words],
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout, done.returncode) == ("", "hello x\n", 0)


def test_large_memory(bundled: Bundled, target: str) -> None:
    """spt takes more than 4 GiB, as solo5-spt does; hvt cannot."""
    done = run([bundled(target), "--mem=20000", "memory"])
    if target == "spt":
        assert (done.stdout, done.returncode) == ("20000\n", 0)
    else:
        assert "--mem=20000: Malformed argument to --mem" in done.stderr


HINTS = {
    (): ("its device block:storage is not attached", "--block storage=PATH --net service=tap:"),
    ("--block", "x=y"): ("no block device 'x' in its manifest", "--block storage=PATH --net"),
    ("--mem=64",): ("--mem=64: no such option", "--memory SIZE"),
    ("--net:service=tap0",): ("--net:service=tap0: no such option", "--net NAME=tap:INTERFACE"),
    ("--block-readonly:a=b",): ("no such option", "--block NAME=PATH[:ro]"),
    ("--bogus",): ("--bogus: no such option", "limpet run --help"),
}


@pytest.mark.parametrize("words", HINTS)
def test_hints(unikernel: Bundled, words: tuple[str, ...]) -> None:
    """``limpet run`` proposes the words that it takes."""
    message, hint = HINTS[words]
    done = run(limpet_run(*words, unikernel("spt", devices=True)))
    assert message in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("limpet: try: limpet run ")
    assert hint in done.stderr.splitlines()[1]
    assert done.returncode == 2


def test_explain(unikernel: Bundled, target: str, tmp_path: Path) -> None:
    """What stays byte for byte is not called rewritten, and every argument of a rule has words."""
    made = limpet.plan(limpet.load(unikernel(target, devices=True)))
    text = as_text(made)
    assert "rewritten to function calls" not in text
    assert not re.search(r"argument \d is [;)]", text)
    if target == "hvt":
        assert "none: the program makes no system calls" in text
        return
    assert f"{len(made.scan.sites)} found, {len(made.rewriting.direct)} stay as they are" in text
    assert "argument 3 the sector size of device 1; argument 4 at most the last sector of" in text
    data = bytearray(unikernel(target, devices=True).read_bytes())
    header = elf.Header.unpack(bytes(data))
    for index in range(header.shnum):
        at = header.shoff + index * elf.SECTION_SIZE + 8
        data[at] = data[at] & ~4 | 4 * (index == 0)  # code is in the empty one alone
    path = tmp_path / "guest.spt"
    path.write_bytes(data)
    other = limpet.plan(limpet.load(path))
    assert not other.scan.sites and other.scan.hidden > made.scan.hidden
    assert other.filters == made.filters, "what is shown decides nothing"


def test_list_of_processes(bundled: Bundled) -> None:
    """The host's list shows an spt bundle's name and its guest's words, and no more."""
    bundle = bundled("spt")
    argv: list[str | Path] = [bundle, "--mem=64", "--", "bad", "loop"]
    with subprocess.Popen(argv, env={"SECRET": "x"}) as guest:
        try:
            for _ in range(500):
                shown = Path(f"/proc/{guest.pid}/cmdline").read_bytes()
                if shown.endswith(b"bad loop\0") and b"--mem" not in shown:
                    break
                time.sleep(0.02)
            assert shown == f"{bundle.name}\0bad loop\0".encode()
            held = Path(f"/proc/{guest.pid}/environ").read_bytes()
            assert b"SECRET" not in held
        finally:
            guest.kill()
