"""Devices of Linux programs: block devices as files of /dev, networks as TAP interfaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.errors import PlanError
from tests.support import network
from tests.support.bundles import Made, Maker, Ran, execute
from tests.support.without_kvm import without_kvm


@pytest.fixture
def networked(make: Maker, program: Path, backend: Backend) -> Made:
    """It, with the network ``wire`` and a disk before it."""
    return make(program, backend, devices=("block:data", "net:wire"), timeout=20000)


def disk_of(path: Path, size: int) -> Path:
    """A file of that size with bytes that differ."""
    path.write_bytes(bytes(i * 7 % 251 for i in range(size)))
    return path


def on_loop(disk: Path, *argv: str | Path) -> str:
    """What the program says natively, with a loop device for ``LOOP``."""
    loop = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    made = subprocess.run(
        ["losetup", "-f", "--show", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"*** no loop device here: {loop.stderr}{made.stderr} ***")
    device = made.stdout.strip()
    try:
        words = [device if word == "LOOP" else word for word in argv]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_same_as_linux(bundle: Made, program: Path, tmp_path: Path) -> None:
    """Sizes, ends, errors, O_DIRECT, ioctls: what a loop device of the same file does."""
    disk = disk_of(tmp_path / "disk", 1 << 20)
    native = on_loop(disk, program, "edges", "LOOP")
    disk_of(disk, 1 << 20)
    ran = bundle.run(f"--block:data={disk}", "edges", "/dev/data")
    assert ran.stdout.decode() == native
    assert "write over end: 300\n" in native
    assert (ran.status, ran.stderr, disk.stat().st_size) == (0, b"", 1 << 20)


SIZES = (512, 1024, (64 << 10) - 512, 64 << 10, (64 << 10) + 512, (1 << 20) + 1536)


@pytest.mark.parametrize("size", SIZES)
def test_scattered_writes(bundle: Made, tmp_path: Path, size: int) -> None:
    """Any length at any offset, against a copy in memory; nothing is written behind the end."""
    disk = disk_of(tmp_path / "disk", size)
    ran = bundle.run(f"--block:data={disk}", "scatter", "/dev/data", "300")
    assert (ran.stdout, ran.stderr, ran.status) == (b"same\n", b"", 0)
    assert disk.stat().st_size == size
    assert disk.read_bytes() != disk_of(tmp_path / "before", size).read_bytes()


def test_to_the_end(bundle: Made, tmp_path: Path) -> None:
    """Nothing grows: the capacity is what the file had at start."""
    disk = disk_of(tmp_path / "disk", 4096)
    ran = bundle.run(f"--block:data={disk}", "fill", "/dev/data", "-")
    assert ran.stdout == b"4096: No space left on device\nfsync: 0\n"
    assert disk.read_bytes() == b"f" * 4096


def test_read_only(bundle: Made, tmp_path: Path) -> None:
    """It cannot be opened for writing."""
    disk = disk_of(tmp_path / "disk", 4096)
    ran = bundle.run(f"--block-readonly:data={disk}", "fill", "/dev/data", "-")
    assert (ran.stdout, ran.status) == (b"open: Permission denied\n", 1)
    ran = bundle.run(f"--block-readonly:data={disk}", "edges", "/dev/data")
    assert b"capacity 0 sector" in ran.stdout  # nothing was opened
    assert disk.read_bytes() == disk_of(tmp_path / "same", 4096).read_bytes()


@pytest.mark.parametrize("how", ["-", "sync"])
def test_full_host(bundle: Made, tmp_path: Path, how: str) -> None:
    """A full disk under the file is told to the program, and what it wrote before is there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], check=True)
    try:
        disk = tmp_path / "sparse"
        with disk.open("wb") as stream:
            stream.truncate(1 << 20)
        ran = bundle.run(f"--block:data={disk}", "fill", "/dev/data", how)
        total, _, why = ran.stdout.decode().splitlines()[0].partition(": ")
        assert why == "No space left on device"
        assert 0 < int(total) <= 256 << 10
        assert disk.read_bytes()[: int(total)] == b"f" * int(total)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_words(networked: Made, tmp_path: Path, tap: network.Tap) -> None:
    """The program's arguments are those behind ``--``, or from the first that is no device's."""
    devices = [f"--net:wire={tap.name}", f"--block:data={disk_of(tmp_path / 'disk', 512)}"]
    ran = networked.run(*devices, "--", "words", "--block:data=x", "--")
    assert ran.stdout == f"{networked.name}\nwords\n--block:data=x\n--\n".encode()
    assert networked.run(*devices, "words", "x").stdout == f"{networked.name}\nwords\nx\n".encode()
    assert networked.run(*devices).status == 9


MISTAKES = {
    (): "limpet: Device 'data' declared but not attached.\n",
    ("--block:other=/dev/null",): "limpet: Resource not declared in manifest: 'other'\n",
    ("--block:data=/nonexistent",): "limpet: cannot attach /nonexistent: no such file",
    ("--block:data=/dev/null",): "limpet: data: Backing storage must be at least 1 block in size\n",
    ("--block:data=/etc",): "limpet: cannot attach /etc: ",
    ("--block:data={disk}", "--block:data={disk}"): "limpet: data: attached twice\n",
    ("--block:data={disk}",): "limpet: Device 'wire' declared but not attached.\n",
    ("--block:data={disk}", "--net:wire=nosuch0"): "limpet: cannot attach nosuch0: no such file",
    ("--block:data={disk}", "--net:wire=lo"): "limpet: cannot attach lo: not of the right kind\n",
    ("--block-sector-size:data=100",): "limpet: data: Block size must be",
}


@pytest.mark.parametrize("words", MISTAKES, ids=str)
def test_mistakes(networked: Made, tmp_path: Path, words: tuple[str, ...]) -> None:
    """One line that says what is wrong, then what the bundle wants where it did not get that."""
    disk = disk_of(tmp_path / "disk", 512)
    ran = networked.run(*(word.format(disk=disk) for word in words), "--", "words")
    assert ran.stderr.decode().startswith(MISTAKES[words])
    at_fault = "manifest" in MISTAKES[words] or "declared" in MISTAKES[words]
    assert (b"the manifest wants --block:data=PATH" in ran.stderr) == at_fault
    assert (ran.status, ran.stdout) == (125, b"")


@pytest.mark.parametrize("how", ["read", "poll"])
def test_frames(networked: Made, tmp_path: Path, tap: network.Tap, how: str) -> None:
    """Frames of every size come to the program and go back, whether it blocks or polls."""
    disk = disk_of(tmp_path / "disk", 512)
    argv: list[str | Path] = [networked.path, f"--block:data={disk}", f"--net:wire={tap.name}"]
    argv += ["--net-mac:wire=02:11:22:33:44:55", "echo", "wire", how]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout and guest.stdout.readline() == "ready\n"
        for size in (60, 61, 1000, 1514):
            answer = tap.exchange(size.to_bytes(2, "big") + bytes(size - 16))
            assert len(answer) == size
            assert answer[6:12] == bytes.fromhex("021122334455")
        tap.send(b"stop" + bytes(60))
        assert guest.wait(20) == 0
        assert guest.stdout.read() == "stopped\n"


def test_tap_same_as_linux(
    networked: Made, program: Path, tmp_path: Path, tap: network.Tap
) -> None:
    """TUNSETIFF and its relatives answer as the host's do."""
    native = subprocess.run(
        [program, "tap", tap.name], capture_output=True, text=True, check=True
    ).stdout
    disk = disk_of(tmp_path / "disk", 512)
    ran = networked.run(f"--block:data={disk}", f"--net:wire={tap.name}", "tap", "wire")
    assert ran.stdout.decode() == native.replace(f"{tap.name} ", "wire ")


def test_interface_that_vanishes(networked: Made, tmp_path: Path, tap: network.Tap) -> None:
    """The program is told."""
    disk = disk_of(tmp_path / "disk", 512)
    argv: list[str | Path] = [
        networked.path,
        f"--block:data={disk}",
        f"--net:wire={tap.name}",
        "echo",
        "wire",
        "r",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout and guest.stdout.readline() == "ready\n"
        tap.remove()
        assert guest.wait(30) == 0
        assert guest.stdout.read().startswith("gone: ")


def _limpet(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "limpet", "-q", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_command_line(program: Path, backend: Backend, tmp_path: Path) -> None:
    """``run`` attaches, ``build`` and ``explain`` declare."""
    disk = disk_of(tmp_path / "disk", 512)
    common = ["--backend", backend, "--block"]
    done = _limpet("run", *common, f"data={disk}", program, "scatter", "/dev/data", "9")
    assert (done.stdout, done.stderr, done.returncode) == ("same\n", "", 0)
    done = _limpet("run", *common, f"data={disk}:ro", program, "fill", "/dev/data", "-")
    assert done.stdout == "open: Permission denied\n"
    output = tmp_path / "bundle"
    assert _limpet("build", *common, "data", "-o", output, program).returncode == 0
    argv = [str(output), f"--block:data={disk}", "scatter", "/dev/data", "9"]
    ran = execute(argv, output)
    assert (ran.stdout, ran.status) == (b"same\n", 0)
    said = _limpet("explain", *common, "data", "--net", "wire", program).stdout
    assert "  data               /dev/data, as asked\n" in said
    assert "  wire               the interface wire of /dev/net/tun, as asked\n" in said
    done = _limpet("build", *common, f"data={disk}", program)
    assert done.stderr.startswith(f"limpet: --block data={disk}: only a name")
    assert done.returncode == 2


NAMES = ("block:null", "block:net", "block:a/b", "block:", "net:averyveryverylong", "disk:x")


@pytest.mark.parametrize("word", NAMES)
def test_names(program: Path, word: str) -> None:
    """Names that cannot be files of /dev or interfaces."""
    with pytest.raises(PlanError, match="cannot be called"):
        limpet.plan(limpet.load(program), limpet.Options(devices=(word,)))


def test_no_use(make: Maker) -> None:
    """A program that opens nothing cannot have a device."""
    program = make.compile("int main(void) { return 0; }", "nothing")
    with pytest.raises(PlanError, match="opens no file: it cannot use the device data"):
        limpet.plan(limpet.load(program), limpet.Options(devices=("block:data",)))


def test_too_many(program: Path) -> None:
    """A name twice, and more than the table holds; 63 are fine."""
    guest = limpet.load(program)
    with pytest.raises(PlanError, match="declared twice"):
        limpet.plan(guest, limpet.Options(devices=("block:x", "net:x")))
    many = tuple(f"block:d{i}" for i in range(64))
    with pytest.raises(PlanError, match="at most 63"):
        limpet.plan(guest, limpet.Options(devices=many))
    assert limpet.plan(guest, limpet.Options(devices=many[1:]))


def test_many_devices(make: Maker, program: Path, backend: Backend, tmp_path: Path) -> None:
    """All 63: the table takes two pages, and the filter hundreds of instructions."""
    names = [f"d{i}" for i in range(1, 64)]
    made = make(program, backend, devices=tuple(f"block:{name}" for name in names))
    disks = [disk_of(tmp_path / name, 512) for name in names]
    words = [f"--block:{disk.name}={disk}" for disk in disks]
    ran = made.run(*words, "fill", "/dev/d63", "-")
    assert ran.stdout.startswith(b"512: No space left on device\n")
    assert disks[-1].read_bytes() == b"f" * 512
    assert disks[0].read_bytes() != b"f" * 512


def test_both_backends(make: Maker, program: Path, tmp_path: Path) -> None:
    """A bundle of both runs its disk on either."""
    guest = limpet.load(program)
    options = limpet.Options(backends=("kvm", "process"), devices=("block:data",))
    path = tmp_path / "both"
    limpet.build(limpet.plan(guest, options)).write(path)
    disk = disk_of(tmp_path / "disk", 70000 // 512 * 512)
    argv = [str(path), f"--block:data={disk}", "scatter", "/dev/data", "50"]
    assert execute(argv, path).stdout == b"same\n"
    hidden = without_kvm(argv)
    done = subprocess.run(hidden, capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (b"same\n", b"")


def test_no_device_costs_nothing(make: Maker, program: Path, backend: Backend) -> None:
    """Without devices neither the table nor any of their code is there."""
    plain = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert not any("block" in call.name or "net" in call.name for call in plain.hypercalls)
    assert all(region.name != "devices" for region in plain.regions)
    assert "take_devices" not in plain.sources["monitor.c"]
    ran: Ran = make(program, backend).run("fill", "/dev/data", "-")
    assert ran.stdout == b"open: No such file or directory\n"
