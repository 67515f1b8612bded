"""One run of the emulated machine: shell jobs in, their output and statuses out."""

from __future__ import annotations

import base64
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware import kernel
from hardware.initramfs import Archive

BUSYBOX = Path("/usr/bin/busybox")
BOOT_TIMEOUT = 60  # seconds
JOB_TIMEOUT = 30

_QEMU = (
    *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,+svm,+npt", "-m", "2G", "-smp", "1"),
    *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
)

_FIRST = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /root
mount -t proc none /proc
mount -t tmpfs -o size=1500m none /root
cd / && cp -a bin init jobs lib lib64 usr bundles modules /root/ 2>/dev/null
mkdir -p /root/proc /root/sys /root/dev /root/tmp /root/etc
exec switch_root /root /init second
"""
"""pivot_root does not work from the kernel's first file system, and sandboxes use it."""

_SECOND = """\
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tracefs none /sys/kernel/tracing
mount -t cgroup2 none /sys/fs/cgroup
for module in /modules/*; do insmod $module; done
ip link set lo up
echo root:x:0:0:root:/:/bin/sh > /etc/passwd
export B=/bundles HOME=/
for job in /jobs/*; do
    rm -rf /tmp/work; mkdir /tmp/work; cd /tmp/work
    sh $job > /tmp/out 2> /tmp/err < /dev/null & worker=$!
    (sleep TIMEOUT; kill -9 $worker) > /dev/null 2>&1 & watch=$!
    wait $worker; status=$?
    kill $watch
    echo "@job ${job##*/} $status"; base64 /tmp/out; echo @err; base64 /tmp/err; echo @end
done > /dev/ttyS1
sync
poweroff -f
"""


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    status: int
    stdout: bytes
    stderr: bytes


class EmulationError(Exception):
    """The machine did not come to its end; its console is the message."""


def run(
    jobs: dict[str, str], bundles: dict[str, bytes], programs: Sequence[Path]
) -> dict[str, Ended]:
    """Run each shell script of ``jobs`` in an empty folder, with the bundles in ``$B``.

    Raises:
        EmulationError: the machine ended without all results, or not in time.
    """
    archive = Archive()
    names = {f"{index:03d}": name for index, name in enumerate(jobs)}
    for key, name in names.items():
        archive.add(f"/jobs/{key}", jobs[name].encode())
    for name, content in bundles.items():
        archive.add(f"/bundles/{name}", content)
    package = kernel.fetch()
    for index, module in enumerate(kernel.modules(package)):
        archive.add(f"/modules/{index:02d}-{module.name}", module.read_bytes())
    for program in (BUSYBOX, *programs):
        archive.add_program(program)
    archive.add("/bin/busybox", BUSYBOX.read_bytes())
    second = _SECOND.replace("TIMEOUT", str(JOB_TIMEOUT))
    first = _FIRST.removeprefix("#!/bin/busybox sh\n")
    archive.add(
        "/init", f'#!/bin/busybox sh\nif [ "$1" != second ]; then\n{first}fi\n{second}'.encode()
    )
    with tempfile.TemporaryDirectory(prefix="limpet-hardware-") as folder:
        said, console = _boot(Path(folder), kernel.image(package), archive.pack(), len(jobs))
    found = _results(said)
    if found.keys() != names.keys():
        raise EmulationError(f"{len(found)} of {len(names)} jobs came to an end\n{console[-3000:]}")
    return {names[key]: ended for key, ended in found.items()}


def _boot(folder: Path, image: Path, archive: bytes, jobs: int) -> tuple[str, str]:
    (folder / "initramfs").write_bytes(archive)
    argv: list[str | Path] = [*_QEMU, "-kernel", image, "-initrd", folder / "initramfs"]
    argv += ["-append", "console=ttyS0 quiet panic=-1"]
    argv += ["-serial", f"file:{folder / 'console'}", "-serial", f"file:{folder / 'results'}"]
    timeout = BOOT_TIMEOUT + 10 * jobs + JOB_TIMEOUT
    with subprocess.Popen(argv) as emulator:
        try:
            emulator.wait(timeout)
        except subprocess.TimeoutExpired:
            emulator.kill()
    return tuple(  # type: ignore[return-value]
        (folder / name).read_text(errors="replace") for name in ("results", "console")
    )


def _results(said: str) -> dict[str, Ended]:
    found = {}
    pattern = r"@job (\d+) (\d+)\s(.*?)@err\s(.*?)@end"
    for key, status, out, err in re.findall(pattern, said, re.DOTALL):
        found[key] = Ended(int(status), base64.b64decode(out), base64.b64decode(err))
    return found
