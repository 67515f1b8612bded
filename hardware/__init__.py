"""Bundles on AMD-V as the manual has it: Debian's kernel with ``kvm-amd`` in QEMU's emulation.

Needs Debian's ``qemu-system-x86``, ``busybox-static``, ``dmsetup`` and, for ``surface``,
``bubblewrap`` and ``crun``; the kernel is fetched as a package.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))  # the guests are the tests'
