"""Names of /proc are nobody's to make, remove or move: beside Linux."""

from __future__ import annotations

import pytest

from limpet.contract import BACKENDS, Backend
from tests.support.bundles import Maker, execute

SOURCE = """
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY(call) (errno = 0, call, printf("%s: %s\\n", #call, strerror(errno)))

int main(void) {
    close(creat("/tmp/limpet-kept", 0600));
    TRY(unlink("/proc/self/maps"));
    TRY(unlink("/proc/cpuinfo"));
    TRY(unlink("/proc/self"));
    TRY(unlink("/proc/self/fd/1"));
    TRY(unlink("/proc/sys"));
    TRY(unlink("/proc/self/nothing"));
    TRY(rmdir("/proc/self"));
    TRY(rmdir("/proc/sys"));
    TRY(rmdir("/proc/self/task"));
    TRY(mkdir("/proc/new", 0755));
    TRY(open("/proc/self/new", O_CREAT | O_WRONLY, 0644));
    TRY(symlink("a", "/proc/new"));
    TRY(mkfifo("/proc/new", 0644));
    TRY(rename("/proc/self/maps", "/tmp/limpet-moved"));
    TRY(rename("/tmp/limpet-kept", "/proc/self/maps"));
    TRY(rename("/proc/self/maps", "/proc/self/stat"));
    TRY(rename("/proc/self/maps", "/proc/self/new"));
    TRY(access("/proc/self/maps", R_OK));
    TRY(access("/proc/cpuinfo", R_OK));
    return unlink("/tmp/limpet-kept");
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_of_proc(make: Maker, backend: Backend) -> None:
    """A program that removes what it believes to be its own file gets the same error."""
    program = make.compile(SOURCE, "kept")
    native = execute(["kept"], program)
    assert (native.status, native.stdout.count(b"Operation not permitted")) == (0, 7)
    ran = make(program, backend).run()
    assert (ran.stdout, ran.status) == (native.stdout, 0)
