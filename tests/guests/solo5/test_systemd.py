"""The unit of the operator's page, started by systemd itself: PID 1 of namespaces of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.bundles import need
from tests.support.documents import ROOT, blocks
from tests.support.solo5 import Bundled

SYSTEMD = Path("/usr/lib/systemd/systemd")
NAMESPACES = ("--pid", "--fork", "--kill-child", "--mount", "--net", "--cgroup", "--uts", "--ipc")

INNER = """\
set -e
mount --make-rprivate /
mount -t tmpfs none /run && mount -t tmpfs none /srv
umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /srv/dns /run/units && cp "$1/service" /srv/dns && truncate -s 64K /srv/dns/disk.img
cp -r "$1"/units/* /run/units
ip tuntap add mode tap name tap0 && ip address add 10.0.0.1/24 dev tap0 && ip link set tap0 up
echo "namespaces are there"
exec env -i container=limpet PATH=/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_UNIT_PATH=/run/units \
    /usr/lib/systemd/systemd --system --unit=look.service --log-target=console --show-status=no
"""
LOOK = """\
exec 3<>/dev/udp/10.0.0.2/7
for each in $(seq 50); do
    echo 'is anybody there?' >&3
    answer=$(timeout 0.5 head -n 1 <&3) && break
done
echo "$answer"
cat "/proc/$(systemctl show --value -p MainPID dns.service)/status"
systemctl stop dns.service
systemctl show -p ActiveState -p Result dns.service
"""
BARE = "[Unit]\nDefaultDependencies=no\n"


def _units(folder: Path) -> None:
    """The page's unit, with the unikernel's own words behind its command; and who looks at it."""
    page = (ROOT / "docs" / "solo5-operator.md").read_text(encoding="utf-8")
    (unit,) = (each.text for each in blocks(page) if each.title == "dns.service")
    (start,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    look = f"{BARE}Wants=dns.service\nAfter=dns.service\n"
    look += "SuccessAction=exit-force\nFailureAction=exit-force\n"
    look += f"[Service]\nType=oneshot\nExecStart=/bin/bash {folder}/look.sh\n"
    look += f"StandardOutput=file:{folder}/said\nStandardError=file:{folder}/said\n"
    (folder / "look.sh").write_text(LOOK)
    (folder / "units").mkdir()
    for name, text in {
        "dns.service": unit.replace(start, f"{start} -- udp"),
        "look.service": look,
        **{f"{each}.target": BARE for each in ("sysinit", "basic", "shutdown")},
    }.items():
        (folder / "units" / name).write_text(text)


def _remove_scope() -> None:
    """The group of systemd's own, which it leaves; that of a systemd that runs is not empty."""
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.removeprefix("0::/") for line in groups if line.startswith("0::")), "")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            with suppress(OSError):
                (Path(line.split()[1]) / own / "init.scope").rmdir()


def test_a_unit(bundled: Bundled, target: str, tmp_path: Path) -> None:
    """It serves behind all that the unit takes away, has no rights, and stops when it is told."""
    if os.geteuid():
        pytest.skip("systemd as a system's manager is root's")
    need(SYSTEMD, "systemd")
    shutil.copy(bundled(target, devices=True), tmp_path / "service")
    _units(tmp_path)
    (tmp_path / "inner.sh").write_text(INNER)
    argv: list[str | Path] = ["unshare", *NAMESPACES, "--mount-proc", "bash"]
    argv += [tmp_path / "inner.sh", tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    _remove_scope()
    if "namespaces are there" not in done.stdout:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    said = (tmp_path / "said").read_text()
    answer, *status = said.splitlines()
    assert answer == "is anybody there?", said
    assert {"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} <= set(status), said
    assert {"NoNewPrivs:\t1", "Seccomp:\t2"} <= set(status), said
    assert {"ActiveState=inactive", "Result=success"} <= set(status), said
    assert not done.returncode
