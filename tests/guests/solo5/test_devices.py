"""Unikernels with real disks and networks, and each mistake in attaching them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.running import devices
from tests.support import network
from tests.support.solo5 import Bundled, Start, limpet_run, run, with_devices


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


def _frames(bundle: Path, tap: network.Tap, disk: Path, *options: str) -> Iterator[str]:
    argv: list[str | Path] = [
        bundle,
        f"--block:storage={disk}",
        f"--net:service={tap.name}",
        *options,
        "echo",
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
def test_network(bundled: Bundled, target: str, tap: network.Tap, disk: Path, mac: str) -> None:
    """Frames of every size go to the guest and come back from its address."""
    path = bundled(target, devices=True)
    options = [f"--net-mac:service={mac}"] if mac else []
    said = _frames(path, tap, disk, *options)
    assert next(said) == "mtu 1500\n"
    for size in (60, 61, 1000, 1514):
        answer = tap.exchange(size.to_bytes(2, "big") + bytes(size - 16))
        assert len(answer) == size
        assert answer[14:16] == size.to_bytes(2, "big")
        assert not mac or answer[6:12] == bytes.fromhex(mac.replace(":", ""))
        assert answer[6] & 3 == 2
    tap.send(b"stop" + bytes(60))
    assert next(said) == "stopped\n"


@pytest.mark.parametrize("end", ["", "abort", "ud2", "loop", "wait"])
def test_frames_in_order(
    bundled: Bundled, target: str, tap: network.Tap, disk: Path, end: str
) -> None:
    """What a guest sends at once arrives whole and in order, whatever it does then."""
    argv = with_devices(bundled(target, devices=True), disk, tap)
    with subprocess.Popen(
        [*argv, f"send {SENT_AT_ONCE} {end}"], stdout=subprocess.DEVNULL
    ) as guest:
        try:
            tap.packets.settimeout(20)
            frames = [_next_frame(tap) for _ in range(SENT_AT_ONCE)]
            assert frames == [number.to_bytes(2, "big") for number in range(SENT_AT_ONCE)]
            ends = end not in ("loop", "wait")
            assert (guest.wait(20) if ends else guest.poll()) == _ENDS[end].get(target)
        finally:
            guest.kill()


SENT_AT_ONCE = 100
_ENDS: dict[str, dict[str, int]] = {
    "": {"hvt": 0, "spt": 0},
    "abort": {"hvt": 255, "spt": 255},
    "ud2": {"hvt": 200, "spt": -4},
    "loop": {},
    "wait": {},
}


def _next_frame(tap: network.Tap) -> bytes:
    while True:
        frame, (_, _, kind, *_) = tap.packets.recvfrom(65536)
        if kind != socket.PACKET_OUTGOING and frame[12:14] == b"\x88\xb5":
            return frame[14:16]


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Each has a queue of its own in the kernel: who changes between them may lose the order."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    yield
    os.sched_setaffinity(0, all_of_them)


@pytest.mark.usefixtures("one_processor")
def test_burst(bundled: Bundled, target: str, tap: network.Tap, disk: Path) -> None:
    """Frames that arrive together are told in their order, and the answers are."""
    said = _frames(bundled(target, devices=True), tap, disk)
    next(said)
    tap.exchange(bytes(60))
    payloads = [number.to_bytes(2, "big") + bytes(number * 7 + 60) for number in range(1, 60)]
    for each in payloads:
        tap.send(each)
    got: list[bytes] = []
    while len(got) < len(payloads):
        frame, (_, _, kind, *_) = tap.packets.recvfrom(65536)
        if (
            kind != socket.PACKET_OUTGOING
            and frame[12:14] == b"\x88\xb5"
            and frame[14:16] != bytes(2)
        ):
            got.append(frame[14:])
    assert got == payloads
    tap.send(b"stop" + bytes(60))
    assert next(said) == "stopped\n"


GONE = (
    "limpet: a network of the guest's is gone: its interface was deleted, or who served it on the "
    "host has ended\n"
)


@pytest.mark.parametrize("kind", ["interface", "descriptor"])
def test_network_gone(
    bundled: Bundled, target: str, tap: network.Tap, disk: Path, kind: str
) -> None:
    """A network that can never have a frame again ends an hvt guest that waits for one."""
    if target != "hvt":
        pytest.skip("an spt guest asks the host by itself")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    net = tap.name if kind == "interface" else f"@{theirs.fileno()}"
    argv: list[str | Path] = [bundled(target, devices=True), f"--block:storage={disk}"]
    argv += [f"--net:service={net}", "echo"]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
    ) as guest:
        try:
            assert guest.stdout and guest.stdout.readline()
            tap.remove()
            ours.close()
            theirs.close()
            told = guest.communicate(timeout=20)[1].decode()
        finally:
            guest.kill()
    assert (told, guest.returncode) == (GONE, 1)


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


def test_user_network(unikernel: Bundled, target: str, disk: Path) -> None:
    """A forwarded port of the host reaches the guest through passt, without any privilege."""
    if not shutil.which("passt"):
        pytest.skip("*** passt is missing: apt-get install passt ***")
    port = 20000 + os.getpid() % 20000
    argv = limpet_run("--block", f"storage={disk}", "--net", "service=user", "-p", f"{port}:7/udp")
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
    ("--net", "service=user", "-p", "0:80"): "-p 0:80: no such port",
}


@pytest.mark.parametrize("words", DEVICE_WORDS)
def test_device_words(unikernel: Bundled, words: tuple[str, ...]) -> None:
    """Devices that are not written as they should be."""
    done = run(limpet_run(*words, unikernel("spt", devices=True)))
    assert done.stderr.startswith(f"limpet: {DEVICE_WORDS[words]}")
    assert done.returncode == 2


def test_settings() -> None:
    """Sector size, MAC and MTU as ``limpet run`` takes them; commas of a path stay its own."""
    blocks = [devices.block(each) for each in ("a=x,y=1", "b=disk:ro,sector=4096")]
    wire = devices.network("n=tap:t0,mac=02:00:00:00:00:01,mtu=9000")
    assert devices.words(blocks, [wire], ()) == [
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
    done = run(limpet_run(*options, unikernel(target, devices=True), "block"))
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
    "--block-sector-size:storage=513": (
        "limpet: storage: Block size must be a multiple of 2 greater than or equal 512"
    ),
    "--mem=0": "limpet: --mem=0: Malformed argument to --mem, or too little or much",
    "--mem=99999999999": "limpet: --mem=99999999999: Malformed argument to --mem",
    "--mem=4x": "limpet: --mem=4x: Malformed argument to --mem",
    "--block:storage=/dev/null": "limpet: storage: Backing storage must be at least 1 block",
    "--block:storage=/": "limpet: cannot attach /: the host refuses",
    "--net-mtu:foo=9000": "limpet: Resource not declared in manifest: 'foo'",
    "x": "limpet: Device 'storage' declared but not attached.",
}


@pytest.mark.parametrize("option", ATTACH)
def test_attach_errors(start: Start, option: str) -> None:
    """Each mistake has its own line; what the manifest wants is listed where it is at fault."""
    done = start(option, devices=True)
    assert done.stderr.startswith(ATTACH[option])
    assert (done.stdout, done.returncode) == ("", 1)
    if "declared" in done.stderr:
        assert "limpet: the manifest wants --block:storage=PATH" in done.stderr
        assert "limpet: the manifest wants --net:service=INTERFACE" in done.stderr


def test_attached_twice(start: Start, disk: Path) -> None:
    """One device, one attachment; and sizes must fit."""
    twice = [f"--block:storage={disk}"] * 2
    assert start(*twice, devices=True).stderr.startswith("limpet: storage: attached twice\n")
    disk.write_bytes(bytes(1000))
    odd = start(f"--block:storage={disk}", devices=True)
    assert odd.stderr.startswith("limpet: storage: Backing storage size must be block aligned\n")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/net/tun").exists(), reason="no TUN here")
def test_interface_that_vanishes(
    bundled: Bundled, target: str, tap: network.Tap, disk: Path
) -> None:
    """A guest that asks the host by itself is told, and does not hang: it ends when it has to."""
    if target == "hvt":
        pytest.skip("its monitor ends it: test_network_gone")
    path = bundled(target, devices=True, timeout=3000)
    argv = [*with_devices(path, disk, tap), "echo"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout and guest.stdout.readline() == "mtu 1500\n"
        tap.remove()
        assert guest.wait(30) == 124
