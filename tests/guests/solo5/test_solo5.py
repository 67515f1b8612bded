"""Solo5 unikernels, written here (unikernels/), on their own monitors with real devices."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import limpet
from limpet.contract import Backend
from limpet.errors import ImageError, PlanError
from limpet.guests.solo5.layout import GUEST_BASE
from limpet.running.devices import bundle_words
from limpet.running.host import has_protection_keys
from tests.support import network, unikernels
from tests.support.bundles import KVM_PROBLEM

Start = Callable[..., subprocess.CompletedProcess[str]]
Bundled = Callable[..., Path]
KVM, NO_KVM = not KVM_PROBLEM, f"no KVM here: {KVM_PROBLEM}"


def _run(argv: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="session")
def unikernel(tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """Unikernels of each kind, compiled once."""
    folder = tmp_path_factory.mktemp("unikernels")
    made: dict[tuple[str, tuple[tuple[str, object], ...]], Path] = {}

    def get(target: str, **options: object) -> Path:
        key = target, tuple(sorted(options.items()))
        if key not in made:
            made[key] = unikernels.build(folder, target, **options)  # type: ignore[arg-type]
        return made[key]

    return get


@pytest.fixture(scope="session")
def bundled(unikernel: Bundled, tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """Their bundles, built once."""
    folder = tmp_path_factory.mktemp("bundles")

    def get(target: str, timeout: int = 0, **options: object) -> Path:
        source = unikernel(target, **options)
        path = folder / f"{source.name}-{timeout}"
        if not path.exists():
            plan = limpet.plan(limpet.load(source), limpet.Options(timeout=timeout))
            limpet.build(plan).write(path)
        return path

    return get


@pytest.fixture(params=["hvt", "spt"])
def target(request: pytest.FixtureRequest) -> str:
    """Both ABIs; says loudly when one cannot run here."""
    if request.param == "hvt" and not KVM:
        pytest.skip(NO_KVM)
    return str(request.param)


@pytest.fixture
def start(bundled: Bundled, target: str) -> Start:
    """Start the guest of this ABI to its end."""

    def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        return _run([bundled(target, **options), *words])

    return run


def test_hello(start: Start) -> None:
    """The whole command line arrives, and the status comes back."""
    done = start("one", "two  three", "--four")
    assert (done.stdout, done.stderr, done.returncode) == ("hello one two  three --four\n", "", 0)
    assert start("exit7").returncode == 7
    assert start().stdout == "hello \n"


@pytest.mark.parametrize("version", [1, 2])
def test_versions(start: Start, version: int) -> None:
    """ABI 1 is that of Solo5 0.7, ABI 2 that of all later ones."""
    assert start("x", version=version).stdout == "hello x\n"


def test_machine(start: Start) -> None:
    """Clocks, floating point, the TLS base, memory as asked for."""
    assert start("sleep").stdout == "slept\npassed\n"
    assert start("float").stdout == "7484 16\n"
    assert start("tls").stdout == "42\n"
    assert start("memory").stdout == "512\n"
    for size in ("4", "64", "1000", "4096"):
        assert start(f"--mem={size}", "memory").stdout == f"{size}\n"


def test_timeout(start: Start) -> None:
    """--timeout of the plan ends a guest that does not."""
    done = start("bad loop", timeout=300)
    assert done.returncode == 124
    assert done.stderr == "limpet: the guest ran longer than its --timeout\n"


FAULTS = {
    "ud2": ("trap 06 error 00 cr2 00000000\n", 200, -4),
    "null": ("trap 0e error 02 cr2 00000008\n", 200, -11),
    "beyond": ("trap 0e error 02 cr2 20000000\n", 200, -11),
    "divide": ("trap 00 error 00 cr2 00000000\n", 200, -8),
    "rodata": (": the guest wrote read-only memory at 0x", 1, -11),
    "text": (": the guest wrote read-only memory at 0x", 1, -11),
    "data": (": the guest executed data at 0x", 1, -11),
}


@pytest.mark.parametrize("how", FAULTS)
def test_faults(start: Start, target: str, how: str) -> None:
    """Exceptions reach an hvt guest's own handlers; what the pages' rights forbid ends it."""
    said, status, signal = FAULTS[how]
    done = start("bad", how)
    if target == "spt":
        assert (done.stdout, done.returncode) == ("", signal)
    elif said.startswith("trap"):
        assert (done.stdout, done.stderr, done.returncode) == (said, "", status)
    else:
        assert done.stderr.startswith("limpet: host/guest translation fault: rip=0x")
        assert said in done.stderr
        assert (done.stdout, done.returncode) == ("", status)


def test_execute_only(start: Start, target: str) -> None:
    """An hvt guest's code cannot be read, where the processor has protection keys."""
    done = start("bad", "code")
    if target == "hvt" and has_protection_keys():
        assert "the guest read memory that it may not at 0x" in done.stderr
        assert (done.stdout, done.returncode) == ("", 1)
    else:
        assert (done.stdout, done.returncode) == ("nothing happened\n", 0)


def test_strict(unikernel: Bundled, target: str) -> None:
    """--strict holds an hvt guest to ring 3 and to code that cannot be read."""
    done = _run(_limpet("--strict", unikernel(target), "x"))
    if target == "spt" or has_protection_keys():
        assert (done.stdout, done.returncode) == ("hello x\n", 0)
    else:
        assert "missing here: code that cannot be read (no protection keys" in done.stderr
        assert (done.stdout, done.returncode) == ("", 125)
    if target == "hvt":
        done = _run(_limpet("--strict", unikernel("hvt", ring_0=True), "x"))
        assert "missing here: guest in ring 3 (" in done.stderr
        assert (done.stdout, done.returncode) == ("", 125)


def test_execute_only_machine(unikernel: Bundled) -> None:
    """The keys are in the page tables and in CR4, wherever the bundle is run."""
    made = limpet.plan(limpet.load(unikernel("hvt")))
    assert made.supervisor and made.supervisor.execute_only
    entries = struct.unpack(f"<{len(made.supervisor.tables) // 8}Q", made.supervisor.tables)
    keys = {entry >> 59 & 15 for entry in entries if entry & 0xFFFFFFFFFF000 == GUEST_BASE}
    assert keys == {1}
    (cr4,) = struct.unpack_from("<Q", made.constants.fixed["KVM_SREGS_KEYS"], 8 * 24 + 2 * 16 + 24)
    assert cr4 & 1 << 22
    ring_0 = limpet.plan(limpet.load(unikernel("hvt", ring_0=True)))
    assert ring_0.supervisor and not ring_0.supervisor.execute_only


def test_ring_0(bundled: Bundled, unikernel: Bundled) -> None:
    """A ring-0 instruction that has no place in ring 3 keeps the guest in ring 0, said aloud."""
    made = limpet.plan(limpet.load(unikernel("hvt", ring_0=True)))
    (decision,) = (each for each in made.decisions if each.name == "ring 3")
    assert not decision.included
    assert re.fullmatch(r"ring 0, since rdmsr at 0x[0-9a-f]+ cannot be replaced", decision.why)
    assert any("runs in ring 0: rdmsr" in warning for warning in made.warnings)
    if not KVM:
        pytest.skip(NO_KVM)
    path = bundled("hvt", ring_0=True)
    assert _run([path, "x"]).stdout == "hello x\n"
    ordinary = limpet.plan(limpet.load(unikernel("hvt")))
    assert not ordinary.warnings


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """64 KiB of zeros."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(64 << 10))
    return path


@pytest.fixture
def tap() -> Iterator[network.Tap]:
    """A TAP interface of this test's own."""
    with network.tap() as made:
        yield made


@pytest.mark.parametrize("sector", [512, 4096, 32768])
def test_block(start: Start, tap: network.Tap, disk: Path, sector: int) -> None:
    """Every sector written and read back by the guest, and seen in the file."""
    done = start(
        f"--block:storage={disk}",
        f"--block-sector-size:storage={sector}",
        f"--net:service={tap.name}",
        "block",
        devices=True,
    )
    assert (done.stdout, done.stderr) == (f"sectors {(64 << 10) // sector}\n", "")
    content = disk.read_bytes()
    assert len(content) == 64 << 10
    for at in range(0, 64 << 10, sector):
        assert content[at : at + 8] == bytes((at // sector + i) % 256 for i in range(8))


def test_block_readonly(start: Start, tap: network.Tap, disk: Path) -> None:
    """What is attached read-only stays as it is, and the guest is told."""
    net = f"--net:service={tap.name}"
    done = start(f"--block-readonly:storage={disk}", net, "block", devices=True)
    assert done.stdout == "write 1\n"
    assert disk.read_bytes() == bytes(64 << 10)


def test_block_full(start: Start, tap: network.Tap, tmp_path: Path) -> None:
    """A full disk under the file is told to the guest."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", tmp_path], check=True)
    try:
        path = tmp_path / "sparse"
        with path.open("wb") as stream:
            stream.truncate(1 << 20)
        net = f"--net:service={tap.name}"
        done = start(f"--block:storage={path}", net, "block", devices=True)
        assert (done.stdout, done.returncode) == ("write 1\n", 0)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


MISUSE = ("at the end", "over the end", "unaligned", "a part", "wrapping", "nothing")


def test_block_misuse(start: Start, target: str, tap: network.Tap, disk: Path) -> None:
    """hvt refuses each bad request; an spt guest that makes one is killed by its filter."""
    devices = [f"--block:storage={disk}", f"--net:service={tap.name}"]
    done = start(*devices, "misuse", devices=True)
    if target == "hvt":
        assert done.stdout == "".join(f"read {what} 2\n" for what in MISUSE)
    else:
        assert done.returncode == -31


def _with_devices(bundle: Path, disk: Path, tap: network.Tap) -> list[str | Path]:
    return [bundle, f"--block:storage={disk}", f"--net:service={tap.name}"]


def _frames(bundle: Path, tap: network.Tap, disk: Path, *options: str, how: str) -> Iterator[str]:
    argv: list[str | Path] = [
        bundle,
        f"--block:storage={disk}",
        f"--net:service={tap.name}",
        *options,
        f"echo {how}",
    ]
    guest = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert guest.stdout
        yield guest.stdout.readline()
        yield guest.communicate(timeout=30)[0]
    finally:
        guest.kill()
        guest.wait()


MAC = "02:11:22:33:44:55"


@pytest.mark.parametrize("mac", ["", MAC])
@pytest.mark.parametrize("how", ["hypercalls", "ring"])
def test_network(
    bundled: Bundled, target: str, tap: network.Tap, disk: Path, mac: str, how: str
) -> None:
    """Frames of every size go to the guest and come back from its address."""
    if how == "ring" and target == "spt":
        pytest.skip("only hvt has a ring")
    path = bundled(target, devices=True)
    options = [f"--net-mac:service={mac}"] if mac else []
    said = _frames(path, tap, disk, *options, how=how)
    assert next(said) == "mtu 1500\n"
    for size in (60, 61, 1000, 1514):
        answer = tap.exchange(size.to_bytes(2, "big") + bytes(size - 16))
        assert len(answer) == size
        assert answer[14:16] == size.to_bytes(2, "big")
        assert not mac or answer[6:12] == bytes.fromhex(mac.replace(":", ""))
        assert answer[6] & 3 == 2
    tap.send(b"stop" + bytes(60))
    assert next(said) == "stopped\n"


def test_network_descriptor(bundled: Bundled, target: str, disk: Path) -> None:
    """A descriptor that the parent opened, with a given MTU."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = bundled(target, devices=True)
    argv: list[str | Path] = [path, f"--block:storage={disk}", f"--net:service=@{theirs.fileno()}"]
    argv += ["--net-mtu:service=9000", "echo"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()]
    ) as guest:
        ours.settimeout(20)
        ours.send(bytes(14) + b"x" * 9000)
        assert len(ours.recv(10000)) == 9014
        ours.send(bytes(14) + b"stop")
        assert ours.recv(100)
        assert guest.communicate(timeout=30)[0] == "mtu 9000\nstopped\n"
    ours.close()
    theirs.close()


def _limpet(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "limpet", "-q", "run", *words]


def _with_argument(word: str) -> list[Path]:
    """Processes that were started with ``word``, but for ours and the guest's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words and b"passt" in words[0]:
            found.append(path)
    return found


def test_console_that_does_not_block(bundled: Bundled) -> None:
    """An hvt guest's output waits for a slow reader of a pipe that is set not to block."""
    if not KVM:
        pytest.skip(NO_KVM)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 8000
    shell = 'i=0; while [ $i -lt 40 ]; do "$@" || exit 9; i=$((i+1)); done'
    argv: list[str | Path] = ["sh", "-c", shell, "sh", bundled("hvt"), text]
    with subprocess.Popen(argv, stdout=writer) as guests:
        os.close(writer)
        time.sleep(0.5)  # the pipe is full by then
        with os.fdopen(reader, "rb") as stream:
            assert stream.read() == f"hello {text}\n".encode() * 40
        assert guests.wait(20) == 0


def test_user_network(unikernel: Bundled, target: str, disk: Path) -> None:
    """A forwarded port of the host reaches the guest through passt, without any privilege."""
    if not shutil.which("passt"):
        pytest.skip("*** passt is missing: apt-get install passt ***")
    port = 20000 + os.getpid() % 20000
    argv = _limpet("--block", f"storage={disk}", "--net", "service=user", "-p", f"{port}:7/udp")
    argv += [unikernel(target, devices=True), "udp"]
    with subprocess.Popen(argv) as guest, socket.socket(type=socket.SOCK_DGRAM) as ours:
        ours.settimeout(0.5)
        answers = set()
        for turn in range(40):
            ours.sendto(b"turn %d" % turn, ("127.0.0.1", port))
            try:
                answers.add(ours.recv(100))
            except OSError:
                continue
            if len(answers) == 3:
                break
        helpers = _with_argument(f"127.0.0.1/{port}:7")
        guest.kill()
        assert len(answers) == 3
        assert all(answer.startswith(b"turn ") for answer in answers)
        assert helpers
        for _ in range(100):
            if not _with_argument(f"127.0.0.1/{port}:7"):
                break
            time.sleep(0.05)
        assert not _with_argument(f"127.0.0.1/{port}:7"), "passt lives on"


DEVICE_WORDS = {
    ("--block", "disk"): "--block disk: not NAME=PATH[:ro][,sector=SIZE]",
    ("--net", "service"): "--net service: not NAME=tap:INTERFACE, NAME=fd:N or NAME=user",
    ("--net", "service=bridge:x"): "--net service=bridge:x: not NAME=tap:INTERFACE",
    ("--net", "service=tap:x,mtu=9,speed=1"): "--net service=tap:x,mtu=9,speed=1: not NAME=",
    ("--block", "storage="): "--block storage=: not NAME=PATH",
    ("-p", "80:80"): "-p needs one --net NAME=user",
    ("--net", "service=user", "-p", "80"): "-p 80: not [ADDRESS:]HOST:GUEST",
    ("--net", "service=user", "-p", "0:80"): "-p 0:80: not [ADDRESS:]HOST:GUEST",
}


@pytest.mark.parametrize("words", DEVICE_WORDS)
def test_device_words(unikernel: Bundled, words: tuple[str, ...]) -> None:
    """Devices that are not written as they should be."""
    done = _run(_limpet(*words, unikernel("spt", devices=True)))
    assert done.stderr.startswith(f"limpet: {DEVICE_WORDS[words]}")
    assert done.returncode == 2


def test_settings() -> None:
    """Sector size, MAC and MTU as ``limpet run`` takes them; commas of a path stay its own."""
    words = bundle_words(
        ["a=x,y=1", "b=disk:ro,sector=4096"], ["n=tap:t0,mac=02:00:00:00:00:01,mtu=9000"], ()
    )
    assert words == [
        "--block:a=x,y=1",
        "--block-sector-size:b=4096",
        "--block-readonly:b=disk",
        "--net-mac:n=02:00:00:00:00:01",
        "--net-mtu:n=9000",
        "--net:n=t0",
    ]


def test_run_with_devices(unikernel: Bundled, target: str, tap: network.Tap, disk: Path) -> None:
    """``limpet run`` attaches what its options say."""
    options = ["--block", f"storage={disk}:ro", "--net", f"service=tap:{tap.name}"]
    done = _run(_limpet(*options, unikernel(target, devices=True), "block"))
    assert (done.stdout, done.returncode) == ("write 1\n", 0)


ATTACH = {
    "--block:storage=/nonexistent": "limpet: cannot attach /nonexistent: no such file or interface",
    "--block:disk=/dev/null": "limpet: Resource not declared in manifest: 'disk'",
    "--net:storage=tap0": "limpet: Resource not declared in manifest: 'storage'",
    "--net:service=nosuchif0": "limpet: cannot attach nosuchif0: no such file or interface",
    "--net:service=lo": "limpet: cannot attach lo: not of the right kind",
    "--net:service=": "limpet: : not the name of an interface",
    "--net:service=averyverylongname": "limpet: averyverylongname: not the name of an interface",
    "--net:service=@99": "limpet: cannot attach 99: the host refuses",
    "--net:service=@x": "limpet: @x: not the number of a descriptor",
    "--net-mac:service=02:00": "limpet: 02:00: not a MAC address like 02:00:00:00:00:01",
    "--net-mtu:service=1": "limpet: 1: not an MTU between 68 and 65521",
    "--block-sector-size:storage=513": "limpet: storage: Block size must be a multiple of 2",
    "--mem=0": "limpet: --mem=0: Malformed argument to --mem, or too little or much",
    "--mem=99999999999": "limpet: --mem=99999999999: Malformed argument to --mem",
    "--mem=4x": "limpet: --mem=4x: Malformed argument to --mem",
    "--block:storage=/dev/null": "limpet: storage: Backing storage must be at least 1 block",
    "--block:storage=/": "limpet: cannot attach /: the host refuses",
    "x": "limpet: Device 'storage' declared but not attached.",
}


@pytest.mark.parametrize("option", ATTACH)
def test_attach_errors(start: Start, option: str) -> None:
    """Each mistake has its own line, and what the manifest wants is listed."""
    done = start(option, devices=True)
    assert done.stderr.startswith(ATTACH[option])
    assert (done.stdout, done.returncode) == ("", 1)
    if not option.startswith("--mem"):
        assert "limpet: the manifest wants --block:storage=PATH" in done.stderr
        assert "limpet: the manifest wants --net:service=INTERFACE" in done.stderr


def test_attached_twice(start: Start, disk: Path) -> None:
    """One device, one attachment; and sizes must fit."""
    twice = [f"--block:storage={disk}"] * 2
    assert start(*twice, devices=True).stderr.startswith("limpet: storage: attached twice\n")
    disk.write_bytes(bytes(1000))
    odd = start(f"--block:storage={disk}", devices=True)
    assert odd.stderr.startswith("limpet: storage: Backing storage size must be block aligned\n")


OUTSIDE = "limpet: the guest made a hypercall with an address outside its memory, backend kvm\n"
CLOSED = "trap 0d error 00 cr2 00000000\n"  # the processor refuses the port
SIZE = 512 << 20
HVT_ATTACKS = {
    "port 0x500": (1280, (), CLOSED),
    "port 0x509": (1289, (), CLOSED),
    "blocks without devices": (1284, (), CLOSED),
    "networks without devices": (1287, (), CLOSED),
    "puts that wraps": (1282, (2**64 - 16, 4096), OUTSIDE),
    "puts over the end": (1282, (SIZE - 16, 17), OUTSIDE),
    "puts beyond the end": (1282, (SIZE, 1), OUTSIDE),
    "puts of page tables": (1282, (0x28000, 8), OUTSIDE),
    "puts of page 0": (1282, (0, 8), OUTSIDE),
    "puts of the monitor": (1282, (0x7000_0000_0000, 8), OUTSIDE),
    "puts of it all": (1282, (0x100000, 2**63), OUTSIDE),
    "block at 0": (1282, (1, 0), OUTSIDE),
    "block over the end": (1282, (1, SIZE - 8), OUTSIDE),
    "block beyond": (1282, (1, 2**32 - 8), OUTSIDE),
    "block in the page tables": (1283, (1, 0x2B000), OUTSIDE),
    "block in what it was told": (1283, (1, 0x10000), OUTSIDE),
    "block in its code": (1283, (1, 0x100000), OUTSIDE),
}


@pytest.mark.skipif(not KVM, reason=NO_KVM)
@pytest.mark.parametrize("attack", HVT_ATTACKS)
def test_hvt_attacks(bundled: Bundled, attack: str) -> None:
    """Hypercalls that are none, and addresses that are not the guest's."""
    port, words, line = HVT_ATTACKS[attack]
    argv: list[str | Path] = [bundled("hvt"), " ".join(map(str, ("call", port, *words)))]
    done = _run(argv)
    expected = (line, "", 200) if line == CLOSED else ("", line, 1)
    assert (done.stdout, done.stderr, done.returncode) == expected


@pytest.mark.skipif(not KVM, reason=NO_KVM)
@pytest.mark.parametrize("shift", [0, 4088, -4])
def test_constants_behind_data(bundled: Bundled, unikernel: Bundled, shift: int) -> None:
    """The monitor stores no answer where the guest itself cannot, wherever that is linked."""
    with unikernel("hvt").open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        at = next(each["st_value"] for each in table.iter_symbols() if each.name == "late")
    done = _run([bundled("hvt"), f"call 1281 1 {at + shift}"])
    assert (done.stderr, done.returncode) == (OUTSIDE, 1)


HVT_DEVICE_ATTACKS = {
    "read into its code": (1285, (1, 0, 0x100000, 512), "result 3 survived\n"),
    "read into what it was told": (1285, (1, 0, 0x10000, 512), ""),
    "read into page tables": (1285, (1, 0, 0x2B000, 512), ""),
    "write from the monitor": (1284, (1, 0, 0x7000_0000_0000, 512), ""),
    "another handle": (1285, (63, 0, 0x200000, 512), "result 2 survived\n"),
    "a handle that wraps": (1285, (2**64 - 1, 0, 0x200000, 512), "result 2 survived\n"),
    "a network as a disk": (1285, (2, 0, 0x200000, 512), "result 2 survived\n"),
    "a disk as a network": (1286, (1, 0x200000, 64), ""),
    "an offset that wraps": (1285, (1, 2**64 - 512, 0x200000, 1024), "result 2 survived\n"),
    "a length that wraps": (1285, (1, 512, 0x200000, 2**64 - 512), "result 2 survived\n"),
}


@pytest.mark.skipif(not KVM, reason=NO_KVM)
@pytest.mark.parametrize("attack", HVT_DEVICE_ATTACKS)
def test_hvt_device_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Devices named wrongly give a result, memory that is not the guest's ends it."""
    port, words, said = HVT_DEVICE_ATTACKS[attack]
    words = (0, *words) if words[0] == 1 else words  # "1" first names a block elsewhere
    argv: list[str | Path] = [
        bundled("hvt", devices=True),
        f"--block:storage={disk}",
        f"--net:service={tap.name}",
    ]
    argv.append(" ".join(map(str, ("call", port, *words))))
    done = _run(argv)
    assert disk.read_bytes() == bytes(64 << 10)
    if not said:
        assert (done.stderr, done.returncode) in ((OUTSIDE, 1), ("", 77))
    else:
        assert (done.stderr, done.returncode) == ("", 77)


BAD_INDEX = "limpet: the guest's network ring has an index out of range, backend kvm\n"
RING_ATTACKS = {
    "tail far ahead": ((1025, 0, 1, 2, 0x200000, 64), BAD_INDEX),
    "tail behind": ((0xFFFFFFFF, 0, 1, 2, 0x200000, 64), BAD_INDEX),
    "more answers than there is room": ((2, 1, 2, 2, 0x200000, 64), BAD_INDEX),
    "read into the monitor": ((1, 0, 2, 2, 0x7FFF00000000, 64), OUTSIDE),
    "read into its own code": ((1, 0, 2, 2, 0x100000, 64), OUTSIDE),
    "read that wraps": ((1, 0, 2, 2, (1 << 64) - 32, 64), OUTSIDE),
    "write from the monitor": ((1, 0, 1, 2, 0x7FFF00000000, 64), OUTSIDE),
    "write of too much": ((1, 0, 1, 2, 0x200000, 0xFFFFFFFF), "result 0 survived\n"),
    "unknown operation": ((1024, 0, 9, 2, 0, 64), "result 0 survived\n"),
    "another device": ((1, 0, 2, 1, 0x200000, 64), "result 2 survived\n"),
    "no device": ((1, 0, 2, 64, 0x200000, 64), "result 2 survived\n"),
}


@pytest.mark.skipif(not KVM, reason=NO_KVM)
@pytest.mark.parametrize("attack", RING_ATTACKS)
def test_ring_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Neither an index nor an entry of the ring is believed."""
    words, said = RING_ATTACKS[attack]
    bundle = bundled("hvt", devices=True)
    done = _run([*_with_devices(bundle, disk, tap), " ".join(map(str, ("call ring", *words)))])
    refused = said.startswith("limpet:")
    assert (done.stderr if refused else done.stdout) == said
    assert done.returncode == (1 if refused else 77)


SPT_ATTACKS = {
    "open": (2, 0x100000, 0),
    "openat": (257, 0, 0x100000, 0),
    "socket": (41, 2, 1),
    "execve": (59, 0x100000, 0, 0),
    "fork": (57,),
    "kill": (62, 1, 9),
    "ptrace": (101, 16, 1),
    "mmap executable": (9, 0, 4096, 7, 34),
    "mprotect": (10, 0x100000, 4096, 7),
    "write to standard error": (1, 2, 0x100000, 4),
    "write to another descriptor": (1, 17, 0x100000, 4),
    "read standard input": (0, 0, 0x200000, 4),
    "another clock": (228, 4, 0x200000),
    "another epoll set": (281, 5, 0x200000, 1),
    "arch_prctl": (158, 0x1001, 0x200000),
    "x32 write": (0x40000001, 1, 0x100000, 4),
    "rt_sigreturn": (15,),
    "getpid": (39,),
    "seccomp": (317, 1, 0, 0),
}


@pytest.mark.parametrize("attack", SPT_ATTACKS)
def test_spt_attacks(bundled: Bundled, attack: str) -> None:
    """System calls that the filter does not know kill the guest before they do anything."""
    argv: list[str | Path] = [bundled("spt"), " ".join(map(str, ("call", *SPT_ATTACKS[attack])))]
    done = _run(argv)
    assert (done.stdout, done.returncode) == ("", -31)


SPT_DEVICE_ATTACKS = {
    "read of two sectors": (17, 17, 0x200000, 1024, 0),
    "read beyond the end": (17, 17, 0x200000, 512, 64 << 10),
    "read far beyond the end": (17, 17, 0x200000, 512, 1 << 32),
    "write that grows the file": (18, 17, 0x200000, 512, 1 << 20),
    "write to the network as a disk": (18, 18, 0x200000, 512, 0),
    "read of the disk as a network": (0, 17, 0x200000, 512),
}


@pytest.mark.parametrize("attack", SPT_DEVICE_ATTACKS)
def test_spt_device_attacks(bundled: Bundled, tap: network.Tap, disk: Path, attack: str) -> None:
    """Sector size and capacity are the filter's, not the guest's, to check."""
    argv: list[str | Path] = [
        bundled("spt", devices=True),
        f"--block:storage={disk}",
        f"--net:service={tap.name}",
    ]
    argv.append(" ".join(map(str, ("call", *SPT_DEVICE_ATTACKS[attack]))))
    done = _run(argv)
    assert (done.stdout, done.returncode) == ("", -31)
    assert disk.read_bytes() == bytes(64 << 10)


def test_few_calls_are_left(unikernel: Bundled, target: str) -> None:
    """Fewer than Solo5's tenders leave: 18 of solo5-hvt, 9 of solo5-spt, with both devices."""
    made = limpet.plan(limpet.load(unikernel(target, devices=True)))
    (each,) = made.filters.values()
    common = {"read", "write", "pread64", "pwrite64", "clock_gettime", "exit_group"}
    rest = {"hvt": {"ioctl", "ppoll"}, "spt": {"epoll_pwait", "timerfd_settime"}}
    known = common | rest[target] | ({"arch_prctl"} if target == "spt" else set())
    assert set(each.calls) <= known
    assert all(rule.pins for rule in each.rules if rule.call not in ("exit_group",))


NOTES = {
    "target": (b"ABI1Solo5\0\0\0", 12, 3, "a Solo5 unikernel for the target virtio"),
    "no target": (b"ABI1Solo5\0\0\0", 12, 9, "a Solo5 unikernel for the target number 9"),
    "version": (b"ABI1Solo5\0\0\0", 16, 3, "ABI version 3; Limpet knows 1 (Solo5 0.7)"),
    "manifest version": (b"MFT1Solo5\0\0\0", 16, 2, "Solo5 manifest version 2, not 1"),
    "too many": (b"MFT1Solo5\0\0\0", 20, 65, "64 devices in its Solo5 manifest; at most 63"),
    "none": (b"MFT1Solo5\0\0\0", 20, 0, "-1 devices in its Solo5 manifest"),
    "fewer": (b"MFT1Solo5\0\0\0", 20, 2, "not those of 2 entries"),
    "first": (b"MFT1Solo5\0\0\0", 24 + 68, 1, "entry 0 of its Solo5 manifest is damaged"),
    "unknown device": (b"MFT1Solo5\0\0\0", 24 + 104 + 68, 7, "is of the unknown type 7"),
    "attached": (b"MFT1Solo5\0\0\0", 24 + 104 + 96, 1, "entry 1 of its Solo5 manifest is damaged"),
    "bad name": (b"MFT1Solo5\0\0\0", 24 + 104, 0x2F2F, "has the bad name"),
    "note size": (b"MFT1Solo5\0\0\0", -4, 0xFFFFFF, "does not fall within valid size"),
}


@pytest.mark.parametrize("damage", NOTES)
def test_bad_notes(unikernel: Bundled, tmp_path: Path, target: str, damage: str) -> None:
    """Each way a note can be wrong has its own message."""
    where, offset, value, message = NOTES[damage]
    data = bytearray(unikernel(target, devices=True).read_bytes())
    at = data.index(where) + offset
    data[at : at + 4] = value.to_bytes(4, "little")
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=re.escape(message)):
        limpet.load(path)


def test_plan_errors(unikernel: Bundled, target: str, tmp_path: Path) -> None:
    """A unikernel takes neither the other backend nor files."""
    guest = limpet.load(unikernel(target))
    other: Backend = "process" if target == "hvt" else "kvm"
    with pytest.raises(PlanError, match="runs on the backend"):
        limpet.plan(guest, limpet.Options(backends=(other,)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlanError, match="neither files nor an environment"):
        limpet.plan(limpet.load(unikernel(target), root=tmp_path))
    with pytest.raises(PlanError, match="of memory; it needs at least"):
        limpet.plan(guest, limpet.Options(memory=1 << 20))


def _tender(target: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", f"from limpet.cli.tender import {target}; {target}()", *words]
    return _run(argv)


def test_tender(unikernel: Bundled, target: str, disk: Path) -> None:
    """A Solo5 tender's whole command line works, and its mistakes end with status 1."""
    kernel = unikernel(target)
    assert (
        _tender(target, "--mem=16", "--", kernel, "--solo5:x", "y").stdout == "hello --solo5:x y\n"
    )
    assert _tender(target, kernel, "exit7").returncode == 7
    for words, message in (
        ((), "Missing KERNEL operand"),
        (("--bogus", kernel), "Invalid option: `--bogus'"),
        (("--gdb", kernel), "--gdb: there is no debugger stub"),
        (("nosuch",), "nosuch: Could not open"),
        ((unikernel("spt" if target == "hvt" else "hvt"),), "Executable is not for the solo5-"),
        ((f"--block:storage={disk}", kernel), "Resource not declared in manifest: 'storage'"),
        (("--mem=x", kernel), "Malformed argument to --mem"),
    ):
        done = _tender(target, *words)
        assert message in done.stderr
        assert done.returncode == 1
    assert _tender(target, "--version").returncode == 0
    assert "usage: limpet-" in _tender(target, "--help").stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/net/tun").exists(), reason="no TUN here")
def test_interface_that_vanishes(
    bundled: Bundled, target: str, tap: network.Tap, disk: Path
) -> None:
    """The guest is told, and does not hang: it ends when it is asked to."""
    path = bundled(target, devices=True, timeout=3000)
    argv = [*_with_devices(path, disk, tap), "echo"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout and guest.stdout.readline() == "mtu 1500\n"
        tap.remove()
        assert guest.wait(30) == 124
