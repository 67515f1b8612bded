"""Bundles on AMD-V as the manual has it: Debian's kernel with ``kvm-amd`` in QEMU's emulation.

Needs Debian's ``qemu-system-x86``, ``busybox-static``, ``dmsetup`` and, for ``surface``,
``bubblewrap`` and ``crun``; the kernel is fetched as a package.
"""
