"""Without root, in a container made by crun: there is a jailed process where ``bwrap`` fails.

The filter is the one that Debian ships with podman's packages, but for what Docker's own refuses
there as well: new namespaces and mounts, for who is not privileged.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.large import large

PROFILE = Path("/usr/share/containers/seccomp.json")
PYTHON = "/usr/bin/python3"
NAMESPACES = {"unshare", "setns", "mount", "umount", "umount2", "pivot_root", "clone3", "fsmount"}
"""What Docker's filter refuses who is not privileged (its documentation, "Seccomp profiles")."""

NEW_NAMESPACES = 0x7E020000
"""Flags of clone that make some."""

INSIDE = f"""
bwrap --ro-bind / / true 2>/dev/null && echo bwrap works
{PYTHON} -m limpet doctor
{PYTHON} -c '
import limpet
with limpet.Sandbox(timeout=60) as sandbox:
    sandbox.run("x = 6")
    print(sandbox._prepared.recipe.backend, sandbox.run("x * 7").value)
    other, = sandbox.fork()
    with other:
        print(other.run("x").value)
'
"""


def _rules(profile: dict[str, Any]) -> list[dict[str, Any]]:
    """The profile's, as the runtime takes them, for who has no capability."""
    found = []
    for rule in profile["syscalls"]:
        names = sorted(set(rule["names"]) - NAMESPACES - {"clone"})
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        here = "amd64" in includes.get("arches", ["amd64"]) and "amd64" not in excludes.get(
            "arches", []
        )
        if names and here and not includes.get("caps"):
            kept = {key: rule[key] for key in ("action", "args", "errnoRet") if rule.get(key)}
            found.append({**kept, "names": names})
    masked = {"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    found.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [masked]})
    found.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    return found


def _container(folder: Path) -> None:
    """A bundle for crun: this host's programs, read-only, and this package."""
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
    bound = {"/usr": "/usr", "/etc": "/etc", "/src": str(ROOT / "src")}
    bound["/site"] = sysconfig.get_path("purelib")
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    mounts += [{"destination": at, "type": "tmpfs", "source": "tmpfs"} for at in ("/tmp", "/dev")]
    mounts += [
        {"destination": at, "type": "bind", "source": source, "options": ["rbind", "ro"]}  # type: ignore[dict-item]
        for at, source in bound.items()
    ]
    for each in ("proc", "tmp", "dev", "usr", "etc", "src", "site"):
        (folder / "rootfs" / each).mkdir(parents=True)
    for each in ("bin", "lib", "lib64", "sbin"):
        (folder / "rootfs" / each).symlink_to(f"usr/{each}")
    environment = ["PATH=/usr/bin:/bin", "HOME=/tmp", "LIMPET_CACHE=/tmp/cache"]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 1234, "gid": 1234},
            "args": ["/bin/sh", "-c", INSIDE],
            "env": [*environment, "PYTHONPATH=/src:/site"],
            "cwd": "/tmp",
            "capabilities": {kind: [] for kind in kinds},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": each} for each in ("pid", "mount", "ipc", "uts", "network")],
            "seccomp": {
                "defaultAction": profile["defaultAction"],
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": _rules(profile),
            },
        },
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@large
@pytest.mark.skipif(os.geteuid() != 0, reason="crun is started by root here")
def test_in_a_container(tmp_path: Path) -> None:
    """What works is a jailed process, and ``doctor`` says what the virtual machine lacks."""
    crun = shutil.which("crun")
    if crun is None or not PROFILE.exists():
        pytest.skip("apt-get install crun golang-github-containers-common")
    _container(tmp_path)
    # crun knows no hierarchy of both versions: one of its own, in a mount namespace
    start = "mount -t cgroup2 none /sys/fs/cgroup && exec "
    start += f"{crun} --cgroup-manager=disabled run --bundle {tmp_path} limpet-{os.getpid()}"
    argv = ["unshare", "-m", "sh", "-c", start]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert "bwrap works" not in said
    assert "MISSING KVM: /dev/kvm is not there" in said
    assert "ok      guest, process: one started" in said and "guest, kvm" not in said
    assert said.splitlines()[-2:] == ["process 42", "6"], said + done.stderr
