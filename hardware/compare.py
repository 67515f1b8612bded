"""The same bundles on this machine and on the emulated one: everything they say is the same."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import limpet
from hardware.machine import BUSYBOX, Ended, run
from limpet.contract import BACKENDS
from limpet.tools.toolchain import compile_program
from tests.guests.solo5 import test_attacks, test_unikernels
from tests.support import SUPPORT, sources, unikernels

BUSYBOX_LINES = (
    ("sort", "-n"),
    ("sha256sum",),
    ("awk", "{ n += $1 } END { print n, n / 7 }"),
    ("seq", "1", "2000"),
    ("expr", "12345", "*", "6789"),
)
NUMBERS = "seq 3000 -7 5 | "

DISK = "dd if=/dev/zero of=disk bs=1k count={} 2>/dev/null\n"
STEP = "(sleep 1; date -s @$(($(date +%s) + 7200))) > /dev/null 2>&1 &\n"
BROKEN = "dmsetup remove bad 2>/dev/null; echo 0 2048 error | dmsetup create bad --noudevsync\n"
TAP = "tunctl -t lphw0 > /dev/null; ip link set lphw0 up\n"
NO_TAP = "status=$?; tunctl -d lphw0 > /dev/null; exit $status\n"


@dataclass
class Job:
    """A bundle, the words that it is started with, and what is there before.

    ``there`` is what it says on the emulated machine where this one need not be able to.
    """

    bundle: str
    words: tuple[str, ...] = ()
    before: str = ""
    source: str = "exec "
    there: str = ""
    after: str = ""

    @property
    def script(self) -> str:
        """As a shell runs it, with the bundles' folder in ``$B``."""
        words = " ".join(f"'{word}'" for word in self.words)
        return f"{self.before}{self.source}$B/{self.bundle} {words}\n{self.after}"


_TASK_TYPE_AT = 6 * 24 + 14  # in struct kvm_sregs


def for_qemu(bundle: limpet.Bundle) -> bytes:
    """The bundle with an available instead of a busy task register, its only change.

    QEMU's emulation looks at the I/O bitmap of that type alone and else refuses every port; AMD-V
    takes either, VT-x the busy one.
    """
    data = bytearray(bundle.data)
    for name in ("KVM_SREGS", "KVM_SREGS_KEYS"):
        blob = bundle.plan.blobs.fixed.get(name)
        if blob:
            assert blob[_TASK_TYPE_AT] == 11
            data[data.index(blob) + _TASK_TYPE_AT] = 9
    return bytes(data)


class Suite:
    """Bundles and jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bundles: dict[str, bytes] = {}
        self.jobs: dict[str, Job] = {}

    def program(self, name: str, text: str, *flags: str) -> Path:
        """A static program."""
        source, path = self._folder / f"{name}.c", self._folder / name
        source.write_text(text)
        compile_program([source], path, flags)
        return path

    def bundle(self, name: str, guest: Path, **options: object) -> str:
        """Its bundle."""
        made = limpet.plan(limpet.load(guest), limpet.Options(**options))  # type: ignore[arg-type]
        self.bundles[name] = for_qemu(limpet.build(made))
        return name

    def add(self, name: str, job: Job) -> None:
        """One more."""
        self.jobs[name] = job


def _linux(suite: Suite) -> None:
    hello = suite.program("hello", sources.HELLO)
    misbehave = suite.program("misbehave", sources.MISBEHAVE, "-O0")
    handle = suite.program("handle", "#define _GNU_SOURCE\n" + sources.HANDLE)
    disks = suite.program("devices", (SUPPORT / "programs" / "devices.c").read_text())
    for backend in BACKENDS:
        only = {"backends": (backend,)}
        for how, options in (("", {}), (", trapped", {"rewrite": False}), (", v3", {"cpu": "v3"})):
            made = suite.bundle(f"hello{len(how)}.{backend}", hello, **only, **options)
            suite.add(f"hello{how}, {backend}", Job(made, ("you",)))
        made = suite.bundle(f"misbehave.{backend}", misbehave, **only)
        for case, (_, what) in sources.ENDS.items():
            suite.add(f"misbehaviour {case}, {what}, {backend}", Job(made, (str(case),)))
        made = suite.bundle(f"handle.{backend}", handle, **only)
        suite.add(f"signal handlers, {backend}", Job(made))
        made = suite.bundle(f"busybox.{backend}", BUSYBOX, **only)
        for words in BUSYBOX_LINES:
            suite.add(f"busybox {words[0]}, {backend}", Job(made, words, source=NUMBERS))
        made = suite.bundle(f"disks.{backend}", disks, devices=("block:data",), **only)
        for words in (("edges", "/dev/data"), ("scatter", "/dev/data", "50")):
            job = Job(made, ("--block:data=disk", *words), DISK.format(1000))
            suite.add(f"disk, {words[0]}, {backend}", job)


def _faults(suite: Suite) -> None:
    """What only a machine of one's own can be made to do; bundles of ``_linux`` and one more."""
    text = (Path(__file__).parent / "c" / "clock.c").read_text()
    clock = suite.program("clock", text)
    for backend in BACKENDS:
        made = suite.bundle(f"clock.{backend}", clock, backends=(backend,))
        there = "steady, and the time of day went on two hours"
        suite.add(f"the clock is set, {backend}", Job(made, before=STEP, there=there))
        words = ("--block:data=/dev/dm-0", "fill", "/dev/data", "-")
        job = Job(f"disks.{backend}", words, BROKEN, there="fsync: I/O error")
        suite.add(f"a broken disk is told, {backend}", job)


def _solo5(suite: Suite, folder: Path) -> None:
    for target in ("hvt", "spt"):
        made = suite.bundle(target, unikernels.build(folder, target))
        for line in ("hello there", "float", "tls", "memory", "sleep"):
            suite.add(f"{target}, {line}", Job(made, tuple(line.split())))
        for how in test_unikernels.FAULTS:
            suite.add(f"{target}, bad {how}", Job(made, ("bad", how)))
        keys = "the guest read memory that it may not" if target == "hvt" else ""
        suite.add(f"{target}, reads its code", Job(made, ("bad", "code"), there=keys))
        made = suite.bundle(f"{target}.d", unikernels.build(folder, target, devices=True))
        for what in ("block", "misuse"):
            words = ("--block:storage=disk", "--net:service=lphw0", what)
            suite.add(
                f"{target}, {what}", Job(made, words, DISK.format(64) + TAP, "", after=NO_TAP)
            )
    made = suite.bundle("ring0", unikernels.build(folder, "hvt", ring_0=True))
    for line in ("hello there", "bad rodata", "bad ud2"):
        suite.add(f"hvt in ring 0, {line}", Job(made, tuple(line.split())))
    suite.add("hvt in ring 0, float", Job(made, ("float",), there="7484 16"))
    for name, (port, numbers, _) in test_attacks.HVT_ATTACKS.items():
        line = " ".join(map(str, ("call", port, *numbers)))
        suite.add(f"hvt attack, {name}", Job("hvt", (line,)))


def _here(script: str, bundles: Path, folder: Path) -> Ended:
    folder.mkdir()
    done = subprocess.run(
        [BUSYBOX, "sh", "-c", script],
        cwd=folder,
        env={"B": str(bundles), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Ended(status, done.stdout, done.stderr)


def _differs(job: Job, here: Ended, there: Ended) -> str:
    """What is not the same, in a word; nothing where all is."""
    if job.there:
        return "" if job.there in (there.stdout + there.stderr).decode() else "not as expected"
    pairs = ((here.status, there.status), (here.stdout, there.stdout), (here.stderr, there.stderr))
    names = ("status", "standard output", "standard error")
    return ", ".join(n for n, (a, b) in zip(names, pairs, strict=True) if a != b)


def results() -> Iterator[tuple[str, str, Ended, Ended]]:
    """Each job's name, what differs, and both ends."""
    with tempfile.TemporaryDirectory(prefix="limpet-hardware-") as temporary:
        folder = Path(temporary)
        suite = Suite(folder)
        _linux(suite)
        _faults(suite)
        _solo5(suite, folder)
        bundles = folder / "bundles"
        bundles.mkdir()
        for path, content in ((bundles / each, data) for each, data in suite.bundles.items()):
            path.write_bytes(content)
            path.chmod(0o755)
        there = run(
            {n: job.script for n, job in suite.jobs.items()},
            suite.bundles,
            [Path("/usr/sbin/dmsetup")],
        )
        for index, (name, job) in enumerate(suite.jobs.items()):
            if job.there:
                yield name, _differs(job, there[name], there[name]), there[name], there[name]
                continue
            here = _here(job.script, bundles, folder / f"work{index}")
            yield name, _differs(job, here, there[name]), here, there[name]
