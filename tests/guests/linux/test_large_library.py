"""A library OS of any size is placed: larger here, in a copy of the sources, than ever."""

from __future__ import annotations

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker, execute
from tests.support.command import Cli
from tests.support.copies import copied

SIZE = 4 << 20
"""Of code, of constants and of data: there is a whole large page in each."""

PART = """
[syscalls.lookup_dcookie]
args = 1
"""

LARGE = f"""
#include "libos.h"
#include "linux.h"

static u8 data[{SIZE}];
static const u8 constants[{SIZE}] = {{[{SIZE - 1}] = 40}};

long sys_lookup_dcookie(long at) {{
    data[at] = 2;
    __asm__ volatile(".skip {SIZE}, 0x90" ::: "memory"); /* NOPs */
    return data[at] + constants[at];
}}
"""

CALLS = f"""
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {{
    printf("%ld\\n", syscall(SYS_lookup_dcookie, {SIZE - 1}L));
    return 0;
}}
"""

DOES_NOT = '#include <stdio.h>\nint main(void) { return puts("small") < 0; }\n'


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """``limpet`` with one more system call, whose part is as large as that."""
    folder = tmp_path_factory.mktemp("large")
    part = copied(folder) / "limpet/c/guest/parts/system"
    with (part / "part.toml").open("a") as stream:
        stream.write(PART)
    (part / "large.c").write_text(LARGE)
    return Cli(folder, folder, sources=folder / "src")


@pytest.mark.slow
@pytest.mark.parametrize("source", [CALLS, DOES_NOT], ids=["calls", "does_not"])
def test_runs(large: Cli, make: Maker, backend: Backend, source: str) -> None:
    """What is linked works to its last byte, what is not costs nothing; both are made again."""
    program = make.compile(source, "program")
    bundle = large.cwd / f"{source is CALLS}-{backend}"
    made = large("build", "--backend", backend, program, "-o", bundle)
    assert made.returncode == 0, made.stderr
    ran = execute(["program"], bundle)
    said = b"42\n" if source is CALLS else b"small\n"
    assert (ran.stdout, ran.stderr, ran.status) == (said, b"", 0)
    assert (bundle.stat().st_size > 2 * SIZE) == (source is CALLS)
    assert large("audit", bundle).stdout.startswith("VERIFIED: ")  # byte for byte
